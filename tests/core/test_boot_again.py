"""What is booted twice, and drained (promises P5, P6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edgekernel import (
    Context,
    Event,
    Process,
    Runtime,
    command,
    message,
    on,
)
from edgekernel.core.errors import (
    BootError,
    ConfigError,
    LifecycleError,
    UnavailableError,
)
from tests.core.parts import (
    LONG_S,
    Lamp,
    MakeRuntime,
    NotingProcess,
    NotingService,
    Simulation,
    Steps,
    Tick,
    messages_of,
)


class TestBootAgain:
    def test_subscriptions_are_not_doubled(self, make_runtime: MakeRuntime) -> None:
        """P5: a second boot delivers each event once, as before (K38)."""
        seen: list[Any] = []

        class Handling(Process):
            name = "handling"

            @on(Tick)
            def handle(self, event: Event) -> None:
                seen.append(event)

        runtime = make_runtime()
        runtime.register(Handling)
        runtime.boot()
        runtime.boot()
        runtime.emit(Tick())
        assert len(seen) == 1

    def test_after_a_failed_boot(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """P5: a boot that failed has let go of everything, and is not tried on top of it (B1)."""

        class Broken(Lamp):
            def connect(self) -> None:
                raise OSError("no lamp")

        runtime = make_runtime()
        good = Lamp("good", steps)
        runtime.register(good)
        runtime.register(Broken("broken", steps))
        with pytest.raises(BootError):
            runtime.boot()
        assert not good.attached
        with pytest.raises(LifecycleError, match="boots once"):
            runtime.boot()
        second = make_runtime()
        second.register(good)
        second.boot()
        assert good.online

    def test_run_does_not_wait_after_a_failed_boot(self, make_runtime: MakeRuntime) -> None:
        """P5: `run` and the context manager raise what the boot raises (B23b)."""

        class Broken(Process):
            name = "broken"

            def start(self, ctx: Context) -> None:
                raise OSError("no")

        uses: list[Callable[[Runtime], object]] = [Runtime.run, Runtime.__enter__]
        for use in uses:
            runtime = make_runtime()
            runtime.register(Broken)
            with pytest.raises(BootError):
                use(runtime)
            assert runtime.phase == "stopped"

    def test_inside_a_handler_while_it_boots(self, sim: Simulation) -> None:
        """P2: a handler that asks for the boot that goes on is not kept."""
        runtime = sim.runtime()
        runtime.subscribe(message.RuntimeBooting, lambda _: runtime.boot())
        runtime.boot()
        assert runtime.phase == "running"


class TestOneInstance:
    def test_the_same_part_twice(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """P5: one instance is one part: registered again, under any name, it is refused."""
        runtime = make_runtime()
        process = NotingProcess("process", steps)
        runtime.register(process)
        with pytest.raises(ConfigError, match="again: this very part is there already, as process"):
            runtime.register(process, "again")
        assert process.name == "process"


class TestDrain:
    def test_refuses_commands_and_finishes_what_is_begun(self, sim: Simulation) -> None:
        """A4.5: a drain waits for the command that runs, and refuses later ones (K11)."""

        class Valve(Process):
            name = "valve"

            @command
            def move(self) -> str:
                self.ctx.clock.sleep(2.0)
                return f"moved {self.ctx.runtime.invoke('valve.check')}"

            @command
            def check(self) -> str:
                return "as far as asked"

        runtime = sim.runtime(slow_turn_s=LONG_S)
        runtime.register(Valve)
        told = messages_of(runtime, message.RuntimeDraining)
        runtime.boot()
        results: list[str] = []
        sim.clock.Thread(lambda: results.append(runtime.invoke("valve.move")), "caller").start()
        sim.advance(0.5)
        assert runtime.drain(10.0)
        assert sim.clock.monotonic() == 2.0
        assert (runtime.phase, runtime.status()["state"]) == ("draining", "draining")
        with pytest.raises(UnavailableError, match=r"valve\.move: the runtime is draining"):
            runtime.invoke("valve.move")
        sim.advance(0.0)
        assert results == ["moved as far as asked"]
        assert runtime.drain(1.0)
        assert len(told) == 1
        runtime.shutdown()
        assert runtime.phase == "stopped"

    def test_says_when_it_takes_too_long(self, sim: Simulation) -> None:
        """A4.5: after the time it returns False, and the shutdown can follow."""
        runtime = sim.runtime(slow_turn_s=LONG_S)
        runtime.subscribe(Tick, lambda _: sim.clock.sleep(5.0))
        runtime.boot()
        sim.clock.Thread(lambda: runtime.emit(Tick()), "emitting").start()
        sim.advance(0.5)
        assert not runtime.drain(1.0)
        assert sim.clock.monotonic() == 1.5
        runtime.shutdown()

    def test_events_and_ticks_go_on(self, sim: Simulation, steps: Steps) -> None:
        """A4.5: what is begun needs its services and events until the shutdown."""

        class Ticking(NotingService):
            interval = 1.0

            def tick(self, ctx: Context) -> None:
                ctx.emit(Tick())

        runtime = sim.runtime()
        runtime.register(Ticking("ticking", steps))
        ticks = messages_of(runtime, Tick)
        runtime.boot()
        assert runtime.drain(1.0)
        sim.advance(3.5)
        assert len(ticks) == 4
        runtime.boot()
        assert runtime.phase == "draining"

    def test_only_while_it_runs(self, make_runtime: MakeRuntime) -> None:
        """A4.5: a runtime that does not run has nothing to drain; a handler cannot wait for it."""
        runtime = make_runtime()
        with pytest.raises(LifecycleError, match="not drained: it is created"):
            runtime.drain()
        drained: list[bool] = []
        runtime.subscribe(Tick, lambda _: drained.append(runtime.drain()))
        runtime.boot()
        runtime.emit(Tick())
        assert drained == [False]
        assert runtime.phase == "draining"
        runtime.shutdown()
        with pytest.raises(LifecycleError, match="not drained: it is stopped"):
            runtime.drain()
