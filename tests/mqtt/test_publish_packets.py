"""PUBLISH and PUBACK, byte by byte, beside paho's own packets."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import _packet as paho_packet
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.exception import MalformedPacket
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties

from edgekernel.mqtt.packed_properties import packed, variable_byte_integer
from edgekernel.mqtt.publish_packets import (
    MAX_REMAINING,
    PUBACK,
    PUBLISH,
    Packet,
    PacketReader,
    puback_packet,
    publish_packet,
    read_puback,
    read_publish,
)
from edgekernel.mqtt.transport import NOTHING_BESIDE, Inbound, Outbound, Properties
from tests.mqtt.test_packed_properties import beside, texts

versions = st.sampled_from([MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311])
numbers = st.integers(1, 65_535)
topics = texts.map(lambda text: f"t/{text}".replace("+", "").replace("#", ""))
bodies = st.binary(max_size=40)
property_like = st.builds(
    lambda kind, rest: kind + rest,
    st.sampled_from([b"\x01", b"\x02", b"\x08", b"\x09", b"\x26", b"\x26\0\0", b"\x0b", b"\x23"]),
    st.sampled_from([b"\0\0", b"\0\0\0\1", b"\0\x01x", b"\1", b"\0\x02\xff\xfe"]),
)
publish_like = st.builds(
    lambda topic, number, found, rest: b"".join(
        (b"\0", bytes([len(topic)]), topic, number, bytes([len(found)]), found, rest)
    ),
    st.binary(max_size=3),
    st.binary(min_size=2, max_size=2),
    st.lists(property_like, max_size=3).map(b"".join),
    st.binary(max_size=6),
)
"""Bodies of a PUBLISH that are often right."""
puback_like = st.builds(
    lambda number, reason, rest: number + reason + rest,
    st.binary(min_size=2, max_size=2),
    st.sampled_from([b"", b"\0", b"\x10", b"\x80", b"\x87", b"\x01"]),
    st.sampled_from([b"", b"\0", b"\x05\x1f\0\x02no", b"\x05\x1f", b"\x02\x01\0"]),
)
messages = st.builds(
    Outbound, topics, st.binary(max_size=300), st.just(1), st.booleans(), st.just(Properties())
)


def is_5(version: MQTTProtocolVersion) -> bool:
    """Say whether it is MQTT 5."""
    return version is MQTTProtocolVersion.MQTTv5


def cut(data: bytes) -> Packet:
    """Return the only packet in the data."""
    (found,) = PacketReader().read(data)
    assert found.whole == data
    return found


def written_by_paho(
    message: Outbound, number: int, version: MQTTProtocolVersion, qos: Literal[0, 1, 2] = 1
) -> bytes:
    """Return the packet that paho makes of a message."""
    made: list[bytes] = []

    class Client(paho.Client):
        def _packet_queue(
            self, command: int, packet: Any, mid: int, qos: int, info: Any = None
        ) -> MQTTErrorCode:
            made.append(bytes(packet))
            return MQTTErrorCode.MQTT_ERR_SUCCESS

    client = Client(CallbackAPIVersion.VERSION2, protocol=version)
    client._sock = object()  # type: ignore[assignment]
    said: Any = PahoProperties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties = message.properties
    if properties.expiry_s is not None:
        said.MessageExpiryInterval = properties.expiry_s
    if properties.response_topic:
        said.ResponseTopic = properties.response_topic
    if properties.correlation:
        said.CorrelationData = properties.correlation
    for pair in properties.user:
        said.UserProperty = pair
    client._send_publish(
        number, message.topic.encode(), message.payload, qos, message.retain, False, None, said
    )
    client._sock = None
    return made[0]


@given(messages, beside, numbers, versions)
def test_paho_reads_what_is_written(
    message: Outbound, properties: Properties, number: int, version: MQTTProtocolVersion
) -> None:
    """paho finds in the packet what was put in; the properties only on MQTT 5."""
    said = Outbound(message.topic, message.payload, 1, message.retain, properties)
    packet = cut(publish_packet(said, number, mqtt5=is_5(version)))
    found = paho_packet.decode_publish(packet.first, packet.body, version)
    assert (found.topic.decode(), bytes(found.payload)) == (message.topic, message.payload)
    assert (found.mid, found.qos, found.dup, found.retain) == (number, 1, False, message.retain)
    if is_5(version):
        assert found.properties is not None
        assert vars(found.properties).get("MessageExpiryInterval") == properties.expiry_s
        assert tuple(vars(found.properties).get("UserProperty", ())) == properties.user


@given(messages, beside, numbers, versions, st.sampled_from([0, 1]))
def test_what_paho_writes_is_read(
    message: Outbound,
    properties: Properties,
    number: int,
    version: MQTTProtocolVersion,
    qos: Literal[0, 1],
) -> None:
    """A message as paho writes it comes back as it was."""
    said = Outbound(message.topic, message.payload, 1, message.retain, properties)
    packet = cut(written_by_paho(said, number, version, qos))
    carried = properties if is_5(version) else NOTHING_BESIDE
    expected = Inbound(message.topic, message.payload, message.retain, carried)
    assert read_publish(packet, mqtt5=is_5(version)) == (expected, number if qos else 0)


@given(messages, numbers, versions)
def test_what_is_written_is_read(
    message: Outbound, number: int, version: MQTTProtocolVersion
) -> None:
    """A message without properties comes back, and says that there are none."""
    packet = cut(publish_packet(message, number, mqtt5=is_5(version)))
    found = read_publish(packet, mqtt5=is_5(version))
    assert found is not None
    assert found[0].properties is NOTHING_BESIDE


@given(
    st.sampled_from([PUBLISH, 0x31, 0x32, 0x33, 0x3A, 0x34, 0x36]), bodies | publish_like, versions
)
def test_what_is_read_paho_reads_too(first: int, body: bytes, version: MQTTProtocolVersion) -> None:
    """Of any bytes whatever, what is read here means to paho the same."""
    packet = Packet(first, body, b"")
    if (found := read_publish(packet, mqtt5=is_5(version))) is not None:
        message, number = found
        same = paho_packet.decode_publish(first, body, version)
        assert same.qos < 2
        assert (same.topic.decode(), bytes(same.payload)) == (message.topic, message.payload)
        assert (same.mid, same.retain) == (number, message.retained)
        said = vars(same.properties) if same.properties is not None else {}
        assert said.get("MessageExpiryInterval") == message.properties.expiry_s
        assert said.get("ResponseTopic", "") == message.properties.response_topic
        assert said.get("CorrelationData", b"") == message.properties.correlation
        assert tuple(said.get("UserProperty", ())) == message.properties.user


TOPIC, NUMBER = b"\0\x01a", b"\0\x05"


@pytest.mark.parametrize(
    ("first", "body"),
    [
        (0x34, TOPIC + NUMBER + b"\0"),  # QoS 2
        (0x36, TOPIC + NUMBER + b"\0"),  # there is no QoS 3
        (0x32, b""),
        (0x32, b"\0"),
        (0x32, b"\0\0" + NUMBER + b"\0"),  # no topic: an alias
        (0x32, b"\0\x05a"),
        (0x32, b"\0\x01\xff" + NUMBER + b"\0"),  # no UTF-8
        (0x32, TOPIC + b"\0"),
        (0x32, TOPIC + b"\0\0\0"),  # the number 0
        (0x32, TOPIC + NUMBER),  # no properties
        (0x32, TOPIC + NUMBER + b"\x09\x02\0\0\0"),
        (0x32, TOPIC + NUMBER + b"\x03\x23\0\x01"),  # a topic alias
        (0x32, TOPIC + NUMBER + b"\x0a\x02\0\0\0\1\x02\0\0\0\2"),  # twice what may be once
        (0x32, TOPIC + NUMBER + b"\x03\x08\0\x02x"),
        (0x32, TOPIC + NUMBER + b"\x05\x08\0\x02\xff\xff"),
        (0x32, TOPIC + NUMBER + b"\x04\x08\0\x01\0"),  # no string has a NUL
        (0x32, TOPIC + NUMBER + b"\x80\x80\x80\x80\0"),
        (0x32, TOPIC + NUMBER + b"\x80"),
    ],
)
def test_what_is_not_plainly_right_is_left_to_paho(first: int, body: bytes) -> None:
    """What is wrong, and what we do not ask for, is not read."""
    assert read_publish(Packet(first, body, b""), mqtt5=True) is None


def test_all_properties_of_a_request_are_read() -> None:
    """Expiry, response topic, correlation data and user properties come with the payload."""
    said = Properties(5, "reply/me", b"\0\xff", (("a", "b"), ("a", "c")))
    packet = Packet(0x33, TOPIC + NUMBER + packed(said) + b"payload", b"")
    assert read_publish(packet, mqtt5=True) == (Inbound("a", b"payload", True, said), 5)


@given(numbers, versions)
def test_paho_reads_an_acknowledgement(number: int, version: MQTTProtocolVersion) -> None:
    """A PUBACK has the number of its message, and says that all is well."""
    packet = cut(puback_packet(number))
    assert packet.first == PUBACK
    found = paho_packet.decode_puback(packet.first, packet.body, version)
    assert (found.mid, found.reason.value) == (number, 0)
    read = read_puback(packet, mqtt5=is_5(version))
    assert read is not None
    assert (read.number, read.is_plain) == (number, True)


@given(bodies | puback_like, versions)
def test_an_acknowledgement_that_is_read_paho_reads_too(
    body: bytes, version: MQTTProtocolVersion
) -> None:
    """Of any bytes whatever, a plain PUBACK is one to paho; what is no PUBACK is none here."""
    found = read_puback(Packet(PUBACK, body, b""), mqtt5=is_5(version))
    try:
        same = paho_packet.decode_puback(PUBACK, body, version)
    except MalformedPacket:
        assert found is None or not found.is_plain
    else:
        assert found is not None
        assert (found.number, found.reason) == (same.mid, same.reason.value)
        assert not (found.is_plain and same.reason.is_failure)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=6), st.data())
def test_packets_are_cut_wherever_they_are_torn(contents: list[bytes], data: st.DataObject) -> None:
    """However the bytes arrive, the same packets come out, in their order."""
    sent = [b"\x30" + variable_byte_integer(len(each)) + each for each in contents]
    stream = b"".join(sent)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20).map(sorted))
    reader = PacketReader()
    found = [
        packet
        for begin, end in pairwise([0, *cuts, len(stream)])
        for packet in reader.read(stream[begin:end])
    ]
    assert [packet.whole for packet in found] == sent
    assert [packet.body for packet in found] == contents


@pytest.mark.parametrize("torn", range(1, 6))
def test_a_length_that_is_none(torn: int) -> None:
    """A length of five bytes is left to paho with all of them, also if they come one by one."""
    reader, data = PacketReader(), b"\x32\xff\xff\xff\xff\xff"
    assert reader.read(data[:torn]) == []
    assert reader.read(data[torn:]) == [Packet(0x32, b"", data)]


def test_lengths() -> None:
    """A length is as long as it has to be (section 1.5.5, table 1-1)."""
    limits = [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, MAX_REMAINING]
    assert [variable_byte_integer(each).hex() for each in limits] == (
        ["00", "7f", "8001", "ff7f", "808001", "ffff7f", "80808001", "ffffff7f"]
    )


def test_what_fits_into_no_packet_is_refused() -> None:
    """Payload and properties together are at most what a length can say."""
    message = Outbound(
        "a", bytes(MAX_REMAINING - 65_539), properties=Properties(None, "a" * 65_535)
    )
    with pytest.raises(ValueError, match="a packet has at most 268435455 bytes"):
        publish_packet(message, 1, mqtt5=True)
