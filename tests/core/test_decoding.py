"""Messages from data."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from enum import Enum, IntEnum
from typing import Any, ClassVar, Literal, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import InvalidValueError, Message, Severity, message
from edgekernel.mqtt.encoding import to_plain


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Position(Message):
    x: float
    y: float = 0.0


class Painted(Message):
    kind: ClassVar[str] = "paint"
    sure: bool
    count: int
    share: float
    text: str
    raw: bytes
    nothing: None
    way: Literal["up", "down", 3]
    colour: Colour
    level: Level
    maybe: int | None
    odd: Union[str, int, Position, datetime, Colour]  # noqa: UP007
    perhaps: Optional[Position]  # noqa: UP045
    places: tuple[Position, ...]
    pair: tuple[int, str]
    listed: list[int | str]
    table: dict[str, tuple[float, ...]]
    when: datetime
    place: Position
    whatever: Any
    bare: tuple  # type: ignore[type-arg]
    later: Later


class Later(Message):
    """Defined after the class that names it."""

    delay_s: float = 1.5


class Area(Message):
    width: float
    size: float = dataclasses.field(init=False, default=0.0)
    tags: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        if self.width < 0:
            raise ValueError("width is negative")


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=5)
POSITIONS = st.builds(Position, NUMBERS, NUMBERS)
TIMES = st.datetimes(timezones=st.sampled_from([UTC]) | st.none())
COLOURS = st.sampled_from(Colour)


def painted(
    raw: st.SearchStrategy[bytes], odd: st.SearchStrategy[Any]
) -> st.SearchStrategy[Painted]:
    """Messages with every supported type of field."""
    return st.builds(
        Painted,
        sure=st.booleans(),
        count=st.integers(),
        share=NUMBERS | st.integers(-9, 9),
        text=TEXTS,
        raw=raw,
        nothing=st.none(),
        way=st.sampled_from(["up", "down", 3]),
        colour=COLOURS,
        level=st.sampled_from(Level),
        maybe=st.none() | st.integers(),
        odd=odd,
        perhaps=st.none() | POSITIONS,
        places=st.lists(POSITIONS, max_size=2).map(tuple),
        pair=st.tuples(st.integers(), TEXTS),
        listed=st.lists(st.integers() | TEXTS, max_size=3),
        table=st.dictionaries(TEXTS, st.lists(NUMBERS, max_size=2).map(tuple), max_size=2),
        when=TIMES,
        place=POSITIONS,
        whatever=st.none() | TEXTS | st.booleans() | st.lists(st.integers(), max_size=2),
        bare=st.just((1, "a")),
        later=st.builds(Later),
    )


@given(painted(st.binary(max_size=3), TEXTS | st.integers() | POSITIONS | TIMES | COLOURS))
def test_comes_back_from_its_fields(told: Painted) -> None:
    """What `to_dict` gives makes an equal message, with values of the same types."""
    again = Painted.from_dict(told.to_dict())
    assert again == told
    for field in dataclasses.fields(told):
        if field.name != "share":
            assert type(getattr(again, field.name)) is type(getattr(told, field.name))
    assert type(again.share) is float


@given(painted(st.just(b""), TEXTS | st.integers() | POSITIONS))
def test_comes_back_from_json(told: Painted) -> None:
    """The plain form that JSON has for lists, enums, times and messages is understood too."""
    data = json.loads(json.dumps(to_plain({**told.to_dict(), "raw": None})))
    assert Painted.from_dict({**data, "raw": b""}) == told


@pytest.mark.parametrize("name", message.__all__)
def test_the_runtimes_own_messages_come_back(name: str) -> None:
    """Every message of the runtime can be read from its fields."""
    cls = getattr(message, name)
    samples: dict[Any, Any] = {
        "str": "x",
        "int": 1,
        "float": 1.5,
        "bool": True,
        "tuple[str, ...]": ("a", "b"),
        "bool | int | float | str | None": "on",
    }
    told = cls(**{field.name: samples[field.type] for field in dataclasses.fields(cls)})
    assert cls.from_dict(told.to_dict()) == told
    assert cls.from_dict(json.loads(json.dumps(told.to_dict()))) == told


def test_a_default_stands_in_for_a_missing_field() -> None:
    """A field with a default may be left out, one that is made from the others is made again."""
    assert Position.from_dict({"x": 1}) == Position(1.0, 0.0)
    assert Area.from_dict({"width": 2.0, "size": 99.0}) == Area(2.0)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"y": 1.0}, "position: the field 'x' is missing"),
        ({"x": 1.0, "yy": 1}, "position: no field 'yy'; did you mean 'y'?"),
        ({"x": 1.0, 7: 1}, "position: no field 7; there are: x, y"),
        ({"x": "1"}, "position: x: '1' is not allowed: a number"),
        ({"x": True}, "position: x: True is not allowed: a number"),
        ({"x": 10**400}, "is not allowed: a number"),
        (["x"], "position: ['x'] is not allowed: fields by name"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(data: Any, text: str) -> None:
    """An unknown or missing field and a wrong type are errors that name message and field."""
    with pytest.raises(InvalidValueError) as caught:
        Position.from_dict(data)
    assert text in str(caught.value)


GOOD = Painted(
    sure=True, count=1, share=0.5, text="t", raw=b"r", nothing=None, way="up", colour=Colour.RED,
    level=Level.LOW, maybe=None, odd="o", perhaps=None, places=(), pair=(1, "a"), listed=[],
    table={}, when=datetime(2026, 1, 2, tzinfo=UTC), place=Position(1.0), whatever=1, bare=(),
    later=Later(),
)  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("sure", 1, "sure: 1 is not allowed: true or false"),
        ("count", True, "count: True is not allowed: an integer"),
        ("count", 1.0, "count: 1.0 is not allowed: an integer"),
        ("text", None, "text: None is not allowed: a text"),
        ("raw", "r", "raw: 'r' is not allowed: bytes"),
        ("nothing", 0, "nothing: 0 is not allowed: nothing"),
        ("way", "left", "way: 'left' is not allowed: 'up' or 'down' or 3"),
        ("colour", "green", "colour: 'green' is not allowed: 'red' or 'blue'"),
        ("level", True, "level: True is not allowed: 1 or 2"),
        ("maybe", "x", "maybe: 'x' is not allowed: an integer or nothing"),
        ("odd", 1.5, "odd: 1.5 is not allowed: a text or an integer or the fields of position"),
        ("perhaps", {"x": "a"}, "position: x: 'a' is not allowed: a number"),
        ("places", [{"x": 1}, {"z": 1}], "places[1]: {'z': 1} is not allowed: the fields of"),
        ("places", "ab", "places: 'ab' is not allowed: a list"),
        ("pair", [1], "pair: [1] is not allowed: a list of 2"),
        ("pair", [1, 2], "pair[1]: 2 is not allowed: a text"),
        ("listed", (1, b"2"), "listed[1]: b'2' is not allowed: an integer or a text"),
        ("table", {"a": [1, "b"]}, "table['a'][1]: 'b' is not allowed: a number"),
        ("table", {1: []}, "table's names: 1 is not allowed: a text"),
        ("when", "tomorrow", "when: 'tomorrow' is not allowed: a date and time"),
        ("place", None, "place: None is not allowed: the fields of position"),
        ("text", ["x" * 500], "... is not allowed: a text"),
    ],
)
def test_a_wrong_type_says_what_is_allowed(field: str, value: object, text: str) -> None:
    """The error names the place in the field, the value in short, and what may stand there."""
    with pytest.raises(InvalidValueError) as caught:
        Painted.from_dict({**GOOD.to_dict(), field: value})
    assert str(caught.value).startswith(f"painted: {field}")
    assert text in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_text_that_could_be_a_time_stays_a_text() -> None:
    """Where several types are allowed, a value that is of one of them is not converted."""
    for odd in ("2026-01-02T03:04:05", "red", 5, datetime(2026, 1, 2), Colour.RED):  # noqa: DTZ001
        again = Painted.from_dict({**GOOD.to_dict(), "odd": odd})
        assert again.odd == odd
        assert type(again.odd) is type(odd)


def test_a_class_checks_its_own_fields() -> None:
    """What the class itself refuses is refused as an invalid value as well."""
    with pytest.raises(InvalidValueError, match="area: width is negative"):
        Area.from_dict({"width": -1.0})


def test_an_instance_of_any_other_class_is_taken_as_it_is() -> None:
    """A field of a class that data has no form for takes its instances only."""

    class Lasting(Message):
        span: timedelta

    assert Lasting.from_dict({"span": timedelta(1)}) == Lasting(timedelta(1))
    with pytest.raises(InvalidValueError, match="5 is not allowed: a timedelta"):
        Lasting.from_dict({"span": 5})


def test_a_type_that_is_not_known_is_the_authors_mistake() -> None:
    """A field whose annotation means nothing is a TypeError that names the message."""

    class Puzzling(Message):
        severity = Severity.DEBUG
        what: Unheard  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable]

    with pytest.raises(TypeError, match=r"puzzling: .*Unheard"):
        Puzzling.from_dict({"what": 1})
