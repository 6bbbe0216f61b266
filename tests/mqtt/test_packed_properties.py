"""The properties of a message, byte by byte."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties

from edgekernel.mqtt.packed_properties import LONGEST_EXPIRY_S, Packed, packed
from edgekernel.mqtt.transport import Properties

# What MQTT 5 lets a string have (section 1.5.4), and paho take.
texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), max_size=300
)
beside = st.builds(
    Properties,
    st.none() | st.integers(0, LONGEST_EXPIRY_S),
    texts,
    st.binary(max_size=300),
    st.lists(st.tuples(texts, texts), max_size=4).map(tuple),
)


@given(beside)
def test_another_implementation_reads_them(properties: Properties) -> None:
    """paho, which is not ours, finds in the bytes what was put in."""
    block = packed(properties)
    found: Any = PahoProperties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    _, length = found.unpack(block)
    assert length == len(block)
    assert getattr(found, "MessageExpiryInterval", None) == properties.expiry_s
    assert getattr(found, "ResponseTopic", "") == properties.response_topic
    assert getattr(found, "CorrelationData", b"") == properties.correlation
    assert tuple(getattr(found, "UserProperty", ())) == properties.user


def test_nothing_is_one_byte() -> None:
    """No properties are a length of 0."""
    assert packed(Properties()) == b"\0"
    assert Packed(Properties(5)).pack() == b"\x05\x02\0\0\0\x05"


def test_what_does_not_fit_is_refused() -> None:
    """A property has at most 65,535 bytes; an expiry beyond four bytes is the longest one."""
    with pytest.raises(ValueError, match="at most 65535 bytes, and one has 65536"):
        packed(Properties(correlation=bytes(65_536)))
    assert packed(Properties(2**40)) == packed(Properties(LONGEST_EXPIRY_S))
