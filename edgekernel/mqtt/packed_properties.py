"""The properties of a PUBLISH as MQTT 5 writes them (sections 2.2.2 and 3.3.2.3)."""

from __future__ import annotations

from edgekernel.mqtt.transport import Properties

_EXPIRY, _RESPONSE_TOPIC, _CORRELATION, _USER = b"\x02", b"\x08", b"\x09", b"\x26"
LONGEST_EXPIRY_S = 0xFFFF_FFFF
_LONGEST = 0xFFFF


class Packed:
    """What stands for the properties of one message where paho-mqtt packs them.

    paho's own take 20 µs to be made and packed where this takes 2 (on the development machine).
    """

    __slots__ = ("_bytes",)

    def __init__(self, properties: Properties) -> None:
        """Pack. Raises ValueError for what does not fit into a property."""
        self._bytes = packed(properties)

    def pack(self) -> bytes:
        """Return them with their length before them."""
        return self._bytes


def packed(properties: Properties) -> bytes:
    """Return properties with their length before them. Raises ValueError for what does not fit."""
    parts = []
    if properties.expiry_s is not None:
        parts += [_EXPIRY, min(properties.expiry_s, LONGEST_EXPIRY_S).to_bytes(4, "big")]
    if properties.response_topic:
        parts += [_RESPONSE_TOPIC, _counted(properties.response_topic.encode())]
    if properties.correlation:
        parts += [_CORRELATION, _counted(properties.correlation)]
    for name, value in properties.user:
        parts += [_USER, _counted(name.encode()), _counted(value.encode())]
    body = b"".join(parts)
    return _length(len(body)) + body


def _counted(data: bytes) -> bytes:
    if len(data) > _LONGEST:
        raise ValueError(f"a property has at most {_LONGEST} bytes, and one has {len(data)}")
    return len(data).to_bytes(2, "big") + data


def _length(number: int) -> bytes:
    """Return a variable byte integer (section 1.5.5)."""
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    made.append(number)
    return bytes(made)
