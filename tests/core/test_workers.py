"""Workers: bounded threads for what blocks."""

from __future__ import annotations

import math
from asyncio import CancelledError
from functools import partial

import pytest

from edgekernel.core.workers import MAX_WORKERS, Workers
from edgekernel.sim import SimClock
from tests.core.starved import StarvedClock


def test_runs_beside_one_another_up_to_the_limit() -> None:
    """As many as there are workers run at once; the others follow in order."""
    with SimClock() as clock:
        workers = Workers(clock, "worker", lambda label, error: None)
        ended: list[tuple[int, float]] = []

        def work(number: int) -> None:
            clock.sleep(1.0)
            ended.append((number, clock.monotonic()))

        for number in range(MAX_WORKERS + 2):
            workers.submit(partial(work, number))
        clock.advance(10.0)
        workers.close()
        assert [number for number, _ in ended] == list(range(MAX_WORKERS + 2))
        assert [time for _, time in ended] == [1.0] * MAX_WORKERS + [2.0] * 2


def test_a_failure_keeps_no_worker() -> None:
    """What a function raises is reported; its worker takes the next one."""
    with SimClock() as clock:
        failures: list[str] = []
        workers = Workers(clock, "worker", lambda label, error: failures.append(str(error)))
        done: list[bool] = []

        def fail(error: BaseException) -> None:
            raise error

        workers.submit(lambda: fail(ValueError("it broke")))
        workers.submit(lambda: fail(SystemExit("bye")))
        clock.advance(1.0)
        for _ in range(MAX_WORKERS):
            workers.submit(lambda: done.append(True))
        clock.advance(1.0)
        workers.close()
        assert failures == ["it broke", "bye"]
        assert len(done) == MAX_WORKERS


def test_close_drops_what_waits() -> None:
    """After `close` what runs ends, what waits never begins, and nothing is taken in."""
    with SimClock() as clock:
        workers = Workers(clock, "worker", lambda label, error: None)
        ended: list[int] = []

        def work(number: int) -> None:
            clock.sleep(1.0)
            ended.append(number)

        for number in range(MAX_WORKERS + 2):
            workers.submit(partial(work, number))
        clock.advance(0.5)
        workers.close()
        workers.submit(lambda: ended.append(-1))
        clock.advance(5.0)
        assert sorted(ended) == list(range(MAX_WORKERS))


def test_an_error_of_any_class_keeps_no_worker() -> None:
    """P3: as many errors that are no Exception as there are workers leave all of them at work."""
    with SimClock() as clock:
        failures: list[str] = []
        workers = Workers(clock, "worker", lambda label, error: failures.append(repr(error)))
        done: list[bool] = []

        def fail() -> None:
            raise CancelledError

        for _ in range(MAX_WORKERS):
            workers.submit(fail)
        workers.submit(lambda: done.append(True))
        clock.advance(1.0)
        workers.close()
        assert failures == ["CancelledError()"] * MAX_WORKERS
        assert done == [True]


def test_what_nobody_wants_any_more_does_not_pile_up() -> None:
    """While all workers hang, what waits is dropped when nobody wants it, the rest in order."""
    with SimClock() as clock:
        workers = Workers(clock, "worker", lambda label, error: None)
        for _ in range(MAX_WORKERS):
            workers.submit(lambda: clock.sleep(100.0))
        clock.advance(1.0)
        ran: list[int] = []
        for number in range(4000):
            workers.submit(partial(ran.append, number), partial(int.__eq__, number % 1000, 0))
        assert workers.waiting <= 200
        clock.advance(200.0)
        workers.close()
        assert [number for number in ran if number % 1000 == 0] == [0, 1000, 2000, 3000]


def test_without_a_limit_none_waits_for_those_that_hang() -> None:
    """P8: however many hang, the next one runs at once; of the threads few are kept for later."""
    with SimClock() as clock:
        workers = Workers(clock, "worker", lambda label, error: None, math.inf)
        ran: list[float] = []
        for _ in range(5 * MAX_WORKERS):
            workers.submit(lambda: clock.sleep(100.0))
        clock.advance(1.0)
        workers.submit(lambda: ran.append(clock.monotonic()))
        clock.advance(1.0)
        assert (ran, workers.waiting) == ([1.0], 0)
        clock.advance(200.0)
        assert len(clock.waiting()) == MAX_WORKERS
        workers.submit(lambda: ran.append(clock.monotonic()))
        clock.advance(1.0)
        assert ran[1:] == [202.0]
        workers.close()


def test_a_thread_that_does_not_start() -> None:
    """P7: what has no thread is not run, and its submitter is told; the next one has one."""
    with StarvedClock() as clock:
        workers = Workers(clock, "worker", lambda label, error: None)
        ran: list[int] = []
        clock.starved = "worker"
        with pytest.raises(RuntimeError, match="can't start new thread"):
            workers.submit(lambda: ran.append(1))
        clock.starved = None
        workers.submit(lambda: ran.append(2))
        clock.advance(1.0)
        workers.close()
        assert ran == [2]
