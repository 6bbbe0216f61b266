"""Markers: notes on functions and classes, with the properties that the pattern promises."""

from __future__ import annotations

import functools
import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from edgekernel import (
    Event,
    Message,
    Process,
    Signal,
    command,
    component,
    computed,
    effect,
    expose,
    kind,
    lifecycle,
    on,
    prop,
    provides,
    requires,
    skill,
)
from edgekernel.core.errors import ConfigError
from edgekernel.core.markers import EffectNote, HookNote, OnNote, class_notes, hook, notes
from edgekernel.core.markers import ExposeNote as Expose
from tests.core.parts import MakeRuntime


class Rang(Message):
    pass


class Knocked(Message):
    pass


def greet(self: object, name: str, *, loud: bool = False) -> str:
    """Greet by name."""
    return f"{'HELLO' if loud else 'hello'} {name}"


@pytest.mark.parametrize(
    "mark",
    [
        computed,
        effect,
        effect(cancel_on_supersede=True),
        command,
        command(name="hi", role="operator"),
        on(Rang),
        on("door.*"),
        lifecycle.activate,
        lifecycle.deactivate,
        lifecycle.health,
        lifecycle.snapshot,
        lifecycle.restore,
        lifecycle.supervision(strategy="one-for-all", max_restarts=2),
    ],
    ids=[f"method-{number}" for number in range(13)],
)
def test_a_marker_returns_the_function_itself(mark: Callable[..., Any]) -> None:
    """Signature, source, text and behaviour are the function's own: it is the same object."""
    before = inspect.signature(greet)
    assert mark(greet) is greet
    assert inspect.signature(greet) == before
    assert greet(None, "Ann", loud=True) == "HELLO Ann"
    assert inspect.getdoc(greet) == "Greet by name."


@pytest.mark.parametrize(
    "mark",
    [
        component("door", version="1.0"),
        provides("IDoor"),
        requires(bell="IBell"),
        prop("_side", "side", "front"),
        kind("door", model=dict),
        skill("doors", content="# Doors"),
        expose("rest"),
    ],
    ids=[f"class-{number}" for number in range(7)],
)
def test_a_class_marker_returns_the_class_itself(mark: Callable[[type], type]) -> None:
    """A marked class is the class that was written, made as it was."""

    class Door:
        def __init__(self, width: int = 90) -> None:
            self.width = width

    assert mark(Door) is Door
    assert Door(80).width == 80


def test_marking_needs_no_runtime_and_changes_nothing_global() -> None:
    """Importing components starts nothing and loads no third party; several runtimes can follow."""
    code = """
import sys, threading
before = set(sys.modules)
from edgekernel import component, provides, requires, computed, effect, command, on, lifecycle
loaded = set(sys.modules) - before
@component("a")
@provides("A")
@requires(b="B")
class A:
    @effect
    def e(self): raise SystemExit("ran")
    @computed
    def c(self): raise SystemExit("ran")
    @lifecycle.activate
    def up(self): raise SystemExit("ran")
import json
print(json.dumps([threading.active_count(), sorted({m.partition(".")[0] for m in loaded})]))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    threads, loaded = json.loads(ran.stdout)
    assert threads == 1
    assert not {"asyncio", "pydantic", "click", "paho", "ssl"} & set(loaded)


def test_marking_again_is_marking_once() -> None:
    """Idempotent re-decoration: a reload or a patch leaves one note of each kind, the last."""

    def react(self: object) -> None: ...

    effect(effect(react))
    effect(cancel_on_supersede=True)(react)
    on(Rang)(on(Rang)(react))

    class Once:
        method = react

    found = [note for _, note in notes(Once)]
    assert found == [EffectNote(cancel_on_supersede=True), OnNote((Rang,))]

    @expose("rest")
    @expose("rest")
    class Twice: ...

    assert len(class_notes(Twice, Expose)) == 1


def test_a_class_that_is_marked_again_is_what_it_says_last(make_runtime: MakeRuntime) -> None:
    """Marks put on after a class was used count: a class is read when it is registered."""

    @component("early")
    class Part:
        @command
        def ask(self) -> str:
            return "yes"

    first, second = make_runtime(), make_runtime()
    first.register(Part)
    component("late")(Part)
    second.register(Part)
    first.boot()
    second.boot()
    assert first.invoke("early.ask") == second.invoke("late.ask") == "yes"


def test_one_class_in_several_runtimes(make_runtime: MakeRuntime) -> None:
    """A class belongs to no runtime: each has its own instance, live by itself."""

    class Meter:
        def __init__(self) -> None:
            self.level = Signal(1)
            self.seen: list[int] = []

        @effect
        def watch(self) -> None:
            self.seen.append(self.level.get())

    runtimes = [make_runtime() for _ in range(2)]
    meters = [runtime.register(Meter) for runtime in runtimes]
    for runtime in runtimes:
        runtime.boot()
    meters[0].level.set(2)
    assert [meter.seen for meter in meters] == [[1, 2], [1]]
    runtimes[0].shutdown()
    meters[1].level.set(3)
    assert meters[1].seen == [1, 3]


class TestOverriding:
    def test_marked_again_it_is_what_it_says_there(self) -> None:
        """An override with a mark has that one, not the base's beside it."""

        class Base:
            @effect
            def react(self) -> None: ...

        class Other(Base):
            @effect(cancel_on_supersede=True)
            def react(self) -> None: ...

        class Handler(Base):
            @on(Rang)
            def react(self, event: Event) -> None: ...  # type: ignore[override]

        assert [note for _, note in notes(Base)] == [EffectNote()]
        assert [note for _, note in notes(Other)] == [EffectNote(cancel_on_supersede=True)]
        assert [note for _, note in notes(Handler)] == [OnNote((Rang,))]

    def test_not_marked_it_is_plain(self) -> None:
        """An override without a mark is a plain method, hooks too: it says anew what it is."""

        class Base:
            @lifecycle.activate
            def up(self) -> None: ...

        class Plain(Base):
            def up(self) -> None: ...

        class Gone(Base):
            up = None  # type: ignore[assignment]

        assert hook(Base(), "activate") is not None
        assert hook(Plain(), "activate") is None
        assert hook(Gone(), "activate") is None

    def test_super_calls_the_base_body(self, make_runtime: MakeRuntime) -> None:
        """In an effect and in a hook, super() is the plain method of the base."""
        seen: list[str] = []

        class Base(Process):
            name = "part"

            @lifecycle.activate
            def up(self) -> None:
                seen.append("base up")

            @effect
            def react(self) -> None:
                seen.append("base effect")

        class Child(Base):
            @lifecycle.activate
            def up(self) -> None:
                super().up()
                seen.append("child up")

            @effect
            def react(self) -> None:
                super().react()
                seen.append("child effect")

        runtime = make_runtime()
        runtime.register(Child())
        runtime.boot()
        assert seen == ["base up", "child up", "base effect", "child effect"]

    def test_multiple_inheritance(self) -> None:
        """A mixin's marked methods are found, each once, with the method that Python would call."""

        class Root:
            @effect
            def react(self) -> str:
                return "root"

        class Left(Root):
            @effect
            def react(self) -> str:
                return "left"

        class Mixin(Root):
            @effect
            def more(self) -> str:
                return "more"

        class Both(Left, Mixin): ...

        names = [name for name, _ in notes(Both)]
        assert sorted(names) == ["more", "react"]
        assert Both().react() == "left"


