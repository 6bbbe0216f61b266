"""The order of starting, from what parts require and depend on."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from edgekernel import (
    BootError,
    ConfigError,
    Device,
    Process,
    Runtime,
    Service,
    component,
    effect,
    lifecycle,
    provides,
    requires,
)
from edgekernel.core.provider import RANKING

MakeRuntime = Callable[..., Runtime]


class Part:
    """Notes when it is activated and deactivated."""

    steps: list[str]
    ctx: Any

    @lifecycle.activate
    def up(self) -> None:
        self.steps.append(self.ctx.source)

    @lifecycle.deactivate
    def down(self) -> None:
        self.steps.append(f"-{self.ctx.source}")


def part(steps: list[str], *contracts: str, depends: tuple[str, ...] = (), **required: Any) -> type:
    """Make a component class."""

    @component("part", depends=depends)
    @provides(*contracts)
    @requires(**required)
    class Made(Part): ...

    Made.steps = steps
    return Made


def every(name: str) -> Any:
    """Return a requirement of all that provide a contract known by its name."""
    return list[name]  # type: ignore[valid-type]


def failures(runtime: Runtime) -> list[str]:
    """Return why a runtime does not boot."""
    with pytest.raises(BootError) as raised:
        runtime.boot()
    return list(map(str, raised.value.exceptions))


class TestByContract:
    def test_a_provider_starts_before_its_consumer(self, make_runtime: MakeRuntime) -> None:
        """K1: registered the wrong way round, the consumer still comes second and sees it."""

        class IStore(Protocol):
            path: str

        seen: list[str] = []

        class User:
            store = requires(IStore)

            @lifecycle.activate
            def up(self) -> None:
                seen.append(f"activate {self.store.path}")

            @effect
            def use(self) -> None:
                seen.append(f"effect {self.store.path}")

        @provides(IStore)
        class Store:
            @lifecycle.activate
            def up(self) -> None:
                self.path = "/data"

        runtime = make_runtime()
        runtime.register(User)
        runtime.register(Store)
        runtime.boot()
        assert seen == ["activate /data", "effect /data"]

    def test_a_chain_and_back(self, make_runtime: MakeRuntime) -> None:
        """Providers start first, along any chain; the shutdown goes the other way."""
        steps: list[str] = []
        runtime = make_runtime()
        runtime.register(part(steps, a="A"), "top")
        runtime.register(part(steps, "A", b="B"), "middle")
        runtime.register(part(steps, "B"), "bottom")
        runtime.boot()
        runtime.shutdown()
        assert steps == ["bottom", "middle", "top", "-top", "-middle", "-bottom"]

    def test_all_that_fit_come_first(self, make_runtime: MakeRuntime) -> None:
        """A list, a map, an optional one: what is there at boot is there in activate."""
        seen: list[int] = []
        runtime = make_runtime()

        class User:
            several = requires("A", key="id")
            mapped = requires("A", key="id")
            maybe = requires("B", optional=True)

            @lifecycle.activate
            def up(self) -> None:
                seen.append(len(self.several) + len(self.mapped) + (self.maybe is not None))

        runtime.register(User)
        for name, contract in (("a1", "A"), ("a2", "A"), ("b", "B")):
            runtime.register(part([], contract), name)
        runtime.boot()
        assert seen == [5]

    def test_beside_that_by_role_and_registration(self, make_runtime: MakeRuntime) -> None:
        """A10.3: devices, components, processes, services, each in the order of adding."""
        steps: list[str] = []

        class Sensor(Device):
            def connect(self) -> None:
                steps.append(self.id)

        class Logic(Process):
            def start(self, ctx: object) -> None:
                steps.append(self.name)

        runtime = make_runtime()
        runtime.register(Logic(), "p1")
        runtime.register(part(steps), "c1")
        runtime.register(Sensor("d1"))
        runtime.register(Logic(), "p2")
        runtime.register(part(steps), "c2")
        runtime.register(Sensor("d2"))
        runtime.boot()
        assert steps == ["d1", "d2", "c1", "c2", "p1", "p2"]

    def test_a_service_before_a_process_that_needs_it(self, make_runtime: MakeRuntime) -> None:
        """What is required comes first even if its role comes later."""

        class Meter(Service):
            name = "meter"

        seen: list[object] = []

        class Logic(Process):
            name = "logic"
            meter = requires(Meter)

            def start(self, ctx: object) -> None:
                seen.append(self.meter)

        runtime, meter = make_runtime(), Meter()
        runtime.register(Logic())
        runtime.register(meter)
        runtime.boot()
        assert seen == [meter]

    def test_is_the_same_each_time(self, make_runtime: MakeRuntime) -> None:
        """P10: the order depends on what was registered and how, on nothing else."""
        orders = set()
        for _ in range(5):
            steps: list[str] = []
            runtime = make_runtime()
            for number in range(12):
                needs: dict[str, Any] = {"a": "A"} if number % 3 == 0 else {}
                provided = ["A"] if number % 4 == 1 else []
                runtime.register(part(steps, *provided, **needs), f"p{number}")
            runtime.boot()
            orders.add(tuple(steps))
        assert len(orders) == 1


class TestDepends:
    def test_by_name(self, make_runtime: MakeRuntime) -> None:
        """What is named in depends= starts before, and a subclass needs what its base needs."""
        steps: list[str] = []

        @component("base", depends=("clock",))
        class Base(Part): ...

        @component("child", depends=("log",))
        class Child(Base): ...

        Base.steps = steps
        runtime = make_runtime()
        runtime.register(Child)
        runtime.register(part(steps), "log")
        runtime.register(part(steps), "clock")
        runtime.boot()
        assert steps == ["log", "clock", "child"]

    def test_an_unknown_name(self, make_runtime: MakeRuntime) -> None:
        """K44: a name that is not there is an error that names the nearest one."""
        runtime = make_runtime()
        runtime.register(part([], depends=("clok",)), "user")
        runtime.register(part([]), "clock")
        assert failures(runtime) == [
            "user: depends on 'clok', which is not there; did you mean 'clock'?"
        ]


class TestCircles:
    def test_are_named(self, make_runtime: MakeRuntime) -> None:
        """K44: a circle names its members, not those behind it; nothing has been started."""
        steps: list[str] = []
        runtime = make_runtime()
        runtime.register(part(steps, depends=("a",)), "behind")
        runtime.register(part(steps, "A", b="B"), "a")
        runtime.register(part(steps, "B", depends=("c",)), "b")
        runtime.register(part(steps, "C", a="A"), "c")
        runtime.register(part(steps), "alone")
        assert failures(runtime) == ["parts need one another: a -> b -> c -> a"]
        assert steps == []
        runtime.shutdown()
        assert runtime.phase == "stopped"

    def test_with_oneself(self, make_runtime: MakeRuntime) -> None:
        """A part that depends on itself is the smallest circle."""
        runtime = make_runtime()
        runtime.register(part([], depends=("one",)), "one")
        assert failures(runtime) == ["parts need one another: one -> one"]

    def test_of_what_may_be_missing(self, make_runtime: MakeRuntime) -> None:
        """A circle with an optional or a list requirement in it is opened there."""

        class Shy:
            other = requires("Y", optional=True)
            seen: list[object]

            @effect
            def watch(self) -> None:
                self.seen.append(self.other)

        @provides("X")
        class First(Shy): ...

        First.seen = []
        steps: list[str] = []
        runtime = make_runtime()
        runtime.register(First, "x")
        y = runtime.register(part(steps, "Y", x="X"), "y")
        runtime.boot()
        assert First.seen == [None, y]

    def test_only_the_circle_is_opened(self, make_runtime: MakeRuntime) -> None:
        """Wishes that lead to no circle are met, also behind one."""
        steps: list[str] = []
        runtime = make_runtime()
        runtime.register(part(steps, c=every("C"), a=every("A")), "behind")
        runtime.register(part(steps, "A", b=every("B")), "a")
        runtime.register(part(steps, "B", a=every("A")), "b")
        runtime.register(part(steps, "C"), "c")
        runtime.boot()
        assert steps.index("behind") == 3

    def test_a_wrapper_of_its_own_contract(self, make_runtime: MakeRuntime) -> None:
        """Two that wrap what they provide need the real one, not one another."""
        steps: list[str] = []
        runtime = make_runtime()
        wrapper = part(steps, "A", a="A")
        runtime.register(wrapper, "outer", properties={RANKING: -1})
        runtime.register(wrapper, "inner")
        runtime.register(part(steps, "A"), "real", properties={RANKING: -2})
        runtime.boot()
        assert steps[0] == "real"


class TestChoice:
    def test_devices_that_fit_equally_well(self, make_runtime: MakeRuntime) -> None:
        """Hardware is not chosen by chance: they are named, at boot and when added later."""

        class Lamp(Device): ...

        class User:
            lamp = requires(Lamp)

        runtime = make_runtime()
        runtime.register(Lamp("hall"))
        runtime.register(Lamp("attic"))
        runtime.register(User)
        assert failures(runtime) == ["user.lamp: requires a Lamp, but several fit: hall, attic"]
        later = make_runtime()
        later.register(Lamp("hall"))
        later.register(Lamp("attic"))
        later.boot()
        with pytest.raises(ConfigError, match="several fit: hall, attic"):
            later.hot_add(User)

    def test_devices_with_a_ranking(self, make_runtime: MakeRuntime) -> None:
        """Said which one is better, there is no doubt."""

        class Lamp(Device): ...

        class User:
            lamp = requires(Lamp)

        runtime = make_runtime()
        runtime.register(Lamp("hall"))
        runtime.register(Lamp("attic"), properties={RANKING: -1})
        user = runtime.register(User)
        runtime.boot()
        assert user.lamp.id == "attic"

    def test_a_name_with_two_meanings(self, make_runtime: MakeRuntime) -> None:
        """A name that two contract classes have is refused before anything starts."""

        def store() -> type:
            class Store(Protocol): ...

            return Store

        runtime = make_runtime()
        for number in range(2):
            runtime.register(provides(store())(type(f"Made{number}", (), {})))
        runtime.register(part([], s="Store"), "user")
        (text,) = failures(runtime)
        assert text.startswith("user.s: 'Store' names several contracts")


class IVoice(Protocol):
    def say(self) -> str: ...


@provides(IVoice)
class Voice:
    def say(self) -> str:
        return "hello"


class TestMissing:
    def test_nothing_is_started(self, make_runtime: MakeRuntime) -> None:
        """K2: a missing requirement is a BootError that names it; nothing has been started."""
        started: list[str] = []

        class Sensor(Device):
            def connect(self) -> None:
                started.append(self.id)

        class Needy:
            voice = requires(IVoice, where={"language": "de"})
            log = requires("ILog")
            room = requires(Sensor, id="attic")

            @lifecycle.activate
            def up(self) -> None:
                started.append("needy")

        runtime = make_runtime()
        runtime.register(Sensor("hall"))
        runtime.register(Voice)
        runtime.register(Needy)
        with pytest.raises(BootError) as raised:
            runtime.boot()
        assert sorted(map(str, raised.value.exceptions)) == [
            "needy.log: requires a ILog, but there is none",
            "needy.room: requires a Sensor with id 'attic', but there is none; there are: hall",
            "needy.voice: requires a IVoice with language 'de', but there is none",
        ]
        assert started == []

    def test_name_that_is_nearly_right(self, make_runtime: MakeRuntime) -> None:
        """A device of the kind that is required, with nearly that id, is proposed."""

        class Sensor(Device):
            """A device of its own class."""

        class Needy:
            fan = requires(Sensor, id="halll")

        runtime = make_runtime()
        runtime.register(Sensor("hall"))
        runtime.register(Needy)
        with pytest.raises(BootError) as raised:
            runtime.boot()
        (error,) = raised.value.exceptions
        assert str(error).endswith("but there is none; did you mean 'hall'?")

    def test_what_does_not_fulfil_its_protocol(self, make_runtime: MakeRuntime) -> None:
        """A2.18: a provider without what its Protocol asks for fails the boot, by name."""

        @provides(IVoice)
        class Mute: ...

        runtime = make_runtime()
        runtime.register(Mute)
        with pytest.raises(BootError) as raised:
            runtime.boot()
        assert "mute: Mute provides IVoice but has no say" in str(raised.value.exceptions[0])

    def test_a_property_may_be_what_the_protocol_asks_for(self, make_runtime: MakeRuntime) -> None:
        """Attributes made while activating count: it is checked when it has started."""

        class INamed(Protocol):
            title: str

        @provides(INamed)
        class Late:
            @lifecycle.activate
            def up(self) -> None:
                self.title = "late"

        runtime = make_runtime()
        runtime.register(Late)

        class User:
            wanted = requires(INamed)

        user = runtime.register(User)
        runtime.boot()
        assert user.wanted.title == "late"


def test_random_graphs(make_runtime: MakeRuntime) -> None:
    """Whatever the registration, every part starts after all that it needs, and boots."""
    rng = random.Random(7)
    for _ in range(20):
        steps: list[str] = []
        runtime = make_runtime()
        size = 15
        needs = {n: rng.sample(range(n), rng.randint(0, min(n, 3))) for n in range(size)}
        wishes = {n: rng.sample(range(size), 2) for n in range(size)}
        for n in rng.sample(range(size), size):
            required: dict[str, Any] = {f"n{need}": f"C{need}" for need in needs[n]}
            required |= {f"w{wish}": every(f"C{wish}") for wish in wishes[n]}
            runtime.register(part(steps, f"C{n}", **required), f"p{n}")
        runtime.boot()
        place = {name: at for at, name in enumerate(steps)}
        assert len(place) == size
        assert all(place[f"p{need}"] < place[f"p{n}"] for n in needs for need in needs[n])


def test_one_added_later_outlives_who_uses_it(make_runtime: MakeRuntime) -> None:
    """P6: a shutdown goes by what is needed at its time, not by who was there first."""
    told: list[object] = []

    class User:
        store = requires("Store", optional=True)

        @effect
        def watch(self) -> None:
            told.append(self.store)

        @lifecycle.deactivate
        def down(self) -> None:
            told.append(("down", self.store))

    runtime = make_runtime()
    runtime.register(User)
    runtime.boot()
    store = runtime.hot_add(part([], "Store"), "store")
    runtime.shutdown()
    assert told == [None, store, ("down", store)]
