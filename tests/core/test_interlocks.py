"""Interlocks: never both away from their safe values (promise P8)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from edgekernel import ConfigError, Effect, Limits, Runtime, Signal, message
from edgekernel.core.errors import BootError, InterlockedError, UnavailableError
from tests.core.driving import Plant

LONG_S = 10.0

MakeRuntime = Callable[..., Runtime]


def booted(runtime: Runtime, *plants: Plant) -> Runtime:
    """Boot a runtime with these devices."""
    for plant in plants:
        runtime.register(plant)
    runtime.boot()
    return runtime


def heater_and_cooler(runtime: Runtime, **limits: Any) -> tuple[Plant, Plant]:
    """Two plants of which the first one says that their pumps exclude one another."""
    heater = Plant("heater", pump=Limits(interlock=("cooler.pump",), **limits))
    cooler = Plant("cooler")
    booted(runtime, heater, cooler)
    return heater, cooler


def test_the_refusal_names_the_other_one(make_runtime: MakeRuntime) -> None:
    """A set that is excluded drives nothing and says by what; off and safe are always allowed."""
    heater, cooler = heater_and_cooler(make_runtime())
    cooler.pump.set(True)
    expected = r"^heater\.pump: not set to True: cooler\.pump is on \(interlock\)$"
    with pytest.raises(InterlockedError, match=expected) as refused:
        heater.pump.set(True)
    assert (refused.value.code, refused.value.other) == ("interlocked", "cooler.pump")
    heater.pump.set(False)
    cooler.pump.set(False)
    heater.pump.set(True)
    assert heater.pump.value is True


def test_it_counts_for_both(make_runtime: MakeRuntime) -> None:
    """Only one of the two says it, in whichever order they are attached; it counts for both."""
    heater, cooler = heater_and_cooler(make_runtime())
    heater.pump.set(True)
    with pytest.raises(InterlockedError, match=r"heater\.pump is on"):
        cooler.pump.set(True)
    other = make_runtime()
    second = Plant("second", pump=Limits(interlock=("first.valve",)))
    first = Plant("first")
    booted(other, first, second)
    second.pump.set(True)
    with pytest.raises(InterlockedError, match=r"first\.valve: not set to 0.5: second\.pump is on"):
        first.valve.set(0.5)


def test_one_that_cannot_be_made_safe_counts_as_on(make_runtime: MakeRuntime) -> None:
    """P8: where nobody knows what the hardware does, it may be on."""
    heater, cooler = heater_and_cooler(make_runtime())
    heater.failures = [OSError("no answer")]
    with pytest.raises(UnavailableError):
        heater.pump.set(True)
    with pytest.raises(InterlockedError):
        cooler.pump.set(True)
    heater.pump.set(False)
    cooler.pump.set(True)
    assert cooler.pump.value is True


def test_what_is_pending_is_looked_at_when_its_time_comes(sim: Any) -> None:
    """Something else that was switched on meanwhile keeps a pending value from being driven."""
    runtime = sim.runtime()
    heater, cooler = heater_and_cooler(runtime, min_off_s=60)
    told: list[Any] = []
    runtime.subscribe(message.OutputNotDriven, lambda event: told.append(event.payload))
    heater.pump.set(True)
    assert heater.pump.pending is True
    sim.advance(30)
    cooler.pump.set(True)
    sim.advance(60)
    assert heater.pump.value is False
    assert heater.pump.pending is None
    assert [each.error for each in told] == [
        "heater.pump: not set to True: cooler.pump is on (interlock)"
    ]
    cooler.pump.set(False)
    sim.advance(60)
    assert heater.pump.value is False


def test_what_is_excluded_at_once_does_not_become_pending(sim: Any) -> None:
    """Who asks while the other one is on is told at once, not when the time has come."""
    heater, cooler = heater_and_cooler(sim.runtime(), min_off_s=60)
    cooler.pump.set(True)
    with pytest.raises(InterlockedError):
        heater.pump.set(True)
    assert heater.pump.pending is None


@pytest.mark.parametrize("initial", ["on", "as-is"])
def test_one_that_would_begin_on_begins_safe(sim: Any, initial: str) -> None:
    """Of two that would begin on only the first one does; the other one is safe and says so."""
    runtime = sim.runtime()
    told: list[Any] = []
    runtime.subscribe(message.OutputNotDriven, lambda event: told.append(event.payload))
    heater = Plant("heater", pump=Limits(initial=initial, interlock=("cooler.pump",)))
    cooler = Plant("cooler", pump=Limits(initial=initial))
    heater.hardware["pump"] = cooler.hardware["pump"] = True
    booted(runtime, heater, cooler)
    sim.advance(0.1)
    assert heater.pump.value is True
    assert cooler.pump.value is False
    assert cooler.hardware["pump"] is False
    assert [each.output for each in told] == ["cooler.pump"]


def test_a_fallback_that_is_excluded_is_the_safe_value(make_runtime: MakeRuntime) -> None:
    """The fallback of an output gives way to an interlock."""
    heater, cooler = heater_and_cooler(make_runtime(), fallback="on")
    wanted = Signal(True)

    def drive() -> None:
        heater.pump.set(wanted.get())
        if not wanted.get():
            raise OSError("the controller")

    effect = Effect(drive, on_error=lambda error: None)
    wanted.set(False)
    assert heater.pump.value is True
    heater.pump.set(False)
    cooler.pump.set(True)
    effect.run()
    assert (heater.pump.value, cooler.pump.value) == (False, True)
    effect.dispose()


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("coler.pump", "no device 'coler'; did you mean 'cooler'?"),
        ("cooler.pmp", "cooler has no output 'pmp'; did you mean 'pump'?"),
        ("cooler.mode", "that output has no safe value"),
    ],
)
def test_a_name_that_is_not_there_is_an_error_at_boot(
    make_runtime: MakeRuntime, name: str, problem: str
) -> None:
    """Each name in an interlock is an output with a safe value; else nothing starts."""
    runtime = make_runtime()
    runtime.register(Plant("heater", pump=Limits(interlock=(name,))))
    runtime.register(Plant("cooler"))
    with pytest.raises(BootError) as failed:
        runtime.boot()
    assert [str(each) for each in failed.value.exceptions] == [
        f"heater.pump: limits.interlock: {name!r}: {problem}"
    ]
    running = booted(make_runtime(), Plant("cooler"))
    with pytest.raises(ConfigError, match=r"heater\.pump: limits\.interlock: "):
        running.hot_add(Plant("heater", pump=Limits(interlock=(name,))))
    assert "heater" not in running.devices


def test_a_device_added_later_is_excluded_too(make_runtime: MakeRuntime) -> None:
    """Hot changes keep the exclusion: one that is added, one that is replaced, one removed."""
    cooler = Plant("cooler")
    runtime = booted(make_runtime(), cooler)
    cooler.pump.set(True)
    heater = Plant("heater", pump=Limits(interlock=("cooler.pump",)))
    runtime.hot_add(heater)
    with pytest.raises(InterlockedError):
        heater.pump.set(True)
    newer = Plant("cooler")
    runtime.hot_update(newer)
    heater.pump.set(True)
    with pytest.raises(InterlockedError):
        newer.pump.set(True)
    runtime.hot_remove("heater")
    newer.pump.set(True)
    assert newer.pump.value is True


def test_of_two_at_once_exactly_one_wins(make_runtime: MakeRuntime, eager_switching: None) -> None:
    """P8: whatever threads ask for, the two are never on at the same time, and one always is."""
    heater, cooler = heater_and_cooler(make_runtime())
    on: set[str] = set()
    both: list[set[str]] = []

    def watch(plant: Plant) -> None:
        def drive(value: bool) -> bool:
            (on.add if value else on.discard)(plant.id)
            if len(on) > 1:
                both.append(set(on))
            return value

        plant.pump._drive = drive

    watch(heater)
    watch(cooler)
    for _ in range(200):
        barrier, won = threading.Barrier(2), list[str]()

        def ask(plant: Plant, barrier: threading.Barrier = barrier, won: list[str] = won) -> None:
            barrier.wait(LONG_S)
            try:
                plant.pump.set(True)
                won.append(plant.id)
            except InterlockedError:
                pass

        threads = [threading.Thread(target=ask, args=(each,)) for each in (heater, cooler)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG_S)
        assert len(won) == 1
        heater.pump.set(False)
        cooler.pump.set(False)
    assert both == []


def test_never_both_however_they_are_set(make_runtime: MakeRuntime, eager_switching: None) -> None:
    """P8: threads that switch both on and off without a pause never have both on."""
    heater, cooler = heater_and_cooler(make_runtime())
    on: set[str] = set()
    both: list[set[str]] = []
    for plant in (heater, cooler):

        def drive(value: bool, id: str = plant.id) -> bool:
            (on.add if value else on.discard)(id)
            if len(on) > 1:
                both.append(set(on))
            return value

        plant.pump._drive = drive

    def work(plant: Plant) -> None:
        for n in range(1000):
            try:
                plant.pump.set(n % 3 != 2)
            except InterlockedError:
                continue

    threads = [threading.Thread(target=work, args=(each,)) for each in (heater, cooler) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert both == []
