"""Leases: what needs a living controller is safe, or refused, without one (promise P8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from edgekernel import ConfigError, Effect, Limits, Process, Runtime, Signal, command, message
from edgekernel.core.errors import (
    BootError,
    LeaseNotHeldError,
    UnavailableError,
    UnknownTargetError,
)
from edgekernel.core.lease import LeaseTerms
from edgekernel.core.leases import Leases
from edgekernel.sim import SimClock
from tests.core.driving import Plant
from tests.core.parts import messages_of

TERMS = {"controller": LeaseTerms(10.0, ("plant.pump", "plant.valve"), ("climate.boost",))}


class Climate(Process):
    """Has a command that needs a controller, and one that does not."""

    name = "climate"

    @command
    def boost(self) -> str:
        return "boosted"

    @command
    def look(self) -> str:
        return "seen"


class House:
    """A runtime in simulated time whose plant needs a controller."""

    def __init__(self, clock: SimClock, terms: dict[str, LeaseTerms], **limits: Limits) -> None:
        self.clock = clock
        self.runtime = Runtime(clock=clock)
        self.plant = Plant("plant", **limits)
        self.leases = Leases(self.runtime, terms)
        for part in (self.plant, Climate(), self.leases):
            self.runtime.register(part)
        self.lost = messages_of(self.runtime, message.LeaseLost)
        self.held = messages_of(self.runtime, message.LeaseHeld)
        self.errors = messages_of(self.runtime, message.EffectError)

    def renew(self, holder: str = "") -> Any:
        """Let a controller say that it is there."""
        return self.runtime.invoke("leases.renew", {"lease": "controller", "holder": holder})


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """Give a simulated clock."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def house(clock: SimClock) -> Iterator[House]:
    """Give a house that runs."""
    made = House(clock, TERMS)
    with made.runtime:
        yield made


def test_without_a_controller_nothing_leaves_its_safe_value(house: House) -> None:
    """From the boot on a set is refused with what is missing; the safe value and the outputs that
    no lease is for are always allowed."""
    expected = (
        r"^plant\.pump: not set to True: lease controller is not held: renew it with "
        r"leases\.renew every 10 s$"
    )
    with pytest.raises(LeaseNotHeldError, match=expected) as refused:
        house.plant.pump.set(True)
    assert (refused.value.code, refused.value.device) == ("no_lease", "plant")
    house.plant.pump.set(False)
    house.plant.steps.set(7)
    assert house.plant.pump.value is False


def test_commands_are_refused_with_the_same_reason(house: House) -> None:
    """A command that needs the controller is not carried out; the others are."""
    with pytest.raises(LeaseNotHeldError, match=r"^climate\.boost: not carried out: lease contr"):
        house.runtime.invoke("climate.boost")
    assert house.runtime.invoke("climate.look") == "seen"
    house.renew()
    assert house.runtime.invoke("climate.boost") == "boosted"


def test_outputs_are_safe_at_the_stated_time(house: House) -> None:
    """Renewed again and again they stay on; 10 s after the last time they are safe, to the
    moment, and it is told who was lost."""
    house.renew("scada")
    house.plant.pump.set(True)
    house.plant.valve.set(0.5)
    for _ in range(100):
        house.clock.advance(9.5)
        house.renew("scada")
    assert (house.plant.pump.value, house.lost) == (True, [])
    begin = house.clock.monotonic()
    house.clock.advance(30)
    assert {at for at, value in house.plant.driven[-2:]} == {begin + 10.0}
    assert (house.plant.pump.value, house.plant.valve.value) == (False, 0.0)
    assert house.held == [message.LeaseHeld("controller", "scada")]
    assert house.lost == [message.LeaseLost("controller", "scada", "not renewed for 10 s")]


def test_what_drives_it_runs_again(house: House) -> None:
    """An effect that finds the lease lost is at no fault, and drives again what it wants when
    the lease is held again, whether or not anything else has changed."""
    wanted = Signal(1.0)
    runs: list[float] = []

    def drive() -> None:
        runs.append(wanted.get())
        house.plant.valve.set(wanted.get())

    house.runtime.turns.call(lambda: Effect(drive), "make")
    assert house.plant.valve.value == 0.0
    house.renew()
    assert house.plant.valve.value == 1.0
    house.clock.advance(10)
    assert house.plant.valve.value == 0.0
    wanted.set(0.25)
    house.clock.advance(1)
    assert house.plant.valve.value == 0.0
    house.renew()
    house.clock.advance(1)
    assert house.plant.valve.value == 0.25
    assert (house.errors, list(house.runtime.errors)) == ([], [])


