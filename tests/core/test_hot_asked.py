"""Hot changes that parts ask for: in a turn, in their start, on their thread (promise P12)."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from edgekernel import (
    Context,
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
)
from edgekernel.core.errors import (
    ConfigError,
    LifecycleError,
)
from tests.core.parts import (
    Counter,
    MakeRuntime,
    NotingProcess,
    NotingService,
    Sensor,
    Simulation,
    Steps,
    Tick,
    Until,
    messages_of,
)


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

    @command
    async def act_async(self) -> None:
        self.at("async command")


def provoke(runtime: Runtime, asking: Asking, where: str) -> None:
    if where == "handler":
        runtime.emit(Tick())
    elif where == "effect":
        asking.trigger.set(1)
    elif where == "command":
        runtime.invoke("asking.act")
    elif where == "async command":
        runtime.invoke("asking.act_async")


class TestAskedByParts:
    @pytest.mark.parametrize("where", ["handler", "effect", "command", "async command"])
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

    @pytest.mark.parametrize("where", ["handler", "effect", "command", "async command"])
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

    def test_a_failure_of_any_class_ends_no_later_change(self, sim: Simulation) -> None:
        """P3, P12: after an error that is no Exception the next change is made all the same."""
        steps = Steps()

        class Asking2(Asking):
            def __init__(self) -> None:
                raise CancelledError

        def ask(runtime: Any) -> None:
            runtime.hot_update(Asking2)
            runtime.hot_add(NotingProcess("added", steps))

        runtime = sim.runtime()
        asking = Asking(ask, "handler")
        runtime.register(asking)
        runtime.boot()
        failed = messages_of(runtime, message.HotChangeFailed)
        provoke(runtime, asking, "handler")
        sim.advance(0.1)
        assert [each.error for each in failed] == ["CancelledError: "]
        assert steps.all == ["start added"]

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
                event.payload == message.ProcessStarted("a")
                and runtime.hot_add(NotingProcess("added", steps))
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

        sensor = Sensor("sensor")

        def ask(runtime: Any) -> None:
            runtime.hot_add(NotingProcess("added", steps))
            runtime.hot_add(sensor)
            runtime.hot_add(Ticking("ticking", steps))
            steps("asked")

        runtime = sim.runtime()
        runtime.register(Asking(ask, where))
        runtime.boot()
        sim.advance(2.5)
        assert steps.all == [
            "start added", "asked", "start ticking", "tick 0.0", "tick 1.0", "tick 2.0",
        ]  # fmt: skip
        assert sensor.polled_at == [0.0, 1.0, 2.0]
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


def test_a_new_version_that_waits_for_a_change_is_taken_back_at_once(
    sim: Simulation, steps: Steps
) -> None:
    """P12: a service whose place is not settled yet, and which asks for a change on its thread,
    is sent away when the exchange is taken back: nobody waits for it in vain."""
    errors: list[Exception] = []

    class Old(Service):
        interval = 1.0

        def __init__(self, name: str = "") -> None:
            self.name = name or self.name

    class Asks(Service):
        interval = 1.0

        def start(self, ctx: Context) -> None:
            if self.name == "second":
                ctx.clock.sleep(1.0)
                raise OSError("no second")

        def tick(self, ctx: Context) -> None:
            steps("asks")
            try:
                ctx.runtime.hot_add(NotingProcess("added", steps))
            except LifecycleError as error:
                errors.append(error)

    old, new = component("worker")(Old), component("worker")(Asks)
    runtime = sim.runtime()
    runtime.register(old("first"))
    runtime.register(old("second"))
    runtime.boot()
    sim.advance(0.5)
    with pytest.raises(OSError, match="no second"):
        runtime.hot_update(new)
    assert sim.clock.monotonic() < 3.0
    assert steps.all == ["asks"]
    assert "who asks for it is being stopped" in str(errors[0])
    sim.advance(0.1)
    assert runtime.services.running() == ["first", "second"]


class TestWaitingHasALimit:
    """A change that hangs keeps nobody waiting for ever."""

    class Hanging(NotingProcess):
        def start(self, ctx: Context) -> None:
            super().start(ctx)
            ctx.clock.sleep(1000.0)

    def hang(self, sim: Simulation, steps: Steps) -> Runtime:
        """A runtime in which a hot add hangs since 5 s."""
        runtime = sim.runtime(change_limit_s=20.0)
        runtime.register(NotingProcess("there", steps))
        runtime.boot()
        add = partial(runtime.hot_add, self.Hanging("hanging", steps))
        sim.clock.Thread(add, "adding").start()
        sim.advance(5.0)
        steps.all.clear()
        return runtime

    @pytest.mark.parametrize(
        ("label", "ask"),
        [
            ("hot add of new", lambda runtime: runtime.hot_add(Counter, "new")),
            ("hot remove of there", lambda runtime: runtime.hot_remove("there")),
            (
                "hot update of there",
                lambda runtime: runtime.hot_update(NotingProcess("there", Steps())),
            ),
            ("retry of hanging", lambda runtime: runtime.retry("hanging")),
        ],
    )
    def test_it_is_refused(
        self, sim: Simulation, steps: Steps, label: str, ask: Callable[[Any], object]
    ) -> None:
        """P12: the error names the change that hangs and since when; nothing has changed."""
        runtime = self.hang(sim, steps)
        there = runtime.processes["there"]
        told = f"{label}: not done, nothing has changed: hot add of hanging goes on, .* 25.0 s"
        with pytest.raises(LifecycleError, match=told):
            ask(runtime)
        assert sim.clock.monotonic() == 25.0
        assert runtime.processes["there"] is there
        assert list(runtime.status()["components"]) == ["there", "hanging"]
        assert steps.all == []

    def test_inside_a_turn(self, sim: Simulation, steps: Steps) -> None:
        """P12: what handlers ask for is refused with a message, each so long after it was asked
        for; what comes when the way is free is done, in the order of asking."""
        runtime = self.hang(sim, steps)
        failed: list[tuple[float, str]] = []

        def note(event: Any) -> None:
            failed.append((sim.clock.monotonic(), event.payload.change))

        runtime.subscribe(message.HotChangeFailed, note)
        names = iter(range(100))

        def ask(event: object) -> None:
            for _ in range(2):
                runtime.hot_add(NotingProcess(f"p{next(names)}", steps))

        runtime.subscribe(Tick, ask)
        runtime.emit(Tick())
        sim.advance(10.0)
        runtime.emit(Tick())
        sim.advance(970.0)
        expected = [(25.0, 0), (25.0, 1), (35.0, 2), (35.0, 3)]
        assert failed == [(when, f"hot add of p{n}") for when, n in expected]
        runtime.emit(Tick())
        sim.advance(20.0)
        assert steps.all == ["start p4", "start p5"]
        assert len(failed) == 4

    def test_what_hangs_was_asked_for_inside_a_turn(self, sim: Simulation, steps: Steps) -> None:
        """P12: a change that a handler has asked for, and that hangs, keeps those that handlers
        ask for later from being told no more than others."""
        runtime = sim.runtime(change_limit_s=20.0)
        runtime.boot()
        failed = messages_of(runtime, message.HotChangeFailed)

        def ask(event: object) -> None:
            runtime.hot_add(self.Hanging("hanging", steps))
            runtime.hot_add(NotingProcess("behind", steps))

        runtime.subscribe(Tick, ask)
        runtime.emit(Tick())
        sim.advance(21.0)
        assert [each.change for each in failed] == ["hot add of behind"]
        assert "hot add of hanging goes on" in failed[0].error

    def test_a_boot_that_hangs(self, sim: Simulation, steps: Steps) -> None:
        """P12: who asks for a change while the runtime boots is told that the boot goes on."""
        runtime = sim.runtime(change_limit_s=20.0)
        runtime.register(self.Hanging("hanging", steps))
        sim.clock.Thread(runtime.boot, "booting").start()
        sim.advance(5.0)
        with pytest.raises(LifecycleError, match=r"hot add of new: .* boot goes on, .* 25.0 s"):
            runtime.hot_add(Counter, "new")
