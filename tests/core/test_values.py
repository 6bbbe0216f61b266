"""Value types: what is allowed, and how values from outside become it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import reading
from edgekernel.core.errors import ConfigError, InvalidValueError
from edgekernel.core.values import ValueType

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.lists(st.integers()),
    st.dictionaries(st.text(), st.integers()),
)


@pytest.mark.parametrize("type_", [bool, int, float, str])
@given(raw=ANYTHING)
def test_anything_is_parsed_or_refused(type_: Any, raw: object) -> None:
    """Whatever comes from outside becomes a finite value of exactly the type, or is refused."""
    values: ValueType[Any] = ValueType(type_)
    try:
        value = values.parse(raw)
    except InvalidValueError as error:
        refusal = str(error)
        assert refusal == f"{raw!r} is not allowed: {values.allowed}"
    else:
        assert type(value) is type_
        assert values.contains(value)
        if isinstance(value, float):
            assert math.isfinite(value)


@given(raw=ANYTHING)
def test_parsing_is_idempotent(raw: object) -> None:
    """What parse has returned is parsed to itself."""
    for values in (ValueType(bool), ValueType(int), ValueType(float), ValueType(str)):
        try:
            value = values.parse(raw)
        except InvalidValueError:
            continue
        assert values.parse(value) == value


@given(
    low=st.floats(-1e6, 1e6), width=st.floats(0, 1e6), value=st.floats(-3e6, 3e6, allow_nan=False)
)
def test_a_range_includes_its_limits_and_nothing_beyond(
    low: float, width: float, value: float
) -> None:
    """A number is allowed exactly if it lies within the limits, which belong to the range."""
    values = ValueType(float, range=(low, low + width))
    assert values.contains(low)
    assert values.contains(low + width)
    assert values.contains(value) == (low <= value <= low + width)
    if values.contains(value):
        assert values.parse(value) == value
    else:
        with pytest.raises(InvalidValueError):
            values.parse(value)


@pytest.mark.parametrize("raw", [True, 1, "on", "ON", "On", "true", "TRUE"])
def test_switch_on(raw: object) -> None:
    """A switch takes the usual words for on, in any case."""
    assert ValueType(bool).parse(raw) is True


@pytest.mark.parametrize("raw", [False, 0, "off", "OFF", "false", "FaLSE"])
def test_switch_off(raw: object) -> None:
    """A switch takes the usual words for off, in any case."""
    assert ValueType(bool).parse(raw) is False


@pytest.mark.parametrize("raw", [2, -1, 0.5, "", "1", "yes", "onn", " on", None, [], b"on"])
def test_switch_refuses_what_is_no_switch(raw: object) -> None:
    """P11: what is not exactly a switch's value is refused, never guessed."""
    with pytest.raises(InvalidValueError, match="is not allowed: on or off"):
        ValueType(bool).parse(raw)


def test_integers() -> None:
    """An integer may come as a whole float, as no other float, and never as a switch or text."""
    values = ValueType(int)
    assert values.parse(5.0) == 5
    assert type(values.parse(5.0)) is int
    for raw in (5.5, True, "5", math.inf, math.nan):
        with pytest.raises(InvalidValueError, match="an integer"):
            values.parse(raw)


@pytest.mark.parametrize("raw", [math.nan, math.inf, -math.inf, True, "1.5", 10**400, None])
def test_numbers_are_finite(raw: object) -> None:
    """A number is finite and a number; an integer beyond all floats is refused like the rest."""
    with pytest.raises(InvalidValueError, match="a number"):
        ValueType(float).parse(raw)


@pytest.mark.parametrize("raw", [10**400, -(10**400)])
def test_huge_integers_are_refused_within_a_range(raw: int) -> None:
    """An integer from outside, however large, is compared with the range without an accident."""
    with pytest.raises(InvalidValueError, match="from 0 to 5"):
        ValueType(int, range=(0, 5)).parse(raw)


def test_what_is_allowed_in_words() -> None:
    """The words name type, limits and unit."""
    assert ValueType(float, "°C", (-40.0, 85.0)).allowed == "a number from -40 to 85 °C"
    assert ValueType(int, range=(0, 3)).allowed == "an integer from 0 to 3"
    assert ValueType(float, "°C").allowed == "a number"
    assert ValueType(bool).allowed == "on or off"
    assert ValueType(str).allowed == "a text"


@pytest.mark.parametrize(
    ("type_", "range_", "text"),
    [
        (list, None, "not <class 'list'>"),
        (int, (5, 1), "has no value"),
        (int, (0, math.nan), "no value"),
    ],
)
def test_what_is_no_value_type(type_: Any, range_: Any, text: str) -> None:
    """A type that no value can have, or a range that none is in, is refused when declared."""
    with pytest.raises(ConfigError, match=text):
        reading(type_, range=range_)
