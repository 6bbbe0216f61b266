"""Values: plain data to bytes and back; no bytes do harm."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.journal.values import COMMON, Reader, Texts, put_signed, put_value
from tests.journal.records import data


def encoded(value: Any) -> tuple[bytes, list[str]]:
    """Return a value as bytes, with the texts that they refer to."""
    out, texts = bytearray(), Texts()
    put_value(out, value, texts)
    return bytes(out), list(texts.numbers)


@given(data)
def test_round_trip(value: Any) -> None:
    """Every value comes back as it was, and its bytes are used up."""
    made, texts = encoded(value)
    reader = Reader(made, texts)
    assert reader.value() == value
    assert reader.left == 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0])
def test_special_floats(value: float) -> None:
    """Floats that are no number, infinite or negative zero come back."""
    made, texts = encoded(value)
    back = Reader(made, texts).value()
    assert str(back) == str(value)


@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    """Any bytes are values or a ValueError, nothing else."""
    reader = Reader(content, COMMON)
    with contextlib.suppress(ValueError):
        while reader.left:
            reader.value()


@pytest.mark.parametrize(
    "content", [b"\x47\x01" * 100, b"\x47\xff\xff\xff\xff\x0f", b"\x43" + b"\xff" * 20]
)
def test_hostile_bytes(content: bytes) -> None:
    """Deep nesting, huge counts and integers that do not end are refused without being made."""
    with pytest.raises(ValueError, match=r"deeply|too early|does not end"):
        Reader(content, COMMON).value()


@given(st.integers(-(1 << 60), 1 << 60))
def test_signed(value: int) -> None:
    """Signed integers come back; those next to zero take one byte."""
    out = bytearray()
    put_signed(out, value)
    assert Reader(bytes(out)).signed() == value
    assert len(out) == 1 or not -65 < value < 64


@pytest.mark.parametrize("value", [(1,), {1}, object(), bytearray(b"x")])
def test_no_plain_data(value: Any) -> None:
    """What is no plain data is a TypeError that names its class."""
    with pytest.raises(TypeError, match=type(value).__name__):
        encoded(value)


def test_texts_are_kept_once() -> None:
    """A text that comes again costs a byte, and a common one no text of the block's own."""
    texts, out = Texts(), bytearray()
    put_value(out, ["greenhouse", "greenhouse", "i2c"], texts)
    assert texts.own == ["greenhouse"]
    assert len(out) == 2 + 3
