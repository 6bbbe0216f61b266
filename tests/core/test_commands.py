"""Commands: definitions, exact names, targets, visibility (promise P11)."""

from __future__ import annotations

import string
from collections.abc import Mapping
from inspect import Signature
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Effect, command
from edgekernel.core.commands import CommandTable, Parameter, bind_by_name
from edgekernel.core.errors import ConfigError, InvalidValueError, UnknownTargetError, nearest
from edgekernel.core.limits import RateLimit
from edgekernel.core.markers import expose
from edgekernel.core.masking import SECRET


class Valve:
    """Has commands whose names are close to one another."""

    name = "valve"

    def __init__(self) -> None:
        self.done: list[str] = []

    @command
    def open(self, percent: int, *, slowly: bool = False) -> str:
        """Open the valve.

        Details that no list needs.
        """
        self.done.append(f"open {percent} {slowly}")
        return "opened"

    @command(name="close-all", role="operator")
    def close(self) -> None:
        self.done.append("close")

    def hidden(self) -> None:
        self.done.append("hidden")


@pytest.fixture
def valve() -> Valve:
    return Valve()


@pytest.fixture
def table(valve: Valve) -> CommandTable:
    """The valve's commands."""
    table = CommandTable()
    table.add("valve", valve)
    return table


def test_lists_what_is_marked(table: CommandTable) -> None:
    """The marked methods are commands, named `component.command`, and nothing else is."""
    listed = [(each.name, each.role, each.description) for each in table.all()]
    assert listed == [("valve.close-all", "operator", ""), ("valve.open", None, "Open the valve.")]


def test_the_definition_comes_from_the_signature(table: CommandTable) -> None:
    """Parameters with type and default, and the result's type, are those of the method."""
    found = table.find("valve.open")
    assert found.parameters == (
        Parameter("percent", int, Signature.empty, True),
        Parameter("slowly", bool, False, False),
    )
    assert found.returns is str


def test_settings_of_a_command() -> None:
    """What is given to the marker is what the definition says."""

    class Pump:
        @command(action="pump:run", timeout_s=5, blocking=True, description="Run.", internal=True)
        def run(self) -> None:
            """Not this text."""

        @command(destructive=True, rate_limit="10/min")
        async def drain(self, secret_code: int, pin: Annotated[int, SECRET]) -> None: ...

    table = CommandTable()
    table.add("pump", Pump())
    drain, run = table.all()
    assert (run.note.action, run.note.timeout_s, run.runs_on) == ("pump:run", 5, "worker")
    assert (run.description, run.note.internal, run.note.destructive) == ("Run.", True, False)
    assert (drain.runs_on, drain.note.destructive) == ("loop", True)
    assert drain.note.rate_limit == RateLimit(10, 60.0)
    assert drain.secret == {"pin"}


@pytest.mark.parametrize("wrong", [{"timeout_s": 0}, {"rate_limit": "often"}])
def test_settings_without_a_meaning_are_refused(wrong: dict[str, Any]) -> None:
    """A mistake in a marker is an error where it stands."""
    with pytest.raises(ConfigError):
        command(**wrong)(lambda self: None)


def test_async_or_blocking() -> None:
    """A command runs on the event loop or on a worker thread, not on both."""
    with pytest.raises(ConfigError, match="not both"):

        class Both:
            @command(blocking=True)
            async def work(self) -> None: ...


@given(name=st.text(alphabet=string.ascii_lowercase + ".-_ *", max_size=20))
def test_only_exact_names(name: str) -> None:
    """P11: no other name than the exact one finds a command, however near it is."""
    table = CommandTable()
    table.add("valve", Valve())
    if name in ("valve.open", "valve.close-all"):
        return
    with pytest.raises(UnknownTargetError):
        table.find(name)


@pytest.mark.parametrize(
    "name", ["valve.Open", "valve.opens", "open", "valve.", "valve.hidden", "valve.close", ""]
)
def test_near_names_are_refused(table: CommandTable, name: str) -> None:
    """P11: what is nearly a command's name is refused with a hint."""
    with pytest.raises(UnknownTargetError, match="no command"):
        table.find(name)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({}, "percent"),
        ({"percent": 1, "speed": 2}, "speed"),
        ({"self": 1, "percent": 2}, "self"),
    ],
)
def test_arguments_are_those_of_the_method(
    valve: Valve, args: Mapping[str, Any], words: str
) -> None:
    """Missing and unknown arguments are refused; the text names argument and signature."""
    with pytest.raises(InvalidValueError, match=rf"{words}.*the arguments are"):
        bind_by_name(valve.open, args)


def test_removed_commands_are_unknown(table: CommandTable, valve: Valve) -> None:
    """P12: what is taken out is not found; other components' commands stay."""
    added = table.add("other", valve)
    table.remove(added)
    table.remove(added)
    with pytest.raises(UnknownTargetError):
        table.find("other.open")
    assert table.find("valve.open").owner == "valve"


