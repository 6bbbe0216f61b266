"""The event loop on a simulated clock (promise P10)."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest

from edgekernel.core.errors import LifecycleError
from edgekernel.core.tasks import Tasks
from edgekernel.sim import SimClock


def make(clock: SimClock, name: str = "loop") -> Tasks:
    return Tasks(clock, name, lambda label, error: pytest.fail(f"{label}: {error}"))


def test_sleeping_takes_simulated_time() -> None:
    """P10: an hour in a coroutine is an hour on the clock, exactly, and takes a moment."""
    with SimClock() as clock:
        tasks = make(clock)

        async def wait() -> float:
            await asyncio.sleep(3600)
            return asyncio.get_running_loop().time()

        assert tasks.run(wait()) == 3600.0
        assert clock.monotonic() == 3600.0
        tasks.close()


def test_coroutines_and_fibers_share_one_order() -> None:
    """P10: coroutines and threads of one clock go on in the order of their deadlines, each run."""

    def run() -> list[tuple[str, float]]:
        seen: list[tuple[str, float]] = []
        with SimClock() as clock:
            tasks = make(clock)

            async def beat(name: str, every_s: float) -> None:
                for _ in range(3):
                    await asyncio.sleep(every_s)
                    seen.append((name, clock.monotonic()))

            def tick() -> None:
                for _ in range(3):
                    clock.sleep(2.0)
                    seen.append(("fiber", clock.monotonic()))

            tasks.start(beat("one", 1.0))
            tasks.start(beat("three", 3.0))
            clock.Thread(tick, "tick").start()
            clock.advance(20.0)
            tasks.close()
        return seen

    first = run()
    assert [time for _, time in first] == sorted(time for _, time in first)
    by_name = {name: [time for who, time in first if who == name] for name, _ in first}
    assert by_name == {"one": [1, 2, 3], "three": [3, 6, 9], "fiber": [2, 4, 6]}
    assert run() == first


def test_two_loops_on_one_clock() -> None:
    """Two runtimes in one simulation have a loop each, and neither is inside the other's."""
    with SimClock() as clock:
        one, two = make(clock, "one"), make(clock, "two")
        seen: list[str] = []

        async def beat(name: str) -> None:
            for _ in range(2):
                await asyncio.sleep(1.0)
                seen.append(name)

        one.start(beat("one"))
        two.start(beat("two"))
        clock.advance(0.5)
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        clock.advance(5.0)
        assert seen == ["one", "two", "one", "two"]
        one.close()
        two.close()


def test_long_runs_do_not_stand_still() -> None:
    """Far from zero, where a float of seconds is coarse, deadlines still come."""
    with SimClock() as clock:
        tasks = make(clock)
        clock.advance(4e8)

        async def wait() -> None:
            for _ in range(100):
                await asyncio.sleep(0.001)

        tasks.run(wait())
        assert clock.monotonic() == pytest.approx(4e8 + 0.1, abs=1e-5)
        tasks.close()


def test_to_thread_is_a_thread_of_the_clock() -> None:
    """P10: what `asyncio.to_thread` calls runs on the clock, in the caller's context; it may sleep
    there, fail, and outlive the coroutine that has stopped waiting for it."""
    name: ContextVar[str] = ContextVar("name")
    with SimClock() as clock:
        tasks = make(clock)
        ended: list[float] = []

        def work(seconds: float) -> str:
            clock.sleep(seconds)
            ended.append(clock.monotonic())
            if seconds > 50:
                raise LookupError("no such row")
            return name.get()

        async def wait() -> str:
            name.set("ours")
            with pytest.raises(LookupError, match="no such row"):
                await asyncio.to_thread(work, 60)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(10):
                    await asyncio.to_thread(work, 20)
            return await asyncio.to_thread(work, 5)

        assert tasks.run(wait()) == "ours"
        assert clock.monotonic() == 75
        clock.advance(10)
        assert ended == [60, 75, 80]
        tasks.close()


def test_to_thread_after_the_end_of_the_loop() -> None:
    """P10: a thread that ends after its loop has ended harms nobody."""
    with SimClock() as clock:
        tasks = make(clock)
        task = tasks.start(asyncio.to_thread(clock.sleep, 60), lambda result, error: None)
        clock.advance(1)
        task.cancel()
        tasks.close()
        clock.advance(100)
        assert clock.waiting() == []


async def _from_a_socket() -> None:
    one, other = socket.socketpair()
    with one, other:
        one.setblocking(False)
        await asyncio.get_running_loop().sock_recv(one, 1)


async def _in_a_pool() -> None:
    with ThreadPoolExecutor() as pool:
        await asyncio.get_running_loop().run_in_executor(pool, print)


@pytest.mark.parametrize(
    "outside",
    [
        _from_a_socket,
        _in_a_pool,
        lambda: asyncio.create_subprocess_exec("true"),
        lambda: asyncio.create_subprocess_shell("true"),
    ],
    ids=["socket", "pool", "process", "shell"],
)
def test_what_is_outside_of_the_clock_is_refused(outside: Any) -> None:
    """P10: a coroutine that would wait for the outside world is told so at once; in simulated time
    its limit would be over before anything out there could happen."""
    with SimClock() as clock:
        tasks = make(clock)
        with pytest.raises(LifecycleError, match="takes no part in the clock's time"):
            tasks.run(outside(), timeout_s=3600)
        assert clock.monotonic() == 0
        tasks.close()