class TestWrongUse:
    @pytest.mark.parametrize(
        "use",
        [
            lambda: on(lambda self, event: None),  # type: ignore[arg-type]
            on,
            lambda: on(int),  # type: ignore[arg-type]
            lambda: component(type("Door", (), {})),  # type: ignore[arg-type]
            lambda: component(""),
            lambda: component("a", depends="clock"),  # type: ignore[arg-type]
            lambda: expose("rest", include="open"),  # type: ignore[arg-type]
            lambda: skill("a", content="", triggers="word"),  # type: ignore[arg-type]
            lambda: computed(property(lambda self: 1)),  # type: ignore[type-var]
            lambda: command(staticmethod(lambda: 1)),
        ],
        ids=[f"use-{number}" for number in range(10)],
    )
    def test_says_so_at_once(self, use: Callable[[], object]) -> None:
        """A marker without its parentheses, a text for a list, a property: TypeError there."""
        with pytest.raises(TypeError):
            use()

    def test_below_a_static_method_and_a_wrapper(self) -> None:
        """Marks below @staticmethod, @classmethod and functools.wraps are found."""

        def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(function)
            def call(*args: Any) -> Any:
                return function(*args)

            return call

        class Part:
            @staticmethod
            @lifecycle.activate
            def up() -> None: ...

            @classmethod
            @on(Rang)
            def rang(cls, event: Event) -> None: ...

            @wrapped
            @effect
            def react(self) -> None: ...

        assert [type(note) for _, note in notes(Part)] == [HookNote, OnNote, EffectNote]


def test_a_dataclass_with_slots_keeps_its_marks() -> None:
    """A class that a decorator makes anew, as dataclass(slots=True) does, keeps its notes."""

    @dataclass(slots=True)
    @expose("rest", prefix="doors")
    class Door:
        width: int = 90

    assert [note.prefix for note in class_notes(Door, Expose)] == ["doors"]


def test_messages_by_pattern(make_runtime: MakeRuntime) -> None:
    """`@on` with a pattern is given every message whose dotted name fits, at any depth."""

    class Held(Message):
        name = "button.held.long"

    class Pressed(Message):
        name = "button.pressed"

    seen: list[str] = []

    class Log:
        @on("button.*", Rang)
        def note(self, event: Event) -> None:
            seen.append(event.payload.name)

    runtime = make_runtime()
    runtime.register(Log)
    runtime.boot()
    for each in (Held(), Pressed(), Knocked(), Rang()):
        runtime.emit(each)
    assert seen == ["button.held.long", "button.pressed", "rang"]


def test_async_handlers(make_runtime: MakeRuntime) -> None:
    """A2.11: a handler that would only make a coroutine is refused, with what to use instead."""

    class Later:
        @on(Rang)
        async def note(self, event: Event) -> None: ...

    class Generating:
        @on(Rang)
        def note(self, event: Event) -> Iterator[int]:
            yield 1

    for cls in (Later, Generating):
        with pytest.raises(ConfigError, match=rf"{cls.__name__}\.note: a handler .* async @effect"):
            make_runtime().register(cls)


@pytest.mark.parametrize(
    ("setting", "wrong"),
    [
        ("strategy", "one_for_all"),
        ("max_restarts", -1),
        ("within_s", 0.0),
        ("backoff_s", -1.0),
        ("backoff_limit_s", float("inf")),
    ],
)
def test_a_supervision_that_cannot_be_meant(setting: str, wrong: Any) -> None:
    """P7: a strategy that there is not, or a negative number, is refused where it is written."""
    given: Any = {setting: wrong}
    with pytest.raises(ConfigError, match=rf"supervision: {setting} is {wrong!r}"):
        lifecycle.supervision(**given)
