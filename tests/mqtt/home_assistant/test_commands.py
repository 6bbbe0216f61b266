"""Which entity calls a command, by its arguments."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from edgekernel import Process, Runtime, command
from edgekernel.core.masking import Secret
from edgekernel.mqtt.home_assistant.messages import device_message
from edgekernel.node.schema import describe_node
from tests.mqtt.home_assistant.nodes import announced
from tests.mqtt.home_assistant.required import problems


class Mode(Enum):
    """What a plant can do."""

    ECO = "eco"
    FULL = "full"


class Plant(Process):
    """Has commands of every form."""

    name = "plant"

    @command
    def flush(self) -> None:
        """No argument."""

    @command
    def boost(self, minutes: Annotated[int, Field(ge=1, le=60)] = 10) -> None:
        """One integer."""

    @command
    def tune(self, gain: Annotated[float, Field(gt=0)]) -> None:
        """One number, open above."""

    @command
    def count(self, number: Annotated[int, Field(gt=0, lt=10)]) -> None:
        """One integer between two."""

    @command
    def lock(self, locked: bool) -> None:
        """Yes or no."""

    @command
    def switch(self, mode: Mode) -> None:
        """One of some."""

    @command
    def choose(self, colour: Literal["red", "green"] | None = None) -> None:
        """One of some, or none."""

    @command
    def show(self, text: Annotated[str, Field(max_length=40)]) -> None:
        """One text."""

    @command
    def note(self, text: str = "") -> None:
        """A text that can be left out."""

    @command(destructive=True)
    def drain(self) -> None:
        """Not to be done by mistake."""

    @command
    def move(self, x: float, y: float) -> None:
        """Two arguments."""

    @command
    def unlock(self, password: Secret) -> None:
        """A secret."""

    @command
    def later(self, hour: int = 0, minute: int = 0) -> None:
        """Two arguments that can be left out."""


@pytest.fixture(scope="module")
def schema() -> Iterator[dict[str, Any]]:
    """Return the schema of a plant."""
    runtime = Runtime(name="works")
    runtime.register_process(Plant())
    with runtime:
        yield describe_node(runtime)


def form(schema: dict[str, Any], name: str) -> tuple[str, dict[str, Any]]:
    """Return platform and configuration of the entity that calls a command."""
    [found] = [e for e in announced(schema).entities if e.key == f"plant_call_{name}"]
    return found.platform, found.config


@pytest.mark.parametrize("name", ["flush", "note", "later"])
def test_what_needs_no_argument_is_a_button(schema: dict[str, Any], name: str) -> None:
    """It gives no argument, so that the defaults count."""
    platform, config = form(schema, name)
    assert platform == "button"
    assert config["command_topic"] == f"edge/works/call/plant/{name}"
    assert config["command_template"].startswith('{"args":{},"id":')


@pytest.mark.parametrize(
    ("name", "low", "high", "step"),
    [("boost", 1, 60, 1), ("tune", 0, 1_000_000_000, 0.01), ("count", 1, 9, 1)],
)
def test_one_number(
    schema: dict[str, Any], name: str, low: float, high: float, step: float
) -> None:
    """A number with the argument's limits, so far as it has some."""
    platform, config = form(schema, name)
    assert platform == "number"
    assert (config["min"], config["max"], config["step"]) == (low, high, step)


def test_an_integer_is_sent_as_one(schema: dict[str, Any]) -> None:
    """Home Assistant gives 10.0 for 10."""
    assert '{"args":{"minutes":{{ value | int }}}' in form(schema, "boost")[1]["command_template"]


def test_a_number_without_limits_is_typed_in(schema: dict[str, Any]) -> None:
    """A slider from nowhere to nowhere is of no use."""
    assert form(schema, "tune")[1]["mode"] == "box"
    assert "mode" not in form(schema, "boost")[1]


def test_yes_or_no(schema: dict[str, Any]) -> None:
    """A switch, which shows what was asked last: a command has no state."""
    platform, config = form(schema, "lock")
    assert platform == "switch"
    assert "state_topic" not in config


@pytest.mark.parametrize(
    ("name", "options"), [("switch", ["eco", "full"]), ("choose", ["red", "green"])]
)
def test_one_of_some(schema: dict[str, Any], name: str, options: list[str]) -> None:
    """An enumeration and a Literal are a select."""
    platform, config = form(schema, name)
    assert (platform, config["options"]) == ("select", options)


def test_one_text(schema: dict[str, Any]) -> None:
    """A text with its greatest length."""
    platform, config = form(schema, "show")
    assert (platform, config["max"]) == ("text", 40)


def test_a_destructive_command_is_not_enabled(schema: dict[str, Any]) -> None:
    """Somebody has to want it first."""
    assert form(schema, "drain")[1]["enabled_by_default"] is False


def test_what_cannot_be_called_is_told(schema: dict[str, Any]) -> None:
    """Two arguments do not fit into an entity, and a secret would be shown."""
    assert announced(schema).left_out == (
        "plant.move: x, y cannot be given: an entity gives one number, text, choice or true or "
        "false",
        "plant.unlock: password is secret, and Home Assistant shows what it sends",
    )


def test_all_are_valid(schema: dict[str, Any]) -> None:
    """Every form has what Home Assistant requires, and nothing that it does not know."""
    assert problems(device_message(announced(schema))) == []


def test_without_a_limit_of_time(schema: dict[str, Any]) -> None:
    """With a time to live of 0 a request says nothing about that."""
    [flush] = [
        e for e in announced(schema, command_ttl_s=0).entities if e.key == "plant_call_flush"
    ]
    assert flush.config["command_template"] == '{"args":{},"id":"ha-{{ utcnow().timestamp() }}"}'


def test_two_commands_that_share_a_topic(schema: dict[str, Any]) -> None:
    """The node refuses such a call, so one entity is enough, and it is told."""
    twice = schema | {"commands": {"plant": schema["commands"]["plant"], "Plant": {"flush": {
        "arguments": {"properties": {}}}}}}  # fmt: skip
    told = announced(twice)
    assert "Plant.flush: another command has the topic edge/works/call/plant/flush too" in (
        told.left_out
    )
    assert len(told.components()) == len(told.entities)
