"""PUBLISH and PUBACK, byte by byte, as MQTT 5 and 3.1.1 write them (sections 3.3, 3.4): sent at
QoS 1, read at QoS 0 and 1.

What is not plainly right is not read here: it is for paho to say what becomes of it.
"""

from __future__ import annotations

from typing import NamedTuple

from edgekernel.mqtt.packed_properties import (
    packed,
    read_variable_byte_integer,
    unpacked,
    variable_byte_integer,
)
from edgekernel.mqtt.transport import NOTHING_BESIDE, Inbound, Outbound

PUBLISH, PUBACK = 0x30, 0x40
"""The upper half of a packet's first byte."""
_QOS_1, _RETAIN = 0x02, 0x01
_QOS = 0x06

MAX_REMAINING = 268_435_455
"""Bytes of a packet after its length (section 2.1.4)."""

_LONGEST_LENGTH = 4
"""Bytes in which a length is written."""

_TAKEN = (0, 16)
"""Reasons for which nothing is wrong: success, and no matching subscribers (section 3.4.2.1)."""


class Packet(NamedTuple):
    """A packet that has arrived."""

    first: int
    """Its type and flags."""
    body: bytes
    """What follows the length."""
    whole: bytes
    """All of it."""


class Acknowledged(NamedTuple):
    """What a PUBACK says; `properties` are as they were written, with their length before them."""

    number: int
    reason: int = 0
    properties: bytes = b""

    @property
    def is_plain(self) -> bool:
        """Whether it says no more than that the message is taken."""
        return self.reason in _TAKEN and self.properties in (b"", b"\0")


class PacketReader:
    """Cuts what has arrived into packets."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._missing = 0  # of its first packet, in bytes

    def read(self, data: bytes) -> list[Packet]:
        """Return the packets of which this is the end.

        One whose length is longer than one can be has no body, and what follows it is nonsense.
        """
        if self._rest:
            self._rest += data
            self._missing -= len(data)
            if self._missing > 0:
                return []
            data = bytes(self._rest)
            self._rest.clear()
        found: list[Packet] = []
        at = 0
        while packet := self._cut(data, at):
            found.append(packet)
            at += len(packet.whole)
        self._rest += data[at:]
        return found

    def _cut(self, data: bytes, begin: int) -> Packet | None:
        """Return the packet that begins there, unless the data end before it does."""
        try:
            size, at = read_variable_byte_integer(data, begin + 1) or (1, len(data))
        except ValueError:
            size, at = 0, begin + 1 + _LONGEST_LENGTH + 1  # paho reads one byte more than it may
        end = at + size
        self._missing = end - len(data)
        if self._missing > 0:
            return None
        return Packet(data[begin], data[at:end], data[begin:end])


def publish_packet(message: Outbound, number: int, *, mqtt5: bool) -> bytes:
    """Return a message at QoS 1 as a packet with this packet identifier.

    Raises ValueError for properties that do not fit, into theirs or with the payload into one
    packet.
    """
    topic, payload = message.topic.encode(), message.payload
    beside = b""
    if mqtt5:
        nothing = message.properties is NOTHING_BESIDE
        beside = b"\0" if nothing else packed(message.properties)
    length = 4 + len(topic) + len(beside) + len(payload)
    if length > MAX_REMAINING:
        raise ValueError(f"a packet has at most {MAX_REMAINING} bytes, and one has {length}")
    return b"".join(
        (
            (PUBLISH | _QOS_1 | message.retain).to_bytes(1, "big"),
            variable_byte_integer(length),
            len(topic).to_bytes(2, "big"),
            topic,
            number.to_bytes(2, "big"),
            beside,
            payload,
        )
    )


def puback_packet(number: int) -> bytes:
    """Return the acknowledgement of a message."""
    return b"\x40\x02" + number.to_bytes(2, "big")


def read_publish(packet: Packet, *, mqtt5: bool) -> tuple[Inbound, int] | None:
    """Return a message at QoS 0 or 1, and the packet identifier, 0 at QoS 0; None for others."""
    first, body = packet.first, packet.body
    qos = first & _QOS
    end = 2 + int.from_bytes(body[:2], "big")
    at = end + 2 if qos else end
    if qos > _QOS_1 or end == 2 or at > len(body):
        return None
    number = int.from_bytes(body[end:at], "big")
    if qos and not number:
        return None
    beside = NOTHING_BESIDE
    if mqtt5:
        if body[at : at + 1] == b"\0":
            at += 1
        elif (found := unpacked(body, at)) is None:
            return None
        else:
            beside, at = found
    try:
        topic = body[2:end].decode()
    except UnicodeDecodeError:
        return None
    return Inbound(topic, body[at:], bool(first & _RETAIN), beside), number


def read_puback(packet: Packet, *, mqtt5: bool) -> Acknowledged | None:
    """Return what an acknowledgement says; None for one that is wrong."""
    body = packet.body
    if len(body) == 2:
        return Acknowledged(int.from_bytes(body, "big"))
    if len(body) < 2 or not mqtt5:
        return None
    return Acknowledged(int.from_bytes(body[:2], "big"), body[2], body[3:])
