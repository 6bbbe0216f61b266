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

        runtime = make_runtime(shutdown_limit_s=4 * SHORT_S, slow_turn_s=LONG_S)
        runtime.subscribe(cls, lambda _: gate.wait(LONG_S))
        runtime.register(Lamp("lamp", steps))
        runtime.register(Bad("bad", steps))
        runtime.register(NotingProcess("process", steps))
        runtime.boot()
        runtime.shutdown()
        assert runtime.phase == "stopped"
        *stops, last = steps.of("stop", "disconnect")
        assert (sorted(stops), last) == (["stop bad", "stop process"], "disconnect lamp")

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
        *stops, last = steps.of("stop", "disconnect")
        assert (sorted(stops), last) == (["stop hanging", "stop process"], "disconnect lamp")
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


class Slow(Lamp):
    """A healthy lamp that takes its time to disconnect."""

    takes_s = 0.2

    def disconnect(self) -> None:
        self.clock.sleep(self.takes_s)
        super().disconnect()


class TestManyAtOnce:
    """Parts that do not need one another do not keep one another from stopping."""

    def test_many_slow_devices(self, sim: Simulation, steps: Steps) -> None:
        """P6, P8: a hundred devices of 0.2 s each disconnect in time; every output is safe before
        the first one does, and what is told is in the same order in every run."""
        runtime = sim.runtime(shutdown_limit_s=5.0)
        failed = messages_of(runtime, message.ShutdownStepFailed)
        lamps = [Slow(f"lamp{n}", steps) for n in range(100)]
        for lamp in lamps:
            runtime.register(lamp)
        runtime.boot()
        for lamp in lamps:
            lamp.power.set(True)
        steps.all.clear()
        runtime.shutdown()
        assert failed == []
        assert sim.clock.monotonic() < 5.0
        names = [f"lamp{n}" for n in reversed(range(100))]
        assert steps.all[:100] == [f"drive {name} False" for name in names]
        assert steps.all[100:] == [f"disconnect {name}" for name in names]
        assert not any(lamp.attached for lamp in lamps)

    def test_many_that_hang(self, sim: Simulation, steps: Steps) -> None:
        """P6: of many parts that hang each is asked to stop and told by its name, the others stop,
        and the limit holds."""

        class Hanging(NotingProcess):
            def stop(self, ctx: Context) -> None:
                super().stop(ctx)
                ctx.clock.sleep(1e6)

        runtime = sim.runtime(shutdown_limit_s=5.0)
        failed = messages_of(runtime, message.ShutdownStepFailed)
        runtime.register(Lamp("lamp", steps))
        runtime.register(NotingProcess("good", steps))
        for n in range(40):
            runtime.register(Hanging(f"p{n}", steps))
        runtime.boot()
        steps.all.clear()
        runtime.shutdown()
        names = [f"p{n}" for n in reversed(range(40))]
        stops = [f"stop {name}" for name in (*names, "good")]
        assert steps.all == ["drive lamp False", *stops, "disconnect lamp"]
        assert [each.step for each in failed] == [f"stop of {name}" for name in names]
        assert sim.clock.monotonic() <= 5.0

    def test_many_services_that_hang(self, sim: Simulation, steps: Steps) -> None:
        """P6: services that hang share one time to stop in; each is told, and what follows them
        has its own share."""

        class Hanging(NotingService):
            def tick(self, ctx: Context) -> None:
                ctx.clock.sleep(1e6)

        runtime = sim.runtime(shutdown_limit_s=8.0)
        failed = messages_of(runtime, message.ShutdownStepFailed)
        lamp = Slow("lamp", steps)
        lamp.takes_s = 1.9
        runtime.register(lamp)
        for n in range(30):
            runtime.register(Hanging(f"s{n}", steps))
        runtime.boot()
        sim.advance(1.0)
        runtime.shutdown()
        expected = [f"stop of service s{n}" for n in reversed(range(30))]
        assert [each.step for each in failed] == expected
        assert steps.of("disconnect") == ["disconnect lamp"]
        assert sim.clock.monotonic() <= 9.0

    def test_what_needs_something_stops_before_it(self, sim: Simulation, steps: Steps) -> None:
        """P6: a slow part has ended before what it needs stops; what does not concern it goes on
        beside it."""

        class Patient(NotingProcess):
            def __init__(self, name: str, steps: Steps, *depends: str) -> None:
                super().__init__(name, steps)
                self.depends = depends

            def stop(self, ctx: Context) -> None:
                ctx.clock.sleep(0.2)
                super().stop(ctx)

        runtime = sim.runtime(shutdown_limit_s=10.0)
        runtime.register(Lamp("lamp", steps))
        runtime.register(Patient("base", steps))
        for n in range(10):
            runtime.register(Patient(f"middle{n}", steps, "base"))
            runtime.register(Patient(f"top{n}", steps, f"middle{n}"))
        runtime.boot()
        runtime.shutdown()
        numbers = list(reversed(range(10)))
        tops, middles = [f"stop top{n}" for n in numbers], [f"stop middle{n}" for n in numbers]
        assert steps.of("stop") == [*tops, *middles, "stop base"]
        assert steps.all[-1] == "disconnect lamp"
        assert sim.clock.monotonic() < 21 * 0.2

    def test_children_stop_before_their_parent(self, sim: Simulation, steps: Steps) -> None:
        """P6: a parent of their kind stops after its children have."""

        class Child(NotingProcess):
            def stop(self, ctx: Context) -> None:
                ctx.clock.sleep(0.2)
                super().stop(ctx)

        class Parent(NotingProcess):
            def start(self, ctx: Context) -> None:
                super().start(ctx)
                for n in range(3):
                    ctx.spawn(Child(f"child{n}", self.steps))

        runtime = sim.runtime()
        runtime.register(Parent("parent", steps))
        runtime.boot()
        runtime.shutdown()
        expected = ["stop child2", "stop child1", "stop child0", "stop parent"]
        assert steps.of("stop") == expected
