"""New versions in the places of parts, all or nothing (promise P12)."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any, Protocol

import pytest

from edgekernel import (
    Context,
    Effect,
    Process,
    Runtime,
    Signal,
    command,
    component,
    computed,
    effect,
    lifecycle,
    message,
    on,
    prop,
    provides,
    requires,
)
from edgekernel.core.errors import ConfigError, LifecycleError, UnknownTargetError
from tests.core.parts import (
    LONG_S,
    MakeRuntime,
    NotingProcess,
    Steps,
    Tick,
    messages_of,
)


class ICounter(Protocol):
    def version(self) -> str: ...


class Base:
    """A component of which the tests make versions."""

    number = "v0"

    def __init__(self) -> None:
        self.count = 0
        self.level = Signal(0)
        self.seen: list[Any] = []

    def version(self) -> str:
        return self.number


def version(number: str, *bases: type, **body: Any) -> Any:
    """Make a version of the component "counter"."""
    cls = type(number, bases or (Base,), {"number": number, **body})
    return component(name="counter")(provides(ICounter)(prop("label", "label", "none")(cls)))


V1, V2 = version("v1"), version("v2")


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
    if step == "async":

        async def later(self: Any) -> int:
            return 1

        return version("bad", Bad, later=computed(later))
    return version("bad", Bad)


class Consumer(Process):
    """Records what it is given."""

    name = "consumer"
    counter: Any = requires(ICounter)

    def __init__(self) -> None:
        self.given: list[Any] = []

    @effect
    def follow(self) -> None:
        self.given.append(self.counter)


@pytest.fixture
def runtime(make_runtime: MakeRuntime) -> Runtime:
    """A runtime that runs, with one counter."""
    runtime = make_runtime()
    runtime.register(V1)
    runtime.boot()
    return runtime


class TestWhat:
    def test_a_class_replaces_all_its_instances(self, make_runtime: MakeRuntime) -> None:
        """A5.1: each instance of the component is replaced, with its name and its properties."""
        runtime = make_runtime()
        runtime.instantiate(V1, "one", {"label": "a", "zone": 1})
        two = runtime.instantiate(V1, "two", {"label": "b"})
        runtime.register(NotingProcess("other", Steps()))
        runtime.boot()
        two.label = "c"
        told = messages_of(runtime, message.HotUpdated)
        new = runtime.hot_update(V2)
        assert [each.version() for each in new] == ["v2", "v2"]
        assert runtime.registry.map(ICounter, "label") == {"a": new[0], "c": new[1]}
        assert runtime.registry.find(ICounter, zone=1) is new[0]
        assert runtime.registry.find(ICounter, id="two") is new[1]
        assert [each.part for each in told] == ["one", "two"]
        assert list(runtime.status()["components"]) == ["one", "two", "other"]

    def test_an_instance_replaces_the_part_of_its_name(
        self, make_runtime: MakeRuntime, steps: Steps
    ) -> None:
        """P12: a new instance takes the place of the part of its name, in every order."""
        runtime = make_runtime()
        for name in ("a", "b", "c"):
            runtime.register(NotingProcess(name, steps))
        runtime.boot()
        new = NotingProcess("b", steps)
        assert runtime.hot_update(new) == [new]
        assert runtime.processes["b"] is new
        runtime.shutdown()
        assert steps.all == [
            "start a", "start b", "start c", "start b", "stop b", "stop c", "stop b", "stop a",
        ]  # fmt: skip

    def test_a_second_instance_of_a_role_keeps_its_name(self, make_runtime: MakeRuntime) -> None:
        """A5.1: an instance that was registered under a name of its own keeps it."""

        class Fan(Process):
            name = "fan"

        runtime = make_runtime()
        runtime.register(Fan, "first")
        runtime.register(Fan, "second")
        runtime.boot()
        new = runtime.hot_update(Fan)
        assert [each.name for each in new] == ["first", "second"]

    def test_refusals(self, runtime: Runtime, steps: Steps) -> None:
        """P12: what cannot be replaced is named, and nothing has changed."""

        @component(name="counting")
        class Other:
            pass

        class Lamp(Process):
            name = "counter"

        with pytest.raises(UnknownTargetError, match=r"no part is a component 'counting'.*counter"):
            runtime.hot_update(Other)
        with pytest.raises(UnknownTargetError, match="no part 'nobody'"):
            runtime.hot_update(NotingProcess("nobody", steps))
        with pytest.raises(LifecycleError, match="counter: a component cannot become a process"):
            runtime.hot_update(Lamp())
        old = runtime.registry.require(ICounter)
        with pytest.raises(LifecycleError, match="the very part that is there"):
            runtime.hot_update(old)
        assert runtime.registry.require(ICounter) is old
        assert old.version() == "v1"

    def test_a_contract_that_others_need(self, runtime: Runtime) -> None:
        """P12: a version without a contract that somebody requires is refused, naming who."""
        consumer = runtime.hot_add(Consumer())
        bare = component(name="counter")(type("Bare", (Base,), {}))
        with pytest.raises(LifecycleError, match="consumer requires a ICounter, which the new"):
            runtime.hot_update(bare)
        assert consumer.counter.version() == "v1"
        runtime.hot_remove("consumer")
        runtime.hot_update(bare)
        assert runtime.registry.find(ICounter) is None

    def test_a_contract_that_another_one_provides(self, runtime: Runtime) -> None:
        """P12: who finds another provider does not keep a version from losing the contract."""
        other = runtime.hot_add(V1, "other")
        consumer = runtime.hot_add(Consumer())
        second = component(name="lone")(provides(ICounter)(type("Lone", (Base,), {})))
        runtime.hot_add(second, "third")
        bare = component(name="lone")(type("Lone", (Base,), {}))
        runtime.hot_update(bare)
        assert other is not consumer.counter
        assert consumer.counter.version() == "v1"

    def test_a_new_requirement_that_is_missing(self, runtime: Runtime) -> None:
        """P12: a version that requires what is not there is refused, naming it."""
        demanding = version("v2", log=requires("ILog"))
        demanding.log.__set_name__(demanding, "log")
        with pytest.raises(LifecycleError, match="counter: not updated: nobody provides ILog"):
            runtime.hot_update(demanding)
        assert runtime.registry.require(ICounter).version() == "v1"


class TestState:
    def test_plain_data_and_signals(self, runtime: Runtime) -> None:
        """A5.1: without hooks, plain data that both versions have is carried over, as copies."""
        old: Any = runtime.registry.require(ICounter)
        old.count, old.seen, old.gone = 7, [1, {"a": (2,)}], "away"
        old.level.set(3)
        [new] = runtime.hot_update(V2)
        assert (new.count, new.seen, new.level.get()) == (7, [1, {"a": (2,)}], 3)
        assert new.seen is not old.seen
        assert new.level is not old.level
        assert not hasattr(new, "gone")

    def test_hooks(self, make_runtime: MakeRuntime) -> None:
        """A5.1: what `snapshot` returns is given to `restore`, after `activate`."""
        steps = Steps()

        class Hooked(Base):
            @lifecycle.activate
            def activate(self) -> None:
                steps(f"activate {self.number}")

            @lifecycle.snapshot
            def save(self) -> dict[str, int]:
                return {"count": self.count}

            @lifecycle.restore
            def load(self, known: dict[str, int]) -> None:
                steps(f"restore {self.number} {known}")
                self.count = known["count"] * 10

        runtime = make_runtime()
        old = runtime.register(version("v1", Hooked))
        runtime.boot()
        old.count = 4
        [new] = runtime.hot_update(version("v2", Hooked))
        assert steps.all == ["activate v1", "activate v2", "restore v2 {'count': 4}"]
        assert new.count == 40

    def test_computeds_are_live(self, make_runtime: MakeRuntime) -> None:
        """P12: computeds of the new version follow its own signals (K6)."""

        class Deriving(Base):
            @computed
            def text(self) -> str:
                return f"{self.number}:{self.level.get()}"

        runtime = make_runtime()
        old = runtime.register(version("v1", Deriving))
        runtime.boot()
        old.level.set(1)
        assert old.text() == "v1:1"
        [new] = runtime.hot_update(version("v2", Deriving))
        assert new.text() == "v2:1"
        new.level.set(2)
        assert new.text() == "v2:2"

    def test_effects_see_the_restored_state(self, make_runtime: MakeRuntime) -> None:
        """P12: no effect of the new version runs before it has the state (K8)."""
        seen: list[str] = []

        class Following(Base):
            @effect
            def follow(self) -> None:
                seen.append(f"{self.number}:{self.level.get()}:{self.count}")

        runtime = make_runtime()
        old = runtime.register(version("v1", Following))
        runtime.boot()
        old.count = 5
        old.level.set(1)
        runtime.hot_update(version("v2", Following))
        assert seen == ["v1:0:0", "v1:1:5", "v2:1:5"]

    def test_the_old_version_is_silent_and_freed(self, make_runtime: MakeRuntime) -> None:
        """P12: no handler, effect or command of the old version is left (K3)."""
        shared = Signal(0)
        seen: list[str] = []

        class Busy(Base):
            @lifecycle.activate
            def activate(self) -> None:
                Effect(lambda: seen.append(f"made {self.number} {shared.get()}"))

            @effect
            def follow(self) -> None:
                seen.append(f"marked {self.number} {shared.get()}")

            @on(Tick)
            def handle(self, event: Any) -> None:
                seen.append(f"handled {self.number}")

            @command
            def act(self) -> str:
                return self.number

        runtime = make_runtime()
        old = weakref.ref(runtime.register(version("v1", Busy)))
        consumer = Consumer()
        consumer.given = []
        runtime.register(consumer)
        runtime.boot()
        runtime.hot_update(version("v2", Busy))
        seen.clear()
        consumer.given.clear()
        shared.set(1)
        runtime.emit(Tick())
        assert sorted(seen) == ["handled v2", "made v2 1", "marked v2 1"]
        assert runtime.invoke("counter.act") == "v2"
        gc.collect()
        assert old() is None

    def test_deactivated_once(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """P12: the old version is ended as in a removal, after the new one is in its place."""

        class Ending(Base):
            @lifecycle.deactivate
            def deactivate(self) -> None:
                current: Any = runtime.registry.require(ICounter)
                steps(f"end {self.number} while {current.version()} is there")

        runtime = make_runtime()
        runtime.register(version("v1", Ending))
        runtime.boot()
        runtime.hot_update(version("v2", Ending))
        assert steps.all == ["end v1 while v2 is there"]


class TestConsumers:
    def test_see_one_version_or_the_other(self, runtime: Runtime) -> None:
        """P12: an effect runs once per update, and is never given nothing (K40)."""
        consumer = runtime.hot_add(Consumer())
        for number in range(50):
            runtime.hot_update(version(f"v{number}"))
        versions = [given.version() for given in consumer.given]
        assert versions == ["v1", *(f"v{number}" for number in range(50))]

    def test_several_instances_change_as_one(self, make_runtime: MakeRuntime) -> None:
        """P12: who is given several sees all of one version or all of the other."""
        seen: list[list[str]] = []

        class Watching(Process):
            name = "watching"
            counters: Any = requires(list[ICounter])

            @effect
            def follow(self) -> None:
                seen.append([each.version() for each in self.counters])

        runtime = make_runtime()
        for name in ("a", "b", "c"):
            runtime.instantiate(V1, name)
        runtime.register(Watching)
        runtime.boot()
        runtime.hot_update(V2)
        assert seen == [["v1"] * 3, ["v2"] * 3]

    def test_from_any_thread(self, runtime: Runtime, eager_switching: None) -> None:
        """P12: threads that read what they are given find a service that works, all the time."""
        consumer = runtime.hot_add(Consumer())
        done, wrong, reads = threading.Event(), [], [0]

        def read() -> None:
            while not done.is_set():
                try:
                    given = consumer.counter
                    if given is None or runtime.registry.find(ICounter) is None:
                        wrong.append("nobody")
                except Exception as error:
                    wrong.append(repr(error))
                reads[0] += 1

        thread = threading.Thread(target=read)
        thread.start()
        for number in range(100):
            runtime.hot_update(version(f"v{number}"))
        done.set()
        thread.join(LONG_S)
        assert wrong == []
        assert reads[0] > 0

    def test_every_event_is_handled_once(
        self, make_runtime: MakeRuntime, eager_switching: None
    ) -> None:
        """P12: during 200 updates no event is handled by two versions, and none by neither."""
        handled: list[int] = []

        class Handling(Base):
            @on(Tick)
            def handle(self, event: Any) -> None:
                handled.append(event.payload.n)
                self.count += 1

        runtime = make_runtime(slow_turn_s=LONG_S)
        runtime.register(version("v", Handling))
        runtime.boot()
        emitted = [0, 0]
        done = threading.Event()

        def fire(which: int) -> None:
            while not done.is_set():
                runtime.emit(Tick(2 * emitted[which] + which))
                emitted[which] += 1
                while runtime.turns.depth > 10:  # faster than they are handled
                    done.wait(0.0001)

        threads = [threading.Thread(target=fire, args=(which,)) for which in range(2)]
        for thread in threads:
            thread.start()
        for number in range(200):
            [new] = runtime.hot_update(version(f"v{number}", Handling))
        done.set()
        for thread in threads:
            thread.join(LONG_S)
        assert runtime.turns.wait_idle(LONG_S)
        expected = sorted(
            [2 * n for n in range(emitted[0])] + [2 * n + 1 for n in range(emitted[1])]
        )
        assert sorted(handled) == expected
        assert new.count == len(expected)


class TestRollback:
    @pytest.mark.parametrize("step", ["constructor", "activate", "restore", "contract", "async"])
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
        assert [each.part for each in failed] == ["counter"]
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

    def test_an_effect_that_fails_is_no_failure(self, runtime: Runtime) -> None:
        """P12: as at boot, an effect that raises is reported, and the new version stays."""

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
