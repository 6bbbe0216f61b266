"""The limits of outputs, in simulated time (promise P8)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Effect, Limits, Quality, Runtime, Signal, message
from edgekernel.core.errors import (
    BootError,
    HeldSafeError,
    InvalidValueError,
    LifecycleError,
    RateLimitedError,
    UnavailableError,
)
from edgekernel.core.memory import Transient
from edgekernel.sim import SimClock
from tests.core.driving import Plant, Running

# Minimum times


def test_a_set_that_comes_too_early_is_pending(sim: Any) -> None:
    """What is switched off before it was on for `min_on` goes off when that is over."""
    run = Running(sim, pump=Limits(min_on_s=30))
    pump = run.plant.pump
    pump.set(True)
    run.advance(10)
    pump.set(False)
    assert (pump.setpoint, pump.pending) == (True, False)
    assert pump.status()["pending_in_s"] == 20
    run.advance(19.9)
    assert run.plant.driven == [(0.0, True)]
    run.advance(0.2)
    assert run.plant.driven == [(0.0, True), (30.0, False)]
    assert (pump.setpoint, pump.pending, pump.value) == (False, None, False)


def test_a_later_set_replaces_what_is_pending(sim: Any) -> None:
    """Of what was asked for while it had to wait, only the last counts."""
    run = Running(sim, pump=Limits(min_on_s=30))
    run.plant.pump.set(True)
    run.plant.pump.set(False)
    run.plant.pump.set(True)
    assert run.plant.pump.pending is None
    run.advance(60)
    assert run.plant.driven == [(0.0, True), (0.0, True)]


def test_how_long_it_was_off_before_the_start_nobody_knows(sim: Any) -> None:
    """`min_off` counts from the attachment, and from each time that it went off."""
    run = Running(sim, pump=Limits(min_off_s=120))
    run.plant.pump.set(True)
    run.advance(300)
    run.plant.pump.set(False)
    run.advance(10)
    run.plant.pump.set(True)
    run.advance(300)
    assert run.plant.driven == [(120.0, True), (300.0, False), (420.0, True)]


def test_other_values_than_the_safe_one_are_on(sim: Any) -> None:
    """A number is on at every value but the safe one, between which it moves freely."""
    run = Running(sim, valve=Limits(min_on_s=10))
    valve = run.plant.valve
    valve.set(0.5)
    valve.set(0.7)
    valve.set(0.0)
    assert valve.pending == 0.0
    run.advance(15)
    assert run.plant.driven == [(0.0, 0.5), (0.0, 0.7), (10.0, 0.0)]


@pytest.mark.parametrize("how", ["hold", "detach", "shutdown"])
def test_safe_waits_for_nothing(sim: Any, how: str) -> None:
    """Going safe is not delayed by `min_on`, `rate` or `max_changes`, and ends what is pending."""
    limits = Limits(min_on_s=30, min_off_s=30, max_changes="1/h", lease_s=1000)
    run = Running(sim, pump=limits, valve=Limits(rate=0.01))
    run.plant.pump.set(True)
    run.plant.valve.set(1.0)
    run.advance(31)
    run.plant.driven.clear()
    run.plant.valve.set(1.0)
    run.plant.pump.set(True)
    run.plant.pump.set(False)
    at = round(sim.clock.monotonic(), 6)
    if how == "hold":
        run.plant.hold_safe("test")
    elif how == "detach":
        run.runtime.hot_remove("plant")
    else:
        run.runtime.shutdown()
    assert run.plant.pump.setpoint is False
    assert run.plant.valve.setpoint == 0.0
    assert {time for time, _ in run.plant.driven} == {at}
    driven = len(run.plant.driven)
    run.advance(2000)
    assert len(run.plant.driven) == driven
    assert run.plant.pump.pending is None


def test_a_hold_ends_what_is_pending(sim: Any) -> None:
    """What was pending when it was held safe is not driven after the hold."""
    run = Running(sim, pump=Limits(min_off_s=30))
    run.plant.pump.set(True)
    run.plant.pump.hold_safe("test")
    assert run.plant.pump.pending is None
    run.advance(60)
    assert all(not value for _, value in run.plant.driven)
    with pytest.raises(HeldSafeError, match="test"):
        run.plant.pump.set(True)


def test_a_pending_value_that_the_driver_refuses_is_told(sim: Any) -> None:
    """Nobody waits for a pending set: what becomes of it is told, and it is not tried again; the
    safe value is driven."""
    run = Running(sim, pump=Limits(min_off_s=30))
    run.plant.pump.set(True)
    run.plant.failures = [OSError("stuck")]
    run.advance(100)
    assert [type(each) for each in run.told] == [message.OutputNotDriven]
    assert run.told[0] == message.OutputNotDriven(
        "plant.pump", True, "plant.pump: not set to True: OSError: stuck"
    )
    assert run.plant.pump.pending is None
    assert run.plant.driven == [(30.0, False)]
    assert run.plant.pump.readback.quality is Quality.GOOD


@pytest.mark.parametrize("target", [False, True])
def test_a_pending_value_that_the_driver_refuses_ends_safe(sim: Any, target: bool) -> None:
    """P8: what was to be driven later and could not be is made safe, and that is tried again:
    whoever has set it may have no reason to set it once more."""
    run = Running(sim, pump=Limits(min_on_s=30) if not target else Limits(min_off_s=30))
    run.plant.pump.set(True)
    if not target:
        run.plant.pump.set(False)
    run.plant.failures = [OSError("NACK")] * 4  # the safe value too, three times
    run.advance(31)
    assert isinstance(run.told[0], message.OutputNotDriven)
    assert not run.plant.failures
    run.advance(60)
    assert run.plant.hardware["pump"] is False
    assert run.plant.pump.is_safe
    assert run.plant.pump.value is False


def test_a_write_that_takes_long_ends_no_ramp(sim: Any) -> None:
    """Who rings meanwhile has not been refused by the driver: it goes on later."""
    run = Running(sim, valve=Limits(rate=0.05))
    run.plant.valve.set(1.0)
    run.advance(10)
    run.plant.when_driving = lambda: sim.clock.sleep(2.0)
    run.advance(4)
    run.plant.when_driving = None
    run.advance(30)
    assert run.plant.hardware["valve"] == 1.0
    assert run.told == []


@pytest.mark.parametrize(("fallback", "left_at"), [("safe", 0.0), ("hold", 0.8), (0.3, 0.3)])
def test_a_ramp_whose_driver_fails_falls_back(sim: Any, fallback: Any, left_at: float) -> None:
    """P8: one failure on the way, and it is as if what drives it had failed."""
    run = Running(sim, valve=Limits(rate=0.1, fallback=fallback))
    run.plant.valve.set(1.0)
    run.advance(20)
    run.plant.valve.set(0.5)
    run.advance(2)
    assert run.plant.hardware["valve"] == pytest.approx(0.8, abs=0.05)
    run.plant.failures = [OSError("NACK")]
    run.advance(20)
    assert run.plant.hardware["valve"] == pytest.approx(left_at, abs=0.05)
    assert isinstance(run.told[0], message.OutputNotDriven)


# Slew rate


def test_a_number_changes_slowly(sim: Any) -> None:
    """With a `rate` the value is driven in steps of no more than that, up to what was asked."""
    run = Running(sim, valve=Limits(rate=0.5))
    run.advance(1)
    run.plant.valve.set(0.2)
    assert run.plant.valve.pending == 0.2
    run.advance(2)
    times = [time for time, _ in run.plant.driven]
    assert times == pytest.approx([1.0, 1.1, 1.2, 1.3])
    assert [value for _, value in run.plant.driven] == pytest.approx([0.05, 0.1, 0.15, 0.2])
    assert run.plant.valve.pending is None


def test_whole_numbers_change_slowly_too(sim: Any) -> None:
    """An integer waits until it may change by one."""
    run = Running(sim, steps=Limits(rate=2))
    run.advance(1)
    run.plant.steps.set(-3)
    run.advance(5)
    assert run.plant.driven == [(1.0, -1), (1.5, -2), (2.0, -3)]


@given(
    asked=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 100)), max_size=30),
    rate=st.floats(0.05, 3),
)
def test_never_faster_than_the_rate(asked: list[tuple[int, int]], rate: float) -> None:
    """P8: however it is set, between any two writes no more changes than the rate allows in the
    time between them, beside the first step after a rest."""
    with SimClock() as clock:
        runtime, plant = Runtime(clock=clock), Plant(valve=Limits(rate=rate))
        runtime.register(plant)
        with runtime:
            clock.advance(1)
            for pause_ms, percent in asked:
                plant.valve.set(percent / 100)
                clock.advance(pause_ms / 1000)
            clock.advance(100)
            if asked:
                assert plant.valve.setpoint == asked[-1][1] / 100
            valves = [(t, v) for t, v in plant.driven if isinstance(v, float)]
            for (t0, v0), (t1, v1) in pairwise(valves):
                assert abs(v1 - v0) <= rate * min(0.1, t1 - t0) + 1e-6
        runtime.turns.close()


# The longest time and the lease


def test_falls_to_safe_after_its_longest_time(sim: Any) -> None:
    """After `max_on` it is safe, and says so; setting it on meanwhile does not prolong that."""
    run = Running(sim, pump=Limits(max_on_s=60))
    run.plant.pump.set(True)
    run.advance(50)
    run.plant.pump.set(True)
    assert run.plant.pump.status()["max_on_left_s"] == 10
    run.advance(10.5)
    assert run.plant.driven == [(0.0, True), (50.0, True), (60.0, False)]
    assert run.told == [message.OutputExpired("plant.pump", "max_on", 60)]
    run.plant.pump.set(True)
    run.advance(59)
    assert run.plant.pump.value is True
    run.plant.pump.set(False)
    run.advance(100)
    assert len(run.told) == 1


def test_a_lease_is_renewed_by_every_set(sim: Any) -> None:
    """Set again in time, also to the same value, it stays; else it is safe and may be set again."""
    run = Running(sim, valve=Limits(lease_s=30))
    valve = run.plant.valve
    for _ in range(5):
        valve.set(0.5)
        run.advance(29)
    assert valve.value == 0.5
    assert valve.status()["lease_left_s"] == 1
    run.advance(2)
    assert valve.value == 0.0
    assert run.told == [message.OutputExpired("plant.valve", "lease", 30)]
    valve.set(0.7)
    assert valve.value == 0.7
    valve.set(0.0)
    assert valve.status()["lease_left_s"] is None
    run.advance(100)
    assert len(run.told) == 1


def test_a_lease_ends_what_is_pending(sim: Any) -> None:
    """Who does not renew is not waited for: what was pending for it is not driven any more."""
    run = Running(sim, pump=Limits(lease_s=30, min_off_s=120))
    run.plant.pump.set(True)
    run.advance(200)
    assert not any(value for _, value in run.plant.driven)
    assert run.told == [message.OutputExpired("plant.pump", "lease", 30)]


def test_a_lease_ends_although_it_was_on_for_a_moment_only(sim: Any) -> None:
    """The end of a lease is not delayed by `min_on`, not even where a set to safe is pending."""
    run = Running(sim, pump=Limits(lease_s=60, min_on_s=60))
    run.advance(5)
    run.plant.pump.set(True)
    run.advance(50)
    run.plant.pump.set(True)
    run.advance(100)
    assert run.plant.driven[-1] == (115.0, False)


def test_what_cannot_be_made_safe_is_tried_again(sim: Any) -> None:
    """P8: when the driver fails at the end of a lease, it is told, and tried every second."""
    run = Running(sim, pump=Limits(lease_s=30))
    run.plant.pump.set(True)
    run.plant.failures = [OSError("no answer")] * 7
    run.advance(40)
    assert run.plant.driven[-1] == (32.0, False)
    kinds = [type(each) for each in run.told]
    assert kinds == [message.OutputNotDriven, message.OutputNotDriven, message.OutputExpired]


def test_a_failed_set_does_not_keep_it_on(sim: Any) -> None:
    """P8: a write that raised may have come through: the lease ends it all the same."""
    run = Running(sim, pump=Limits(lease_s=30))
    run.plant.failures = [OSError("no answer")]
    with pytest.raises(UnavailableError):
        run.plant.pump.set(True)
    run.advance(31)
    assert run.plant.driven == [(30.0, False)]


# Changes


def test_more_changes_than_allowed_are_refused(sim: Any) -> None:
    """The refusal names the limit and when it may be tried again; renewing is no change."""
    run = Running(sim, valve=Limits(max_changes="3/min"))
    valve = run.plant.valve
    for value in (0.1, 0.2, 0.2, 0.2, 0.3):
        valve.set(value)
    assert valve.status()["changes_left"] == 0
    expected = r"plant\.valve: at most 3 in 60 s; try again in 20 s"
    with pytest.raises(RateLimitedError, match=expected) as refused:
        valve.set(0.4)
    assert refused.value.retry_after_s == pytest.approx(20)
    assert (valve.setpoint, valve.pending) == (0.3, None)
    run.advance(20.1)
    valve.set(0.4)
    assert valve.setpoint == 0.4


def test_going_safe_is_always_allowed(sim: Any) -> None:
    """However often it was changed, it can be set to its safe value."""
    run = Running(sim, pump=Limits(max_changes="1/h"))
    run.plant.pump.set(True)
    run.plant.pump.set(False)
    assert run.plant.pump.value is False
    with pytest.raises(RateLimitedError):
        run.plant.pump.set(True)


# Fallback


@pytest.mark.parametrize(("fallback", "after"), [("safe", 0.0), ("hold", 0.5), (0.3, 0.3)])
def test_falls_back_when_what_drives_it_fails(sim: Any, fallback: float, after: float) -> None:
    """When an effect fails, what it drove goes where it was said, and comes back with it."""
    run = Running(sim, valve=Limits(fallback=fallback, rate=None, max_changes="9/s"))
    wanted = Signal(2)
    effect = Effect(lambda: run.plant.valve.set(1 / wanted.get()), on_error=lambda error: None)
    assert run.plant.valve.value == 0.5
    wanted.set(0)
    assert run.plant.valve.value == after
    wanted.set(4)
    assert run.plant.valve.value == 0.25
    effect.dispose()


def test_a_bad_reading_does_not_drive(sim: Any) -> None:
    """An effect whose input is BAD does not drive: the output goes to its fallback."""
    run = Running(sim, valve=Limits(fallback=0.1))
    plant = run.plant
    plant.valve.set(0.9)
    effect = Effect(
        lambda: plant.valve.set(0.4 if plant.pump.value else 0.2), on_error=lambda error: None
    )
    assert plant.valve.value == 0.2
    plant.pump.readback.fail("offline")
    assert plant.valve.value == 0.1
    effect.dispose()


def test_a_fallback_ends_what_is_pending(sim: Any) -> None:
    """What an effect had asked for before it failed is not driven afterwards."""
    run = Running(sim, pump=Limits(min_off_s=60, fallback="hold"))
    wanted = Signal(True)

    def drive() -> None:
        run.plant.pump.set(wanted.get())
        if not wanted.get():
            raise OSError("the controller")

    effect = Effect(drive, on_error=lambda error: None)
    assert run.plant.pump.pending is True
    wanted.set(False)
    assert run.plant.pump.pending is None
    run.advance(100)
    assert not any(value for _, value in run.plant.driven)
    effect.dispose()


# The beginning


@pytest.mark.parametrize(("initial", "begins"), [("on", True), (True, True), ("safe", False)])
def test_begins_with_a_value(sim: Any, initial: bool, begins: bool) -> None:
    """A value in `initial` is what it begins with, and `connect` knows it."""
    seen: list[bool | None] = []

    class Early(Plant):
        def connect(self) -> None:
            seen.append(self.pump.initial)

    plant = Early(pump=Limits(initial=initial))
    runtime = sim.runtime()
    runtime.register(plant)
    runtime.boot()
    assert seen == [begins]
    assert [value for _, value in plant.driven if isinstance(value, bool)] == [begins]
    assert plant.pump.value is begins


def test_takes_over_what_the_hardware_has(sim: Any) -> None:
    """As-is drives nothing; setpoint and readback are what the hardware does, and limits count."""
    plant = Plant(pump=Limits(initial="as-is", max_on_s=60))
    plant.hardware["pump"] = True
    runtime = sim.runtime()
    runtime.register(plant)
    runtime.boot()
    assert plant.pump.initial is None
    assert [value for _, value in plant.driven if value is True or value is False] == []
    assert (plant.pump.setpoint, plant.pump.value) == (True, True)
    sim.advance(61)
    assert plant.pump.value is False


def test_restores_what_was_driven_last(sim: Any) -> None:
    """The value before the restart comes back, not the safe one of the shutdown."""
    memory = Transient()
    limits = Limits(initial="restore")
    first = Running(sim, memory, valve=limits)
    assert first.plant.valve.value == 0.0
    first.plant.valve.set(0.4)
    first.runtime.shutdown()
    assert first.plant.driven[-1][1] == 0.0
    second = Running(sim, memory, valve=limits)
    assert second.plant.valve.value == 0.4


def test_what_has_expired_is_not_restored(sim: Any) -> None:
    """A lease that ended before the restart, and a fallback, are what was driven last."""
    memory = Transient()
    limits = Limits(initial="restore", lease_s=10)
    first = Running(sim, memory, valve=limits)
    first.plant.valve.set(0.4)
    first.advance(11)
    first.runtime.shutdown()
    assert Running(sim, memory, valve=limits).plant.valve.value == 0.0


def test_what_is_not_allowed_any_more_is_not_restored(sim: Any) -> None:
    """A remembered value out of range is told, and it begins safe."""
    memory = Transient()
    memory.put("output/plant.valve", 7.0)
    run = Running(sim, memory, valve=Limits(initial="restore"))
    assert run.plant.valve.value == 0.0
    sim.advance(0.1)
    assert [type(each) for each in run.told] == [message.OutputNotDriven]
    assert "a number from 0 to 1" in str(run.told[0])


def test_a_least_time_off_counts_for_what_it_begins_with(sim: Any) -> None:
    """After a power cut the hardware may have been off for a moment only: it begins safe, and
    what it should begin with is pending."""
    plant = Plant(pump=Limits(initial="on", min_off_s=120))
    runtime = sim.runtime()
    runtime.register(plant)
    runtime.boot()
    assert plant.pump.initial is False
    assert (plant.pump.value, plant.pump.pending) == (False, True)
    sim.advance(119)
    assert plant.pump.value is False
    sim.advance(2)
    assert plant.pump.value is True


def test_a_lease_counts_from_the_beginning(sim: Any) -> None:
    """What was restored and nobody renews falls to safe."""
    memory = Transient()
    memory.put("output/plant.pump", True)
    run = Running(sim, memory, pump=Limits(initial="restore", lease_s=30))
    assert run.plant.pump.value is True
    run.advance(31)
    assert run.plant.pump.value is False


def test_an_attachment_that_fails_leaves_nothing_on(sim: Any) -> None:
    """P8: what has begun on is made safe when the device cannot be attached after all."""

    class Broken(Plant):
        def drive_valve(self, value: float) -> float:
            raise OSError("no answer")

    plant = Broken(pump=Limits(initial="on"))
    runtime = sim.runtime()
    runtime.register(plant)
    with pytest.raises(BootError):
        runtime.boot()
    assert plant.hardware["pump"] is False


# The rest


def test_limits_are_set_before_the_device_is_attached(sim: Any) -> None:
    """Changing limits under a running device is a mistake that says so."""
    run = Running(sim)
    with pytest.raises(LifecycleError, match=r"plant\.pump: limits are set before"):
        run.plant.pump.limits = Limits(min_on_s=5)


def test_a_value_that_is_not_allowed_renews_nothing(sim: Any) -> None:
    """A refused value is no sign of life."""
    run = Running(sim, valve=Limits(lease_s=30))
    run.plant.valve.set(0.5)
    run.advance(20)
    with pytest.raises(InvalidValueError):
        run.plant.valve.set(2.0)
    run.advance(11)
    assert run.plant.valve.value == 0.0


def test_status(sim: Any) -> None:
    """The status of the runtime says of each output what its limits leave."""
    run = Running(sim, pump=Limits(min_on_s=30, max_on_s=100, lease_s=60, max_changes="5/min"))
    run.plant.pump.set(True)
    run.advance(10)
    run.plant.pump.set(False)
    status = run.runtime.status()["devices"]["plant"]["outputs"]
    assert status["pump"] == {
        "setpoint": True,
        "safe": False,
        "held": "",
        "pending": False,
        "pending_in_s": 20.0,
        "lease_left_s": 60.0,
        "max_on_left_s": 90.0,
        "changes_left": 3,
        "on_for_s": 10.0,
    }
    assert status["mode"] == {"setpoint": None, "safe": None, "held": ""}


def test_who_has_no_limits_has_no_thread(make_runtime: Callable[..., Runtime]) -> None:
    """Timers and worker threads come with the first output that needs them."""
    runtime, plant = make_runtime(name="plain"), Plant()
    runtime.register(plant)
    runtime.boot()
    plant.pump.set(True)
    threads = {thread.name for thread in threading.enumerate()}
    assert not threads & {"plain:timers", "plain:outputs-1"}


def test_a_driver_that_hangs_keeps_no_other_lease(sim: Any) -> None:
    """P8: while one output's driver hangs at the end of its lease, another one's ends in time."""
    run = Running(sim, pump=Limits(lease_s=10), valve=Limits(lease_s=20))
    plant = run.plant
    plant.pump.set(True)
    plant.valve.set(0.5)

    def hang() -> None:
        if sim.clock.monotonic() < 15:
            sim.clock.sleep(100)

    plant.when_driving = hang
    run.advance(21)
    assert (20.0, 0.0) in plant.driven
    run.advance(100)
    assert plant.pump.value is False


ASKED = st.lists(st.tuples(st.sampled_from(["on", "off", "fail"]), st.integers(0, 40)), max_size=40)


@given(asked=ASKED)
def test_the_times_hold_whatever_is_asked(asked: list[tuple[str, int]]) -> None:
    """P8: however it is switched, it is never off for less than `min_off`, never on for longer than
    `max_on`, and on for less than `min_on` only when what drives it fails."""
    limits = Limits(min_on_s=10, min_off_s=20, max_on_s=60, lease_s=35)
    with SimClock() as clock:
        runtime, plant = Runtime(clock=clock), Plant("plant", pump=limits)
        runtime.register(plant)
        failed: set[float] = set()
        with runtime:
            for what, pause_s in asked:
                if what == "fail":
                    failed.add(clock.monotonic())
                    plant.pump._fall_back()
                else:
                    plant.pump.set(what == "on")
                clock.advance(pause_s)
            clock.advance(200)
            assert plant.pump.value is False
            assert plant.pump.pending is None
            changes = [(0.0, False)]
            for time, value in plant.driven:
                if isinstance(value, bool) and value is not changes[-1][1]:
                    changes.append((time, value))
        for (begun, on), (ended, _) in pairwise(changes):
            if on:
                assert ended - begun <= 60
                assert ended - begun >= 10 or ended in failed
            else:
                assert ended - begun >= 20
        runtime.turns.close()


def test_on_real_threads(
    make_runtime: Callable[..., Runtime], until: Callable[[Callable[[], bool]], None]
) -> None:
    """On the real clock too a lease ends, what is pending follows, and a mismatch is found."""
    runtime = make_runtime()
    plant = Plant(
        "plant",
        pump=Limits(lease_s=0.05),
        valve=Limits(min_off_s=0.05, rate=20),
        steps=Limits(mismatch_s=0.05),
    )
    runtime.register(plant)
    runtime.boot()
    plant.hardware["steps"] = 3
    plant.pump.set(True)
    plant.valve.set(1.0)
    until(lambda: plant.pump.setpoint is False)
    until(lambda: plant.valve.setpoint == 1.0)
    plant.stuck = True
    plant.steps.set(5)
    until(lambda: plant.steps.readback.quality is Quality.BAD)
