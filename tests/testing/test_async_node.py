"""A whole simulated node with `async` code in it: exact, repeatable, and ended at once (P10)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Event, Message, Process, Runtime, command, effect
from edgekernel.core.errors import UnavailableError
from edgekernel.testing import Node, Simulation
from edgekernel.testing.node import start_node
from tests.testing.conftest import SHED

DAY_S = 86400.0
HOURS = 4


class Cooling(Process):
    """Lets the fan run for a minute in which nothing changes, and airs when it is asked to."""

    name = "cooling"

    def __init__(self, runtime: Runtime) -> None:
        self.devices: Any = runtime.devices
        self.clock = runtime.clock
        self.log: list[tuple[str, float]] = []

    def note(self, what: str) -> None:
        """Note that something happens now."""
        self.log.append((what, self.clock.monotonic()))

    @effect(cancel_on_supersede=True)
    async def follow(self) -> None:
        """Set the fan by the temperature, when that has stayed the same for a minute."""
        celsius = self.devices["room"].temperature.sample.value
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.note("cancelled")
            raise
        self.note(f"settled at {celsius}")
        self.devices["fan"].power.set(celsius is not None and celsius > 28)

    @command(timeout_s=DAY_S)
    async def air(self, minutes: int = 10) -> list[str]:
        """Let several things of asyncio wait, all at the same time."""
        loop, arrived = asyncio.get_running_loop(), asyncio.Queue[str]()
        loop.call_later(90, arrived.put_nowait, "called later")
        heard = [await arrived.get()]
        try:
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        except TimeoutError:
            heard.append("timed out")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(arrived.get(), 60)
        heard.append(await asyncio.to_thread(self.breathe))
        try:
            await asyncio.sleep(60 * minutes)
        finally:
            self.note("aired")
        return heard

    def breathe(self) -> str:
        """Wait in a thread."""
        self.clock.sleep(120)
        return "breathed"


@contextmanager
def shed(seed: int | None = None) -> Iterator[tuple[Simulation, Node, Cooling]]:
    """Boot the node with its process, and check at the end that nothing is left of it."""
    simulation = Simulation(seed)
    made: list[Cooling] = []

    def setup(runtime: Runtime) -> None:
        made.append(Cooling(runtime))
        runtime.register(made[0])

    node = start_node(simulation, SHED, Path(), setup)
    try:
        yield simulation, node, made[0]
    finally:
        assert simulation.close() == []


def test_waiting_in_coroutines_takes_simulated_time() -> None:
    """Sleeps, limits, queues, `call_later` and threads of asyncio wait exactly as long as they
    say, beside drivers that are polled, and a superseded effect starts anew."""
    with shed() as (simulation, node, cooling):
        node.chip("room").temperature_c = 31.0
        simulation.run(50)
        node.chip("room").temperature_c = 35.0
        simulation.run(100)
        assert node.is_on("fan")
        assert [round(at) for what, at in cooling.log if "settled" in what] == [110]
        assert "cancelled" in dict(cooling.log)
        begun = simulation.clock.monotonic()
        heard = node.runtime.invoke("cooling.air", {"minutes": 5}, timeout=3600)
        assert heard == ["called later", "timed out", "breathed"]
        assert simulation.clock.monotonic() - begun == pytest.approx(90 + 30 + 60 + 120 + 300)


@pytest.mark.parametrize("way", ["shutdown", "remove"])
def test_what_waits_is_cancelled_at_once(way: str) -> None:
    """When the node stops, or the part is taken out, coroutines end at that moment: their `finally`
    blocks run, the caller of a command is told, and no time passes for it."""
    with shed() as (simulation, node, cooling):
        simulation.run(30)
        call = node.runtime.invoke_nowait("cooling.air", {"minutes": 600})
        simulation.run(1000)
        node.chip("room").temperature_c = 31.0
        simulation.run(10)
        assert cooling.log[-1][0] == "settled at 20.0"
        stopped_at = simulation.clock.monotonic()
        if way == "shutdown":
            node.runtime.shutdown()
        else:
            node.runtime.hot_remove(cooling.name)
        assert sorted(cooling.log[-2:]) == [("aired", stopped_at), ("cancelled", stopped_at)]
        assert simulation.clock.monotonic() - stopped_at < 0.1
        with pytest.raises(UnavailableError):
            call.result()
        simulation.run(DAY_S)
        assert [what for what, at in cooling.log if at > stopped_at] == []


def _hours(seed: int | None) -> tuple[list[str], list[tuple[str, float]]]:
    """Run the node while the weather changes and somebody airs each hour; return what it did."""
    events: list[str] = []

    def note(event: Event) -> None:
        events.append(f"{event.seq} {event.time_ns} {event.source} {event.cause} {event.payload}")

    with shed(seed) as (simulation, node, cooling):
        node.runtime.subscribe(Message, note)
        for hour in range(HOURS):
            node.chip("room").temperature_c = 26.0 + hour % 4
            node.runtime.invoke_nowait("cooling.air", {"minutes": 20 * hour})
            simulation.run(3600)
    return events, cooling.log


@pytest.mark.parametrize("seed", [None, 7])
def test_every_run_is_the_same_and_soon_over(seed: int | None) -> None:
    """Two runs have the same events and the same coroutines at the same times, in the same order,
    and take a small part of the time that passes in them."""
    began = time.monotonic()
    first = _hours(seed)
    assert _hours(seed) == first
    assert time.monotonic() - began < 2 * HOURS * 3600 / 50
    assert sum(what == "aired" for what, _ in first[1]) == HOURS
    assert sum("settled" in what for what, _ in first[1]) >= HOURS
