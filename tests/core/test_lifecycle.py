"""Boot and shutdown (promises P5 and P6)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
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
    output,
    reading,
    requires,
)
from edgekernel.core.errors import BootError, ConfigError, LifecycleError, UnavailableError

LONG_S = 10.0
SHORT_S = 0.5
"""The shutdown limit where something hangs."""

MakeRuntime = Callable[..., Runtime]
Until = Callable[[Callable[[], bool]], None]


class Tick(Message):
    n: int = 0


class Steps:
    """What happened, in order, noted by parts."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def __call__(self, step: str) -> None:
        self.all.append(step)

    def of(self, *prefixes: str) -> list[str]:
        return [step for step in self.all if step.startswith(prefixes)]


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hanging parts wait for; it opens when the test ends, so that they end too."""
    event = threading.Event()
    yield event
    event.set()


class Lamp(Device):
    """A device that notes what is done to it."""

    power = output(bool, safe=False)

    def __init__(self, id: str, steps: Steps) -> None:
        super().__init__(id)
        self.steps = steps

    def connect(self) -> None:
        self.steps(f"connect {self.id}")

    def disconnect(self) -> None:
        self.steps(f"disconnect {self.id}")

    @power.drive
    def drive(self, value: bool) -> bool:
        self.steps(f"drive {self.id} {value}")
        return value


class Part:
    """The part of a role that notes its lifecycle; mixed into each role."""

    name = ""
    steps: Steps

    def start(self, ctx: Context) -> None:
        self.steps(f"start {self.name}")

    def stop(self, ctx: Context) -> None:
        self.steps(f"stop {self.name}")


class NotingProcess(Part, Process):
    def __init__(self, name: str, steps: Steps) -> None:
        self.name, self.steps = name, steps


class NotingInterface(Part, Interface):
    def __init__(self, name: str, steps: Steps) -> None:
        self.name, self.steps = name, steps


class NotingService(Part, Service):
    interval = 3600.0

    def __init__(self, name: str, steps: Steps) -> None:
        self.name, self.steps = name, steps


def messages_of(runtime: Runtime, cls: type[Message]) -> list[Any]:
    """Collect the messages of a class from now on."""
    found: list[Any] = []
    runtime.subscribe(cls, lambda event: found.append(event.payload))
    return found


def leaves(error: BaseException) -> list[str]:
    """The texts of all failures in an error tree."""
    if isinstance(error, BaseExceptionGroup):
        return [text for inner in error.exceptions for text in leaves(inner)]
    return [str(error)]


class TestBoot:
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
            "needy.hall: requires a Lamp with id 'hall', but there is none",
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


class TestShutdown:
    def test_is_the_reverse_of_the_boot(
        self, make_runtime: MakeRuntime, steps: Steps, until: Until
    ) -> None:
        """P6: services, interfaces, processes, devices stop in the reverse of their order."""
        runtime = make_runtime()
        for name in ("d1", "d2"):
            runtime.register(Lamp(name, steps))
        for kind, names in ((NotingProcess, "ab"), (NotingInterface, "cd"), (NotingService, "ef")):
            for name in names:
                runtime.register(kind(name, steps))
        runtime.boot()
        until(lambda: {"start e", "start f"} <= set(steps.all))
        runtime.shutdown()
        stops = steps.of("stop", "disconnect")
        assert sorted(stops[:2]) == ["stop e", "stop f"]
        rest = ["stop d", "stop c", "stop b", "stop a", "disconnect d2", "disconnect d1"]
        assert stops[2:] == rest

    def test_outputs_are_safe_before_anything_stops_and_stay_so(
        self, make_runtime: MakeRuntime, steps: Steps, until: Until
    ) -> None:
        """P6, P8: outputs reach safe first; a later set is refused with the reason."""
        refused: list[str] = []

        class Stubborn(NotingService):
            lamp = requires(Lamp)

            def start(self, ctx: Context) -> None:
                super().start(ctx)
                self.lamp.power.set(True)

            def stop(self, ctx: Context) -> None:
                super().stop(ctx)
                try:
                    self.lamp.power.set(True)
                except UnavailableError as error:
                    refused.append(str(error))

        runtime = make_runtime()
        runtime.register(Lamp("lamp", steps))
        runtime.register(Stubborn("stubborn", steps))
        runtime.boot()
        until(lambda: runtime.status()["services"]["stubborn"]["running"])
        runtime.shutdown("enough")
        relevant = steps.of("drive", "stop", "disconnect")
        assert relevant[:4] == [
            "drive lamp False",
            "drive lamp True",
            "drive lamp False",
            "stop stubborn",
        ]
        assert "drive lamp True" not in relevant[3:]
        [text] = refused
        assert text == "lamp.power: not set to True: the node is stopping: enough"

    def test_twice_and_before_boot(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """P6: a second shutdown is harmless, and so is one of a runtime that never booted."""
        runtime = make_runtime()
        runtime.register(NotingProcess("process", steps))
        told = messages_of(runtime, message.RuntimeShutdown)
        runtime.shutdown("too early")
        runtime.boot()
        runtime.shutdown("first")
        runtime.shutdown("second")
        assert steps.all == ["start process", "stop process"]
        assert [each.reason for each in told] == ["first"]

    def test_from_many_threads_at_once(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """P6: many simultaneous shutdowns are one, and all return after it."""
        runtime = make_runtime()
        runtime.register(NotingProcess("process", steps))
        runtime.boot()
        states: list[str] = []

        def stop() -> None:
            runtime.shutdown()
            states.append(str(runtime.phase))

        threads = [threading.Thread(target=stop) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG_S)
        assert states == ["stopped"] * 8
        assert steps.of("stop") == ["stop process"]

    def test_from_a_handler(self, make_runtime: MakeRuntime, steps: Steps, until: Until) -> None:
        """P6: inside a handler it returns at once, and the shutdown goes on beside it."""
        runtime = make_runtime()

        class Quitting(NotingProcess):
            @on(Tick)
            def quit(self, event: Event) -> None:
                self.ctx.runtime.shutdown("a handler said so")
                self.steps("handler goes on")

        runtime.register(Quitting("quitting", steps))
        runtime.boot()
        runtime.emit(Tick())
        until(lambda: runtime.phase == "stopped")
        assert steps.all == ["start quitting", "handler goes on", "stop quitting"]

    def test_from_the_message_about_it(self, make_runtime: MakeRuntime) -> None:
        """P6: a shutdown while RuntimeShuttingDown is handled does not recurse."""
        runtime = make_runtime()
        told = messages_of(runtime, message.RuntimeShuttingDown)
        runtime.subscribe(message.RuntimeShuttingDown, lambda _: runtime.shutdown("again"))
        runtime.boot()
        runtime.shutdown("once")
        assert [each.reason for each in told] == ["once"]
        assert runtime.phase == "stopped"

    @pytest.mark.parametrize("step", ["start", "tick", "stop"])
    def test_from_a_service(
        self, make_runtime: MakeRuntime, steps: Steps, until: Until, step: str
    ) -> None:
        """P6: a service may shut down from start, tick or stop, and is stopped itself."""

        class Quitting(NotingService):
            def shut_down(self, ctx: Context, now: str) -> None:
                if now == step:
                    ctx.runtime.shutdown(f"from {now}")

            def start(self, ctx: Context) -> None:
                super().start(ctx)
                self.shut_down(ctx, "start")

            def tick(self, ctx: Context) -> None:
                self.shut_down(ctx, "tick")

            def stop(self, ctx: Context) -> None:
                super().stop(ctx)
                self.shut_down(ctx, "stop")

        runtime = make_runtime()
        told = messages_of(runtime, message.RuntimeShuttingDown)
        runtime.register(Lamp("lamp", steps))
        runtime.register(Quitting("quitting", steps))
        runtime.boot()
        if step == "stop":
            until(lambda: runtime.status()["services"]["quitting"]["running"])
            runtime.shutdown("from outside")
        until(lambda: runtime.phase == "stopped")
        assert steps.all[-1] == "disconnect lamp"
        assert steps.of("stop") == ["stop quitting"]
        assert [each.reason for each in told] == [f"from {step if step != 'stop' else 'outside'}"]

    @pytest.mark.parametrize("kind", ["device", "process"])
    def test_in_the_middle_of_the_boot(
        self, make_runtime: MakeRuntime, steps: Steps, kind: str
    ) -> None:
        """P6: a shutdown by a part that starts ends the boot; what had started is stopped once."""

        class QuittingLamp(Lamp):
            def connect(self) -> None:
                super().connect()
                if kind == "device":
                    self.ctx.runtime.shutdown("from connect")

        class Quitting(NotingProcess):
            def start(self, ctx: Context) -> None:
                super().start(ctx)
                ctx.runtime.shutdown("from start")

        runtime = make_runtime()
        told = messages_of(runtime, message.RuntimeShutdown)
        booted = messages_of(runtime, message.RuntimeBooted)
        runtime.register(QuittingLamp("lamp", steps))
        runtime.register(Lamp("later lamp", steps))
        runtime.register(Quitting("quitting", steps))
        runtime.register(NotingProcess("later", steps))
        with pytest.raises((LifecycleError, BootError)):
            runtime.boot()
        assert runtime.phase == "stopped"
        assert [each.reason for each in told] == [
            "from connect" if kind == "device" else "from start"
        ]
        assert booted == []
        assert "start later" not in steps.all
        starts = steps.of("start", "connect")
        assert len(steps.of("stop", "disconnect")) == len(starts)
        assert len(set(steps.of("stop", "disconnect"))) == len(starts)

    def test_from_another_thread_during_the_boot(
        self, make_runtime: MakeRuntime, steps: Steps
    ) -> None:
        """P6: a shutdown from outside waits for the part that is starting, then stops all once."""
        starting, go_on = threading.Event(), threading.Event()

        class Slow(NotingProcess):
            def start(self, ctx: Context) -> None:
                super().start(ctx)
                starting.set()
                assert go_on.wait(LONG_S)
                self.steps("started slow")

        runtime = make_runtime()
        runtime.register(Lamp("lamp", steps))
        runtime.register(Slow("slow", steps))
        runtime.register(NotingProcess("later", steps))
        failures: list[BaseException] = []

        def boot() -> None:
            try:
                runtime.boot()
            except Exception as error:
                failures.append(error)

        booting = threading.Thread(target=boot)
        booting.start()
        assert starting.wait(LONG_S)
        stopping = threading.Thread(target=runtime.shutdown)
        stopping.start()
        go_on.set()
        stopping.join(LONG_S)
        booting.join(LONG_S)
        assert runtime.phase == "stopped"
        assert len(failures) == 1
        assert steps.of("start", "stop") == ["start slow", "started slow", "stop slow"]
        assert steps.all[-1] == "disconnect lamp"

    def test_while_the_boot_hangs(
        self, make_runtime: MakeRuntime, steps: Steps, gate: threading.Event, until: Until
    ) -> None:
        """P6: a part that hangs in its start is passed over; when it ends, it is let go."""
        starting = threading.Event()

        class Hanging(Lamp):
            def connect(self) -> None:
                super().connect()
                starting.set()
                assert gate.wait(LONG_S)

        runtime = make_runtime(shutdown_limit_s=SHORT_S)
        runtime.register(Lamp("lamp", steps))
        runtime.register(Hanging("hanging", steps))
        failures: list[BaseException] = []

        def boot() -> None:
            try:
                runtime.boot()
            except Exception as error:
                failures.append(error)

        booting = threading.Thread(target=boot)
        booting.start()
        assert starting.wait(LONG_S)
        runtime.shutdown()
        assert runtime.phase == "stopped"
        assert "disconnect lamp" in steps.all
        gate.set()
        booting.join(LONG_S)
        assert len(failures) == 1
        assert "disconnect hanging" in steps.all
        assert not runtime.devices["hanging"].attached

    def test_a_service_is_not_started_after_it(
        self, make_runtime: MakeRuntime, steps: Steps, until: Until
    ) -> None:
        """P6: when the first service shuts down at once, no later one begins behind its back."""

        class Quitting(NotingService):
            def start(self, ctx: Context) -> None:
                ctx.runtime.shutdown("no")

        for _ in range(20):
            runtime = make_runtime()
            ghosts = [NotingService(f"s{n}", steps) for n in range(5)]
            runtime.register(Quitting("quitting", steps))
            for ghost in ghosts:
                runtime.register(ghost)
            runtime.boot()
            until(lambda runtime=runtime: runtime.phase == "stopped")  # type: ignore[misc]
            assert len(steps.of("start")) == len(steps.of("stop")) - steps.of("stop").count(
                "stop quitting"
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
