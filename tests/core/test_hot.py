"""Parts added while the runtime runs (promise P12)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import pytest

from edgekernel import (
    Context,
    Device,
    Message,
    Process,
    command,
    lifecycle,
    message,
    on,
    output,
    provides,
    requires,
)
from edgekernel.core.errors import (
    ConfigError,
    LifecycleError,
    UnavailableError,
)
from tests.core.parts import (
    LONG_S,
    Counter,
    Lamp,
    MakeRuntime,
    NotingInterface,
    NotingProcess,
    NotingService,
    Sensor,
    Simulation,
    Steps,
    Tick,
    messages_of,
)


class IThing(Protocol):
    def missing(self) -> None: ...


class TestAdd:
    def test_every_kind_of_part(self, sim: Simulation, steps: Steps) -> None:
        """P12: a part of any kind that is added starts at once, and stops with the runtime (K5)."""

        class Ticking(NotingService):
            interval = 1.0

            def tick(self, ctx: Context) -> None:
                self.steps(f"tick {ctx.clock.monotonic()}")

        runtime = sim.runtime()
        runtime.boot()
        added = messages_of(runtime, message.HotAdded)
        sim.advance(5.0)
        runtime.hot_add(Lamp("lamp", steps))
        runtime.hot_add(NotingProcess("process", steps))
        runtime.hot_add(NotingInterface("interface", steps))
        runtime.hot_add(Ticking("service", steps))
        counter = runtime.hot_add(Counter)
        sim.advance(1.5)
        runtime.emit(Tick())
        assert counter.count == 1
        assert [each.part for each in added] == [
            "lamp", "process", "interface", "service", "counter",
        ]  # fmt: skip
        states = {n: c["state"] for n, c in runtime.status()["components"].items()}
        assert set(states.values()) == {"active"}
        runtime.shutdown()
        assert steps.all == [
            "connect lamp",
            "drive lamp False",
            "start process",
            "start interface",
            "start service",
            "tick 5.0",
            "tick 6.0",
            "drive lamp False",
            "stop service",
            "stop interface",
            "stop process",
            "disconnect lamp",
        ]

    def test_a_second_instance_of_a_class(self, make_runtime: MakeRuntime) -> None:
        """P12: a class may be added any number of times, before and after the boot (K32)."""
        runtime = make_runtime()
        first = runtime.instantiate(Counter, "first")
        runtime.boot()
        second = runtime.hot_add(Counter, "second", properties={"label": "b"})
        third = runtime.instantiate(Counter, "third")
        runtime.emit(Tick())
        assert [each.count for each in (first, second, third)] == [1, 1, 1]
        assert runtime.registry.map("ICounter", "label")["b"] is second
        assert runtime.registry.all("ICounter") == [first, second, third]

    @pytest.mark.parametrize("step", ["constructor", "connect", "activate", "contract"])
    def test_one_that_fails_leaves_nothing(self, make_runtime: MakeRuntime, step: str) -> None:
        """P12: what kept it from starting is raised, and the name is free again (K32)."""

        def fail_in(now: str) -> None:
            if now == step:
                raise OSError(f"no {now}")

        class Bad(Device):
            level = output(int, safe=0)

            def connect(self) -> None:
                fail_in("connect")

            @level.drive
            def drive(self, value: int) -> int:
                return value

            @lifecycle.activate
            def activate(self) -> None:
                fail_in("activate")

            @on(Tick)
            def handle(self, event: Any) -> None:
                seen.append(event)

            @command
            def act(self) -> None:
                pass

        @provides(IThing)
        class Incomplete(Bad):
            pass

        def make() -> Device:
            fail_in("constructor")
            return Incomplete("x") if step == "contract" else Bad("x")

        seen: list[Any] = []
        runtime = make_runtime()
        runtime.boot()
        with pytest.raises((OSError, ConfigError)):
            runtime.hot_add(make())
        runtime.emit(Tick())
        assert seen == []
        assert "x" not in runtime.status()["components"]
        assert list(runtime.devices) == []
        assert runtime.registry.find(Device) is None
        assert runtime.commands.all() == []
        runtime.hot_add(NotingProcess("x", Steps()))

    def test_a_failing_device_is_tried_again_by_its_owner(self, make_runtime: MakeRuntime) -> None:
        """P12: the very instance that failed can be added again."""

        class Flaky(Sensor):
            def connect(self) -> None:
                super().connect()
                if self.connected == 1:
                    raise OSError("no answer")

        runtime = make_runtime()
        runtime.boot()
        flaky = Flaky("flaky")
        flaky.disconnect = lambda: None  # type: ignore[method-assign]
        with pytest.raises(OSError, match="no answer"):
            runtime.hot_add(flaky)
        runtime.hot_add(flaky)
        assert flaky.online

    def test_refusals(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """P12: a name that is taken, a part that is there, and a missing requirement are named."""

        class Needy(NotingProcess):
            lamp = requires(Lamp)

        runtime = make_runtime()
        runtime.boot()
        process = runtime.hot_add(NotingProcess("process", steps))
        with pytest.raises(ConfigError, match="process: two parts of this name"):
            runtime.hot_add(NotingProcess("process", steps))
        with pytest.raises(ConfigError, match="again: this very part is there already, as process"):
            runtime.hot_add(process, "again")
        with pytest.raises(ConfigError, match=r"needy\.lamp: requires a Lamp, but there is none"):
            runtime.hot_add(Needy("needy", steps))
        with pytest.raises(TypeError, match="is no component"):
            runtime.hot_add(object())
        assert list(runtime.status()["components"]) == ["process"]
        assert process.name == "process"

    def test_a_requirement_that_has_failed_is_named(self, sim: Simulation, steps: Steps) -> None:
        """P12: a part is not added while what it requires is there but not at work."""

        class Missing(Lamp):
            def connect(self) -> None:
                raise OSError("no lamp")

        class Needy(NotingProcess):
            lamp = requires(Lamp)

        runtime = sim.runtime()
        runtime.register(Missing("lamp", steps), optional=True)
        runtime.boot()
        with pytest.raises(UnavailableError, match="needy: nobody provides Lamp"):
            runtime.hot_add(Needy("needy", steps))
        assert list(runtime.status()["components"]) == ["lamp"]

    def test_an_optional_one_may_fail(self, sim: Simulation) -> None:
        """P5: an optional part that is added and fails is tried again, and polled when it comes."""

        class Late(Sensor):
            def connect(self) -> None:
                super().connect()
                if self.clock.monotonic() < 3.0:
                    raise OSError("no answer")

        runtime = sim.runtime()
        runtime.boot()
        late = Late("late")
        runtime.hot_add(late, optional=True)
        assert runtime.status()["state"] == "degraded"
        sim.advance(10.0)
        assert runtime.status()["state"] == "running"
        assert len(late.polled_at) >= 4

    def test_before_the_boot_and_after_the_shutdown(
        self, make_runtime: MakeRuntime, steps: Steps
    ) -> None:
        """P12: hot changes need a runtime that runs, and the error says what it is."""
        runtime = make_runtime()
        part = NotingProcess("part", steps)
        with pytest.raises(LifecycleError, match="hot add of part: the runtime is created"):
            runtime.hot_add(part)
        runtime.boot()
        runtime.shutdown()
        changes: list[Callable[[], object]] = [
            lambda: runtime.hot_add(part),
            lambda: runtime.hot_remove("part"),
            lambda: runtime.hot_update(part),
        ]
        for change in changes:
            with pytest.raises(LifecycleError, match="part: the runtime is stopped"):
                change()
        assert steps.all == []

    def test_by_two_threads_at_once(self, make_runtime: MakeRuntime, eager_switching: None) -> None:
        """P12: of many threads that add parts of one name, one succeeds and the others are told."""
        runtime = make_runtime()
        runtime.boot()
        for number in range(10):
            steps = Steps()
            refused: list[Exception] = []

            def add(name: str = f"p{number}", steps: Steps = steps, refused: Any = refused) -> None:
                try:
                    runtime.hot_add(NotingProcess(name, steps))
                except ConfigError as error:
                    refused.append(error)

            threads = [threading.Thread(target=add) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(LONG_S)
            assert len(steps.of("start")) == 1
            assert len(refused) == 3
        assert len(runtime.processes) == 10


class TestWhileStopping:
    def test_a_change_in_progress(self, sim: Simulation, steps: Steps) -> None:
        """P6: a shutdown waits for the change that goes on, and stops what it has added."""

        class Slow(NotingProcess):
            def start(self, ctx: Context) -> None:
                super().start(ctx)
                ctx.clock.sleep(1.0)

        runtime = sim.runtime()
        runtime.register(Lamp("lamp", steps))
        runtime.boot()
        errors: list[Exception] = []

        def add() -> None:
            try:
                runtime.hot_add(Slow("slow", steps))
            except LifecycleError as error:
                errors.append(error)

        adding = sim.clock.Thread(add, "adding")
        adding.start()
        sim.advance(0.5)
        runtime.shutdown()
        assert sim.clock.monotonic() == 1.0
        assert steps.of("st", "dis") == ["start slow", "stop slow", "disconnect lamp"]
        adding.join()
        assert "slow: not started: the runtime is stop" in str(errors[0])

    def test_what_has_not_started_is_not_stopped(self, sim: Simulation, steps: Steps) -> None:
        """A shutdown that comes between a part's attachment and its start calls neither its start
        nor its stop."""

        class Late(NotingProcess):
            def attach(self, ctx: Context) -> None:
                super().attach(ctx)
                ctx.clock.sleep(1.0)

            @lifecycle.deactivate
            def rest(self) -> None:
                steps("deactivate late")

        runtime = sim.runtime()
        runtime.boot()
        errors: list[Exception] = []

        def add() -> None:
            try:
                runtime.hot_add(Late("late", steps))
            except LifecycleError as error:
                errors.append(error)

        adding = sim.clock.Thread(add, "adding")
        adding.start()
        sim.advance(0.5)
        runtime.shutdown()
        adding.join()
        assert "late: not started: the runtime is stopping" in str(errors[0])
        assert steps.of("st", "de") == []

    def test_a_change_that_hangs(self, sim: Simulation, steps: Steps) -> None:
        """P6: the shutdown passes over a change that hangs; who waits behind it is refused."""

        class Hanging(NotingProcess):
            def start(self, ctx: Context) -> None:
                ctx.clock.sleep(100.0)
                super().start(ctx)

            @on(Message)
            def handle(self, event: Any) -> None:
                self.steps(f"handled {event.payload.name}")

        runtime = sim.runtime(shutdown_limit_s=5.0)
        runtime.register(Lamp("lamp", steps))
        runtime.boot()
        failed = messages_of(runtime, message.ShutdownStepFailed)
        errors: list[str] = []

        def add(part: Process) -> None:
            try:
                runtime.hot_add(part)
            except LifecycleError as error:
                errors.append(str(error))

        parts = [Hanging("hanging", steps), NotingProcess("behind", steps)]
        threads = [sim.clock.Thread(partial(add, part), part.name) for part in parts]
        for thread in threads:
            thread.start()
            sim.advance(0.1)
        runtime.shutdown()
        assert sim.clock.monotonic() <= 0.2 + 9.0
        assert runtime.phase == "stopped"
        assert [each.step for each in failed] == ["boot or hot change"]
        assert steps.all[-1] == "disconnect lamp"
        sim.advance(200.0)
        assert errors[0] == "hot add of behind: the runtime is stopping; it has to be running"
        assert "hanging: not started: the runtime is stopped" in errors[1]
        assert steps.all[-2:] == ["start hanging", "stop hanging"]
        assert "behind" not in str(steps.all)

    def test_inside_a_turn(self, sim: Simulation, steps: Steps) -> None:
        """P6: a change that a handler asks for while the runtime stops is refused, and told."""
        runtime = sim.runtime()
        runtime.subscribe(
            message.RuntimeShuttingDown, lambda _: runtime.hot_add(NotingProcess("late", steps))
        )
        failed = messages_of(runtime, message.HotChangeFailed)
        runtime.boot()
        runtime.shutdown()
        sim.advance(1.0)
        assert [each.change for each in failed] == ["hot add of late"]
        assert steps.all == []
