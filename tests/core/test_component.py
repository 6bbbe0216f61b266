"""Markers and what is made of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from edgekernel import (
    ConfigError,
    Device,
    Event,
    Message,
    Process,
    Runtime,
    Service,
    Signal,
    command,
    component,
    computed,
    effect,
    lifecycle,
    on,
    provides,
    requires,
)
from edgekernel.core.component import describe_class, handlers
from edgekernel.core.injection import requirements
from edgekernel.core.markers import CommandNote, notes

MakeRuntime = Callable[..., Runtime]


class Rang(Message):
    pass


class Knocked(Message):
    pass


class Door(Process):
    """Uses every marker."""

    name = "door"

    def __init__(self, name: str = "door") -> None:
        self.name = name
        self.level = Signal(1)
        self.computed_runs = 0
        self.seen: list[str] = []

    @effect
    def zebra(self) -> None:
        self.seen.append(f"zebra {self.level.get()}")

    @computed
    def double(self) -> int:
        self.computed_runs += 1
        return self.level.get() * 2

    @effect
    def ant(self) -> None:
        self.seen.append(f"ant {self.double()}")

    @on(Rang, Knocked)
    def answer(self, event: Event) -> None:
        self.seen.append(event.payload.name)

    @command
    def open(self) -> str:
        return f"{self.name} is open"


def test_marked_methods_stay_plain() -> None:
    """A marker changes nothing about the method: it is called and tested without a runtime."""
    door = Door()
    assert door.double() == 2
    door.level.set(2)
    assert door.double() == 4
    assert door.computed_runs == 2
    door.zebra()
    assert door.open() == "door is open"
    assert door.seen == ["zebra 2"]


def test_activation_makes_them_live(make_runtime: MakeRuntime) -> None:
    """P4: in a runtime a computed is cached and called as a method, and effects follow it."""
    runtime, door = make_runtime(), Door()
    runtime.register(door)
    runtime.boot()
    assert (door.double(), door.double(), door.computed_runs) == (2, 2, 1)
    door.level.set(3)
    assert door.seen == ["zebra 1", "ant 2", "zebra 3", "ant 6"]


def test_effects_run_in_definition_order(make_runtime: MakeRuntime) -> None:
    """P4: effects run in the order in which they are written, not by name."""
    runtime, door = make_runtime(), Door()
    runtime.register(door)
    runtime.boot()
    assert [step.split()[0] for step in door.seen] == ["zebra", "ant"]


def test_deactivation_leaves_a_plain_object(make_runtime: MakeRuntime) -> None:
    """P12: after the end nothing reacts any more, and the methods are plain again."""
    runtime, door = make_runtime(), Door()
    runtime.register(door)
    runtime.boot()
    runtime.shutdown()
    runs, seen = door.computed_runs, list(door.seen)
    door.level.set(9)
    runtime.emit(Rang())
    assert (door.computed_runs, door.seen) == (runs, seen)
    assert door.double() == 18
    assert "double" not in vars(door)


def test_two_instances_do_not_share(make_runtime: MakeRuntime) -> None:
    """Each instance has its own computeds, effects, handlers and commands."""
    runtime, front, back = make_runtime(), Door("front"), Door("back")
    runtime.register(front)
    runtime.register(back)
    runtime.boot()
    front.level.set(5)
    assert (front.double(), back.double()) == (10, 2)
    assert back.seen == ["zebra 1", "ant 2"]
    assert runtime.invoke("back.open") == "back is open"


def test_several_message_classes(make_runtime: MakeRuntime) -> None:
    """One handler may be for several classes of messages."""
    runtime, door = make_runtime(), Door()
    runtime.register(door)
    runtime.boot()
    door.seen.clear()
    runtime.emit(Rang())
    runtime.emit(Knocked())
    assert door.seen == ["rang", "knocked"]


def test_handlers_one_above_the_other(make_runtime: MakeRuntime) -> None:
    """Stacked `on` markers add up: none of them is silently lost."""

    class Stacked(Process):
        name = "stacked"
        seen: list[str]

        @on(Rang)
        @on(Knocked)
        def answer(self, event: Event) -> None:
            self.seen.append(event.payload.name)

    runtime, stacked = make_runtime(), Stacked()
    stacked.seen = []
    runtime.register(stacked)
    runtime.boot()
    runtime.emit(Rang())
    runtime.emit(Knocked())
    assert stacked.seen == ["rang", "knocked"]


class TestInheritance:
    def test_a_subclass_has_its_bases_markers(self, make_runtime: MakeRuntime) -> None:
        """What a base class marks, its subclasses have, base first."""

        class Gate(Door):
            @effect
            def last(self) -> None:
                self.seen.append("last")

        runtime, gate = make_runtime(), Gate("gate")
        runtime.register(gate)
        runtime.boot()
        assert gate.seen == ["zebra 1", "ant 2", "last"]

    def test_an_override_without_a_marker_is_plain(self, make_runtime: MakeRuntime) -> None:
        """A subclass that overrides a marked method without marking it takes the mark away."""

        class Quiet(Door):
            def answer(self, event: Event) -> None:
                raise AssertionError("not a handler any more")

            def open(self) -> str:
                return "never"

        runtime, quiet = make_runtime(), Quiet("quiet")
        runtime.register(quiet)
        runtime.boot()
        runtime.emit(Rang())
        assert list(runtime.errors) == []
        assert runtime.commands.all() == []

    def test_a_subclass_does_not_change_its_base(self) -> None:
        """A subclass has metadata of its own; its base's stays as it was."""

        class Loud(Door):
            @command(name="unlock", role="operator")
            def open(self) -> str:
                return "loud"

        def commands(cls: type) -> list[CommandNote]:
            return [note for _, note in notes(cls) if isinstance(note, CommandNote)]

        assert commands(Door) == [CommandNote("open", None)]
        assert commands(Loud) == [CommandNote("unlock", "operator")]

    def test_an_override_may_call_its_base(self, make_runtime: MakeRuntime) -> None:
        """A computed that overrides another calls the plain one of its base."""

        class Triple(Door):
            @computed
            def double(self) -> int:
                return super().double() + self.level.get()

        runtime, triple = make_runtime(), Triple("triple")
        runtime.register(triple)
        runtime.boot()
        triple.level.set(2)
        assert triple.double() == 6
        assert triple.seen == ["zebra 1", "ant 3", "zebra 2", "ant 6"]

    def test_base_and_subclass_side_by_side(self, make_runtime: MakeRuntime) -> None:
        """K9: each class has metadata of its own; what it needs adds up, what it is does not."""

        @component("base", namespace="app", version="1.0", depends=["clock"], optional=True)
        @provides("Base")
        class Base:
            @command
            def who(self) -> str:
                return type(self).__name__

        @component("child", version="2.0", depends=["log"])
        @provides("Child")
        class Child(Base): ...

        class Unnamed(Base): ...

        base, child, unnamed = map(describe_class, (Base, Child, Unnamed))
        assert (base.qualified_name, base.version, base.depends) == ("app.base", "1.0", ("clock",))
        assert (child.qualified_name, child.version) == ("child", "2.0")
        assert (child.depends, child.contracts) == (("clock", "log"), ("Base", "Child"))
        assert (unnamed.qualified_name, unnamed.version) == ("unnamed", "0.0.0")
        assert (unnamed.depends, unnamed.contracts) == (("clock",), ("Base",))
        assert (base.optional, child.optional, unnamed.optional) == (True, False, False)
        runtime = make_runtime()
        for cls in (Base, Child, Unnamed):
            runtime.register(cls)
        runtime.register(component("clock")(type("Clock", (), {})))
        runtime.register(component("log")(type("Log", (), {})))
        runtime.boot()
        answers = [runtime.invoke(f"{name}.who") for name in ("base", "child", "unnamed")]
        assert answers == ["Base", "Child", "Unnamed"]
        assert len(runtime.registry.all("Base")) == 3


