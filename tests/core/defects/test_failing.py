"""Whatever fails, outputs are safe and services come back: defects 6 and 7 (SEEDS D2)."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from edgekernel import (
    BootError,
    Context,
    Device,
    Event,
    Message,
    Service,
    SignalRuntime,
    command,
    effect,
    lifecycle,
    message,
    on,
    output,
    provides,
    requires,
)
from edgekernel.core.errors import LifecycleError
from tests.core.parts import MakeRuntime, Simulation, messages_of


class Heater(Device):
    """Notes what it is driven to, and whether it is connected."""

    power = output(bool, safe=False)

    def __init__(self, id: str = "heater") -> None:
        super().__init__(id)
        self.driven: list[bool] = []
        self.off_at = 0.0
        self.connected = False

    def connect(self) -> None:
        self.connected = True

    def disconnect(self) -> None:
        self.connected = False

    @power.drive
    def drive(self, value: bool) -> bool:
        if not value and self.driven[-1:] == [True]:
            self.off_at = self.clock.monotonic()
        self.driven.append(value)
        return value

    @property
    def safe(self) -> bool:
        return self.driven[-1] is False and not self.connected


class Heating(Service):
    """Switches the heater on when it starts."""

    name = "heating"
    heater = requires(Heater)

    def start(self, ctx: Context) -> None:
        self.heater.power.set(True)


class RaisingAtStop(Heating):
    def stop(self, ctx: Context) -> None:
        raise OSError("stop")


class BlockedTick(Heating):
    def tick(self, ctx: Context) -> None:
        ctx.clock.sleep(1e6)


class StoppingTheRuntime(Heating):
    def tick(self, ctx: Context) -> None:
        ctx.runtime.shutdown("from a service")


class TestEveryEndIsSafe:
    """D2 #6 (B1, B5, B7, B8, B23b, F14, X)."""

    @pytest.mark.parametrize(
        ("service", "evidence"),
        [(RaisingAtStop, "B7"), (BlockedTick, "B8"), (StoppingTheRuntime, "B5")],
    )
    def test_outputs_are_off(self, sim: Simulation, service: type[Heating], evidence: str) -> None:
        """D2 #6: a stop that raises, a tick that hangs, a shutdown by a service: all is off."""
        runtime, heater = sim.runtime(shutdown_limit_s=5.0), Heater()
        runtime.register(heater)
        runtime.register(service())
        runtime.boot()
        sim.advance(0.5)
        assert True in heater.driven
        begun = 0.0 if runtime.phase == "stopped" else 0.5
        runtime.shutdown()
        assert sim.clock.monotonic() - begun <= 9.0
        assert (heater.safe, runtime.phase) == (True, "stopped")
        assert heater.off_at == begun  # at once, not after what hangs

    @pytest.mark.parametrize("how", ["boot", "run", "with"])
    def test_a_boot_that_fails(self, make_runtime: MakeRuntime, how: str) -> None:
        """D2 #6, B1, B23b: what had started is off and let go of; no second boot on top of it."""

        class Eager(Heater):
            def connect(self) -> None:
                super().connect()
                self.ctx.devices["heater"].power.set(True)

        class Broken(Device):
            def connect(self) -> None:
                raise OSError("no answer")

        runtime, heater = make_runtime(), Heater()
        for device in (heater, Eager("eager"), Broken("broken")):
            runtime.register(device)
        ways = {"boot": runtime.boot, "run": runtime.run, "with": runtime.__enter__}
        with pytest.raises(BootError, match="did not boot"):
            ways[how]()
        assert heater.driven == [False, True, False]
        assert heater.safe
        runtime.shutdown()
        with pytest.raises(LifecycleError, match="a runtime boots once"):
            runtime.boot()

    def test_a_second_sigint(self) -> None:
        """D2 #6, F14: it changes nothing: RuntimeShutdown comes when the last stop has ended."""
        steps: list[str] = []

        class SlowToStop(Heating):
            def start(self, ctx: Context) -> None:
                super().start(ctx)
                os.kill(os.getpid(), signal.SIGINT)

            def stop(self, ctx: Context) -> None:
                steps.append("stop begins")
                os.kill(os.getpid(), signal.SIGINT)
                ctx.clock.sleep(0.05)
                steps.append("stop ends")

        runtime, heater = SignalRuntime(shutdown_limit_s=5.0), Heater()
        runtime.register(heater)
        runtime.register(SlowToStop())
        runtime.subscribe(message.RuntimeShuttingDown, lambda event: steps.append("shutting down"))
        runtime.subscribe(message.RuntimeShutdown, lambda event: steps.append("shut down"))
        runtime.run()
        assert steps == ["shutting down", "stop begins", "stop ends", "shut down"]
        assert heater.safe

    def test_services_stop_in_parallel(self, sim: Simulation) -> None:
        """D2 #6, X: ten services in ticks of 0.3 s have stopped after 0.3 s, not 2.8 s."""

        class Slow(Service):
            interval = 0.3

            def __init__(self, number: int) -> None:
                self.name = f"slow {number}"
                self.delay_s = 0.03 * number

            def start(self, ctx: Context) -> None:
                ctx.clock.sleep(self.delay_s)

            def tick(self, ctx: Context) -> None:
                ctx.clock.sleep(0.299)

        runtime = sim.runtime()
        for number in range(10):
            runtime.register(Slow(number))
        runtime.boot()
        sim.advance(10.0)
        begun = sim.clock.monotonic()
        runtime.shutdown()
        assert 0.2 < sim.clock.monotonic() - begun < 0.3


