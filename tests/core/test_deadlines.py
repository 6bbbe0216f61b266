"""Deadlines: calls expire on time although nobody waits for them."""

from __future__ import annotations

import asyncio
from typing import Any

from edgekernel import Process, Runtime, command
from edgekernel.core.deadlines import Deadlines


class Part(Process):
    name = "part"

    @command
    async def sleep(self) -> None:
        await asyncio.sleep(1e6)

    @command
    def quick(self) -> None:
        return


def make(sim: Any) -> Runtime:
    runtime: Runtime = sim.runtime()
    runtime.register(Part())
    runtime.boot()
    return runtime


def test_each_expires_at_its_own_time(sim: Any) -> None:
    """A later call with a shorter limit expires before an earlier one."""
    runtime = make(sim)
    ended: list[tuple[float | None, float]] = []
    for limit_s in (5.0, 1.0, 3.0, 3.0):
        runtime.invoke_nowait("part.sleep", timeout=limit_s).when_done(
            lambda call: ended.append((call.limit_s, sim.clock.monotonic()))
        )
    sim.advance(10.0)
    assert ended == [(1.0, 1.0), (3.0, 3.0), (3.0, 3.0), (5.0, 5.0)]


def test_calls_that_have_ended_are_not_kept(sim: Any) -> None:
    """P9: a long limit does not keep every quick call in memory until it is over."""
    runtime = make(sim)
    deadlines: Deadlines = runtime.commands._deadlines
    waiting = [runtime.invoke_nowait("part.sleep", timeout=1e6) for _ in range(10)]
    for _ in range(1000):
        runtime.invoke_nowait("part.quick", timeout=1e6).result()
    assert len(deadlines._due) < 200
    assert not any(call.done for call in waiting)