class TestMarkersThatCannotBeMeant:
    """Refused when the class is registered, with its name, before anything is started."""

    def refused(self, cls: type) -> str:
        runtime = Runtime()
        with pytest.raises(ConfigError) as raised:
            runtime.register(cls)
        return str(raised.value)

    def test_a_computed_without_its_value_at_once(self) -> None:
        """K25: an async or generator computed would be used up by its first reader."""

        class Async:
            @computed
            async def value(self) -> int:
                return 1

        class Generator:
            @computed
            def value(self) -> Iterator[int]:
                yield 1

        class AsyncGenerator:
            @computed
            async def value(self) -> AsyncIterator[int]:
                yield 1

        for cls in (Async, Generator, AsyncGenerator):
            text = self.refused(cls)
            assert text.startswith(f"{cls.__name__}.value: a computed cannot be async")

    def test_what_a_role_calls_is_not_async(self) -> None:
        """P3: an `async` poll, tick or handle_event would never run."""

        async def later(self: object, *args: object) -> None: ...

        for base, method in ((Device, "poll"), (Process, "handle_event"), (Service, "tick")):
            cls: type = type("Late", (base,), {method: later, "name": "late"})
            with pytest.raises(ConfigError, match=rf"Late\.{method}: it cannot be async"):
                Runtime().register(cls("late") if base is Device else cls())

    def test_two_commands_of_one_name(self) -> None:
        """P11: the later one does not take the earlier one's place: both are named."""

        class Gate:
            @command(name="go")
            def open(self) -> None: ...

            @command(name="go")
            def close(self) -> None: ...

        class Base:
            @command
            def go(self) -> None: ...

        class Child(Base):
            @command(name="go")
            def leave(self) -> None: ...

        assert self.refused(Gate).startswith("Gate.close: open is the command 'go' too")
        assert self.refused(Child).startswith("Child.leave: go is the command 'go' too")

    def test_two_methods_for_one_step(self) -> None:
        """Neither is silently left out: both are named."""

        class Base:
            @lifecycle.activate
            def open(self) -> None: ...

        class Child(Base):
            @lifecycle.activate
            def begin(self) -> None: ...

        assert self.refused(Child).startswith("Child.begin: open is marked @lifecycle.activate too")

    def test_a_property(self) -> None:
        """A marked method under @property would never be found: it is called, not read."""

        @component("part")
        class Part:
            @property
            @computed
            def value(self) -> int:
                return 1

        assert "Part.value: a marked method cannot be a property" in self.refused(Part)


