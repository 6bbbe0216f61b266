"""A fiber in the place of another one: nobody else notices that it is one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgekernel.sim import SimClock
from edgekernel.sim.agent_clock import AgentClock
from tests.sim.conftest import go

Log = list[tuple[float, str]]


def handed_over(clock: SimClock, work: Callable[[], object], limit_s: float = 10.0) -> bool:
    """Let another fiber do the work; return whether it has done that in time."""
    done = clock.Event()

    def run() -> None:
        work()
        done.set()

    return clock.hand_over(clock.Thread(run, "in place"), done, limit_s)


def play(seed: int | None, *, by_main: bool, hand_over: bool) -> Log:
    """Let one fiber work among others that are due at the same times; return what happened."""
    log: Log = []
    with SimClock(seed=seed) as clock:
        queue, lock, over = clock.Queue(), clock.Lock(), clock.Event()

        def note(what: str) -> None:
            log.append((clock.monotonic(), what))

        def work() -> None:
            for n in range(4):
                note(f"work {n}")
                with lock:
                    queue.put(n)
                go(clock, "child", note, f"child {n}")
                clock.sleep(0.1)
            note("work has ended")

        def other(name: str) -> None:
            while not over.wait(0.05):
                with lock:
                    note(f"{name} {queue.qsize()}")
                    clock.sleep(0.05)

        def working() -> None:
            for _ in range(3):
                if hand_over:
                    assert handed_over(clock, work)
                else:
                    work()
                note("caller")
            clock.sleep(0.1)
            over.set()

        for name in ("a", "b", "c"):
            go(clock, name, other, name)
        if by_main:
            working()
        else:
            go(clock, "caller", working)
        clock.advance(5.0)
    return log


@pytest.mark.parametrize("by_main", [True, False])
@pytest.mark.parametrize("seed", [None, *range(20)])
def test_everything_happens_as_if_the_caller_did_it(seed: int | None, by_main: bool) -> None:
    """P10: times and order of all that happens are the same, with any seed and by any caller."""
    direct = play(seed, by_main=by_main, hand_over=False)
    assert len(direct) > 50
    assert play(seed, by_main=by_main, hand_over=True) == direct


def test_it_takes_too_long(clock: SimClock) -> None:
    """The caller goes on after the limit, and what takes longer comes to its end beside it."""
    log: Log = []

    def work() -> None:
        clock.sleep(3.0)
        log.append((clock.monotonic(), "work"))

    assert not handed_over(clock, work, limit_s=2.0)
    log.append((clock.monotonic(), "caller"))
    clock.advance(5.0)
    assert log == [(2.0, "caller"), (3.0, "work")]
    assert clock.waiting() == []


def test_late_it_gives_nobody_precedence(clock: SimClock) -> None:
    """Who does not wait for it any more is not taken before others when it ends."""
    log: list[str] = []
    start = clock.Event()

    def work() -> None:
        clock.sleep(3.0)
        start.set()

    def caller() -> None:
        assert not handed_over(clock, work, limit_s=2.0)
        start.wait()
        log.append("caller")

    def other() -> None:
        start.wait()
        log.append("other")

    go(clock, "other", other)
    go(clock, "caller", caller)
    clock.advance(5.0)
    assert log == ["other", "caller"]


def test_on_a_clock_that_is_watched() -> None:
    """With a rate, as for a live view, it is the same."""
    with SimClock(rate=1e6) as clock:
        assert handed_over(clock, lambda: clock.sleep(1.0))
        assert clock.monotonic() == 1.0


def test_both_end_with_their_agent(clock: SimClock) -> None:
    """An agent that is killed meanwhile leaves neither of the two behind."""
    agent = AgentClock(clock)
    ended: list[str] = []

    def work() -> None:
        try:
            clock.sleep(10.0)
        finally:
            ended.append("work")

    def boot() -> None:
        try:
            agent.hand_over(agent.Thread(work, "work"), agent.Event(), 20.0)
        finally:
            ended.append("boot")

    agent.Thread(boot, "boot").start()
    clock.advance(1.0)
    agent.end()
    assert sorted(ended) == ["boot", "work"]
    assert clock.waiting() == []
    clock.advance(100.0)
