"""Parts removed while the runtime runs: no ghosts (promise P12)."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from edgekernel import (
    Context,
    Effect,
    Process,
    Runtime,
    Signal,
    command,
    component,
    effect,
    message,
    on,
    requires,
)
from edgekernel.core.errors import (
    LifecycleError,
    UnavailableError,
    UnknownTargetError,
)
from tests.core.parts import (
    LONG_S,
    SHORT_S,
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
    Until,
    messages_of,
)


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
        sim.advance(0.5)
        runtime.hot_remove("one")
        one.poll_at(10**9 // 2 + 1)
        sim.advance(1.0)
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