def test_a_new_version_takes_the_place_of_the_old(table: CommandTable) -> None:
    """P12: what is added under a name that is there replaces it; removing the old keeps the new."""
    old, new = table.all(), Valve()
    added = table.add("valve", new)
    table.remove(old)
    assert table.find("valve.open") in added
    table.remove(added)
    assert table.all() == []


def test_the_names_are_a_signal(table: CommandTable, valve: Valve) -> None:
    """Who reads the names is told when commands come and go."""
    seen: list[frozenset[str]] = []
    watching = Effect(lambda: seen.append(table.names.get()))
    table.remove(table.add("other", valve))
    watching.dispose()
    both = frozenset(("valve.open", "valve.close-all"))
    assert seen == [both, both | {"other.open", "other.close-all"}, both]


class Tenant:
    """One of several instances."""

    def __init__(self, target: str) -> None:
        self.properties: dict[str, object] = {"target": target}

    def now(self) -> dict[str, object]:
        return self.properties

    @command
    def report(self) -> str:
        return f"report of {self.properties['target']}"


@pytest.fixture
def tenants(table: CommandTable) -> CommandTable:
    """Two instances of one factory, beside the valve."""
    for name, target in (("first", "t1"), ("second", "t2")):
        made = Tenant(target)
        table.add(name, made, factory="tenant", properties=made.now)
    return table


@pytest.mark.parametrize(
    ("name", "target", "found"),
    [
        ("tenant.report", "t1", "first.report"),
        ("tenant.report", "second", "second.report"),
        ("first.report", "", "first.report"),
        ("first.report", "t1", "first.report"),
    ],
)
def test_a_target_picks_an_instance(
    tenants: CommandTable, name: str, target: str, found: str
) -> None:
    """The target is the instance's name or its property `target`; a full name needs none."""
    assert tenants.find(name, target).name == found


@pytest.mark.parametrize(
    ("name", "target", "error", "text"),
    [
        ("tenant.report", "", InvalidValueError, "give a target, one of t1, t2"),
        ("tenant.report", "t3", UnknownTargetError, "no target 't3'; there are: t1, t2"),
        ("first.report", "t2", UnknownTargetError, "no target 't2'"),
        ("tenant.reprot", "t1", UnknownTargetError, "did you mean 'tenant.report'"),
    ],
)
def test_a_target_is_never_guessed(
    tenants: CommandTable, name: str, target: str, error: type[Exception], text: str
) -> None:
    """P11: without the exact target no instance is called; the text says which there are."""
    with pytest.raises(error, match=text):
        tenants.find(name, target)


def test_properties_count_as_they_are_now(table: CommandTable) -> None:
    """A property that changes while the runtime runs changes the target."""
    made = Tenant("t1")
    table.add("first", made, factory="tenant", properties=made.now)
    assert table.find("tenant.report").name == "first.report"
    made.properties = {"target": "t9"}
    with pytest.raises(UnknownTargetError):
        table.find("tenant.report", "t1")
    assert table.find("tenant.report", "t9").name == "first.report"


def test_one_target_of_two_instances(tenants: CommandTable) -> None:
    """Two instances with the same property are told apart by their names."""
    tenants.add("third", Tenant("t1"), factory="tenant", properties=lambda: {"target": "t1"})
    with pytest.raises(InvalidValueError, match="'t1' is the target of first, third"):
        tenants.find("tenant.report", "t1")


def test_visibility() -> None:
    """Internal commands are on no surface; `@expose` names surfaces, and what is on them."""

    class Open:
        @command
        def show(self) -> None: ...

        @command(internal=True)
        def tune(self) -> None: ...

    @expose("rest", include=("one", "two"), exclude=("two",))
    @expose("mqtt", exclude=("one",))
    class Chosen:
        @command
        def one(self) -> None: ...

        @command
        def two(self) -> None: ...

    @expose("mqtt", include=("one",))
    class Narrower(Chosen):
        pass

    table = CommandTable()
    table.add("open", Open())
    table.add("chosen", Chosen())
    table.add("narrower", Narrower())

    def on(surface: str) -> list[str]:
        return [each.name for each in table.visible(surface)]

    assert on("mqtt") == ["chosen.two", "narrower.one", "open.show"]
    assert on("rest") == ["chosen.one", "narrower.one", "open.show"]
    assert on("mcp") == ["open.show"]
    assert table.has("open.tune")


def test_nearest() -> None:
    """The hint is the nearest name, else all names, else that there are none."""
    assert nearest("valve.opem", ["valve.open", "fan.off"]) == "; did you mean 'valve.open'?"
    assert nearest("zzz", ["b", "a"]) == "; there are: a, b"
    assert nearest("zzz", []) == "; there are none"
