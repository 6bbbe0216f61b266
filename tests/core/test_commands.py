"""Commands: exact names, checked arguments, closed by default (promise P11)."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import command
from edgekernel.core.commands import CommandTable, bind_by_name, nearest
from edgekernel.core.errors import ForbiddenError, InvalidValueError, UnknownTargetError


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
    """The valve's commands, without an authorizer."""
    table = CommandTable(bind_by_name, None)
    table.add("valve", valve)
    return table


def test_lists_what_is_marked(table: CommandTable) -> None:
    """The marked methods are commands, named `component.command`, and nothing else is."""
    listed = [(each.name, each.role, each.description) for each in table.all()]
    assert listed == [("valve.close-all", "operator", ""), ("valve.open", None, "Open the valve.")]


def test_prepare_then_call(table: CommandTable, valve: Valve) -> None:
    """Preparing checks; only the prepared call does something."""
    call = table.prepare("valve.open", {"percent": 30, "slowly": True}, "")
    assert valve.done == []
    assert call() == "opened"
    assert valve.done == ["open 30 True"]


@given(name=st.text(alphabet=string.ascii_lowercase + ".-_ *", max_size=20))
def test_only_exact_names(name: str) -> None:
    """P11: no other name than the exact one reaches a command, however near it is."""
    valve, table = Valve(), CommandTable(bind_by_name, lambda principal, role: True)
    table.add("valve", valve)
    if name in ("valve.open", "valve.close-all"):
        return
    with pytest.raises(UnknownTargetError):
        table.prepare(name, {}, "anna")
    assert valve.done == []


@pytest.mark.parametrize(
    "name", ["valve.Open", "valve.opens", "open", "valve.", "valve.hidden", "valve.close", ""]
)
def test_near_names_are_refused(table: CommandTable, valve: Valve, name: str) -> None:
    """P11: what is nearly a command's name is refused with a hint."""
    with pytest.raises(UnknownTargetError, match="no command"):
        table.prepare(name, {"percent": 1}, "")
    assert valve.done == []


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({}, "percent"),
        ({"percent": 1, "speed": 2}, "speed"),
        ({"self": 1, "percent": 2}, "self"),
    ],
)
def test_arguments_are_those_of_the_method(
    table: CommandTable, args: Mapping[str, Any], words: str
) -> None:
    """Missing and unknown arguments are refused; the text names command, argument and signature."""
    with pytest.raises(InvalidValueError, match=rf"valve\.open: .*{words}.*the arguments are"):
        table.prepare("valve.open", args, "")


def test_a_role_needs_an_authorizer(table: CommandTable) -> None:
    """P11: without an authorizer nobody has a role."""
    with pytest.raises(ForbiddenError, match=r"valve\.close-all needs the role 'operator'.*nobody"):
        table.prepare("valve.close-all", {}, "")


@pytest.mark.parametrize("granted", [True, False])
def test_the_authorizer_decides(valve: Valve, granted: bool) -> None:
    """P11: principal and role go to the authorizer, and its word counts."""
    asked: list[tuple[str, str]] = []

    def authorize(principal: str, role: str) -> bool:
        asked.append((principal, role))
        return granted

    table = CommandTable(bind_by_name, authorize)
    table.add("valve", valve)
    if granted:
        table.prepare("valve.close-all", {}, "anna")()
    else:
        with pytest.raises(ForbiddenError, match="'anna' has not been granted"):
            table.prepare("valve.close-all", {}, "anna")
    assert asked == [("anna", "operator")]


def test_a_wrong_role_is_told_before_wrong_arguments(table: CommandTable) -> None:
    """P11: who may not call a command learns nothing about its arguments."""
    with pytest.raises(ForbiddenError):
        table.prepare("valve.close-all", {"nonsense": 1}, "")


def test_removed_commands_are_unknown(table: CommandTable, valve: Valve) -> None:
    """P12: what is taken out cannot be called; other components' commands stay."""
    names = table.add("other", valve)
    table.remove(names)
    table.remove(names)
    with pytest.raises(UnknownTargetError):
        table.prepare("other.open", {"percent": 1}, "")
    assert table.prepare("valve.open", {"percent": 1}, "")() == "opened"


def test_the_binder_is_replaceable(valve: Valve) -> None:
    """Another binder may check and convert the arguments."""

    def doubling(method: Callable[..., Any], args: Mapping[str, Any]) -> Callable[[], Any]:
        return lambda: method(**{name: value * 2 for name, value in args.items()})

    table = CommandTable(doubling, None)
    table.add("valve", valve)
    table.prepare("valve.open", {"percent": 15}, "")()
    assert valve.done == ["open 30 False"]


def test_nearest() -> None:
    """The hint is the nearest name, else all names, else that there are none."""
    assert nearest("valve.opem", ["valve.open", "fan.off"]) == "; did you mean 'valve.open'?"
    assert nearest("zzz", ["b", "a"]) == "; there are: a, b"
    assert nearest("zzz", []) == "; there are none"
