"""The event loop on a simulated clock (promise P10)."""

from __future__ import annotations

import asyncio

import pytest

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
