"""Boot, and when handlers run (promise P5)."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from edgekernel import (
    Context,
    Device,
    Event,
    Interface,
    Message,
    Process,
    Runtime,
    Service,
    Signal,
    command,
    computed,
    effect,
    message,
    on,
    reading,
    requires,
)
from edgekernel.core.errors import (
    BootError,
    ConfigError,
    LifecycleError,
)
from tests.core.parts import (
    LONG_S,
    Lamp,
    MakeRuntime,
    NotingInterface,
    NotingProcess,
    NotingService,
    Simulation,
    Steps,
    Tick,
    Until,
    leaves,
    messages_of,
)


class TestBoot:
    def test_who_waits_for_what_has_failed(self, make_runtime: MakeRuntime) -> None:
        """P5: a device without the one it depends on is no error of its own: the one that has
        failed says who waits for it, directly or behind others."""

        class Broken(Device):
            def connect(self) -> None:
                raise OSError(f"{self.id} is broken")

        class Behind(Device):
            def __init__(self, id: str, *depends: str) -> None:
                super().__init__(id)
                self.depends = depends

        runtime = make_runtime()
        for device in (
            Broken("bus"),
            Behind("expander", "bus"),
            Behind("relay", "expander"),
            Broken("lamp"),
            Behind("fan", "lamp"),
        ):
            runtime.attach_device(device)
        with pytest.raises(BootError) as caught:
            runtime.boot()
        assert [(str(error), error.__notes__) for error in caught.value.exceptions] == [
            ("bus is broken", ["while attaching device 'bus'", "expander, relay wait for it"]),
            ("lamp is broken", ["while attaching device 'lamp'", "fan waits for it"]),
        ]

    def test_order(self, make_runtime: MakeRuntime, steps: Steps, until: Until) -> None:
        """P5: devices, processes, interfaces, services start in this order, whatever came first."""
        runtime = make_runtime()
        runtime.register(NotingService("service", steps))
        runtime.register(NotingInterface("interface", steps))
        runtime.register(NotingProcess("b", steps))
        runtime.register(NotingProcess("a", steps))
        runtime.register(Lamp("lamp", steps))
        runtime.boot()
        until(lambda: bool(steps.of("start service")))
        expected = ["connect lamp", "start b", "start a", "start interface", "start service"]
        assert steps.of("connect", "start") == expected

    def test_says_what_happens(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """P5: boot and shutdown tell each step as a message."""
        runtime = make_runtime()
        runtime.register(Lamp("lamp", steps))
        runtime.register(NotingProcess("process", steps))
        runtime.register(NotingInterface("interface", steps))
        names: list[str] = []
        runtime.subscribe(Message, lambda event: names.append(event.payload.name))
        runtime.boot()
        runtime.shutdown("test")
        assert names == [
            "runtime.booting",
            "device.attached",
            "device.online",
            "process.started",
            "interface.started",
            "runtime.booted",
            "runtime.shutting_down",
            "interface.stopped",
            "process.stopped",
            "device.detached",
            "runtime.shutdown",
        ]

    def test_twice_does_nothing(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """P5: booting a running runtime changes nothing; a stopped one does not boot again."""
        runtime = make_runtime()
        runtime.register(NotingProcess("process", steps))
        runtime.boot()
        runtime.boot()
        assert steps.of("start") == ["start process"]
        runtime.shutdown()
        with pytest.raises(LifecycleError, match="boots once"):
            runtime.boot()

    def test_parts_added_after_the_boot(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """A part that comes after the boot is started at once; after the end it is refused."""
        runtime = make_runtime()
        runtime.boot()
        runtime.register(NotingProcess("late", steps))
        assert steps.of("start") == ["start late"]
        runtime.shutdown()
        with pytest.raises(LifecycleError, match="hot add of later: the runtime is stopped"):
            runtime.register(NotingProcess("later", steps))
        assert "later" not in runtime.status()["components"]

    def test_names_are_unique(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """Two parts of one name, of whatever role, and parts without one, are refused."""

        class Named:
            name = "named"

        runtime = make_runtime()
        runtime.register(Lamp("x", steps))
        with pytest.raises(ConfigError, match="x: two parts of this name"):
            runtime.register(NotingProcess("x", steps))
        with pytest.raises(ConfigError, match="needs a name"):
            runtime.register(NotingProcess("", steps))
        with pytest.raises(TypeError, match="is no component"):
            runtime.register(Named())

    def test_all_failing_devices_are_in_one_error(
        self, make_runtime: MakeRuntime, steps: Steps
    ) -> None:
        """P5: boot gathers every failure into one tree that names the parts."""

        class Broken(Lamp):
            def connect(self) -> None:
                raise OSError(f"no {self.id}")

        runtime = make_runtime()
        for device in (Broken("b1", steps), Lamp("good", steps), Broken("b2", steps)):
            runtime.register(device)
        runtime.register(NotingProcess("process", steps))
        with pytest.raises(BootError) as caught:
            runtime.boot()
        assert leaves(caught.value) == ["no b1", "no b2"]
        notes = [note for e in caught.value.exceptions for note in e.__notes__]
        assert notes == ["while attaching device 'b1'", "while attaching device 'b2'"]
        assert runtime.phase == "stopped"
        assert steps.of("start") == []
        assert steps.all[-2:] == ["drive good False", "disconnect good"]

    def test_all_failing_roles_are_in_one_error(
        self, make_runtime: MakeRuntime, steps: Steps
    ) -> None:
        """P5: failing processes are gathered; the others are stopped in reverse, safe first."""

        class Failing(NotingProcess):
            def start(self, ctx: Context) -> None:
                super().start(ctx)
                raise ValueError(f"not today: {self.name}")

        class Switching(NotingProcess):
            lamp = requires(Lamp)

            def start(self, ctx: Context) -> None:
                super().start(ctx)
                self.lamp.power.set(True)

        runtime = make_runtime()
        runtime.register(Lamp("lamp", steps))
        runtime.register(Switching("good", steps))
        runtime.register(Failing("f1", steps))
        runtime.register(Failing("f2", steps))
        runtime.register(NotingInterface("interface", steps))
        with pytest.raises(BootError) as caught:
            runtime.boot()
        assert leaves(caught.value) == ["not today: f1", "not today: f2"]
        assert steps.all == [
            "connect lamp",
            "drive lamp False",
            "start good",
            "drive lamp True",
            "start f1",
            "start f2",
            "drive lamp False",
            "stop f2",
            "stop f1",
            "stop good",
            "disconnect lamp",
        ]

    def test_a_missing_requirement_is_named_before_hardware_is_touched(
        self, make_runtime: MakeRuntime, steps: Steps
    ) -> None:
        """P5: every missing or ambiguous requirement is named, and no device is connected."""

        class Fan(Lamp):
            pass

        class Needy(NotingProcess):
            fan = requires(Fan)
            hall = requires(Lamp, id="hall")
            any_lamp = requires(Lamp)

        runtime = make_runtime()
        runtime.register(Lamp("l1", steps))
        runtime.register(Lamp("l2", steps))
        runtime.register(Needy("needy", steps))
        with pytest.raises(BootError) as caught:
            runtime.boot()
        assert leaves(caught.value) == [
            "needy.fan: requires a Fan, but there is none",
            "needy.hall: requires a Lamp with id 'hall', but there is none; there are: l1, l2",
            "needy.any_lamp: requires a Lamp, but several fit: l1, l2",
        ]
        assert steps.all == []

    def test_requirements_are_there_in_start(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """P5: what a role requires is attached and set before its `start`."""

        class Needy(NotingProcess):
            lamp = requires(Lamp, id="l2")

            def start(self, ctx: Context) -> None:
                assert self.lamp.attached
                self.steps(f"has {self.lamp.id}")

        runtime = make_runtime()
        for part in (Needy("needy", steps), Lamp("l1", steps), Lamp("l2", steps)):
            runtime.register(part)
        runtime.boot()
        assert steps.of("has") == ["has l2"]

    def test_a_bad_reading_at_boot_is_no_failure(
        self, make_runtime: MakeRuntime, steps: Steps, until: Until
    ) -> None:
        """P5: an effect on a device that was not polled yet waits for its first value."""

        class Room(Device):
            temperature = reading(float)

            def poll(self) -> None:
                self.temperature.update(30.0)

        class Cooling(Process):
            name = "cooling"
            fan = requires(Lamp)
            room = requires(Room)

            @computed
            def too_hot(self) -> bool:
                return self.room.temperature.value > 28.0

            @effect
            def drive_fan(self) -> None:
                self.fan.power.set(self.too_hot())

        runtime = make_runtime()
        for part in (Lamp("fan", steps), Room("room"), Cooling()):
            runtime.register(part)
        runtime.boot()
        until(lambda: "drive fan True" in steps.all)
        runtime.shutdown()
        assert steps.all[-2:] == ["drive fan False", "disconnect fan"]

    def test_as_a_context_manager(self, steps: Steps) -> None:
        """P5, P6: `with Runtime()` boots and shuts down, and tells an error as the reason."""
        runtime = Runtime(shutdown_limit_s=5.0)
        runtime.register(NotingProcess("process", steps))
        stopped = messages_of(runtime, message.RuntimeShutdown)

        def use() -> None:
            with runtime as entered:
                assert entered is runtime
                assert runtime.phase == "running"
                raise KeyError("oops")

        with pytest.raises(KeyError):
            use()
        assert runtime.phase == "stopped"
        assert [told.reason for told in stopped] == ["KeyError: 'oops'"]
        assert steps.all == ["start process", "stop process"]

    def test_run_returns_after_the_shutdown(self, make_runtime: MakeRuntime) -> None:
        """`run` boots and blocks until something shuts the runtime down."""
        runtime = make_runtime()
        runtime.subscribe(message.RuntimeBooted, lambda _: runtime.shutdown("done"))
        runtime.run()
        assert runtime.phase == "stopped"


class TestHandlersWithinTheirTime:
    """P5: no handler runs before its component started or after it stopped."""

    def test_processes(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """P5: events, effects and commands reach a process between its start and its stop only."""
        level = Signal(0)

        class Full(NotingProcess):
            def start(self, ctx: Context) -> None:
                ctx.emit(Tick(1))
                level.set(1)
                super().start(ctx)

            def handle_event(self, ctx: Context, evt: Event) -> None:
                self.steps(f"event {evt.payload.name}")

            @on(Tick)
            def tick(self, event: Event) -> None:
                self.steps("on tick")

            @effect
            def follow(self) -> None:
                self.steps(f"effect {level.get()}")

            @command
            def act(self) -> None:
                self.steps("command")

            def stop(self, ctx: Context) -> None:
                super().stop(ctx)
                ctx.emit(Tick(2))
                level.set(2)

        runtime = make_runtime()
        runtime.register(Full("full", steps))
        runtime.boot()
        runtime.emit(Tick(3))
        runtime.invoke("full.act")
        runtime.shutdown()
        runtime.emit(Tick(4))
        level.set(3)
        assert (steps.all[0], steps.all[-1]) == ("start full", "stop full")
        assert steps.of("on", "effect", "command") == ["effect 1", "on tick", "command"]

    def test_services(self, make_runtime: MakeRuntime, steps: Steps, until: Until) -> None:
        """P5: events reach a service between its start and its stop only."""
        started, go_on = threading.Event(), threading.Event()

        class Slow(NotingService):
            def start(self, ctx: Context) -> None:
                started.set()
                assert go_on.wait(LONG_S)
                super().start(ctx)

            @on(Tick)
            def handle(self, event: Event) -> None:
                self.steps(f"tick {event.payload.n}")  # type: ignore[attr-defined]

        runtime = make_runtime()
        runtime.register(Slow("slow", steps))
        runtime.boot()
        assert started.wait(LONG_S)
        runtime.emit(Tick(1))
        go_on.set()
        until(lambda: runtime.status()["services"]["slow"]["running"])
        runtime.emit(Tick(2))
        runtime.shutdown()
        runtime.emit(Tick(3))
        assert steps.all == ["start slow", "tick 2", "stop slow"]

    def test_behind_a_backlog(self, sim: Simulation) -> None:
        """P5: with more events waiting than a shutdown has time for, no handler overlaps `stop`
        or follows it."""
        wrong: list[str] = []
        handled: list[int] = []

        class Strict:
            name = ""
            live = False
            busy = False

            def start(self, ctx: Context) -> None:
                self.live = True

            @on(Tick)
            def handle(self, event: Event) -> None:
                if not self.live:
                    wrong.append(f"{self.name}: tick while not live")
                self.busy = True
                sim.clock.sleep(0.1)
                self.busy = False
                handled.append(event.payload.n)  # type: ignore[attr-defined]

            def stop(self, ctx: Context) -> None:
                if self.busy:
                    wrong.append(f"{self.name}: stop during a handler")
                self.live = False

        runtime = sim.runtime(slow_turn_s=LONG_S)
        for role in (Process, Interface, Service):
            name = role.__name__.lower()
            runtime.register(type(f"Strict{role.__name__}", (Strict, role), {"name": name})())
        runtime.boot()
        sim.advance(0.01)
        for n in range(100):
            runtime.post(Tick(n))
        sim.advance(0.05)
        runtime.shutdown()
        sim.advance(100.0)
        assert wrong == []
        assert 0 < len(handled) < 100
        assert runtime.phase == "stopped"

    def test_under_fire(
        self, make_runtime: MakeRuntime, until: Until, eager_switching: None
    ) -> None:
        """P5: with four threads emitting all the time, no handler overlaps `stop` or follows it."""
        wrong: list[str] = []

        class Strict:
            name = ""
            live = False
            busy = False

            def start(self, ctx: Context) -> None:
                self.live = True

            def handle_event(self, ctx: Context, evt: Event) -> None:
                self.busy = True
                if not self.live:
                    wrong.append(f"{self.name}: {evt.payload.name} while not live")
                self.busy = False

            def stop(self, ctx: Context) -> None:
                if self.busy:
                    wrong.append(f"{self.name}: stop during a handler")
                self.live = False

        parts: list[Any] = [
            type(f"Strict{role.__name__}", (Strict, role), {"name": role.__name__.lower()})()
            for role in (Process, Interface, Service)
        ]
        runtime = make_runtime(slow_turn_s=LONG_S)
        for part in parts:
            runtime.register(part)
        done = threading.Event()

        def fire() -> None:
            while not done.is_set():
                runtime.emit(Tick())

        threads = [threading.Thread(target=fire) for _ in range(4)]
        for thread in threads:
            thread.start()
        runtime.boot()
        until(lambda: runtime.status()["services"]["service"]["running"])
        runtime.shutdown()
        done.set()
        for thread in threads:
            thread.join(LONG_S)
        assert wrong == []
        assert runtime.phase == "stopped"
