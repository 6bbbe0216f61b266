"""Arguments of commands, checked against annotations."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Le, Unit
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from edgekernel.core.errors import InvalidValueError
from edgekernel.core.masking import Secret
from edgekernel.node.signature import bind_validated, durations_of, model_of


class Mode(Enum):
    """How to go about it."""

    ECO = "eco"
    FULL = "full"


@dataclass
class Window:
    """A part of the day."""

    begin: int
    end: int = 24


class Plant:
    """Has a command for each kind of argument."""

    def heat(self, celsius: Annotated[float, Field(ge=5, le=35)], minutes: int = 10) -> object:
        return celsius, minutes

    def plan(self, mode: Mode, day: date, windows: list[Window]) -> object:
        return mode, day, windows

    def odd(self, id: str, copy: bool = False, json: dict[str, int] | None = None) -> object:
        return id, copy, json

    def login(self, user: str, word: Secret = "") -> object:
        return user, word

    def any(self, value: Any, kind: Literal["a", "b"] = "a") -> object:
        return value, kind


PLANT = Plant()


def refused(method: Any, **args: object) -> str:
    """Return why a call is refused."""
    with pytest.raises(InvalidValueError) as caught:
        bind_validated(method, args)
    return str(caught.value)


def test_good_arguments() -> None:
    """The call is ready with the arguments given and the defaults, and made only when called."""
    assert bind_validated(PLANT.heat, {"celsius": 21.5, "minutes": 3})() == (21.5, 3)
    assert bind_validated(PLANT.heat, {"celsius": 21})() == (21.0, 10)
    calls: list[int] = []
    call = bind_validated(lambda: calls.append(1), {})
    assert calls == []
    call()
    assert calls == [1]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "celsius: is missing; this key is required"),
        ({"celsius": "21"}, 'celsius: "21" is not allowed; a number is allowed'),
        ({"celsius": True}, "celsius: true is not allowed; a number is allowed"),
        ({"celsius": None}, "celsius: None is not allowed; a number is allowed"),
        ({"celsius": 36}, "celsius: 36 is not allowed; at most 35.0 is allowed"),
        ({"celsius": -1}, "celsius: -1 is not allowed; at least 5.0 is allowed"),
        ({"celsius": float("nan")}, "celsius: nan is not allowed; a finite number is allowed"),
        ({"celsius": 9, "minutes": 1.5}, "minutes: 1.5 is not allowed"),
        ({"celsius": 9, "minuts": 1}, "minuts: unknown key; did you mean 'minutes'?"),
        ({"celsius": 9, "self": 1}, "self: unknown key; there are: celsius, minutes"),
    ],
)
def test_wrong_arguments(args: dict[str, object], said: str) -> None:
    """A wrong type or range, a missing and an unknown argument are told by name and remedy."""
    assert refused(PLANT.heat, **args).startswith(said)


def test_every_wrong_argument_is_told() -> None:
    """All wrong arguments are told at once."""
    text = refused(PLANT.heat, celsius=99, minutes="x", hours=1)
    assert re.findall(r"(\w+): (?:\S+ is not allowed|unknown key)", text) == [
        "celsius",
        "minutes",
        "hours",
    ]


def test_structured_arguments() -> None:
    """Enums come by value, dates as ISO text, dataclasses as tables."""
    args = {"mode": "eco", "day": "2026-02-28", "windows": [{"begin": 6, "end": 8}, {"begin": 20}]}
    assert bind_validated(PLANT.plan, args)() == (
        Mode.ECO,
        date(2026, 2, 28),
        [Window(6, 8), Window(20, 24)],
    )
    text = refused(PLANT.plan, mode="turbo", day="tomorrow", windows=[{"begin": "x"}])
    assert "mode: \"turbo\" is not allowed; 'eco' or 'full' is allowed" in text
    assert 'day: "tomorrow" is not allowed; a date such as "2026-01-31" is allowed' in text
    assert 'windows[0].begin: "x" is not allowed; an integer is allowed' in text
    assert "'a' or 'b' is allowed" in refused(PLANT.any, value=1, kind="c")


def test_any_parameter_name() -> None:
    """A parameter may have a name that means something elsewhere, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bound = bind_validated(PLANT.odd, {"id": "x", "copy": True, "json": {"a": 1}})
    assert bound() == ("x", True, {"a": 1})


def test_what_no_message_can_carry() -> None:
    """An argument that cannot be written as JSON is refused, though the caller is in-process."""
    for value in (object(), {1, 2}, timedelta(1), 16**5000):
        assert "cannot be written as JSON" in refused(PLANT.any, value=value)


@given(
    st.dictionaries(
        st.sampled_from(["celsius", "minutes", "self", ""]) | st.text(),
        st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists),
        max_size=4,
    )
)
def test_any_arguments(args: dict[str, Any]) -> None:
    """Whatever comes over a wire: a call within the declared ranges, or InvalidValueError."""
    try:
        celsius, minutes = bind_validated(PLANT.heat, args)()
    except InvalidValueError:
        return
    assert 5 <= celsius <= 35
    assert type(minutes) is int
    assert set(args) <= {"celsius", "minutes"}


def test_a_secret_is_a_text() -> None:
    """An argument that no record may show is checked like any other text."""
    plant = Plant()
    assert bind_validated(plant.login, {"user": "anna", "word": "x"})() == ("anna", "x")
    with pytest.raises(InvalidValueError, match="word"):
        bind_validated(plant.login, {"user": "anna", "word": 5})


class Waiting:
    """Has a parameter for each way to say that a number is seconds, and some that are none."""

    def __init__(
        self,
        id: str,
        *,
        settle: Annotated[float, Unit("s"), Ge(0), Le(10)] = 0.05,
        warm_up: Annotated[float, Unit("s")] | None = None,
        limit_s: float = 1.0,
        late_s: float | None = None,
        flow_l_per_s: float = 1.0,
        length: Annotated[float, Unit("m")] = 1.0,
        is_s: bool = False,
        names_s: str = "",
    ) -> None:
        pass


def seconds(**written: object) -> Any:
    """Return the settings of `Waiting` as they are written, checked."""
    made: Any = Waiting
    return model_of(made.__init__, durations_of(made.__init__)).model_validate(written)


def test_which_are_seconds() -> None:
    """Seconds are what is annotated so, and numbers with a name that says so."""
    made: Any = Waiting
    assert list(durations_of(made.__init__)) == ["settle", "warm_up", "limit_s", "late_s"]


@given(st.integers(0, 10_000))
def test_durations(milliseconds: int) -> None:
    """A duration as a text and a number of seconds are the same float."""
    told = seconds(settle=f"{milliseconds}ms", limit_s=milliseconds / 1000)
    assert told.settle == pytest.approx(told.limit_s)
    assert type(told.settle) is float
    other = seconds(warm_up="1.5 min", late_s="2s")
    assert (other.warm_up, other.late_s) == (90.0, 2.0)
    assert seconds().warm_up is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("settle", "11s"),
        ("settle", "20 parsecs"),
        ("settle", "0.02"),
        ("settle", True),
        ("late_s", "soon"),
        ("flow_l_per_s", "2s"),
        ("length", "2s"),
        ("is_s", "2s"),
    ],
)
def test_no_durations(name: str, value: object) -> None:
    """What is no duration, or out of the parameter's limits, is refused where it stands."""
    with pytest.raises(ValidationError) as caught:
        seconds(**{name: value})
    assert {error["loc"][0] for error in caught.value.errors()} == {name}
