"""A unit: any class with a marker as a part of a runtime, from its start to its end."""

from __future__ import annotations

import functools
import gc
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from edgekernel import (
    ConfigError,
    Context,
    Event,
    Message,
    Runtime,
    Signal,
    command,
    component,
    computed,
    effect,
    kind,
    lifecycle,
    on,
    prop,
    provides,
    requires,
    skill,
)

MakeRuntime = Callable[..., Runtime]


class Rang(Message):
    pass


class TestPlainClasses:
    """Any class can be a component, with an instance or without."""

    def test_hooks_with_and_without_the_context(self, make_runtime: MakeRuntime) -> None:
        """A2.6: `(self)` or `(self, ctx)`; self.ctx is there between activate and deactivate."""
        steps: list[str] = []

        class Simple:
            ctx: Context

            @lifecycle.activate
            def up(self) -> None:
                steps.append(f"up {self.ctx.source}")

            @lifecycle.deactivate
            def down(self) -> None:
                steps.append(f"down {self.ctx.source}")

        class Given:
            @lifecycle.activate
            def up(self, context: Context) -> None:
                steps.append(f"up {context.source}")

            @lifecycle.deactivate
            def down(self, ctx: Context | None = None) -> None:
                steps.append(f"down {ctx.source if ctx else 'nothing'}")

        class Defaults:
            @lifecycle.activate
            def up(self, attempts: int = 3) -> None:
                steps.append(f"attempts {attempts}")

        def twice(method: Callable[..., None]) -> Callable[..., None]:
            @functools.wraps(method)
            def call(*args: Any) -> None:
                method(*args)
                method(*args)

            return call

        class Wrapped:
            @lifecycle.activate
            @twice
            def up(self, ctx: Context) -> None:
                steps.append(f"up {ctx.source}")

            @staticmethod
            @lifecycle.deactivate
            def down(ctx: Context) -> None:
                steps.append(f"down {ctx.source}")

        runtime = make_runtime()
        simple = runtime.register(Simple)
        runtime.register(Given())
        runtime.register(Defaults)
        runtime.register(Wrapped)
        runtime.boot()
        assert simple.ctx.runtime is runtime
        runtime.shutdown()
        assert steps == [
            "up simple", "up given", "attempts 3", "up wrapped", "up wrapped",
            "down wrapped", "down given", "down simple",
        ]  # fmt: skip
        assert not hasattr(simple, "ctx")

    def test_what_happens_in_which_order(self, make_runtime: MakeRuntime) -> None:
        """Activate, then effects, commands and handlers; deactivate when they are silent again."""
        steps: list[str] = []

        class Part:
            level = Signal(0)

            @effect
            def react(self) -> Callable[[], None]:
                steps.append(f"effect {self.level.get()} {self.double()}")
                return lambda: steps.append("cleanup")

            @computed
            def double(self) -> int:
                return self.level.get() * 2

            @lifecycle.activate
            def up(self) -> None:
                self.level.set(2)
                steps.append(f"up {self.double()}")  # A2.4: computeds can be called here too

            @lifecycle.deactivate
            def down(self) -> None:
                self.level.set(5)
                steps.append("down")

        runtime = make_runtime()
        runtime.register(Part)
        runtime.boot()
        runtime.shutdown()
        assert steps == ["up 4", "effect 2 4", "cleanup", "down"]

    def test_a_failing_activate(self, make_runtime: MakeRuntime) -> None:
        """P5: what activate raises fails the boot; deactivate gives back what it took."""
        steps: list[str] = []

        class Broken:
            @lifecycle.activate
            def up(self) -> None:
                steps.append("up")
                raise OSError("no such port")

            @lifecycle.deactivate
            def down(self) -> None:
                steps.append("down")

            @effect
            def react(self) -> None:
                steps.append("effect")

        runtime = make_runtime()
        runtime.register(Broken)
        with pytest.raises(ExceptionGroup) as raised:
            runtime.boot()
        assert "no such port" in str(raised.value.exceptions[0])
        assert steps == ["up", "down"]

    def test_a_frozen_dataclass(self, make_runtime: MakeRuntime) -> None:
        """What cannot be assigned to can be a component all the same."""

        @provides("Limits")
        @dataclass(frozen=True)
        class Limits:
            high: float = 30.0

            @computed
            def low(self) -> float:
                return self.high - 10

        runtime = make_runtime()
        limits = runtime.register(Limits(25.0))
        runtime.boot()
        assert limits.low() == 15.0
        runtime.shutdown()
        assert limits.low() == 15.0

    def test_slots_only(self, make_runtime: MakeRuntime) -> None:
        """A class without room for what is injected is refused with the reason."""

        @component("tight")
        class Tight:
            __slots__ = ()

        with pytest.raises(ConfigError, match="tight: Tight has only __slots__"):
            make_runtime().register(Tight)

    def test_what_is_no_component(self, make_runtime: MakeRuntime) -> None:
        """A4.1: something without any marker is a TypeError that says what to do."""
        for wrong in (object(), object, len, "greeter"):
            with pytest.raises(TypeError, match="mark its class with @component"):
                make_runtime().register(wrong)

    @pytest.mark.parametrize(
        "mark",
        [component("a"), provides("A"), requires(log="Log", optional=True), prop("_p", "p", 1),
         kind("a", model=dict), skill("a", content="")],
        ids=["component", "provides", "requires", "prop", "kind", "skill"],
    )  # fmt: skip
    def test_one_marker_is_enough(
        self, make_runtime: MakeRuntime, mark: Callable[[type], type]
    ) -> None:
        """A class with any marker, on itself or on a base, is a component."""

        @mark
        class Base: ...

        class Child(Base): ...

        runtime = make_runtime()
        runtime.register(Base, "base")
        runtime.register(Child)
        runtime.boot()
        assert runtime.status()["components"]["child"]["state"] == "active"


