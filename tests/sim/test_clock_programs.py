"""Whole programs in simulated time: against a model, and the same in every run."""

from __future__ import annotations

import queue
from collections import deque
from math import ceil
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Event, Message, Runtime, Service
from edgekernel.core.clock import LockLike
from edgekernel.sim import SimClock
from tests.sim.conftest import go

# A program of threads that put, get and sleep, run on the clock and by a plain model of it.

Step = tuple[str, int]
Done = list[tuple[int, int, str, object, int]]

_STEPS = st.one_of(
    st.tuples(st.just("sleep"), st.integers(0, 30)),
    st.tuples(st.just("put"), st.integers(0, 30)),
    st.tuples(st.just("get"), st.integers(0, 30)),
)
_LOCK_STEPS = st.tuples(st.sampled_from(["acquire", "sleep"]), st.integers(0, 30))


def _queue_program(programs: list[list[Step]], size: int) -> Done:
    """Run the programs on a SimClock; the number of a step is its time or time limit."""
    done: Done = []
    with SimClock() as clock:
        shared = clock.Queue(size)

        def run(who: int, steps: list[Step]) -> None:
            for index, (what, number) in enumerate(steps):
                result: object = None
                try:
                    if what == "sleep":
                        clock.sleep(number)
                    elif what == "put":
                        shared.put((who, index), timeout=number)
                        result = "put"
                    else:
                        result = shared.get(timeout=number)
                except (queue.Full, queue.Empty) as error:
                    result = type(error).__name__
                done.append((who, index, what, result, round(clock.monotonic())))

        for who, steps in enumerate(programs):
            go(clock, f"p{who}", run, who, steps)
        clock.advance(10_000)
    return done


@given(st.lists(st.lists(_STEPS, max_size=8), min_size=1, max_size=5), st.integers(0, 2))
def test_queue_against_a_model(programs: list[list[Step]], size: int) -> None:
    """For every program of puts, gets and sleeps: nothing is lost, doubled or reordered, a wait
    fails at its limit and only if it could not be served before, and every run is the same."""
    done = _queue_program(programs, size)
    assert done == _queue_program(programs, size)
    assert len(done) == sum(map(len, programs))
    begun: dict[int, int] = dict.fromkeys(range(len(programs)), 0)
    waiting: deque[object] = deque()
    for who, index, what, result, at in done:
        number = programs[who][index][1]
        assert begun[who] <= at <= begun[who] + number
        if what == "sleep" or result in ("Full", "Empty"):
            assert at == begun[who] + number
        if result == "put":
            waiting.append((who, index))
            assert size == 0 or len(waiting) <= size
        elif what == "get" and result != "Empty":
            assert waiting.popleft() == result
        elif result == "Empty":
            assert not waiting
        elif result == "Full":
            assert len(waiting) == size > 0
        begun[who] = at


@given(st.lists(st.lists(_LOCK_STEPS, max_size=6), min_size=1, max_size=5))
def test_lock_against_a_model(programs: list[list[Step]]) -> None:
    """For every program of sleeps and of locks held or waited for: one holds it at a time, in
    the order of coming, and who did not get it has waited his full limit."""
    held: list[int] = []
    served: list[tuple[int, int]] = []
    came: list[tuple[int, int]] = []
    with SimClock() as clock:
        lock: LockLike = clock.Lock()

        def run(who: int, steps: list[Step]) -> None:
            for index, (what, number) in enumerate(steps):
                if what == "sleep":
                    clock.sleep(number)
                    continue
                begin = clock.monotonic()
                came.append((who, index))
                if lock.acquire(timeout=number):
                    assert held == []
                    held.append(who)
                    served.append((who, index))
                    clock.sleep(number)
                    assert held.pop() == who
                    lock.release()
                else:
                    assert clock.monotonic() - begin == number
                    came.remove((who, index))

        for who, steps in enumerate(programs):
            go(clock, f"p{who}", run, who, steps)
        clock.advance(10_000)
        assert served == came
        assert lock.acquire(blocking=False)


class Ticked(Message):
    """A service has ticked."""

    service: str
    number: int


class Ticker(Service):
    """Says every tick."""

    def __init__(self, name: str, interval: float) -> None:
        self.name = name
        self.interval = interval
        self.count = 0

    def tick(self, ctx: Any) -> None:
        """Say it."""
        self.count += 1
        ctx.emit(Ticked(self.name, self.count))


def _hour() -> tuple[dict[str, int], list[str]]:
    """Run ten services for a simulated hour; return their ticks and the event log."""
    log: list[str] = []

    def note(event: Event) -> None:
        log.append(f"{event.seq} {event.time_ns} {event.source} {event.cause} {event.payload}")

    services = [Ticker(f"every-{i}", 0.5 + 0.25 * i) for i in range(10)]
    with SimClock() as clock:
        runtime = Runtime(clock=clock)
        runtime.subscribe(Message, note)
        for service in services:
            runtime.register(service)
        with runtime:
            clock.advance(3600)
            counts = {service.name: service.count for service in services}
            assert all(s["missed"] == 0 for s in runtime.status()["services"].values())
    return counts, log


def test_ten_services_for_an_hour() -> None:
    """Ten services tick exactly as often as an hour holds their intervals, and a second run has
    the same events, at the same times, in the same order."""
    counts, log = _hour()
    # The tick that is due with the end of the hour comes after it: `advance` began to wait first.
    assert counts == {f"every-{i}": ceil(3600 / (0.5 + 0.25 * i)) for i in range(10)}
    assert sum("Ticked" in line for line in log) == sum(counts.values())
    assert _hour() == (counts, log)
