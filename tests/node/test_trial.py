"""A configuration stands trial: the node must be as well with it as before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Context, Message, Runtime, Service
from edgekernel.node.config_table import ConfigTable
from edgekernel.node.trial import LOOK_S, complaints, stand_trial
from edgekernel.sim import SimClock

TERMS = ConfigTable(healthy_for=10, grace=20)
BAD = {"device room": "no answer"}


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock, closed at the end."""
    with SimClock() as clock:
        yield clock


def tried(
    clock: SimClock,
    look: Callable[[float], Mapping[str, str]],
    before: Mapping[str, str] = {},
    cancel_s: float = 1000,
) -> tuple[list[str] | None, float]:
    """Return the verdict of a trial, and after how many seconds it was there; `look` is given the
    seconds since the change."""
    begun = clock.monotonic()
    found: list[tuple[list[str] | None, float]] = []
    cancel = clock.Event()

    def stand() -> None:
        since = clock.monotonic
        verdict = stand_trial(lambda: look(since() - begun), before, TERMS, clock, cancel)
        found.append((verdict, clock.monotonic() - begun))

    clock.Thread(stand, "trial").start()
    clock.advance(cancel_s)
    cancel.set()
    clock.advance(1)
    return found[0]


class Failing(Service):
    """Fails in its first tick; its restart may come, or not."""

    name = "log"
    backoff_s = 20.0

    def tick(self, ctx: Context) -> None:
        """Raise an error."""
        raise OSError("no room left")


class Hanging(Service):
    """Does not come back from its first tick."""

    name = "pump"

    def tick(self, ctx: Context) -> None:
        """Hang."""
        ctx.clock.sleep(1000)


def test_services_that_do_not_work(clock: SimClock) -> None:
    """A service is not well while it waits for its restart, when it is not started again, and while
    it hangs; for how long it has does not change what is said."""
    runtime, failing = Runtime(clock=clock), Failing()
    runtime.register(failing)
    runtime.register(Hanging())
    with runtime:
        clock.advance(5)
        assert complaints(runtime) == {
            "part log": "it waits for its restart: OSError: no room left"
        }
        clock.advance(10)
        both = complaints(runtime)
        assert both["part pump"] == "it hangs"
        failing.restart = "no"
        clock.advance(30)
        assert complaints(runtime) == {
            "part log": "failed, and is not started again: OSError: no room left",
            "part pump": "it hangs",
        }


class Go(Message):
    """Lets a handler hang."""


def test_a_handler_that_hangs(clock: SimClock) -> None:
    """A node whose turns do not go on is not well, by a text that stays the same."""
    runtime = Runtime(name="bench", clock=clock)
    runtime.subscribe(Go, lambda event: clock.sleep(1e6))
    clock.Thread(runtime.boot, "boot").start()
    clock.advance(1)
    clock.Thread(lambda: runtime.emit(Go()), "emit").start()
    seen: list[Mapping[str, str]] = []
    for _ in range(2):
        clock.advance(60)
        clock.Thread(lambda: seen.append(complaints(runtime)), "look").start()
        clock.advance(10)
    assert seen == [{"part bench": "it makes no progress"}] * 2


def test_healthy(clock: SimClock) -> None:
    """A node that is well all the time has proven itself after `healthy_for`."""
    assert tried(clock, lambda s: {}) == ([], 10)


def test_never_well(clock: SimClock) -> None:
    """A node that does not become well has until the end of the grace."""
    assert tried(clock, lambda s: BAD) == (["device room: no answer"], 20)


def test_well_before_the_end_of_the_grace(clock: SimClock) -> None:
    """The healthy time begins when the trouble ends, and may go on beyond the grace."""
    assert tried(clock, lambda s: BAD if s < 15 else {}) == ([], 25)


def test_trouble_after_the_grace(clock: SimClock) -> None:
    """Whoever is not well after the grace has had his time, however long he was well before."""
    verdict, after = tried(clock, lambda s: BAD if s < 15 or s >= 22 else {})
    assert (verdict, after) == (["device room: no answer"], 22)


def test_what_was_wrong_before(clock: SimClock) -> None:
    """What was wrong before does not count, for whatever reason it is wrong now."""
    assert tried(clock, lambda s: {"device room": f"{s}"}, BAD) == ([], 10)


def test_cancelled(clock: SimClock) -> None:
    """A trial that is cancelled says nothing."""
    verdict, after = tried(clock, lambda s: {}, cancel_s=3)
    assert verdict is None
    assert after <= 4


@given(st.lists(st.booleans(), max_size=80))
def test_never_accepted_without_the_healthy_time(well: list[bool]) -> None:
    """Whatever happens, it was well for `healthy_for` before it is accepted, and was not at the
    moment when it is refused, after the grace."""

    def look(seconds: float) -> Mapping[str, str]:
        index = round(seconds / LOOK_S)
        return {} if index >= len(well) or well[index] else BAD

    with SimClock() as clock:
        verdict, after = tried(clock, look)
        if verdict:
            assert after >= 20
            assert look(after)
        else:
            steps = range(round(10 / LOOK_S) + 1)
            assert not any(look(after - step * LOOK_S) for step in steps)