def test_kinds_and_skills_come_and_go(make_runtime: MakeRuntime) -> None:
    """A2.12, A2.13: `runtime.kinds` and `runtime.skills` hold those of the active components."""

    class Reading:
        celsius: float

    @kind("reading", model=Reading, description="a temperature")
    @skill("thermometers", content="# Thermometers", triggers=["temperature"])
    class Room: ...

    runtime = make_runtime()
    runtime.register(component("other")(type("Other", (), {})))
    assert (runtime.kinds, runtime.skills) == ({}, {})
    runtime.boot()
    runtime.hot_add(Room)
    assert runtime.kinds["reading"].model is Reading
    assert runtime.skills["thermometers"].triggers == ("temperature",)
    runtime.hot_remove("room")
    assert (runtime.kinds, runtime.skills) == ({}, {})


@pytest.mark.parametrize("what", ["kind", "skill"])
def test_two_of_one_name(make_runtime: MakeRuntime, what: str) -> None:
    """A2.12, A2.13: none takes the place of another unseen; instances of one class are no two."""

    def bringing(name: str, model: type) -> type:
        mark = kind("plan", model=model) if what == "kind" else skill("plan", content=str(model))
        return mark(component(name)(type(name.title(), (), {})))

    runtime, first = make_runtime(), bringing("first", int)
    runtime.register(first)
    runtime.register(first, "again")
    runtime.register(bringing("same", int))
    with pytest.raises(ConfigError, match="other: brings 'plan', and first brings another"):
        runtime.register(bringing("other", str))


def test_what_was_removed_is_freed(make_runtime: MakeRuntime) -> None:
    """P12: a runtime keeps nothing of a component that was removed, nor of its class."""

    def add_and_remove() -> list[weakref.ref[Any]]:
        @provides("Store")
        class Store:
            def __init__(self) -> None:
                self.level = Signal(1)

            @computed
            def double(self) -> int:
                return self.level.get() * 2

            @effect
            def react(self) -> None:
                self.double()

            @on(Rang)
            def rang(self, event: Event) -> None: ...

            @command
            def ask(self) -> None: ...

        class User:
            store = requires(Store, optional=True)

            @effect
            def use(self) -> None:
                _ = self.store

        user, store = runtime.hot_add(User), runtime.hot_add(Store)
        runtime.emit(Rang())
        runtime.invoke("store.ask")
        runtime.hot_remove("store")
        runtime.hot_remove("user")
        return [weakref.ref(each) for each in (user, store, User, Store)]

    runtime = make_runtime()
    runtime.boot()
    kept = add_and_remove()
    gc.collect()
    assert [ref() for ref in kept] == [None] * 4
