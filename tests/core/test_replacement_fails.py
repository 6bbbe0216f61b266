"""New versions that fail: the old ones go on (promise P12)."""

from __future__ import annotations

from typing import Any

import pytest

from edgekernel import (
    Context,
    Effect,
    Process,
    Signal,
    command,
    component,
    computed,
    effect,
    lifecycle,
    message,
    on,
    requires,
)
from edgekernel.core.errors import (
    ConfigError,
    LifecycleError,
)
from tests.core.parts import (
    MakeRuntime,
    NotingProcess,
    Simulation,
    Steps,
    Tick,
    messages_of,
)
from tests.core.versions import V1, V2, Base, Consumer, ICounter, version


def failing(step: str) -> Any:
    """Make a version that fails where it is told."""

    def fail_in(now: str) -> None:
        if now == step:
            raise OSError(f"no {now}")

    class Bad(Base):
        def __init__(self) -> None:
            super().__init__()
            fail_in("constructor")

        @lifecycle.activate
        def activate(self) -> None:
            fail_in("activate")

        @lifecycle.restore
        def restore(self, known: Any) -> None:
            fail_in("restore")

    if step == "contract":
        return version("bad", type("Lacking", (), {}))
    return version("bad", Bad)


class TestRollback:
    @pytest.mark.parametrize("step", ["constructor", "activate", "restore", "contract"])
    def test_the_old_version_goes_on(self, make_runtime: MakeRuntime, step: str) -> None:
        """P12: whatever fails in the new version, the old one is at work as before (K7)."""
        runtime = make_runtime()
        seen: list[str] = []

        class Working(Base):
            @on(Tick)
            def handle(self, event: Any) -> None:
                self.count += 1

            @computed
            def double(self) -> int:
                return 2 * self.level.get()

            @effect
            def follow(self) -> None:
                seen.append(f"{self.number} {self.double()}")

            @command
            def act(self) -> str:
                return self.number

        old = runtime.register(version("v1", Working))
        consumer = runtime.register(Consumer())
        runtime.boot()
        failed = messages_of(runtime, message.HotUpdateFailed)
        with pytest.raises((OSError, ConfigError)):
            runtime.hot_update(failing(step))
        assert [each.part for each in failed] == ([] if step == "async" else ["counter"])
        assert consumer.counter is old
        assert set(consumer.given) == {old}
        runtime.emit(Tick())
        assert old.count == 1
        seen.clear()
        old.level.set(4)
        assert seen == ["v1 8"]
        assert runtime.invoke("counter.act") == "v1"
        assert runtime.status()["components"]["counter"]["state"] == "active"
        assert runtime.registry.consumers("counter") == ["consumer"]

    def test_an_effect_that_fails_is_no_failure(self, make_runtime: MakeRuntime) -> None:
        """P12: as at boot, an effect that raises is reported, and the new version stays."""
        runtime = make_runtime()
        runtime.register(V1)
        runtime.boot()

        class Raising(Base):
            @effect
            def follow(self) -> None:
                raise ValueError("oops")

        errors = messages_of(runtime, message.EffectError)
        [new] = runtime.hot_update(version("v2", Raising))
        assert runtime.registry.require(ICounter) is new
        assert [each.error for each in errors] == ["ValueError: oops"]

    @pytest.mark.parametrize("step", ["constructor", "activate", "restore"])
    def test_one_of_several_fails(self, make_runtime: MakeRuntime, step: str) -> None:
        """P12: when one instance cannot be replaced, all stay as they were."""
        made: list[Any] = []

        class Third(Base):
            def __init__(self) -> None:
                super().__init__()
                made.append(self)
                self.fail("constructor")

            def fail(self, now: str) -> None:
                if now == step and self in made[2:]:
                    raise OSError(f"no {now}")

            @lifecycle.activate
            def activate(self) -> None:
                self.fail("activate")

            @lifecycle.restore
            def restore(self, known: Any) -> None:
                self.fail("restore")

        runtime = make_runtime()
        olds = [runtime.instantiate(V1, name) for name in ("a", "b", "c")]
        seen: list[list[Any]] = []

        class Watching(Process):
            name = "watching"
            counters: Any = requires(list[ICounter])

            @effect
            def follow(self) -> None:
                seen.append(self.counters)

        runtime.register(Watching)
        runtime.boot()
        with pytest.raises(OSError, match=f"no {step}"):
            runtime.hot_update(version("v2", Third))
        assert all(each == olds for each in seen)
        assert runtime.registry.all(ICounter) == olds
        assert runtime.hot_update(V2) == runtime.registry.all(ICounter)

    def test_what_had_begun_is_ended(self, make_runtime: MakeRuntime) -> None:
        """P12: a new version that had been activated is deactivated, and its effects end."""
        steps = Steps()
        shared = Signal(0)

        class Bad(Base):
            @lifecycle.activate
            def activate(self) -> None:
                steps("activate")
                Effect(lambda: steps(f"effect {shared.get()}"))

            @lifecycle.deactivate
            def deactivate(self) -> None:
                steps("deactivate")

            @lifecycle.restore
            def restore(self, known: Any) -> None:
                raise OSError("no")

        runtime = make_runtime()
        runtime.register(V1)
        runtime.boot()
        with pytest.raises(OSError, match="no"):
            runtime.hot_update(version("bad", Bad))
        shared.set(1)
        assert steps.all == ["activate", "effect 0", "deactivate"]

    def test_by_a_handler(self, make_runtime: MakeRuntime, sim: Any) -> None:
        """P2, P12: inside a turn the update is made beside it; a failure is told."""
        runtime = sim.runtime()
        runtime.register(V1)
        runtime.boot()
        failed = messages_of(runtime, message.HotChangeFailed)
        runtime.subscribe(
            Tick, lambda event: runtime.hot_update([V2, failing("restore")][event.payload.n])
        )
        runtime.emit(Tick(0))
        sim.advance(0.1)
        assert runtime.registry.require(ICounter).version() == "v2"
        runtime.emit(Tick(1))
        sim.advance(0.1)
        assert runtime.registry.require(ICounter).version() == "v2"
        assert [each.change for each in failed] == ["hot update of counter"]

    def test_a_restore_that_hangs(self, sim: Any) -> None:
        """P12: a turn that takes too long is given up; when it ends, the old version is live."""

        class Slow(Base):
            @lifecycle.restore
            def restore(self, known: Any) -> None:
                sim.clock.sleep(30.0)

        class Counting(Base):
            @on(Tick)
            def handle(self, event: Any) -> None:
                self.count += 1

        runtime = sim.runtime(slow_turn_s=100.0)
        old = runtime.register(version("v1", Counting))
        runtime.boot()
        with pytest.raises(TimeoutError):
            runtime.hot_update(version("v2", Slow))
        runtime.emit(Tick())
        sim.advance(60.0)
        assert old.count == 1
        assert runtime.registry.require(ICounter) is old

    def test_a_shutdown_meanwhile(self, sim: Any) -> None:
        """P6: an update that is overtaken by a shutdown is rolled back, and nothing restarts."""
        steps = Steps()

        class Slow(NotingProcess):
            def start(self, ctx: Context) -> None:
                super().start(ctx)
                ctx.clock.sleep(2.0)

        runtime = sim.runtime()
        runtime.register(NotingProcess("part", steps))
        runtime.boot()
        errors: list[Exception] = []

        def update() -> None:
            try:
                runtime.hot_update(Slow("part", steps))
            except LifecycleError as error:
                errors.append(error)

        sim.clock.Thread(update, "updating").start()
        sim.advance(1.0)
        runtime.shutdown()
        sim.advance(10.0)
        assert str(errors[0]) == "part: not updated: the runtime is stopping"
        assert steps.all == ["start part", "start part", "stop part", "stop part"]


