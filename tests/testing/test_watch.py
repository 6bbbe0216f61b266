"""Watch: when a condition held, however the time has passed."""

from __future__ import annotations

import re

import pytest

from edgekernel import Effect, Runtime, Signal
from edgekernel.testing import Simulation

on = False


def test_spans_are_exact_however_time_passes(simulation: Simulation) -> None:
    """Each stretch is seen to the nanosecond, whether the test, a fiber or the clock waits."""
    state = {"on": False}
    clock = simulation.clock

    def blink() -> None:
        for seconds in (1.25, 0.5, 2.0):
            clock.sleep(seconds)
            state["on"] = not state["on"]

    watch = simulation.watch(lambda: state["on"], "lamp")
    clock.Thread(blink, "blink").start()
    clock.Event().wait(2.0)
    simulation.run(2.0)
    clock.sleep(1.0)
    assert [(span.begin_ns, span.end_ns) for span in watch.spans] == [
        (1_250_000_000, 1_750_000_000),
        (3_750_000_000, 5_000_000_000),
    ]
    assert watch.longest_s == 1.25
    assert watch.total_s == 1.75
    assert repr(watch) == ("<Watch lamp: 1.25 s to 1.75 s (0.5 s), 3.75 s to 5 s (1.25 s)>")


def test_the_same_moment_does_not_count(simulation: Simulation) -> None:
    """What is taken back before time passes has lasted for no time."""
    state = {"on": False}
    watch = simulation.watch(lambda: state["on"], "lamp")
    simulation.run(1)
    state["on"] = True
    state["on"] = False
    simulation.run(1)
    watch.assert_never()


def test_assert_never_says_when(simulation: Simulation) -> None:
    """The failure names the condition, from when to when it held, and how often beyond five."""
    state = {"on": False}
    watch = simulation.watch(lambda: state["on"], "heater and vent both on")
    for _ in range(7):
        simulation.run(1)
        state["on"] = True
        simulation.run(0.5)
        state["on"] = False
    with pytest.raises(
        AssertionError,
        match=re.escape(
            "heater and vent both on: should never have been\n"
            "  it was from 1 s to 1.5 s (0.5 s)\n"
            "  it was from 2.5 s to 3 s (0.5 s)\n"
        )
        + r"(.*\n){3}  and 2 more times$",
    ):
        watch.assert_never()


def test_assert_at_most_says_which_was_too_long(simulation: Simulation) -> None:
    """A stretch of just the limit is allowed; the failure shows those beyond it only."""
    state = {"on": True}
    watch = simulation.watch(lambda: state["on"], "fan on")
    simulation.run(10)
    state["on"] = False
    watch.assert_at_most(10)
    simulation.run(1)
    state["on"] = True
    simulation.run(10.5)
    text = (
        "fan on: for 10.5 s at a stretch, 10 s at most were allowed\n"
        "  it was from 11 s to 21.5 s (10.5 s)"
    )
    with pytest.raises(AssertionError, match=f"^{re.escape(text)}$"):
        watch.assert_at_most(10)


def test_a_condition_that_raises_is_told_with_its_time(simulation: Simulation) -> None:
    """It hits who asks the watch, not who happened to wait; nobody takes it for `never`."""
    watch = simulation.watch(lambda: simulation.clock.monotonic() < 2 or 1 / 0, "too hot")
    simulation.run(2)
    simulation.run(3)
    with pytest.raises(RuntimeError, match="too hot: could not be seen at 2 s: ZeroDivisionError"):
        watch.assert_at_most(10)


def test_without_words_the_source_is_shown(simulation: Simulation) -> None:
    """A lambda is named by the line it is written in, a function by its name."""
    watch = simulation.watch(lambda: on)
    assert watch.what == "watch = simulation.watch(lambda: on)"
    assert simulation.watch(bool).what == "bool"


def test_a_watched_signal_is_not_depended_on(simulation: Simulation, booted: Runtime) -> None:
    """An effect that waits does not run again for what a watch reads meanwhile."""
    seen, runs = Signal(0), []
    simulation.watch(lambda: seen.get() > 0, "seen")

    def effect() -> None:
        runs.append(simulation.clock.monotonic())
        simulation.clock.sleep(1)

    made = Effect(effect)
    seen.set(1)
    simulation.run(5)
    assert runs == [0.0]
    made.dispose()