def test_it_is_held_by_one_at_a_time(house: House) -> None:
    """Another controller is refused until the lease is released or lost; only who holds it can
    release it, and then the outputs are safe at once."""
    house.renew("a")
    house.plant.pump.set(True)
    with pytest.raises(UnavailableError, match="lease controller is held by a"):
        house.renew("b")
    release = {"lease": "controller", "holder": "b"}
    with pytest.raises(UnavailableError, match="not released: it is held by a"):
        house.runtime.invoke("leases.release", release)
    assert house.plant.pump.value is True
    house.runtime.invoke("leases.release", {**release, "holder": "a"})
    house.clock.advance(0.001)
    assert house.plant.pump.value is False
    assert house.lost == [message.LeaseLost("controller", "a", "released")]
    house.renew("b")
    assert house.runtime.invoke("leases.status")["controller"]["holder"] == "b"
    with pytest.raises(UnknownTargetError, match="did you mean 'controller'"):
        house.runtime.invoke("leases.renew", {"lease": "controler"})


def test_a_loss_makes_safe_even_if_it_is_held_again_at_once(house: House) -> None:
    """What somebody had switched on by hand is off after a loss, however short that was."""
    house.renew("a")
    house.plant.pump.set(True)
    house.leases.get("controller").release("a")
    house.leases.get("controller").renew("a")
    house.clock.advance(0.001)
    assert house.plant.pump.value is False
    house.plant.pump.set(True)
    assert house.plant.pump.value is True


def test_a_late_message_counts_from_its_arrival(house: House) -> None:
    """What has waited for the node renews for the rest of its time only, or not at all."""
    lease, begin_ns = house.leases.get("controller"), house.clock.monotonic_ns()
    house.clock.advance(6)
    lease.renew("", begin_ns)
    assert lease.figures()["left_s"] == pytest.approx(4.0)
    house.clock.advance(4)
    assert not lease.held
    with pytest.raises(UnavailableError, match="too long ago"):
        lease.renew("", begin_ns)


def test_one_output_that_hangs_keeps_no_other(house: House) -> None:
    """The driver of one output does not return: the other one is safe in time all the same."""
    house.renew()
    house.plant.pump.set(True)
    house.plant.valve.set(1.0)
    other = house.clock.Event()

    def hang() -> None:
        house.plant.when_driving = None
        other.wait(100)

    house.plant.when_driving = hang
    house.clock.advance(10.001)
    safe = [house.plant.pump.is_safe, house.plant.valve.is_safe]
    assert sorted(safe) == [False, True]
    other.set()
    house.clock.advance(2)
    assert house.plant.pump.is_safe
    assert house.plant.valve.is_safe


def test_a_driver_that_fails_is_tried_again(house: House) -> None:
    """A safe value that cannot be driven is told, and driven as soon as that works."""
    told = messages_of(house.runtime, message.OutputNotDriven)
    house.renew()
    house.plant.pump.set(True)
    house.plant.failures += [OSError("broken")] * 6
    house.clock.advance(10.001)
    assert {each.output for each in told} == {"plant.pump", "plant.valve"}
    house.clock.advance(10)
    assert house.plant.pump.value is False


def test_a_beginning_that_is_not_safe_needs_the_lease_too(clock: SimClock) -> None:
    """An output that is to begin away from its safe value begins safe, and that is told."""
    house = House(clock, TERMS, pump=Limits(initial=True))
    told = messages_of(house.runtime, message.OutputNotDriven)
    with house.runtime:
        assert house.plant.pump.value is False
    assert "lease controller is not held" in told[0].error


def test_a_fallback_needs_the_lease_too(clock: SimClock) -> None:
    """Where an effect fails without a controller, the output does not go to a fallback that is
    not safe."""
    house = House(clock, TERMS, valve=Limits(fallback=0.5))
    with house.runtime:
        house.runtime.turns.call(lambda: Effect(lambda: house.plant.valve.set(1.0)), "make")
        assert house.plant.valve.value == 0.0
        house.renew()
        assert house.plant.valve.value == 1.0
        house.clock.advance(10.001)
        assert house.plant.valve.value == 0.0


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (
            "plant.pum",
            r'leases\.a\.outputs: "plant\.pum" is no output; did you mean',
        ),
        ("plant.mode", r'leases\.a\.outputs: "plant\.mode" has no safe value to go to'),
    ],
)
def test_an_output_that_cannot_have_one(clock: SimClock, label: str, text: str) -> None:
    """A lease for what is no output, or has no safe value, keeps the runtime from booting."""
    house = House(clock, {"a": LeaseTerms(1.0, (label,))})
    with pytest.raises(BootError) as failed:
        house.runtime.boot()
    assert failed.group_contains(ConfigError, match=text)
