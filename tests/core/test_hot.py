"""Parts added and removed while the runtime runs (promise P12)."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from edgekernel import (
    Context,
    Device,
    Effect,
    Interface,
    Message,
    Process,
    Runtime,
    Service,
    Signal,
    command,
    component,
    effect,
    lifecycle,
    message,
    on,
    output,
    prop,
    provides,
    requires,
)
from edgekernel.core.errors import (
    ConfigError,
    LifecycleError,
    UnavailableError,
    UnknownTargetError,
)
from tests.core.parts import (
    LONG_S,
    SHORT_S,
    Lamp,
    MakeRuntime,
    NotingInterface,
    NotingProcess,
    NotingService,
    Simulation,
    Steps,
    Tick,
    Until,
    messages_of,
)


class Sensor(Device):
    """Polled every second, unless told otherwise."""

    def __init__(self, id: str, group: str = "bus") -> None:
        super().__init__(id)
        self.poll_group = group
        self.polled_at: list[float] = []
        self.connected = 0

    def connect(self) -> None:
        self.connected += 1

    def disconnect(self) -> None:
        self.connected -= 1

    def poll(self) -> None:
        self.polled_at.append(self.clock.monotonic())


@component(name="counter")
@provides("ICounter")
@prop("label", "label", "none")
class Counter:
    """A plain component that counts ticks."""

    def __init__(self) -> None:
        self.count = 0

    @on(Tick)
    def count_up(self, event: Any) -> None:
        self.count += 1


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
        for change in (
            lambda: runtime.hot_add(part),
            lambda: runtime.hot_remove("part"),
            lambda: runtime.hot_update(part),
        ):
            with pytest.raises(LifecycleError, match="part: the runtime is stopped"):
                change()
        assert steps.all == []

    def test_by_two_threads_at_once(self, make_runtime: MakeRuntime, eager_switching: None) -> None:
        """P12: of many threads that add parts of one name, one succeeds and the others are told."""
        runtime = make_runtime()
        runtime.boot()
        for number in range(10):
            steps, refused = Steps(), []

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


class IThing(Protocol):
    def missing(self) -> None: ...


class Asking(Process):
    """Asks for a hot change wherever it is told."""

    name = "asking"
    trigger = Signal(0)

    def __init__(self, ask: Callable[[Any], object], where: str) -> None:
        self.ask, self.where = ask, where
        self.trigger = Signal(0)
        self.went_on = False

    def at(self, now: str) -> None:
        if now == self.where:
            self.ask(self.ctx.runtime)
            self.went_on = True

    def start(self, ctx: Context) -> None:
        self.at("start")

    @lifecycle.activate
    def activate(self) -> None:
        self.at("activate")

    @on(Tick)
    def handle(self, event: Any) -> None:
        self.at("handler")

    @effect
    def follow(self) -> None:
        if self.trigger.get():
            self.at("effect")

    @command
    def act(self) -> None:
        self.at("command")


def provoke(runtime: Runtime, asking: Asking, where: str) -> None:
    if where == "handler":
        runtime.emit(Tick())
    elif where == "effect":
        asking.trigger.set(1)
    elif where == "command":
        runtime.invoke("asking.act")


class TestAskedByParts:
    @pytest.mark.parametrize("where", ["handler", "effect", "command"])
    def test_inside_a_turn(self, sim: Simulation, steps: Steps, where: str) -> None:
        """P2, P12: inside a turn a change is made beside it, so that no turn waits."""
        runtime = sim.runtime()

        def ask(runtime: Any) -> None:
            runtime.hot_add(NotingProcess("added", steps))
            steps("asked")

        asking = Asking(ask, where)
        runtime.register(asking)
        runtime.boot()
        provoke(runtime, asking, where)
        sim.advance(0.1)
        assert asking.went_on
        assert steps.all == ["asked", "start added"]

    @pytest.mark.parametrize("where", ["handler", "effect", "command"])
    def test_a_failure_inside_a_turn_is_told(self, sim: Simulation, where: str) -> None:
        """P3, P12: who has gone on already is told in a message what came of it."""
        runtime = sim.runtime()
        asking = Asking(lambda runtime: runtime.hot_remove("nobody"), where)
        runtime.register(asking)
        runtime.boot()
        failed = messages_of(runtime, message.HotChangeFailed)
        provoke(runtime, asking, where)
        sim.advance(0.1)
        [told] = failed
        assert told.change == "hot remove of nobody"
        assert told.error == "UnknownTargetError: no part 'nobody'; there are: asking"

    def test_in_the_order_of_asking(self, make_runtime: MakeRuntime, until: Until) -> None:
        """P12: changes asked for inside one turn are made one after the other, in their order."""
        steps = Steps()

        def ask(runtime: Any) -> None:
            for n in range(20):
                runtime.hot_add(NotingProcess(f"p{n}", steps))
                runtime.hot_remove(f"p{n}")

        runtime = make_runtime()
        runtime.register(Asking(ask, "handler"))
        runtime.boot()
        runtime.emit(Tick())
        until(lambda: len(steps.all) == 40)
        assert steps.all == [f"{do} p{n}" for n in range(20) for do in ("start", "stop")]

    def test_by_a_handler_during_the_boot(self, make_runtime: MakeRuntime, until: Until) -> None:
        """P12: asked for by a handler while the runtime boots, it is made when it has booted."""
        steps = Steps()
        runtime = make_runtime()
        runtime.subscribe(
            message.ProcessStarted,
            lambda event: (
                event.payload.process == "a" and runtime.hot_add(NotingProcess("added", steps))
            ),
        )
        runtime.subscribe(message.RuntimeBooted, lambda _: steps("booted"))
        runtime.register(NotingProcess("a", steps))
        runtime.register(NotingProcess("b", steps))
        runtime.boot()
        until(lambda: "start added" in steps.all)
        assert steps.all == ["start a", "start b", "booted", "start added"]

    @pytest.mark.parametrize("where", ["start", "activate"])
    def test_in_the_start_of_another(self, sim: Simulation, steps: Steps, where: str) -> None:
        """P12: a part that starts may add others: they are there before it goes on."""

        class Ticking(NotingService):
            interval = 1.0

            def tick(self, ctx: Context) -> None:
                self.steps(f"tick {ctx.clock.monotonic()}")

        def ask(runtime: Any) -> None:
            runtime.hot_add(NotingProcess("added", steps))
            runtime.hot_add(Sensor("sensor"))
            runtime.hot_add(Ticking("ticking", steps))
            steps("asked")

        runtime = sim.runtime()
        runtime.register(Asking(ask, where))
        runtime.boot()
        sim.advance(2.5)
        assert steps.all == [
            "start added", "asked", "start ticking", "tick 0.0", "tick 1.0", "tick 2.0",
        ]  # fmt: skip
        assert runtime.devices["sensor"].polled_at == [0.0, 1.0, 2.0]
        runtime.shutdown()
        assert len(steps.of("start")) == len(steps.of("stop"))

    def test_a_part_taken_out_before_its_turn_in_the_boot(
        self, make_runtime: MakeRuntime, steps: Steps
    ) -> None:
        """P12: a part that another one removes while the runtime boots is not started after it."""
        runtime = make_runtime()
        runtime.register(Asking(lambda runtime: runtime.hot_remove("later"), "start"))
        runtime.register(NotingProcess("later", steps))
        runtime.boot()
        assert steps.all == []
        assert list(runtime.processes) == ["asking"]

    def test_by_a_service(self, sim: Simulation, steps: Steps) -> None:
        """P12: a service that adds a part in its tick goes on when it is there, or is told why."""
        errors: list[Exception] = []

        class Adding(NotingService):
            interval = 1.0

            def tick(self, ctx: Context) -> None:
                runtime: Any = ctx.runtime
                try:
                    runtime.hot_add(NotingProcess("added", self.steps))
                except ConfigError as error:
                    errors.append(error)
                self.steps("ticked")

        runtime = sim.runtime()
        runtime.register(Adding("adding", steps))
        runtime.boot()
        sim.advance(1.5)
        assert steps.all == ["start adding", "start added", "ticked", "ticked"]
        assert len(errors) == 1

    @pytest.mark.parametrize("change", ["remove", "update", "poller"])
    def test_a_service_that_takes_itself_out(
        self, sim: Simulation, steps: Steps, change: str
    ) -> None:
        """P12: a service may remove or replace itself, or what it polls, without waiting (B5)."""
        took: list[float] = []

        def ask(runtime: Any, clock: Any) -> None:
            begin = clock.monotonic()
            if change == "update":
                runtime.hot_update(NotingService("self", steps))
            else:
                runtime.hot_remove("self")
            took.append(clock.monotonic() - begin)

        class Leaving(NotingService):
            def tick(self, ctx: Context) -> None:
                ask(ctx.runtime, ctx.clock)

        class LeavingSensor(Sensor):
            def poll(self) -> None:
                super().poll()
                ask(self.ctx.runtime, self.clock)

        runtime = sim.runtime()
        runtime.register(LeavingSensor("self") if change == "poller" else Leaving("self", steps))
        failed = messages_of(runtime, message.ShutdownStepFailed)
        runtime.boot()
        sim.advance(1.0)
        assert took == [0.0]
        assert failed == []
        parts = runtime.status()["components"]
        assert list(parts) == (["self"] if change == "update" else [])
        if change == "update":
            assert steps.all == ["start self", "stop self", "start self"]

    def test_a_service_that_waits_to_change_something_is_removed(self, sim: Simulation) -> None:
        """P12: a service that waits for its change while it is removed keeps nobody waiting."""
        steps = Steps()

        class Slow(NotingProcess):
            def start(self, ctx: Context) -> None:
                ctx.clock.sleep(5.0)
                runtime: Any = ctx.runtime
                runtime.hot_remove("adding")

        class Adding(NotingService):
            def tick(self, ctx: Context) -> None:
                runtime: Any = ctx.runtime
                ctx.clock.sleep(1.0)
                runtime.hot_add(NotingProcess("added", self.steps))

        runtime = sim.runtime()
        runtime.register(Adding("adding", steps))
        errors = messages_of(runtime, message.ServiceError)
        runtime.boot()
        runtime.hot_add(Slow("slow", steps))
        assert sim.clock.monotonic() == 5.0
        assert [each.error for each in errors] == [
            "LifecycleError: hot add of added: not done: who asks for it is being stopped"
        ]
        assert list(runtime.status()["components"]) == ["slow"]


class TestRemove:
    @pytest.fixture
    def runtime(self, make_runtime: MakeRuntime) -> Runtime:
        runtime = make_runtime()
        runtime.boot()
        return runtime

    def test_handlers(self, runtime: Runtime) -> None:
        """P12: no event reaches it (K3)."""
        counter = runtime.hot_add(Counter)
        runtime.emit(Tick())
        runtime.hot_remove("counter")
        runtime.emit(Tick())
        assert counter.count == 1

    def test_effects(self, runtime: Runtime) -> None:
        """P12: neither its effects nor those it has made run, and their cleanup has run (K33)."""
        level = Signal(0)
        seen: list[str] = []

        class Following(Process):
            name = "following"

            def start(self, ctx: Context) -> None:
                self.made = Effect(lambda: seen.append(f"made {level.get()}"))

            @effect
            def follow(self) -> Callable[[], object]:
                seen.append(f"marked {level.get()}")
                return lambda: seen.append("cleaned up")

        runtime.hot_add(Following())
        runtime.hot_remove("following")
        assert sorted(seen) == ["cleaned up", "made 0", "marked 0"]
        level.set(1)
        assert len(seen) == 3

    def test_commands(self, runtime: Runtime) -> None:
        """P12: its commands are unknown."""

        class Acting(Process):
            name = "acting"

            @command
            def act(self) -> None:
                pass

        runtime.hot_add(Acting())
        runtime.invoke("acting.act")
        runtime.hot_remove("acting")
        with pytest.raises(UnknownTargetError):
            runtime.invoke("acting.act")

    def test_injection(self, runtime: Runtime) -> None:
        """P12: nobody is given it any more, and effects that had it run again (K4)."""
        seen: list[int] = []

        class Watching(Process):
            name = "watching"
            counter: Any = requires("ICounter", optional=True)
            counters: Any = requires(list[Counter])

            @effect
            def follow(self) -> None:
                seen.append(len(self.counters) + (self.counter is not None))

        watching = runtime.hot_add(Watching())
        runtime.hot_add(Counter)
        runtime.hot_remove("counter")
        assert seen == [0, 2, 0]
        assert watching.counter is None
        assert runtime.registry.find("ICounter") is None
        assert runtime.registry.consumers("counter") == []

    def test_polling_and_claims(self, sim: Simulation) -> None:
        """P12: a device is disconnected, polled no more, and its poller goes with the last one."""
        runtime = sim.runtime()
        one, two = Sensor("one"), Sensor("two")
        runtime.register(one)
        runtime.boot()
        runtime.hot_add(two)
        sim.advance(1.5)
        runtime.hot_remove("one")
        sim.advance(2.0)
        assert one.polled_at == [0.0, 1.0]
        assert two.polled_at == [0.0, 1.0, 2.0, 3.0]
        assert (one.connected, two.connected) == (0, 1)
        assert list(runtime.devices) == ["two"]
        with pytest.raises(LifecycleError, match="poll:bus: not removed: it polls two"):
            runtime.hot_remove("poll:bus")
        runtime.hot_remove("two")
        assert runtime.status()["components"] == {}
        runtime.hot_add(one)
        sim.advance(0.5)
        assert one.polled_at == [0.0, 1.0, 3.5]

    def test_a_removed_device_that_asks_to_be_polled(self, sim: Simulation) -> None:
        """P12: a device that is gone and still asks for polls does not make its poller spin."""
        runtime = sim.runtime()
        one, two = Sensor("one"), Sensor("two")
        runtime.register(one)
        runtime.register(two)
        runtime.boot()
        runtime.hot_remove("one")
        one.poll_at(0)
        sim.advance(1.5)
        assert runtime.status()["services"]["poll:bus"]["ticks"] <= 3
        assert two.polled_at == [0.0, 1.0]

    def test_during_its_poll(self, sim: Simulation) -> None:
        """P12: a poll that goes on is waited for, so that no driver is called after its end."""

        class Slow(Sensor):
            def poll(self) -> None:
                self.clock.sleep(1.0)
                assert self.connected == 1
                super().poll()

        runtime = sim.runtime()
        slow = Slow("slow")
        runtime.register(slow)
        runtime.boot()
        sim.advance(0.5)
        runtime.hot_remove("slow")
        assert sim.clock.monotonic() == 1.0
        assert slow.polled_at == [1.0]

    def test_services(self, sim: Simulation, steps: Steps) -> None:
        """P12: a removed service does not tick."""

        class Ticking(NotingService):
            interval = 1.0

            def tick(self, ctx: Context) -> None:
                self.steps(f"tick {ctx.clock.monotonic()}")

        runtime = sim.runtime()
        runtime.register(Ticking("ticking", steps))
        runtime.boot()
        sim.advance(1.5)
        runtime.hot_remove("ticking")
        sim.advance(5.0)
        assert steps.all == ["start ticking", "tick 0.0", "tick 1.0", "stop ticking"]
        assert runtime.status()["services"] == {}

    def test_outputs_are_safe(self, runtime: Runtime, steps: Steps) -> None:
        """P8, P12: a removed device is at its safe value, and refuses to be set."""
        lamp = runtime.hot_add(Lamp("lamp", steps))
        lamp.power.set(True)
        runtime.hot_remove("lamp")
        assert steps.all[-2:] == ["drive lamp False", "disconnect lamp"]
        with pytest.raises(UnavailableError):
            lamp.power.set(True)

    def test_the_instance_is_freed(self, runtime: Runtime, steps: Steps) -> None:
        """P12: nothing keeps a removed part, not even what a consumer has read of it."""

        class Watching(Process):
            name = "watching"
            counters: Any = requires(list[Counter])
            lamp = requires(Lamp, optional=True)

        watching = runtime.hot_add(Watching())
        runtime.hot_add(Lamp("lamp", steps))
        runtime.hot_add(NotingService("service", steps))
        counter = weakref.ref(runtime.hot_add(Counter))
        lamp = weakref.ref(watching.lamp)
        service = weakref.ref(runtime.services["service"])
        assert len(watching.counters) == 1
        runtime.emit(Tick())
        for name in ("counter", "lamp", "service"):
            runtime.hot_remove(name)
        gc.collect()
        assert [ref() for ref in (counter, lamp, service)] == [None, None, None]

    def test_refused_while_others_need_it(self, runtime: Runtime, steps: Steps) -> None:
        """P12: who cannot do without it is named, and nothing has changed."""

        class Needy(NotingProcess):
            lamp = requires(Lamp)

        class NeedsThat(NotingProcess):
            depends = ("n1",)

        runtime.hot_add(Lamp("lamp", steps))
        runtime.hot_add(Needy("n1", steps))
        runtime.hot_add(NeedsThat("n2", steps))
        with pytest.raises(LifecycleError, match="lamp: not removed: n1, n2 cannot do without it"):
            runtime.hot_remove("lamp")
        assert steps.of("stop", "disconnect") == []
        runtime.hot_remove("lamp", force=True)
        assert steps.all[-4:] == ["stop n2", "stop n1", "drive lamp False", "disconnect lamp"]
        assert runtime.status()["degraded"] == ["n1", "n2"]

    def test_another_provider_takes_its_place(self, runtime: Runtime, steps: Steps) -> None:
        """P12: who finds another provider needs no force, and is given that one."""

        class Needy(NotingProcess):
            lamp = requires(Lamp)

        @component(name="l")
        class Plain:
            counter: Any = requires("ICounter")

        first = runtime.hot_add(Counter, "first")
        second = runtime.hot_add(Counter, "second")
        plain = runtime.hot_add(Plain)
        assert plain.counter is first
        runtime.hot_remove("first")
        assert plain.counter is second
        with pytest.raises(LifecycleError, match="l cannot do without it"):
            runtime.hot_remove("second")

    def test_unknown(self, runtime: Runtime, steps: Steps) -> None:
        """P11: exact names only; the nearest one is a hint."""
        runtime.hot_add(NotingProcess("process", steps))
        with pytest.raises(UnknownTargetError, match="no part 'proces'; did you mean 'process'"):
            runtime.hot_remove("proces")

    @pytest.mark.parametrize("role", [NotingProcess, NotingInterface, NotingService])
    def test_one_that_hangs(
        self, make_runtime: MakeRuntime, steps: Steps, gate: threading.Event, role: Any
    ) -> None:
        """P12: a stop that hangs is passed over and told; nothing of the part is left."""

        class Hanging(role):  # type: ignore[misc]
            def stop(self, ctx: Context) -> None:
                assert gate.wait(LONG_S)

            @on(Tick)
            def handle(self, event: Any) -> None:
                self.steps("handled")

        runtime = make_runtime(shutdown_limit_s=SHORT_S)
        runtime.boot()
        failed = messages_of(runtime, message.ShutdownStepFailed)
        runtime.hot_add(Hanging("hanging", steps))
        runtime.hot_remove("hanging")
        runtime.emit(Tick())
        assert "handled" not in steps.all
        assert len(failed) == 1
        assert "hanging" in failed[0].step
        runtime.hot_add(NotingProcess("hanging", steps))
        gate.set()

    def test_one_that_raises(self, runtime: Runtime, steps: Steps) -> None:
        """P12: a stop that raises is told, and nothing of the part is left (B7)."""

        class Raising(NotingProcess):
            def stop(self, ctx: Context) -> None:
                raise ValueError("no")

        failed = messages_of(runtime, message.ShutdownStepFailed)
        raising = runtime.hot_add(Raising("raising", steps))
        runtime.hot_remove("raising")
        assert [each.error for each in failed] == ["ValueError: no"]
        assert runtime.status()["components"] == {}
        with pytest.raises(LifecycleError, match="no context"):
            _ = raising.ctx

    def test_by_its_own_handler(self, make_runtime: MakeRuntime, until: Until) -> None:
        """P12: a part may remove itself in a handler; it ends after that handler."""
        steps = Steps()

        class Once(NotingProcess):
            @on(Tick)
            def handle(self, event: Any) -> None:
                runtime: Any = self.ctx.runtime
                runtime.hot_remove(self.name)
                self.steps("handled")

        runtime = make_runtime()
        runtime.boot()
        runtime.hot_add(Once("once", steps))
        runtime.emit(Tick())
        until(lambda: "once" not in runtime.status()["components"])
        assert steps.all == ["start once", "handled", "stop once"]

    def test_a_bundle_that_takes_its_parts_along(self, runtime: Runtime, steps: Steps) -> None:
        """P4 of the seed: a part may remove others while it is removed itself."""

        class Bundle(NotingProcess):
            def stop(self, ctx: Context) -> None:
                runtime: Any = ctx.runtime
                runtime.hot_remove("member")
                super().stop(ctx)

        failed = messages_of(runtime, message.ShutdownStepFailed)
        runtime.hot_add(NotingProcess("member", steps))
        runtime.hot_add(Bundle("bundle", steps))
        runtime.hot_remove("bundle")
        assert steps.of("stop") == ["stop member", "stop bundle"]
        assert failed == []
        assert runtime.status()["components"] == {}

    def test_a_bus_under_a_device(self, runtime: Runtime, steps: Steps) -> None:
        """P5, P12: a bus is connected before its devices, and not removed under them (F10, B2)."""

        class Bus(Lamp):
            pass

        class OnBus(Lamp):
            bus = requires(Bus)

        other = Runtime(shutdown_limit_s=5.0)
        other.register(OnBus("device", steps))
        other.register(Bus("bus", steps))
        with other:
            assert steps.of("connect") == ["connect bus", "connect device"]
            with pytest.raises(LifecycleError, match="device cannot do without it"):
                other.devices.detach("bus")
        assert steps.of("disconnect") == ["disconnect device", "disconnect bus"]


class TestSpawn:
    def parent(self, steps: Steps, where: str = "start") -> NotingProcess:
        class Parent(NotingProcess):
            child: Any = None

            def start(self, ctx: Context) -> None:
                super().start(ctx)
                if where == "start":
                    self.spawn()

            @on(Tick)
            def handle(self, event: Any) -> None:
                self.spawn()

            def spawn(self) -> None:
                child = self.ctx.spawn(NotingProcess("child", self.steps))
                assert self.child in (None, child)
                self.child = child
                self.ctx.spawn(Counter, "child-counter", {"label": "of the child"})

        return Parent("parent", steps)

    def test_lives_with_its_parent(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """A4.9: children start with their parent and are stopped before it, also when it is hot."""
        runtime = make_runtime()
        runtime.register(self.parent(steps))
        runtime.boot()
        assert runtime.status()["components"]["child"]["parent"] == "parent"
        runtime.hot_remove("parent")
        runtime.hot_add(self.parent(steps))
        runtime.shutdown()
        once = ["start parent", "start child", "stop child", "stop parent"]
        assert steps.all == once * 2
        assert list(runtime.status()["components"]) == ["parent", "child", "child-counter"]

    def test_is_idempotent(self, sim: Simulation, steps: Steps) -> None:
        """A4.9: spawning a child of a name again returns the one that is there."""
        runtime = sim.runtime()
        runtime.register(self.parent(steps))
        runtime.boot()
        runtime.emit(Tick())
        runtime.emit(Tick())
        sim.advance(0.1)
        assert steps.of("start") == ["start parent", "start child"]

    def test_by_a_handler(self, sim: Simulation, steps: Steps) -> None:
        """P2: a handler that spawns goes on at once; the child is started beside it."""
        runtime = sim.runtime()
        runtime.register(self.parent(steps, "handler"))
        runtime.boot()
        runtime.emit(Tick())
        sim.advance(0.1)
        assert steps.all == ["start parent", "start child"]
        assert "child-counter" in runtime.status()["components"]

    def test_a_name_that_is_taken(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """A4.9: a name of another part is refused, and the parent does not start."""
        runtime = make_runtime()
        runtime.boot()
        runtime.hot_add(NotingProcess("child", steps))
        with pytest.raises(ConfigError, match="child: two parts of this name"):
            runtime.hot_add(self.parent(steps))
        assert list(runtime.status()["components"]) == ["child"]
        assert steps.all == ["start child", "start parent", "stop parent"]

    def test_after_the_end_of_its_parent(self, sim: Simulation, steps: Steps) -> None:
        """P12: a child asked for by a handler whose part is removed meanwhile is not started."""
        runtime = sim.runtime()
        runtime.register(self.parent(steps, "handler"))
        runtime.boot()
        failed = messages_of(runtime, message.HotChangeFailed)
        runtime.subscribe(Tick, lambda _: runtime.hot_remove("parent"))
        contexts = [runtime.processes["parent"].ctx]
        runtime.hot_remove("parent")
        with pytest.raises(LifecycleError, match="its parent parent has gone"):
            contexts[0].spawn(NotingProcess("orphan", steps))
        assert failed == []
        assert runtime.status()["components"] == {}

    def test_a_fresh_component_is_no_stray_root(self, make_runtime: MakeRuntime) -> None:
        """K15: a class that is only spawned has no instance of its own."""
        runtime = make_runtime()
        runtime.register(self.parent(Steps()))
        runtime.boot()
        assert len(runtime.registry.all("ICounter")) == 1

    def test_a_service_that_is_restarted(self, sim: Simulation, steps: Steps) -> None:
        """A4.9: a service that spawns in each of its starts keeps the one child it has."""

        class Parent(NotingService):
            backoff_s = 1.0

            def start(self, ctx: Context) -> None:
                super().start(ctx)
                ctx.spawn(NotingProcess("child", self.steps))

            def tick(self, ctx: Context) -> None:
                if ctx.clock.monotonic() < 1.0:
                    raise ValueError("no")

        runtime = sim.runtime()
        runtime.register(Parent("parent", steps))
        runtime.boot()
        sim.advance(5.0)
        assert steps.all == [
            "start parent", "start child", "stop parent", "start parent",
        ]  # fmt: skip
        runtime.shutdown()
        assert steps.all[-2:] in (["stop child", "stop parent"], ["stop parent", "stop child"])


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
        threads = [sim.clock.Thread(lambda part=part: add(part), part.name) for part in parts]
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


class TestManagers:
    def test_devices(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """A11.2: devices are attached, found, listed by kind and detached through one mapping."""

        class Fan(Lamp):
            kind = "fan"

        runtime = make_runtime()
        lamp, fan = Lamp("lamp", steps), Fan("fan", steps)
        runtime.devices.attach(lamp)
        assert steps.all == []
        runtime.boot()
        runtime.devices.attach(fan)
        assert fan.online
        assert runtime.devices["lamp"] is lamp
        assert runtime.devices.get("other") is None
        assert runtime.devices.list() == [lamp, fan]
        assert runtime.devices.list(kind="fan") == [fan]
        assert list(runtime.devices) == ["lamp", "fan"]
        for id in runtime.devices:
            runtime.devices.detach(id)
        assert len(runtime.devices) == 0
        assert not lamp.attached
        runtime.devices.attach(fan)
        with pytest.raises(ConfigError, match="fan: two parts"):
            runtime.devices.attach(Fan("fan", steps))

    def test_by_role(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """B2.1: processes, interfaces and services are there by name."""
        runtime = make_runtime()
        parts: list[Any] = [
            NotingProcess("p", steps), NotingInterface("i", steps), NotingService("s", steps),
        ]  # fmt: skip
        for part in parts:
            runtime.register(part)
        assert dict(runtime.processes) == {"p": parts[0]}
        assert dict(runtime.interfaces) == {"i": parts[1]}
        assert dict(runtime.services) == {"s": parts[2]}
        assert isinstance(runtime.services["s"], Service)
        assert isinstance(runtime.interfaces["i"], Interface)
