"""Handlers and effects that do not come back are noticed (promise P7), in simulated time."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from edgekernel import Effect, Event, Message, Process, Runtime, Signal, command, message, on
from tests.core.working import Simulation, messages_of


class Ping(Message):
    """Handled for so many seconds."""

    seconds: float = 0.0


class Pinged(Process):
    name = "pinged"

    def __init__(self) -> None:
        self.handled: list[float] = []

    @on(Ping)
    def handle(self, event: Event) -> None:
        assert isinstance(event.payload, Ping)
        self.ctx.clock.sleep(event.payload.seconds)
        self.handled.append(self.ctx.clock.monotonic())

    @command(blocking=True)
    def block(self) -> None:
        self.ctx.clock.sleep(100.0)


def booted(sim: Simulation, **options: Any) -> tuple[Runtime, Pinged]:
    runtime, pinged = sim.runtime(**options), Pinged()
    runtime.register(pinged)
    runtime.boot()
    return runtime, pinged


def beside(sim: Simulation, call: Callable[[], object]) -> None:
    """Do something on a thread of its own, which may hang."""
    sim.clock.Thread(call, "beside").start()


@pytest.mark.parametrize("way", ["emit", "post", "behind another"])
def test_a_handler_that_hangs_is_told_at_its_limit(
    sim: Simulation, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    """P7: it is logged by name once, at its limit, and is a problem until it ends."""
    runtime, pinged = booted(sim)
    slow = messages_of(runtime, message.SlowTurn)
    watchdog = runtime.services.watchdog
    begun = 0.0
    if way == "post":
        runtime.post(Ping(25.0))
    else:
        beside(sim, partial(runtime.emit, Ping(25.0 if way == "emit" else 5.0)))
        if way == "behind another":
            sim.advance(1.0)
            runtime.emit(Ping(25.0))
            begun = 5.0
    sim.advance(5.0 if begun == 0.0 else 4.0)
    runtime.emit(Ping())
    sim.advance(begun + 4.999)
    assert (watchdog.problems(), runtime.error_count, caplog.text) == ([], 0, "")
    sim.advance(0.001)
    told = "pinged.handle (ping) keeps all turns waiting for 10.0 s"
    assert watchdog.problems() == [told]
    assert runtime.health()["problems"][0].startswith(told.partition(" for ")[0])
    assert not runtime.health()["healthy"]
    assert [each.where for each in runtime.errors] == ["pinged.handle (ping)"]
    assert caplog.text.count("keeps all handlers and effects waiting for 10.0 s") == 1
    sim.advance(30.0)
    assert (watchdog.problems(), runtime.health()["healthy"]) == ([], True)
    assert pinged.handled[-2:] == [begun + 25.0, begun + 25.0]
    assert slow[-1].seconds == 25.0
    runtime.post(Ping(50.0))
    runtime.post(Ping())
    sim.advance(100.0)
    assert [each.where for each in runtime.errors] == ["pinged.handle (ping)"] * 2


def test_an_effect_that_hangs_starves_the_feed(sim: Simulation) -> None:
    """P7: while an effect hangs nobody feeds a watchdog, whether or not others wait for it."""
    runtime, _ = booted(sim)
    level = Signal(0)

    def follow() -> None:
        if level.get():
            sim.clock.sleep(25.0)

    effect = runtime.turns.within(partial(Effect, follow, name="follow"))
    fed: list[float] = []
    runtime.services.watchdog.feed(lambda: fed.append(sim.clock.monotonic()), 2.0)
    beside(sim, lambda: level.set(1))
    sim.advance(11.0)
    assert runtime.services.watchdog.problems() == [
        "effect follow keeps all turns waiting for 11.0 s"
    ]
    sim.advance(20.0)
    assert fed == [0.0, 2.0, 4.0, 6.0, 8.0, 26.0, 28.0, 30.0]
    effect.dispose()


def test_many_short_turns_are_no_hang(sim: Simulation) -> None:
    """P7: turns that come one after the other for a long time hang not, however many wait."""
    runtime, pinged = booted(sim)
    for _ in range(20):
        runtime.post(Ping(9.0))
    sim.advance(300.0)
    assert (len(pinged.handled), runtime.error_count) == (20, 0)


def test_a_blocking_command_is_no_turn(sim: Simulation) -> None:
    """P7: what runs beside turns may take as long as it wants."""
    runtime, pinged = booted(sim)
    call = runtime.invoke_nowait("pinged.block", timeout=math.inf)
    sim.advance(50.0)
    runtime.emit(Ping())
    assert (call.done, runtime.error_count, len(pinged.handled)) == (False, 0, 1)
    assert runtime.services.watchdog.problems() == []


def test_the_limit_can_be_set(sim: Simulation) -> None:
    """P7: the limit of a turn is the runtime's, and math.inf is none."""
    runtime, _ = booted(sim, hung_turn_s=math.inf)
    short, _ = booted(sim, name="short", hung_turn_s=2.0)
    for each in (runtime, short):
        each.post(Ping(100.0))
        each.post(Ping())
    sim.advance(2.001)
    assert (runtime.error_count, short.error_count) == (0, 1)
    sim.advance(200.0)
    assert (runtime.error_count, short.error_count) == (0, 1)


def test_nobody_watches_turns_for_which_nobody_waits(sim: Simulation) -> None:
    """P7: a runtime at rest has no watchdog, and one that is at rest again wakes nobody up."""
    runtime, _ = booted(sim)
    for _ in range(3):
        runtime.emit(Ping())
    assert not any("watchdog" in each for each in sim.clock.waiting())
    runtime.post(Ping(1.0))
    runtime.post(Ping(1.0))
    sim.advance(60.0)
    [watchdog] = [each for each in sim.clock.waiting() if "watchdog" in each]
    sim.advance(600.0)
    assert [each for each in sim.clock.waiting() if "watchdog" in each] == [watchdog]
    looks: list[int] = []
    runtime.services.watchdog._look_at_steps = lambda: looks.append(1)  # type: ignore[method-assign]
    sim.advance(600.0)
    assert looks == []
