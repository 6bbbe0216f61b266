"""Busy locks: "not now", for a reason and a time, and never for ever."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Effect, InvalidValueError, Process, Runtime, UnavailableError
from edgekernel.core.busy import LONGEST_S, MOST
from edgekernel.core.context import Context
from edgekernel.sim import SimClock


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """Give a simulated clock."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def runtime(clock: SimClock) -> Iterator[Runtime]:
    """Give a runtime that runs."""
    with Runtime(clock=clock) as made:
        yield made


class Kiln(Process):
    """Holds its node busy."""

    name = "kiln"

    def start(self, ctx: Context) -> None:
        self.lock = ctx.busy("firing", for_s=60)


def test_ends_by_itself(runtime: Runtime, clock: SimClock) -> None:
    """A lock names who holds it, why and until when, and is over then."""
    lock = runtime.busy.hold("kiln", "  firing\n the kiln", 60)
    until = lock.until.isoformat(" ", "seconds").removesuffix("+00:00")
    assert runtime.busy.why() == f"kiln: firing the kiln (until {until} UTC)"
    clock.advance(59.9)
    assert lock.held
    clock.advance(0.1)
    assert (runtime.busy.held(), lock.held) == ([], False)


@pytest.mark.parametrize("for_s", [0, -1, float("inf"), float("nan"), LONGEST_S + 1])
def test_no_lock_without_an_end(runtime: Runtime, for_s: float) -> None:
    """A lock that never ends, or lasts longer than a week, cannot be made."""
    with pytest.raises(InvalidValueError, match="at most 7 days"):
        runtime.busy.hold("kiln", "firing", for_s)
    assert not runtime.busy.held()


@pytest.mark.parametrize("reason", ["", " \n", "x" * 201, "a\x1b[31m"])
def test_reasons(runtime: Runtime, reason: str) -> None:
    """A lock has a reason that others can read."""
    with pytest.raises(InvalidValueError, match="a reason has 1 to 200 characters"):
        runtime.busy.hold("kiln", reason, 1)


def test_as_a_block(runtime: Runtime) -> None:
    """A lock ends with its block; to release it twice is harmless."""
    with runtime.busy.hold("kiln", "firing", 60) as lock:
        assert lock.held
    assert not lock.held
    lock.release()
    assert runtime.busy.release(lock.id) is False


def test_replaced(runtime: Runtime, clock: SimClock) -> None:
    """A lock of the same id is prolonged or shortened; the earlier one no longer counts."""
    first = runtime.busy.hold("anna", "work", 10, id="a")
    second = runtime.busy.hold("anna", "work", 100, id="a")
    assert (first.held, second.held) == (False, True)
    clock.advance(50)
    assert [each.id for each in runtime.busy.held()] == ["a"]


def test_bounded(runtime: Runtime, clock: SimClock) -> None:
    """There are so many at a time, and those that have ended make room."""
    for number in range(MOST):
        runtime.busy.hold("kiln", f"firing {number}", 10)
    with pytest.raises(UnavailableError, match="32 locks already"):
        runtime.busy.hold("kiln", "firing", 10)
    clock.advance(10)
    assert runtime.busy.hold("kiln", "firing", 10).held


def test_effects_follow(runtime: Runtime, clock: SimClock) -> None:
    """An effect that asks runs again when a lock comes, is released, and ends."""
    seen: list[str] = []
    effect = runtime.turns.within(
        lambda: Effect(lambda: seen.append(",".join(each.id for each in runtime.busy.held())))
    )
    runtime.busy.hold("kiln", "firing", 10, id="a")
    runtime.busy.hold("kiln", "cooling", 20, id="b")
    runtime.busy.release("b")
    clock.advance(10.5)
    assert seen == ["", "a", "a,b", "a", ""]
    effect.dispose()


def test_waiting(runtime: Runtime, clock: SimClock) -> None:
    """Whoever waits is told why, again when that is another reason, and goes on when it is free."""
    told: list[str] = []
    ended: list[bool] = []
    runtime.busy.hold("kiln", "firing", 10)
    runtime.busy.hold("anna", "work", 30)
    cancel = clock.Event()
    clock.Thread(lambda: ended.append(runtime.busy.wait(cancel, told.append)), "waits").start()
    clock.advance(15)
    assert ([each.count("firing") for each in told], ended) == ([1, 0], [])
    clock.advance(16)
    assert ended == [True]


def test_waiting_cancelled(runtime: Runtime, clock: SimClock) -> None:
    """Waiting ends at once when it is cancelled, or not wanted any more."""
    ended: list[bool] = []
    runtime.busy.hold("anna", "work", 3600)
    cancel = clock.Event()
    clock.Thread(lambda: ended.append(runtime.busy.wait(cancel, str)), "waits").start()
    wait = runtime.busy.wait
    clock.Thread(lambda: ended.append(wait(clock.Event(), str, lambda: True)), "waits").start()
    clock.advance(1)
    cancel.set()
    clock.advance(0)
    assert ended == [False, False]


def test_a_part_says_not_now(clock: SimClock) -> None:
    """A part holds the node busy through its context, under its name."""
    runtime = Runtime(clock=clock)
    runtime.register(kiln := Kiln())
    with runtime:
        assert [each.holder for each in runtime.busy.held()] == ["kiln"]
        kiln.lock.release()
        assert runtime.busy.why() == ""


@given(st.lists(st.tuples(st.floats(0.1, 100), st.integers(0, 5)), max_size=20), st.floats(0, 100))
def test_held_until_their_end(locks: list[tuple[float, int]], passed_s: float) -> None:
    """Whatever is held, at any moment those are held whose time is not over, the next end first."""
    with SimClock() as clock, Runtime(clock=clock) as runtime:
        wanted: dict[str, float] = {}
        for for_s, id in locks:
            runtime.busy.hold("x", "y", for_s, id=str(id))
            wanted[str(id)] = for_s
        clock.advance(passed_s)
        now = clock.monotonic_ns()
        held = runtime.busy.held()
        assert {each.id for each in held} <= wanted.keys()
        assert [each.due_ns for each in held] == sorted(each.due_ns for each in held)
        assert all(each.due_ns > now for each in held)
        assert {id for id, for_s in wanted.items() if for_s > passed_s + 1e-6} <= {
            each.id for each in held
        }
