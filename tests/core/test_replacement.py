"""New versions in the places of parts, all or nothing (promise P12)."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from edgekernel import (
    Process,
    Runtime,
    component,
    effect,
    message,
    on,
    provides,
    requires,
)
from edgekernel.core.errors import (
    LifecycleError,
    UnknownTargetError,
)
from tests.core.parts import (
    LONG_S,
    MakeRuntime,
    NotingProcess,
    Steps,
    Tick,
    messages_of,
)
from tests.core.versions import V1, V2, Base, Consumer, ICounter, version


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

    def test_the_new_ones_see_one_another(self, make_runtime: MakeRuntime) -> None:
        """P12: when an effect of a new version runs first, no old one is given to anybody."""
        seen: list[list[str]] = []

        class Seeing(Base):
            others: Any = requires(list[Base])

            @effect
            def follow(self) -> None:
                seen.append([each.version() for each in self.others])

        runtime = make_runtime()
        for name in ("a", "b", "c"):
            runtime.instantiate(version("v1", Seeing), name)
        runtime.boot()
        seen.clear()
        runtime.hot_update(version("v2", Seeing))
        assert len(seen) == 3
        assert all(set(versions) == {"v2"} for versions in seen)

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
            runtime.hot_update(version(f"v{number}", Handling))
        done.set()
        for thread in threads:
            thread.join(LONG_S)
        assert runtime.turns.wait_idle(LONG_S)
        expected = sorted(
            [2 * n for n in range(emitted[0])] + [2 * n + 1 for n in range(emitted[1])]
        )
        assert sorted(handled) == expected
        assert cast("Base", runtime.registry.require(ICounter)).count == len(expected)
