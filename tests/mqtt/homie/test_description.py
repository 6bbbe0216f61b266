"""The description of a node, judged by the convention."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.mqtt.homie.description import describe
from edgekernel.mqtt.homie.settings import HomieSettings
from edgekernel.mqtt.homie.values import encode_value
from edgekernel.node import driver_names
from tests.mqtt.home_assistant.nodes import GREENHOUSE, driver_schema, schema_of
from tests.mqtt.homie.convention import description_problems, value_problem

VERSION = {"version": 1}
SHOWN = HomieSettings()


@pytest.fixture
def no_thread_left() -> None:
    """Let the worker be that luma.core starts with its first display, and keeps."""


def node(commands: dict[str, Any] | None = None, **signals: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a node with one device, `x`."""
    device = {"driver": "X", "readings": {}, "outputs": {}, "messages": [], **signals}
    return {"node": "n1", "devices": {"x": device}, "commands": {"x": commands or {}}}


def command(arguments: dict[str, Any], **others: Any) -> dict[str, Any]:
    """Return the schema of a command."""
    return {
        "arguments": {"type": "object", "required": list(arguments["properties"]), **arguments}
    } | others


@pytest.mark.filterwarnings(
    "ignore:Image.Image.getdata is deprecated:DeprecationWarning"  # luma.oled up to 3.16
)
@pytest.mark.parametrize("driver", sorted(driver_names()))
def test_every_driver(driver: str, tmp_path: Path) -> None:
    """Every reading, output, message and command of every driver that ships has a property."""
    schema = driver_schema(driver, tmp_path)
    made = describe(schema, SHOWN)
    assert description_problems({**made.document, **VERSION}) == []
    assert made.left_out == ()
    device = schema["devices"]["x"]
    signals = {*device["readings"], *device["outputs"]}
    shown = {
        each.member for each in made.properties.values() if each.owner == "x" and each.retained
    }
    assert shown == signals


def test_the_greenhouse() -> None:
    """A whole node is described as the convention wants it; what cannot be said is named."""
    made = describe(schema_of(GREENHOUSE), SHOWN)
    assert description_problems({**made.document, **VERSION}) == []
    assert all(": " in each for each in made.left_out)


ranges = st.none() | st.tuples(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
).map(sorted)


@given(
    st.sampled_from(["int", "float", "bool", "str"]),
    ranges,
    st.sampled_from(["", "°C", "%", "µg/m³"]),
    st.text(min_size=1, max_size=20),
    st.sampled_from(["readings", "outputs"]),
)
def test_whatever_a_signal_is(kind: str, range: Any, unit: str, name: str, where: str) -> None:
    """Of every type, range, unit and name a valid property is made, or it is said why not; both
    ends of a range are valid values."""
    signal = {"type": kind} | ({"range": list(range)} if range else {}) | {"unit": unit}
    made = describe(node(**{where: {name: signal}}), SHOWN)
    assert description_problems({**made.document, **VERSION}) == []
    assert len(made.properties) + len(made.left_out) == 1
    for each in made.properties.values():
        if range and kind == "float":
            assert not value_problem(each.describe(), encode_value(range[0]))
            assert not value_problem(each.describe(), encode_value(range[1]))


@pytest.mark.parametrize(
    ("argument", "datatype", "format"),
    [
        ({"type": "boolean"}, "boolean", None),
        ({"type": "integer", "minimum": 1, "exclusiveMaximum": 60}, "integer", "1:59"),
        ({"type": "number", "exclusiveMinimum": 0}, "float", None),
        ({"type": "number", "maximum": 1e22}, "float", ":1e22"),
        ({"type": "string"}, "string", None),
        ({"type": "string", "format": "date-time"}, "datetime", None),
        ({"type": "string", "format": "duration"}, "duration", None),
        ({"enum": ["eco", "comfort"], "type": "string"}, "enum", "eco,comfort"),
        ({"const": "eco"}, "enum", "eco"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "integer", None),
        ({"$ref": "#/$defs/Mode"}, "enum", "a,b"),
        ({"type": "array", "items": {"type": "number"}}, "json", None),
    ],
)
def test_an_argument(argument: dict[str, Any], datatype: str, format: str | None) -> None:
    """A command with one argument is a property of the argument's datatype, of a moment."""
    arguments = {"properties": {"how": argument}, "$defs": {"Mode": {"enum": ["a", "b"]}}}
    made = describe(node({"go": command(arguments)}), SHOWN)
    assert made.left_out == ()
    described = made.properties["x", "go"].describe()
    assert described["datatype"] == datatype
    assert (described["settable"], described["retained"]) == (True, False)
    assert datatype == "json" or described.get("format") == format
    assert description_problems({**made.document, **VERSION}) == []


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (
            command({"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}),
            "a, b cannot",
        ),
        (command({"properties": {"pin": {"type": "string"}}}, secret=["pin"]), "pin is secret"),
        (command({"properties": {"a": {}}}), "a is of a type"),
        (command({"properties": {"a": {"enum": [1, 2]}}}), "a is a choice"),
        (command({"properties": {"a": {"enum": ["x,y"]}}}), "a is a choice"),
    ],
)
def test_a_command_that_has_no_property(schema: dict[str, Any], why: str) -> None:
    """What one value cannot say is left out, with the reason."""
    made = describe(node({"go": schema}), SHOWN)
    assert made.properties == {}
    [text] = made.left_out
    assert text.startswith(f"x.go: {why}")


def test_a_command_whose_arguments_may_be_left_out() -> None:
    """It is called without them."""
    arguments = {"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": []}
    made = describe(node({"go": command(arguments)}), SHOWN)
    assert made.properties["x", "go"].describe()["format"] == "run"


def test_what_is_excluded_and_what_collides() -> None:
    """What is excluded is not shown; of two with the same id the first one is, and it is said."""
    signals = {"fan_speed": {"type": "int"}, "fan-speed": {"type": "int"}, "hum": {"type": "int"}}
    made = describe(node(readings=signals), HomieSettings(exclude=["x.hum"]))
    assert list(made.properties) == [("x", "fan-speed")]
    assert made.left_out == ("x.fan-speed: x.fan_speed is x/fan-speed already",)
