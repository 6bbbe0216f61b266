"""Shutdown when something raises or hangs (promise P6)."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from edgekernel import (
    Context,
    Event,
    Message,
    Signal,
    effect,
    message,
    on,
    output,
    requires,
)
from tests.core.parts import (
    LONG_S,
    SHORT_S,
    Lamp,
    MakeRuntime,
    NotingProcess,
    NotingService,
    Simulation,
    Steps,
    Tick,
    Until,
    messages_of,
)


class TestFailingShutdown:
    def test_raising_steps_are_reported_and_passed_over(
        self, make_runtime: MakeRuntime, steps: Steps, until: Until
    ) -> None:
        """P6: whatever raises in the shutdown is told, and everything else still stops."""

        class BadProcess(NotingProcess):
            @effect
            def follow(self) -> Callable[[], object]:
                return lambda: 1 // 0

            def stop(self, ctx: Context) -> None:
                raise ValueError("process stop")

            def detach(self) -> None:
                super().detach()
                raise ValueError("process detach")

        class BadService(NotingService):
            def stop(self, ctx: Context) -> None:
                raise ValueError("service stop")

            def detach(self) -> None:
                raise ValueError("service detach")

        class BadLamp(Lamp):
            def disconnect(self) -> None:
                raise OSError("disconnect")

        runtime = make_runtime()
        failed = messages_of(runtime, message.ShutdownStepFailed)
        device_failed = messages_of(runtime, message.DeviceFailed)
        service_errors = messages_of(runtime, message.ServiceError)
        for part in (
            Lamp("lamp", steps),
            BadLamp("bad lamp", steps),
            NotingProcess("good", steps),
            BadProcess("bad", steps),
            BadService("bad service", steps),
            NotingService("good service", steps),
        ):
            runtime.register(part)
        runtime.boot()
        until(lambda: all(s["running"] for s in runtime.status()["services"].values()))
        runtime.shutdown()
        assert runtime.phase == "stopped"
        assert {each.step for each in failed} == {"detach of service bad service", "stop of bad"}
        [text] = [each.error for each in failed if each.step == "stop of bad"]
        assert "bad" in text
        assert [each.error for each in device_failed] == ["OSError: disconnect"]
        assert [each.error for each in service_errors] == ["ValueError: service stop"]
        expected = ["stop good service", "stop good", "disconnect lamp"]
        assert steps.of("stop", "disconnect") == expected

    @pytest.mark.parametrize("where", ["stop", "detach"])
    def test_a_hanging_process_is_passed_over(
        self, make_runtime: MakeRuntime, steps: Steps, gate: threading.Event, where: str
    ) -> None:
        """P6: a stop or detach that hangs is told; the parts after it still stop."""

        class Hanging(NotingProcess):
            def stop(self, ctx: Context) -> None:
                if where == "stop":
                    assert gate.wait(LONG_S)

            def detach(self) -> None:
                super().detach()
                if where == "detach":
                    assert gate.wait(LONG_S)

        runtime = make_runtime(shutdown_limit_s=SHORT_S)
        failed = messages_of(runtime, message.ShutdownStepFailed)
        runtime.register(Lamp("lamp", steps))
        runtime.register(NotingProcess("good", steps))
        runtime.register(Hanging("hanging", steps))
        runtime.boot()
        runtime.shutdown()
        assert runtime.phase == "stopped"
        assert [each.step for each in failed] == ["stop of hanging"]
        assert steps.of("stop", "disconnect") == ["stop good", "disconnect lamp"]

    @pytest.mark.parametrize("where", ["tick", "stop", "detach"])
    def test_a_hanging_service_is_passed_over(
        self,
        make_runtime: MakeRuntime,
        steps: Steps,
        gate: threading.Event,
        until: Until,
        where: str,
    ) -> None:
        """P6: a service that hangs is told; outputs are safe, and the others stop."""
        ticking = threading.Event()

        class Hanging(NotingService):
            lamp = requires(Lamp)

            def hang(self, now: str) -> None:
                if now == where:
                    assert gate.wait(LONG_S)

            def tick(self, ctx: Context) -> None:
                self.lamp.power.set(True)
                ticking.set()
                self.hang("tick")

            def stop(self, ctx: Context) -> None:
                self.hang("stop")

            def detach(self) -> None:
                self.hang("detach")

        runtime = make_runtime(shutdown_limit_s=SHORT_S)
        failed = messages_of(runtime, message.ShutdownStepFailed)
        runtime.register(Lamp("lamp", steps))
        runtime.register(Hanging("hanging", steps))
        runtime.register(NotingService("good", steps))
        runtime.register(NotingProcess("process", steps))
        runtime.boot()
        assert ticking.wait(LONG_S)
        until(lambda: "start good" in steps.all)
        runtime.shutdown()
        assert runtime.phase == "stopped"
        assert len(failed) == 1
        assert "service hanging" in failed[0].step
        assert steps.of("stop", "disconnect") == ["stop good", "stop process", "disconnect lamp"]
        assert steps.of("drive")[-1] == "drive lamp False"

    @pytest.mark.parametrize(
        "cls", [message.RuntimeShuttingDown, message.ShutdownStepFailed, message.RuntimeShutdown]
    )
    def test_a_hanging_handler_is_passed_over(
        self, make_runtime: MakeRuntime, steps: Steps, gate: threading.Event, cls: type[Message]
    ) -> None:
        """P6: a handler that hangs during the shutdown does not keep it from its end."""

        class Bad(NotingProcess):
            def stop(self, ctx: Context) -> None:
                super().stop(ctx)
                raise ValueError("a step that fails")

        runtime = make_runtime(shutdown_limit_s=SHORT_S, slow_turn_s=LONG_S)
        runtime.subscribe(cls, lambda _: gate.wait(LONG_S))
        runtime.register(Lamp("lamp", steps))
        runtime.register(Bad("bad", steps))
        runtime.register(NotingProcess("process", steps))
        runtime.boot()
        runtime.shutdown()
        assert runtime.phase == "stopped"
        assert steps.of("stop", "disconnect") == ["stop process", "stop bad", "disconnect lamp"]

    def test_a_handler_that_hangs_already(
        self, make_runtime: MakeRuntime, steps: Steps, gate: threading.Event
    ) -> None:
        """P6: a handler that has hung for long keeps no output on and no shutdown waiting."""
        entered = threading.Event()

        class Hanging(NotingProcess):
            @on(Tick)
            def handle(self, event: Event) -> None:
                entered.set()
                assert gate.wait(LONG_S)

        runtime = make_runtime(shutdown_limit_s=SHORT_S, slow_turn_s=LONG_S)
        lamp = Lamp("lamp", steps)
        runtime.register(lamp)
        runtime.register(Hanging("hanging", steps))
        runtime.register(NotingProcess("process", steps))
        runtime.boot()
        lamp.power.set(True)
        thread = threading.Thread(target=lambda: runtime.emit(Tick()))
        thread.start()
        assert entered.wait(LONG_S)
        runtime.shutdown()
        assert runtime.phase == "stopped"
        assert steps.of("drive")[-1] == "drive lamp False"
        assert steps.of("stop", "disconnect") == ["stop process", "stop hanging", "disconnect lamp"]
        gate.set()
        thread.join(LONG_S)

    def test_a_device_that_hangs_while_it_is_made_safe(
        self, make_runtime: MakeRuntime, steps: Steps, gate: threading.Event
    ) -> None:
        """P6: a driver that hangs keeps no other device from its safe state."""
        hanging = [False]

        class Hanging(Lamp):
            def drive(self, value: bool) -> bool:
                if hanging[0]:
                    assert gate.wait(LONG_S)
                return super().drive(value)

        runtime = make_runtime(shutdown_limit_s=SHORT_S)
        failed = messages_of(runtime, message.ShutdownStepFailed)
        lamp = Lamp("lamp", steps)
        runtime.register(lamp)
        runtime.register(Hanging("hanging", steps))
        runtime.boot()
        lamp.power.set(True)
        hanging[0] = True
        runtime.shutdown()
        assert runtime.phase == "stopped"
        assert "safe state of hanging" in [each.step for each in failed]
        assert steps.of("drive lamp")[-1] == "drive lamp False"
        assert "disconnect lamp" in steps.all

    @pytest.mark.parametrize("error", [OSError("stuck"), RuntimeError("driver bug")])
    def test_a_device_that_raises_while_it_is_made_safe(
        self, make_runtime: MakeRuntime, steps: Steps, error: Exception
    ) -> None:
        """P6: one output that cannot be made safe keeps no other from it, nor the disconnect."""
        broken = [False]

        class Two(Lamp):
            other = output(bool, safe=False)

            def drive(self, value: bool) -> bool:
                if broken[0]:
                    raise error
                return super().drive(value)

            @other.drive
            def drive_other(self, value: bool) -> bool:
                self.steps(f"drive other {value}")
                return value

        runtime = make_runtime()
        failed = messages_of(runtime, message.ShutdownStepFailed)
        two = Two("two", steps)
        runtime.register(two)
        runtime.register(NotingProcess("process", steps))
        runtime.boot()
        two.other.set(True)
        broken[0] = True
        steps.all.clear()
        runtime.shutdown()
        assert steps.all == ["drive other False", "stop process", "disconnect two"]
        assert [each.step for each in failed] == ["safe state of two"]


@pytest.mark.parametrize("error", [SystemExit(1), GeneratorExit()])
def test_a_removal_goes_on_whatever_is_raised(sim: Simulation, error: BaseException) -> None:
    """P12: what ends a step of a hot removal, even an exit, is told; the steps after it are made,
    and nothing of the part is left."""

    class Exiting(NotingProcess):
        level = Signal(0)

        @effect
        def follow(self) -> Callable[[], object]:
            return self.fail

        def fail(self) -> None:
            raise error

        def stop(self, ctx: Context) -> None:
            super().stop(ctx)
            raise error

        def detach(self) -> None:
            super().detach()
            self.steps("detach")

    steps = Steps()
    runtime = sim.runtime()
    failed = messages_of(runtime, message.ShutdownStepFailed)
    effects = messages_of(runtime, message.EffectError)
    runtime.register(Exiting("exiting", steps))
    runtime.boot()
    runtime.hot_remove("exiting")
    assert steps.all == ["start exiting", "stop exiting", "detach"]
    assert [each.step for each in failed] == ["stop of exiting"]
    assert len(effects) == 1
    runtime.hot_add(NotingProcess("exiting", steps))
