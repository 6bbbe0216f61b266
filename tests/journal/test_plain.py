"""Plain data: of anything, without secrets, and the same in every process."""

from __future__ import annotations

import enum
import math
import traceback
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import PurePosixPath
from typing import Annotated, Any

import pytest
from hypothesis import given
from pydantic import BaseModel

from edgekernel import Message
from edgekernel.core.masking import SECRET, Secret
from edgekernel.journal.plain import CUT, arguments, clean, payload, plain
from tests.journal.records import data


class Colour(enum.IntEnum):
    """An enumeration."""

    RED = 1


@dataclass
class Point:
    """Some object."""

    x: int
    token: str


class Form(BaseModel):
    """A model of pydantic's."""

    name: str


class Inner(Message):
    """A message inside another one."""

    value: float


class LoggedIn(Message):
    """A message with secrets in it."""

    user: str
    password: str
    pin: Annotated[int, SECRET]
    note: Secret
    inner: Inner


class Broken(dict[str, int]):
    """A mapping that cannot be read."""

    def items(self) -> Any:
        raise RuntimeError("broken")


@given(data)
def test_plain_stays(value: Any) -> None:
    """What is plain already stays, but for names that sound secret and addresses."""
    made = plain(value)
    assert plain(made) == made


@pytest.mark.parametrize(
    ("value", "made"),
    [
        (Colour.RED, 1),
        ((1, (2,)), [1, [2]]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", "a"}), ["a", "b"]),
        (bytearray(b"ab"), b"ab"),
        (date(2026, 1, 31), "2026-01-31"),
        (datetime(2026, 1, 31, tzinfo=UTC), "2026-01-31T00:00:00+00:00"),
        (PurePosixPath("a/b"), "a/b"),
        (Point(1, "hush"), {"x": 1, "token": "***"}),
        (Form(name="x"), {"name": "x"}),
        ({1: "a"}, {"1": "a"}),
        ({"api_key": "hush", "b": [{"Token": 1}]}, {"api_key": "***", "b": [{"Token": "***"}]}),
        (Inner(1.5), {"value": 1.5}),
        (object(), "<object>"),
        (Broken(a=1), "<Broken>"),
        (1 << 2000, "<an integer of 2001 bits>"),
        (math.inf, math.inf),
    ],
)  # fmt: skip
def test_what_becomes_of_it(value: object, made: object) -> None:
    """Everything has a plain form; what has none is named by its class."""
    assert plain(value) == made


def test_message() -> None:
    """Of a message the secrets are hidden, by annotation and by name, and the rest is kept."""
    message = LoggedIn("ann", "hush", 1234, "hush", Inner(2.0))
    assert payload(message) == {
        "user": "ann", "password": "***", "pin": "***", "note": "***", "inner": {"value": 2.0},
    }  # fmt: skip


def test_nested_in_itself() -> None:
    """What contains itself is cut."""
    loop: list[Any] = []
    loop.append(loop)
    made = plain(loop)
    while isinstance(made, list):
        (made,) = made
    assert made == CUT


def test_addresses_are_taken_out() -> None:
    """Where an object lies in memory is nobody's business."""
    assert clean(f"it was {object()!r}!") == "it was <object object at 0x...>!"


def test_folders_are_taken_out_of_tracebacks() -> None:
    """A traceback names files as their modules are found, not where this computer has them."""
    with pytest.raises(ValueError, match="math domain") as raised:
        math.sqrt(-1)
    text = clean("".join(traceback.format_exception(raised.value)))
    assert 'File "tests/journal/test_plain.py", line ' in text
    assert clean('File "/no/such/folder/app.py", line 3') == 'File "app.py", line 3'


def test_arguments() -> None:
    """Arguments are all there, or it is said that they are not."""
    assert arguments({"minutes": 5, "names": ["a"]}) == ({"minutes": 5, "names": ["a"]}, True)
    assert arguments({"code": 1234}, {"code"}) == ({"code": "***"}, False)
    assert arguments({"wifi_password": "x"}) == ({"wifi_password": "***"}, False)
    assert arguments({"thing": object()}) == ({"thing": "<object>"}, False)
