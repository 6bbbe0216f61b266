"""The system clock."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from edgekernel import Clock, SystemClock

LONG_S = 10.0


@pytest.fixture
def clock() -> Clock:
    """The system clock, by the protocol that everything uses."""
    return SystemClock()


def test_wall_time_is_utc(clock: Clock) -> None:
    """The wall time is timezone-aware, in UTC, and agrees with its nanoseconds."""
    now = clock.now_utc()
    assert now.tzinfo is UTC
    from_ns = datetime.fromtimestamp(clock.time_ns() / 1e9, UTC)
    assert abs(from_ns - now) < timedelta(minutes=1)


def test_monotonic_time_does_not_go_back(clock: Clock) -> None:
    """The monotonic times agree and never fall."""
    times = [clock.monotonic_ns() for _ in range(1000)]
    assert times == sorted(times)
    assert times[0] / 1e9 <= clock.monotonic() <= clock.monotonic_ns() / 1e9


def test_uptime_begins_at_zero() -> None:
    """The uptime counts from the making of the clock."""
    before = time.monotonic()
    clock = SystemClock()
    assert 0.0 <= clock.uptime() <= time.monotonic() - before


def test_a_sleep_that_is_over(clock: Clock) -> None:
    """A sleep that was not cancelled takes at least its time and says False."""
    before = clock.monotonic()
    assert clock.sleep(0.01) is False
    assert clock.sleep(0.01, clock.Event()) is False
    assert clock.monotonic() - before >= 0.02


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_sleep_of_no_time(clock: Clock, seconds: float) -> None:
    """A sleep of nothing, or less, returns at once."""
    assert clock.sleep(seconds) is False
    assert clock.sleep(seconds, clock.Event()) is False


def test_a_cancelled_sleep(clock: Clock) -> None:
    """P10: a sleep ends when its event is set, also by another thread, and says True."""
    cancel, slept = clock.Event(), threading.Event()
    results: list[bool] = []

    def sleep() -> None:
        slept.set()
        results.append(clock.sleep(3600.0, cancel))

    thread = clock.Thread(sleep, "sleeper")
    thread.start()
    assert slept.wait(LONG_S)
    cancel.set()
    thread.join(LONG_S)
    assert results == [True]
    assert clock.sleep(3600.0, cancel) is True


def test_threads_are_named_daemons(clock: Clock) -> None:
    """A thread of the clock carries its name and never keeps the process alive."""
    found: list[threading.Thread] = []
    thread = clock.Thread(lambda: found.append(threading.current_thread()), "worker")
    assert not thread.is_alive()
    thread.start()
    thread.join(LONG_S)
    assert (found[0].name, found[0].daemon, thread.is_alive()) == ("worker", True, False)


def test_flows_are_told_apart(clock: Clock) -> None:
    """`flow` is the same within a thread and differs between two that are alive."""
    flows: list[object] = []
    thread = clock.Thread(lambda: flows.append(clock.flow()), "other")
    thread.start()
    thread.join(LONG_S)
    assert clock.flow() == clock.flow()
    both: list[object] = []
    barrier = threading.Barrier(2)

    def note() -> None:
        both.append(clock.flow())
        barrier.wait(LONG_S)

    threads = [clock.Thread(note, f"t{n}") for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert len(set(both)) == 2


def test_primitives(clock: Clock) -> None:
    """The clock makes locks, conditions and bounded queues that wait like Python's."""
    lock = clock.Lock()
    with lock:
        assert not lock.acquire(blocking=False)
    waiting = clock.Queue(maxsize=1)
    waiting.put("a")
    with pytest.raises(queue.Full):
        waiting.put("b", block=False)
    assert (waiting.qsize(), waiting.get()) == (1, "a")
    with pytest.raises(queue.Empty):
        waiting.get(timeout=0.01)
    condition = clock.Condition()
    with condition:
        assert not condition.wait(timeout=0.01)
        condition.notify_all()


def test_the_core_loads_nothing_heavy() -> None:
    """Importing edgekernel loads no asyncio, logging, ssl, pydantic or other dependency."""
    forbidden = [
        "asyncio", "click", "gpiozero", "importlib.metadata", "lgpio", "logging", "paho",
        "pydantic", "rich", "serial", "smbus2", "ssl",
    ]  # fmt: skip
    code = f"import sys, edgekernel; print([m for m in {forbidden!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