class Failing(Service):
    """Fails in its start or in each tick; interval 0, as in the seed's loop."""

    name = "failing"
    interval = 0.0

    def __init__(self, where: str) -> None:
        self.where = where
        self.started_at: list[float] = []
        self.stopped = 0

    def start(self, ctx: Context) -> None:
        self.started_at.append(ctx.clock.monotonic())
        if self.where == "start":
            raise OSError("start")

    def tick(self, ctx: Context) -> None:
        raise OSError("tick")

    def stop(self, ctx: Context) -> None:
        self.stopped += 1


class Poke(Message):
    """Lets a child fail in a handler."""


class TestSupervisionSupervises:
    """D2 #7 (K15, K15b, K15c, B3, B4, B6)."""

    @pytest.mark.parametrize("where", ["tick", "start"])
    def test_a_restart_is_one(self, sim: Simulation, where: str) -> None:
        """D2 #7, B3, B4: each failure is told, each restart stops and starts, with patience."""
        runtime, service = sim.runtime(), Failing(where)
        errors = messages_of(runtime, message.ServiceError)
        restarts = messages_of(runtime, message.ServiceRestart)
        given_up = messages_of(runtime, message.ServiceFailure)
        runtime.register(service)
        runtime.boot()
        sim.advance(0.5)
        assert len(errors) == 1  # the seed: 3765 in half a second
        sim.advance(3600.0)
        assert (len(errors), len(restarts), len(given_up)) == (6, 5, 1)
        assert len(service.started_at) == service.stopped == 6
        gaps = [b - a for a, b in zip(service.started_at, service.started_at[1:], strict=False)]
        assert gaps == sorted(gaps)
        assert gaps[0] >= 0.8  # s: one second, less a fifth

    def test_a_critical_failure_halts(self, sim: Simulation) -> None:
        """D2 #7, B6: the runtime stops, the failed service too, and the outputs are safe."""

        class Critical(Heating):
            critical = True
            stopped = 0

            def tick(self, ctx: Context) -> None:
                raise OSError("sensor lost")

            def stop(self, ctx: Context) -> None:
                self.stopped += 1

        runtime, heater, critical = sim.runtime(), Heater(), Critical()
        reasons = messages_of(runtime, message.RuntimeShuttingDown)
        runtime.register(heater)
        runtime.register(critical)
        runtime.boot()
        sim.advance(5.0)
        assert runtime.phase == "stopped"
        assert (heater.safe, critical.stopped) == (True, 1)
        assert "sensor lost" in reasons[0].reason

    @pytest.mark.parametrize("fault", ["effect", "handler", "command", "tick"])
    def test_a_fault_of_a_child_while_it_runs(self, sim: Simulation, fault: str) -> None:
        """D2 #7, K15: faults after the start, too, bring the strategy into action."""
        house = House(sim, "one-for-all")
        house.fail(fault)
        sim.advance(2.0)
        assert house.started == {"left": 2, "right": 2}
        assert [each[0] for each in house.parent.decided] == ["left"]

    def test_what_has_failed_is_provided_no_more(self, sim: Simulation) -> None:
        """D2 #7, K15b: after a restart of all, each service is there once, and is a live one."""
        house = House(sim, "one-for-all")
        house.fail("effect")
        sim.advance(2.0)
        found: list[Worker] = house.runtime.registry.all("IWorker")
        assert [each.name for each in found] == ["left", "right"]
        assert [house.runtime.invoke(f"{each.name}.ask") for each in found] == ["fine", "fine"]

    def test_a_supervisor_that_escalates_can_be_used_again(self, sim: Simulation) -> None:
        """D2 #7, K15c: after an escalation the parent starts and spawns children of their names."""
        house = House(sim, "one-for-one", max_restarts=0)
        escalated = messages_of(house.runtime, message.SupervisorEscalated)
        house.fail("effect")
        sim.advance(120.0)
        assert [each.child for each in escalated] == ["left"]
        assert house.started == {"left": 2, "right": 2}
        assert house.runtime.status()["degraded"] == []


