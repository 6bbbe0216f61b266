"""A node whose process may have no more threads: it ends safe (P6), and recovers (P7)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from edgekernel import Context, Event, Message, Process, Runtime, Service, command, message, on
from edgekernel.core.memory import Memory
from edgekernel.core.phase import Phase
from tests.core.parts import Tick
from tests.core.starved import StarvedClock
from tests.core.working import Valve, Working, messages_of


class Part(Process):
    name = "part"

    def __init__(self) -> None:
        self.failures = 0

    def start(self, ctx: Context) -> None:
        if self.failures:
            self.failures -= 1
            raise ValueError("not yet")

    @command
    async def sleep(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "slept"


@pytest.fixture
def clock() -> Iterator[StarvedClock]:
    with StarvedClock() as clock:
        yield clock


def watched(runtime: Runtime) -> list[str]:
    """The names of all messages from now on."""
    told: list[str] = []
    runtime.subscribe(Message, lambda event: told.append(event.payload.name))
    return told


def test_the_shutdown_makes_outputs_safe_first(clock: StarvedClock) -> None:
    """P6, P8: without a thread for it the shutdown runs where it was asked for, to its end."""
    runtime, valve, working = Runtime(clock=clock), Valve("valve"), Working()
    safe_at_stop: list[bool | None] = []

    class Other(Process):
        name = "other"

        def stop(self, ctx: Context) -> None:
            safe_at_stop.append(valve.open.last)

    for part in (valve, Other(), working):
        runtime.register(part)
    runtime.boot()
    valve.open.set(True)
    told = watched(runtime)
    clock.starved = ""
    runtime.shutdown("asked")
    assert (runtime.phase, valve.driven, safe_at_stop) == (
        Phase.STOPPED,
        [False, True, False],
        [False],
    )
    assert (told[0], told[-1]) == ("runtime.shutting_down", "runtime.shutdown")
    runtime.shutdown("again")  # at once


def test_a_handler_that_shuts_down(clock: StarvedClock) -> None:
    """P6: also in a handler, for which the shutdown otherwise does not wait."""

    class Ending(Process):
        name = "ending"

        @on(Tick)
        def end(self, event: Event) -> None:
            self.ctx.runtime.shutdown("a handler")

    runtime, valve = Runtime(clock=clock), Valve("valve")
    for part in (valve, Ending()):
        runtime.register(part)
    runtime.boot()
    valve.open.set(True)
    clock.starved = ""
    runtime.emit(Tick())
    assert (runtime.phase, valve.driven[-1]) == (Phase.STOPPED, False)


def test_a_critical_service_that_fails(clock: StarvedClock) -> None:
    """P6, P7: a critical service halts the runtime, safe, on its own thread if need be."""

    class Critical(Service):
        name = "critical"
        critical = True
        interval = 1.0

        def tick(self, ctx: Context) -> None:
            if ctx.clock.monotonic() > 2.5:
                raise ValueError("the sensor is broken")

    runtime, valve = Runtime(clock=clock), Valve("valve")
    for part in (valve, Critical()):
        runtime.register(part)
    runtime.boot()
    valve.open.set(True)
    clock.advance(1.0)
    clock.starved = ""
    clock.advance(60.0)
    assert (runtime.phase, valve.driven[-1]) == (Phase.STOPPED, False)


def test_a_shutdown_ends_although_its_last_step_raises(clock: StarvedClock) -> None:
    """P6: who waits for the end goes on, whatever raises at the very end."""

    class Full(Memory):
        def get(self, key: str) -> Any:
            return None

        def put(self, key: str, value: Any) -> None:
            raise OSError("no space left")

        def put_all(self, values: Any) -> None:
            raise OSError("no space left")

        def close(self) -> None:
            raise OSError("no space left")

    runtime = Runtime(clock=clock, memory=Full())
    ended: list[bool] = []
    runtime._lifecycle.when_stopped(lambda: ended.append(True))
    runtime.boot()
    clock.starved = ""
    with pytest.raises(OSError, match="no space left"):
        runtime.shutdown("asked")
    assert (runtime.phase, ended) == (Phase.STOPPED, [True])
    runtime.wait_until_stopped()


def test_the_watchdog_is_started_later(clock: StarvedClock) -> None:
    """P7: a watchdog that had no thread is at work with the next that asks for it."""
    runtime, working = Runtime(clock=clock), Working()
    working.tick_limit_s = 2.0
    runtime.register(working)
    hung = messages_of(runtime, message.ServiceHung)
    errors = messages_of(runtime, message.BackgroundError)
    clock.starved = "watchdog"
    runtime.boot()
    clock.advance(5.0)
    assert {(each.where, each.error.partition(":")[0]) for each in errors} == {
        ("watchdog", "no thread can be started for it")
    }
    clock.starved = None
    runtime.services.watchdog.look()
    working.durations = [10.0]
    clock.advance(20.0)
    assert hung == [message.ServiceHung("working", 2.0)]
    runtime.shutdown()


def test_deadlines_are_kept_later(clock: StarvedClock) -> None:
    """P7: a call whose deadline had no thread fails; the deadlines of later ones are kept."""
    runtime = Runtime(clock=clock)
    runtime.register(Part())
    runtime.boot()
    clock.starved = "deadlines"
    with pytest.raises(RuntimeError, match="can't start new thread"):
        runtime.invoke_nowait("part.sleep", {"seconds": 50.0}, timeout=1.0)
    clock.starved = None
    late = runtime.invoke_nowait("part.sleep", {"seconds": 50.0}, timeout=2.0)
    clock.advance(10.0)
    assert late.done
    runtime.shutdown()


def test_coroutines_run_later(clock: StarvedClock) -> None:
    """P7: a command that had no event loop fails; the next one has one."""
    runtime = Runtime(clock=clock)
    runtime.register(Part())
    runtime.boot()
    clock.starved = "loop"
    with pytest.raises(RuntimeError, match="can't start new thread"):
        runtime.invoke("part.sleep", {"seconds": 1.0})
    clock.starved = None
    assert runtime.invoke("part.sleep", {"seconds": 1.0}) == "slept"
    runtime.shutdown()


def test_retries_begin_later(clock: StarvedClock) -> None:
    """P7: a caretaker that had no thread has one when the next part fails, and serves both."""
    runtime, part = Runtime(clock=clock), Part()
    runtime.boot()
    part.failures = 2
    clock.starved = "caretaker"
    with pytest.raises(RuntimeError, match="can't start new thread"):
        runtime.register(part, optional=True)
    clock.starved = None
    later = Part()
    later.failures = 1
    runtime.register(later, "later", optional=True)
    clock.advance(30.0)
    assert runtime.status()["degraded"] == []
    runtime.shutdown()


class Changing(Process):
    """Adds a part for each tick, in a handler."""

    name = "changing"

    @on(Tick)
    def change(self, event: Any) -> None:
        self.ctx.runtime.hot_add(Part(), f"part-{event.payload.n}")


def test_hot_changes_are_made_later(clock: StarvedClock) -> None:
    """P7: a handler's change that had no thread fails, the next one is made."""
    runtime = Runtime(clock=clock)
    runtime.register(Changing())
    runtime.boot()
    failed = messages_of(runtime, message.ProcessError)
    clock.starved = "hot changes"
    runtime.emit(Tick(1))
    assert ["can't start new thread" in each.error for each in failed] == [True]
    clock.starved = None
    runtime.emit(Tick(2))
    clock.advance(1.0)
    assert [name for name in runtime.status()["components"] if name.startswith("part")] == [
        "part-2"
    ]
    runtime.shutdown()


def test_hot_changes_follow_on_one_thread(clock: StarvedClock) -> None:
    """P7: where there is a thread for the first change and none for the next, both are made."""
    runtime = Runtime(clock=clock)
    runtime.register(Changing())
    runtime.boot()

    class First(Process):
        name = "first"

        def start(self, ctx: Context) -> None:
            clock.starved = None

    class Asking(Process):
        name = "asking"

        @on(Tick)
        def ask(self, event: Any) -> None:
            self.ctx.runtime.hot_add(First())
            self.ctx.runtime.hot_add(Part(), "second")
            clock.starved = "hot changes"

    runtime.hot_add(Asking())
    runtime.emit(Tick(1))
    clock.advance(1.0)
    assert {"first", "second"} <= set(runtime.status()["components"])
    runtime.shutdown()