class Lamp(Device):
    pass


class TestRequires:
    def test_lists_what_a_class_requires(self) -> None:
        """Requirements are found on the class and its bases, and say what they want."""

        class Base(Process):
            lamp = requires(Lamp)

        class More(Base):
            hall = requires(Lamp, id="hall")

        assert [(each.name, str(each)) for each in requirements(More)] == [
            ("lamp", "Lamp"),
            ("hall", "Lamp with id 'hall'"),
        ]

    def test_a_subclass_may_replace_or_drop_one(self) -> None:
        """P5: what a subclass says about an attribute counts, not what its base said."""

        class Base(Process):
            lamp = requires(Lamp)
            other = requires(Lamp, id="x")

        class Changed(Base):
            lamp = requires(Lamp, id="hall")
            other = None  # type: ignore[assignment]

        assert [str(each) for each in requirements(Changed)] == ["Lamp with id 'hall'"]

    def test_is_the_device_after_boot(self, make_runtime: MakeRuntime) -> None:
        """P5: reading the attribute gives the device, per instance."""

        class Needy(Process):
            lamp = requires(Lamp)

            def __init__(self, name: str) -> None:
                self.name = name

        for _ in range(2):
            runtime, lamp, needy = make_runtime(), Lamp("lamp"), Needy("needy")
            runtime.register(lamp)
            runtime.register(needy)
            runtime.boot()
            assert needy.lamp is lamp


def test_handlers_of_an_instance() -> None:
    """`handlers` gives each message class with the bound method, in definition order."""
    door = Door()
    found = list(handlers(door))
    assert [cls for cls, _ in found] == [Rang, Knocked]
    assert {handler for _, handler in found} == {door.answer}


def test_an_unknown_marker_argument_is_an_error() -> None:
    """A marker used in the wrong way says so at once."""
    with pytest.raises(TypeError):
        command(nonsense=True)  # type: ignore[call-overload]
