"""Payloads of Homie, as the convention has them."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.core.errors import InvalidValueError
from edgekernel.mqtt.homie.values import Datatype, decode_value, encode_value
from tests.mqtt.homie.convention import value_problem

finite = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(finite)
def test_a_float_has_only_what_a_float_may_have(value: float) -> None:
    """Digits, "-", one "." and "e", and what is read again is the same number."""
    payload = encode_value(value)
    assert re.fullmatch(rb"-?\d+(\.\d+)?(e-?\d+)?", payload)
    assert not value_problem({"datatype": "float"}, payload)
    assert decode_value(payload, "float") == value


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_is_digits(value: int) -> None:
    """Digits and "-", over the whole range of 64 bits."""
    payload = encode_value(value)
    assert not value_problem({"datatype": "integer"}, payload)
    assert decode_value(payload, "integer") == value


@given(text)
def test_a_text_is_never_an_empty_payload(value: str) -> None:
    """An empty payload would delete: the empty text is one zero byte."""
    payload = encode_value(value)
    assert payload
    assert decode_value(payload, "string") == value
    assert payload == b"\0" or payload == value.encode()


@given(st.binary(), st.sampled_from(["integer", "float", "boolean", "enum", "duration", "json"]))
def test_whatever_comes_is_read_or_refused(payload: bytes, datatype: Datatype) -> None:
    """Of any bytes a value is made that the datatype allows, or they are refused."""
    try:
        value = decode_value(payload, datatype, "a,b c")
    except InvalidValueError:
        return
    kinds = {"integer": int, "float": float, "boolean": bool, "json": dict | list}
    assert isinstance(value, kinds.get(datatype, str))
    assert not isinstance(value, float) or math.isfinite(value)


@pytest.mark.parametrize(
    ("datatype", "payload"),
    [
        ("integer", b"1.0"),
        ("integer", b"+1"),
        ("integer", b" 1"),
        ("integer", b"-"),
        ("integer", b""),
        ("integer", b"9223372036854775808"),
        ("integer", "\u0661".encode()),
        ("float", b"1,5"),
        ("float", b"1.5.2"),
        ("float", b"1e+3"),
        ("float", b"1e999"),
        ("float", b"nan"),
        ("float", b"inf"),
        ("float", b"-"),
        ("float", b"."),
        ("float", b""),
        ("boolean", b"TRUE"),
        ("boolean", b"on"),
        ("boolean", b"1"),
        ("enum", b"A"),
        ("enum", b""),
        ("enum", b"a "),
        ("datetime", b"yesterday"),
        ("duration", b"PT"),
        ("duration", b"5M"),
        ("json", b"5"),
        ("json", b'"text"'),
        ("json", b"{"),
        ("string", b"\xff"),
    ],
)
def test_what_the_convention_does_not_allow(datatype: Datatype, payload: bytes) -> None:
    """Payloads that the convention names as not valid are refused."""
    with pytest.raises(InvalidValueError):
        decode_value(payload, datatype, "a,b")


@pytest.mark.parametrize(
    ("datatype", "payload", "value"),
    [
        ("float", b"21", 21.0),
        ("float", b"-1E-3", -0.001),
        ("float", b".5", 0.5),
        ("enum", b"b", "b"),
        ("duration", b"PT12H5M46S", "PT12H5M46S"),
        ("datetime", b"2026-01-31T12:00:00+01:00", "2026-01-31T12:00:00+01:00"),
        ("json", b'{"a": [1]}', {"a": [1]}),
        ("string", b"\0", ""),
    ],
)
def test_what_it_allows(datatype: Datatype, payload: bytes, value: object) -> None:
    """Each datatype that a node uses is read."""
    assert decode_value(payload, datatype, "a,b") == value