@provides("IWorker")
class Worker(Service):
    """A child that fails where it is told, in its first life only."""

    interval = 0.1
    restart = "no"

    def __init__(self, name: str, house: House) -> None:
        self.name, self.house = name, house

    def start(self, ctx: Context) -> None:
        self.house.started[self.name] = self.house.started.get(self.name, 0) + 1

    def tick(self, ctx: Context) -> None:
        self.fail_at("tick")

    def fail_at(self, place: str) -> None:
        if self.name == "left" and self.house.fault == place:
            self.house.fault = ""
            raise OSError(place)

    @effect
    def follow(self) -> None:
        if self.house.runtime.state.get("poked"):
            self.fail_at("effect")

    @on(Poke)
    def poked(self, event: Event) -> None:
        self.fail_at("handler")

    @command
    def ask(self) -> str:
        self.fail_at("command")
        return "fine"


class House:
    """A parent with two children under supervision."""

    def __init__(self, sim: Simulation, strategy: Any, **how: Any) -> None:
        self.runtime = sim.runtime()
        self.sim = sim
        self.started: dict[str, int] = {}
        self.fault = ""
        house = self

        class Parent:
            ctx: Context

            def __init__(self) -> None:
                self.decided: list[tuple[str, str]] = []

            @lifecycle.activate
            def activate(self) -> None:
                self.spawn()

            def spawn(self) -> None:
                for name in ("left", "right"):
                    self.ctx.spawn(Worker(name, house), name)

            @lifecycle.supervision(strategy=strategy, backoff_s=1.0, **how)
            def decide(self, child: str, error: BaseException, attempt: int) -> bool:
                self.decided.append((child, str(error)))
                return True

        self.parent = self.runtime.register(Parent())
        self.runtime.boot()
        sim.advance(0.05)

    def fail(self, fault: str) -> None:
        self.fault = fault
        self.runtime.state.set("poked", True)
        if fault == "handler":
            self.runtime.emit(Poke())
        if fault == "command":
            with pytest.raises(OSError, match="command"):
                self.runtime.invoke("left.ask")
