"""Values against a JSON Schema."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from edgekernel.core.errors import InvalidValueError
from edgekernel.mqtt.fleet.json_schema import choices, from_text, problems
from edgekernel.node.signature import arguments_model, bind_validated

Tens = Annotated[int, Field(ge=1, le=60)]


class Mode(enum.Enum):
    """A few words."""

    ECO = "eco"
    FAST = "fast"


class Point(BaseModel):
    """An object inside."""

    x: float
    y: float = 0.0


def run(
    minutes: Tens = 10,
    mode: Mode = Mode.ECO,
    speed: Literal["slow", 2] = "slow",
    name: Annotated[str, Field(max_length=5)] = "a",
    level: float | None = None,
    points: list[Point] = [],  # noqa: B006 (never changed)
    on: bool = False,
    extra: Any = None,
    by: dict[str, int] = {},  # noqa: B006 (never changed)
) -> None:
    """Take arguments of every kind."""


SCHEMA = arguments_model(run).model_json_schema()


def one(argument: str) -> dict[str, Any]:
    """Return the schema of one argument."""
    found: dict[str, Any] = SCHEMA["properties"][argument]
    return found


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"minutes": 61}, "minutes: 61 is not allowed; at most 60 is allowed"),
        ({"minutes": 0}, "minutes: 0 is not allowed; at least 1 is allowed"),
        ({"minutes": "5"}, 'minutes: "5" is not allowed; an integer is allowed'),
        ({"minutes": True}, "minutes: true is not allowed; an integer is allowed"),
        ({"mode": "slow"}, 'mode: "slow" is not allowed; "eco" or "fast" is allowed'),
        ({"speed": 3}, 'speed: 3 is not allowed; "slow" or 2 is allowed'),
        ({"name": "abcdef"}, 'name: "abcdef" is not allowed; at most 5 characters are allowed'),
        ({"level": "x"}, 'level: "x" is not allowed; a number or null is'),
        ({"points": [{"x": 1}, {"y": 2}]}, "points[1].x: is missing; it is required"),
        ({"points": {"x": 1}}, 'points: {"x": 1} is not allowed; a list is allowed'),
        ({"on": 1}, "on: 1 is not allowed; true or false is allowed"),
        ({"minuts": 1}, "minuts: there is no such argument; did you mean 'minutes'?"),
        ({"by": {"a": "b"}}, 'by.a: "b" is not allowed; an integer is allowed'),
    ],
)
def test_what_is_wrong_is_told(args: dict[str, Any], said: str) -> None:
    """Where it is, what was given, what is allowed or the nearest name; the node refuses it too."""
    assert problems(SCHEMA, args) == [said]
    with pytest.raises(InvalidValueError):
        bind_validated(run, args)


def test_everything_that_is_wrong_is_told() -> None:
    """Several mistakes are several sentences."""
    assert len(problems(SCHEMA, {"minutes": 0, "on": 3, "nam": "x"})) == 3


@pytest.mark.parametrize(
    ("argument", "text", "value"),
    [
        ("minutes", "23", 23),
        ("minutes", "x", "x"),
        ("mode", "eco", "eco"),
        ("speed", "2", 2),
        ("speed", "slow", "slow"),
        ("name", "23", "23"),
        ("name", "on", "on"),
        ("level", "2.5", 2.5),
        ("level", "null", None),
        ("on", "on", True),
        ("on", "False", False),
        ("on", "maybe", "maybe"),
        ("points", '[{"x": 1}]', [{"x": 1}]),
        ("extra", "[1]", [1]),
        ("extra", "abc", "abc"),
    ],
)
def test_a_text_becomes_what_is_wanted(argument: str, text: str, value: object) -> None:
    """The type comes from the schema: 23 is a text where texts are, on is true for a switch."""
    found = from_text(one(argument), text, SCHEMA)
    assert (type(found), found) == (type(value), value)


def test_choices() -> None:
    """Where only a few values are allowed they are known, for completion."""
    assert choices(one("mode"), SCHEMA) == ["eco", "fast"]
    assert choices(one("speed"), SCHEMA) == ["slow", "2"]
    assert choices(one("on"), SCHEMA) == ["on", "off"]
    assert choices(one("minutes"), SCHEMA) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-100, 100) | st.floats(-9, 99) | st.text(max_size=7),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(SCHEMA["properties"], JSON)))
def test_nothing_that_the_node_takes_is_refused(args: dict[str, Any]) -> None:
    """Whatever is found wrong here the node refuses too."""
    if problems(SCHEMA, args):
        with pytest.raises(InvalidValueError):
            bind_validated(run, args)


KEYS = st.sampled_from(
    [
        "type",
        "anyOf",
        "oneOf",
        "$ref",
        "enum",
        "const",
        "items",
        "properties",
        "required",
        "additionalProperties",
        "minimum",
        "exclusiveMaximum",
        "minLength",
        "maxItems",
    ]
)
KINDS = st.sampled_from(["string", "integer", "object", "array", "null", "#", "#/items"])
SCHEMAS = st.recursive(
    JSON | KINDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner | KINDS, max_size=4),
    max_leaves=8,
)


@given(JSON, st.dictionaries(KEYS, SCHEMAS))
def test_a_strange_schema_does_no_harm(value: object, schema: dict[str, Any]) -> None:
    """A schema is somebody's text: whatever it is, the judgement ends."""
    assert isinstance(problems(schema, value), list)
    from_text(schema, "text", schema)
    choices(schema, schema)


def test_a_schema_that_refers_to_itself() -> None:
    """A circle in it ends too."""
    schema = {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}}
    assert problems(schema, 1) == []
    assert problems({"$ref": "#"}, 1) == []
    twice = {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}
    assert problems(twice, 1) == []