class TestChildren:
    def parent(self, steps: Steps, number: str, *children: str, fail: bool = False) -> Any:
        class Parent(Base):
            @lifecycle.activate
            def activate(self, ctx: Context) -> None:
                for child in children:
                    ctx.spawn(NotingProcess(child, steps))
                steps(f"active {self.number}")

            @lifecycle.restore
            def restore(self, known: Any) -> None:
                if fail:
                    raise OSError("no")

        return version(number, Parent)

    def test_are_exchanged(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """P12: the new version's children take the places of the old one's."""
        runtime = make_runtime()
        runtime.register(self.parent(steps, "v1", "same", "old"))
        runtime.boot()
        runtime.hot_update(self.parent(steps, "v2", "same", "new"))
        assert list(runtime.processes) == ["same", "new"]
        assert steps.all == [
            "start same", "start old", "active v1", "active v2",
            "stop old", "stop same", "start same", "start new",
        ]  # fmt: skip
        runtime.shutdown()
        assert len(steps.of("start")) == len(steps.of("stop"))

    def test_stay_when_it_fails(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """P12: the children of the old version live on when the new one fails."""
        runtime = make_runtime()
        runtime.register(self.parent(steps, "v1", "same", "old"))
        runtime.boot()
        before = dict(runtime.processes)
        with pytest.raises(OSError, match="no"):
            runtime.hot_update(self.parent(steps, "v2", "same", "new", fail=True))
        assert runtime.processes == before
        assert steps.of("stop") == []

    def test_one_that_does_not_start(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """P3: a child of the new version that fails is told; the update stands."""

        class Bad(NotingProcess):
            def start(self, ctx: Context) -> None:
                raise OSError("no child")

        class Parent(Base):
            @lifecycle.activate
            def activate(self, ctx: Context) -> None:
                ctx.spawn(Bad("child", steps))

        runtime = make_runtime()
        runtime.register(V1)
        runtime.boot()
        failed = messages_of(runtime, message.HotChangeFailed)
        runtime.hot_update(version("v2", Parent))
        assert [(each.change, each.error) for each in failed] == [
            ("spawn by counter", "OSError: no child")
        ]
        assert runtime.registry.require(ICounter).version() == "v2"


def test_a_part_that_is_down_is_replaced_by_one_that_starts(sim: Simulation, steps: Steps) -> None:
    """P5, P12: what has failed, or waits, is updated by starting the new version in its place; if
    that does not start, the old one keeps its place and its retries."""

    class Broken(NotingProcess):
        name = "radio"

        def __init__(self) -> None:
            self.steps = steps

        def start(self, ctx: Context) -> None:
            super().start(ctx)
            raise OSError("no antenna")

    class Fixed(NotingProcess):
        name = "radio"

        def __init__(self) -> None:
            self.steps = steps

    class Missing(Fixed):
        absent = requires(str)

    runtime = sim.runtime()
    runtime.register(component("radio")(Broken), optional=True)
    told = messages_of(runtime, message.HotUpdated)
    runtime.boot()
    with pytest.raises(OSError, match="no antenna"):
        runtime.hot_update(component("radio")(Broken))
    assert runtime.status()["components"]["radio"]["state"] == "failed"
    before = len(steps.of("start"))
    sim.advance(5.0)
    assert len(steps.of("start")) > before
    runtime.hot_update(component("radio")(Missing))
    assert runtime.status()["components"]["radio"]["state"] == "waiting"
    steps.all.clear()
    [fixed] = runtime.hot_update(component("radio")(Fixed))
    assert runtime.status()["state"] == "running"
    assert runtime.processes["radio"] is fixed
    sim.advance(100.0)
    assert steps.all == ["start radio"]
    assert len(told) == 2
    runtime.shutdown()
    assert steps.all == ["start radio", "stop radio"]
