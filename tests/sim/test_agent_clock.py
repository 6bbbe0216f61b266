"""The clock of an agent: the time of the simulation, and threads that end together."""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Iterator
from functools import partial
from weakref import ref

import pytest

from edgekernel.core.turns import TurnQueue
from edgekernel.sim import SimClock, SimulationError
from edgekernel.sim.agent_clock import AgentClock


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """The clock of the simulation."""
    with SimClock() as made:
        yield made


def test_it_has_the_time_of_the_simulation(clock: SimClock) -> None:
    """All times are those of the other clock, also after steps of the wall time."""
    agent = AgentClock(clock)
    clock.advance(12.5)
    clock.step_wall(3600)
    assert agent.monotonic() == clock.monotonic() == 12.5
    assert agent.now_utc() == clock.now_utc()
    assert agent.seed is clock.seed


def test_threads_end_where_they_wait(clock: SimClock) -> None:
    """Its threads run no further than where they wait, whatever that is; others go on."""
    agent, went_on = AgentClock(clock), list[str]()

    def thread(of: SimClock | AgentClock, name: str, wait: Callable[[], object]) -> None:
        def run() -> None:
            wait()
            went_on.append(name)

        of.Thread(run, name).start()

    queue, event, lock = agent.Queue(), agent.Event(), agent.Lock()
    lock.acquire()
    condition = agent.Condition()

    def wait_for_condition() -> None:
        with condition:
            condition.wait()

    thread(agent, "sleeps", lambda: agent.sleep(5))
    thread(agent, "gets", queue.get)
    thread(agent, "waits", event.wait)
    thread(agent, "locks", lock.acquire)
    thread(agent, "condition", wait_for_condition)
    thread(clock, "outside", lambda: clock.sleep(5))
    clock.advance(1)
    agent.end()
    event.set()
    queue.put(1)
    lock.release()
    clock.advance(10)
    assert went_on == ["outside"]
    assert clock.waiting() == []
    assert not lock.locked()


def test_threads_that_have_not_begun(clock: SimClock) -> None:
    """A thread that was started at this moment never runs."""
    agent, ran = AgentClock(clock), list[int]()
    agent.Thread(lambda: ran.append(1), "new").start()
    agent.end()
    clock.advance(1)
    assert ran == []


def test_what_a_thread_does_at_its_end(clock: SimClock) -> None:
    """`finally` blocks run as far as they do not wait, what they raise is nobody's, and threads
    that they start end too."""
    agent, done = AgentClock(clock), list[str]()

    def stubborn() -> None:
        try:
            agent.sleep(100)
        finally:
            done.append("ends")
            agent.Thread(lambda: done.append("never"), "heir").start()
            try:
                agent.sleep(1)
                done.append("never")
            finally:
                raise ValueError("not told")

    agent.Thread(stubborn, "stubborn").start()
    clock.advance(1)
    agent.end()
    clock.advance(1000)
    assert done == ["ends"]
    assert clock.waiting() == []


def test_a_lock_that_an_ended_thread_had(clock: SimClock) -> None:
    """A lock of an outside that it held is free; who waits for it gets it."""
    agent, lock, got = AgentClock(clock), clock.Lock(), list[float]()

    def holder() -> None:
        with lock:
            agent.sleep(100)

    def outside() -> None:
        with lock:
            got.append(clock.monotonic())

    agent.Thread(holder, "holder").start()
    clock.advance(1)
    clock.Thread(outside, "outside").start()
    clock.advance(1)
    agent.end()
    clock.advance(1)
    assert got == [2.0]


def test_who_joins_goes_on(clock: SimClock) -> None:
    """Who waits outside for the end of such a thread is told that it has ended."""
    agent = AgentClock(clock)
    thread = agent.Thread(lambda: agent.sleep(100), "long")
    thread.start()
    ended = list[float]()

    def join() -> None:
        thread.join()
        ended.append(clock.monotonic())

    clock.Thread(join, "outside").start()
    clock.advance(3)
    agent.end()
    clock.advance(1)
    assert ended == [3.0]
    assert not thread.is_alive()


def test_what_ended_is_not_kept(clock: SimClock) -> None:
    """The watch over stalls, which has seen a turn of an agent, keeps nothing of it when it ends:
    until the next look nobody could free it."""
    agent = AgentClock(clock)

    class Work:
        def __call__(self) -> None:
            signal.raise_signal(signal.SIGALRM)  # the watch looks now
            agent.sleep(60)

    work = Work()
    gone = ref(work)
    queue = TurnQueue(agent)
    agent.Thread(partial(queue.call, work, "work"), "works").start()
    clock.advance(1)
    del work, queue
    agent.end()
    clock.advance(1)
    gc.collect()
    assert gone() is None


def test_another_agent_is_spared(clock: SimClock) -> None:
    """Two agents on one clock end each for itself, and one that has ended can begin anew."""
    first, second, ran = AgentClock(clock), AgentClock(clock), list[str]()

    def thread(agent: AgentClock, name: str) -> None:
        def run() -> None:
            agent.sleep(5)
            ran.append(name)

        agent.Thread(run, name).start()

    thread(first, "first")
    thread(second, "second")
    clock.advance(1)
    first.end()
    thread(first, "again")
    clock.advance(10)
    assert ran == ["second", "again"]


def test_not_by_itself(clock: SimClock) -> None:
    """One of its threads cannot end them: it is told so, and all go on."""
    agent, errors = AgentClock(clock), list[str]()

    def suicide() -> None:
        try:
            agent.end()
        except SimulationError as error:
            errors.append(str(error))

    agent.Thread(suicide, "suicide").start()
    clock.advance(1)
    assert errors == ["suicide: a thread cannot end itself and its like"]


@pytest.mark.parametrize("seed", range(5))
def test_with_a_seed(seed: int) -> None:
    """It is the same with a seed, where others choose who comes next."""
    with SimClock(seed=seed) as clock:
        agent, queue, got = AgentClock(clock), clock.Queue(), list[str]()

        def getter(of: SimClock | AgentClock, name: str) -> None:
            of.Thread(lambda: got.append(f"{name} {queue.get()}"), name).start()

        for number in range(5):
            getter(agent, f"dead {number}")
            getter(clock, f"alive {number}")
        clock.advance(1)
        agent.end()
        for number in range(5):
            queue.put(number)
        clock.advance(1)
        assert len(got) == 5
        assert all(each.startswith("alive") for each in got)
