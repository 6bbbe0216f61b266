"""Events, locks, conditions, queues and threads in simulated time have the manners of Python's."""

from __future__ import annotations

import queue

import pytest

from edgekernel.core.clock import QueueLike
from edgekernel.sim import SimClock
from tests.sim.conftest import go


def test_event_lets_all_go_on(clock: SimClock) -> None:
    """An event lets everybody go on who waits, in order; who comes later does not wait."""
    event = clock.Event()
    order: list[str] = []

    def waiter(name: str) -> None:
        assert event.wait() is True
        order.append(name)

    for name in "abc":
        go(clock, name, waiter, name)
    clock.advance(1)
    assert (order, event.is_set()) == ([], False)
    event.set()
    assert event.wait() is True
    clock.advance(0)
    assert order == ["a", "b", "c"]
    event.clear()
    assert event.is_set() is False
    assert event.wait(2) is False
    assert clock.monotonic() == 3


def test_event_that_is_set_for_a_moment(clock: SimClock) -> None:
    """Who waited when the event was set was notified, even if it is cleared before he runs."""
    event = clock.Event()
    waited: list[bool] = []
    go(clock, "waiter", lambda: waited.append(event.wait(5)))
    clock.advance(1)
    event.set()
    event.clear()
    clock.advance(0)
    assert waited == [True]


def test_lock_is_first_come_first_served(clock: SimClock) -> None:
    """A lock goes to who has waited longest, and nobody gets in between."""
    lock = clock.Lock()
    order: list[tuple[str, float]] = []

    def worker(name: str, begin: float) -> None:
        clock.sleep(begin)
        with lock:
            order.append((name, clock.monotonic()))
            clock.sleep(10)

    for name, begin in (("third", 0.3), ("first", 0.1), ("second", 0.2)):
        go(clock, name, worker, name, begin)
    clock.advance(100)
    assert order == [("first", 0.1), ("second", 10.1), ("third", 20.1)]


def test_lock_with_a_time_limit(clock: SimClock) -> None:
    """Who gives up waiting for a lock does not have it, and is passed over when it is free."""
    lock = clock.Lock()
    got: list[tuple[str, bool, float]] = []

    def attempt(name: str, timeout: float) -> None:
        got.append((name, lock.acquire(timeout=timeout), clock.monotonic()))

    assert lock.acquire() is True
    assert lock.acquire(blocking=False) is False
    go(clock, "hasty", attempt, "hasty", 1)
    go(clock, "patient", attempt, "patient", -1)
    clock.advance(5)
    lock.release()
    clock.advance(0)
    assert got == [("hasty", False, 1), ("patient", True, 5)]
    assert lock.acquire(blocking=False) is False
    lock.release()
    assert lock.acquire(blocking=False) is True


def test_release_of_a_free_lock(clock: SimClock) -> None:
    """Releasing what nobody holds is a mistake, as with `threading.Lock`."""
    with pytest.raises(RuntimeError, match="not held"):
        clock.Lock().release()


def test_condition_notifies_in_order(clock: SimClock) -> None:
    """`notify(n)` lets the n who have waited longest go on, each with the lock; the rest wait."""
    condition = clock.Condition()
    order: list[str] = []

    def waiter(name: str) -> None:
        with condition:
            condition.wait()
            order.append(name)

    for name in "abcd":
        go(clock, name, waiter, name)
    clock.advance(1)
    with condition:
        condition.notify(2)
        assert order == []
    clock.advance(1)
    assert order == ["a", "b"]
    with condition:
        condition.notify_all()
    clock.advance(1)
    assert order == ["a", "b", "c", "d"]


def test_condition_with_a_time_limit(clock: SimClock) -> None:
    """A wait that ends by time says so and has the lock again; a later notify is not for it."""
    condition = clock.Condition()
    with condition:
        assert condition.wait(2) is False
        assert clock.monotonic() == 2
        condition.notify()
    seen: list[bool] = []

    def waiter() -> None:
        with condition:
            seen.append(condition.wait(10))

    go(clock, "waiter", waiter)
    clock.advance(1)
    assert seen == []
    with condition:
        condition.notify()
    clock.advance(0)
    assert seen == [True]


def test_condition_needs_its_lock(clock: SimClock) -> None:
    """Waiting and notifying without the lock is a mistake, as with `threading.Condition`."""
    condition = clock.Condition()
    for call in (condition.wait, condition.notify, condition.notify_all):
        with pytest.raises(RuntimeError, match="not held"):
            call()


def test_queue_hands_over(clock: SimClock) -> None:
    """Getters wait for items and putters for room, and the order of the items is kept."""
    handed: QueueLike = clock.Queue(2)
    got: list[tuple[int, float]] = []
    put: list[float] = []

    def produce() -> None:
        for item in range(4):
            handed.put(item)
            put.append(clock.monotonic())

    def consume() -> None:
        for _ in range(4):
            clock.sleep(1)
            got.append((handed.get(), clock.monotonic()))

    go(clock, "produce", produce)
    go(clock, "consume", consume)
    clock.advance(10)
    assert put == [0, 0, 1, 2]
    assert got == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert handed.qsize() == 0


@pytest.mark.parametrize("timeout", [0.1, 0.2, 0.3, 1 / 3, 0.7, 1e-9])
def test_queue_gives_up_in_time(clock: SimClock, timeout: float) -> None:
    """A get or put with a time limit ends exactly then, whatever the floats make of the sum."""
    for _ in range(10):
        clock.advance(0.1)
        begin_ns = clock.monotonic_ns()
        with pytest.raises(queue.Empty):
            clock.Queue().get(timeout=timeout)
        full = clock.Queue(1)
        full.put(1)
        with pytest.raises(queue.Full):
            full.put(2, timeout=timeout)
        assert clock.monotonic_ns() - begin_ns == 2 * round(timeout * 1e9)
        assert full.get() == 1


def test_queue_without_waiting(clock: SimClock) -> None:
    """`block=False` raises at once where it would have to wait."""
    full = clock.Queue(1)
    with pytest.raises(queue.Empty):
        full.get(block=False)
    full.put("one", block=False)
    with pytest.raises(queue.Full):
        full.put("two", block=False)
    assert (full.qsize(), full.get(block=False)) == (1, "one")


def test_thread_lives_and_ends(clock: SimClock) -> None:
    """A thread is alive from its start to its end; a join waits for that, with a limit."""
    thread = clock.Thread(lambda: clock.sleep(5), "sleeper")
    assert (thread.name, thread.is_alive()) == ("sleeper", False)
    thread.start()
    assert thread.is_alive()
    thread.join(2)
    assert (thread.is_alive(), clock.monotonic()) == (True, 2)
    thread.join()
    assert (thread.is_alive(), clock.monotonic()) == (False, 5)
    thread.join()
    assert clock.monotonic() == 5


def test_thread_is_used_as_a_thread(clock: SimClock) -> None:
    """Starting twice and joining before the start are mistakes, as with `threading.Thread`."""
    thread = clock.Thread(lambda: None, "once")
    with pytest.raises(RuntimeError, match="once: join of a thread that was not started"):
        thread.join()
    thread.start()
    with pytest.raises(RuntimeError, match="once: a thread can be started once only"):
        thread.start()
    clock.advance(0)
