"""Outgoing JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from edgekernel import Event, Message, Severity
from edgekernel.mqtt.encoding import (
    NotEncodableError,
    encode,
    event_payload,
    state_payload,
    timestamp,
    to_plain,
    to_plain_or_text,
)
from tests.mqtt.parts import Lamp


class Colour(Enum):
    """An enum."""

    RED = "red"


@dataclass
class Point:
    """A dataclass."""

    x: int
    colour: Colour


class Model(BaseModel):
    """A pydantic model."""

    when: datetime
    point: int = 1


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Point(1, Colour.RED), {"x": 1, "colour": "red"}),
        (
            Model(when=datetime(2026, 1, 2, tzinfo=UTC)),
            {"when": "2026-01-02T00:00:00Z", "point": 1},
        ),
        ({"a": (1, 2), Colour.RED: None, 3: {4}}, {"a": [1, 2], "red": None, "3": [4]}),
        (Severity.ERROR, 40),
        (Path("/tmp"), "/tmp"),
        (None, None),
    ],
)
def test_results_become_plain_json(value: object, plain: object) -> None:
    """Dataclasses, models, enums and containers have a JSON form."""
    assert to_plain(value) == plain


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (object(), "result is a object, which has no JSON form"),
        ({"a": [b"x"]}, r"result.a\[0\] is a bytes"),
        (math.nan, "result is a float"),
        (Point, "result is a type"),
        ({(1, 2): 3}, "a key of result is a tuple"),
    ],
)
def test_a_result_without_json_form_says_where_it_is(value: object, problem: str) -> None:
    """The error names the place and the type."""
    with pytest.raises(NotEncodableError, match=problem):
        to_plain(value)


def test_what_contains_itself_ends() -> None:
    """A cyclic value is an error as a result and a text in an event."""
    cyclic: list[object] = []
    cyclic.append(cyclic)
    with pytest.raises(NotEncodableError):
        to_plain(cyclic)
    encode(to_plain_or_text(cyclic))


@given(st.recursive(st.text() | st.floats() | st.binary(), lambda i: st.lists(i) | st.tuples(i)))
def test_an_event_field_is_always_encoded(value: object) -> None:
    """Whatever a message holds, its event is published: strict JSON comes out."""

    def no_constant(text: str) -> None:
        raise AssertionError(text)

    json.loads(encode(to_plain_or_text(value)).decode(), parse_constant=no_constant)


def test_times_are_iso_8601_in_utc() -> None:
    """Times come in UTC with milliseconds, whatever their zone."""
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=1)))
    assert timestamp(moment) == "2026-01-02T02:04:05.678Z"


def test_a_state_has_every_reading_and_output() -> None:
    """The state says of each signal what it is, how good, since when and in which unit."""
    lamp = Lamp("lamp")
    lamp.light_level.update(80.0)
    state = json.loads(state_payload(lamp))
    assert state["online"] is False
    time = state["light_level"].pop("time")
    assert datetime.fromisoformat(time).tzinfo is not None
    assert state["light_level"] == {"value": 80.0, "quality": "good", "unit": "lx"}
    power = state["power"]
    assert (power["value"], power["setpoint"], power["quality"]) == (None, None, "bad")
    assert (power["reason"], power["time"]) == ("no value yet", None)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_json_has_not_is_bad(value: float) -> None:
    """A reading that is not finite is published as BAD without value."""
    lamp = Lamp("lamp")
    lamp.light_level.update(value)
    level = json.loads(state_payload(lamp))["light_level"]
    assert (level["value"], level["quality"]) == (None, "bad")


def test_an_event_has_its_place_in_the_order() -> None:
    """The event carries seq, boot, times, source, name, severity and the fields."""

    class Odd(Message):
        severity = Severity.WARNING
        name = "odd.thing"
        what: object
        point: Point

    sentinel = object()
    event = Event(7, 1_700_000_000_000_000_000, 5.5, "me", Odd(sentinel, Point(1, Colour.RED)), 6)
    assert json.loads(event_payload(event, "b1")) == {
        "id": "b1-7",
        "seq": 7,
        "boot": "b1",
        "time": "2023-11-14T22:13:20.000Z",
        "monotonic": 5.5,
        "source": "me",
        "name": "odd.thing",
        "severity": "warning",
        "fields": {"what": repr(sentinel), "point": {"x": 1, "colour": "red"}},
    }
