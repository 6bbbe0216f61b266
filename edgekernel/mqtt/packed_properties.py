"""The properties of a PUBLISH as MQTT 5 writes them (sections 2.2.2 and 3.3.2.3)."""

from __future__ import annotations

from edgekernel.mqtt.transport import NOTHING_BESIDE, Properties

_FORMAT, _EXPIRY, _CONTENT_TYPE = b"\x01", b"\x02", b"\x03"
_RESPONSE_TOPIC, _CORRELATION, _USER = b"\x08", b"\x09", b"\x26"
_NEVER_IN_TEXT = "\0\ufeff"  # section 1.5.4, as paho-mqtt reads it
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
    return variable_byte_integer(len(body)) + body


def unpacked(data: bytes, begin: int) -> tuple[Properties, int] | None:
    """Return the properties that begin there, with their length before them, and where they end.

    What the payload is (format, content type) is read over. None if there are others than ours, or
    if they are not plainly right.
    """
    found: dict[bytes, bytes] = {}
    user: list[tuple[str, str]] = []
    try:
        size, at = read_variable_byte_integer(data, begin) or (len(data), begin)
        end = at + size
        while at < end <= len(data):
            kind = data[at : at + 1]
            if kind in found:
                return None
            if kind == _FORMAT and data[at + 1 : at + 2] in (b"\0", b"\1"):
                found[kind], at = b"", at + 2
            elif kind == _EXPIRY:
                found[kind], at = data[at + 1 : at + 5], at + 5
            elif kind in (_CONTENT_TYPE, _RESPONSE_TOPIC, _CORRELATION):
                found[kind], at = _counted_at(data, at + 1)
            elif kind == _USER:
                name, at = _counted_at(data, at + 1)
                value, at = _counted_at(data, at)
                user.append((_text(name), _text(value)))
            else:
                return None
        topic = _text(found.get(_RESPONSE_TOPIC, b""))
        _text(found.get(_CONTENT_TYPE, b""))
    except ValueError:
        return None
    if at != end:
        return None
    expiry = found.get(_EXPIRY)
    expiry_s = None if expiry is None else int.from_bytes(expiry, "big")
    beside = Properties(expiry_s, topic, found.get(_CORRELATION, b""), tuple(user))
    return (NOTHING_BESIDE if beside == NOTHING_BESIDE else beside), end


def variable_byte_integer(number: int) -> bytes:
    """Return a length as it is written (section 1.5.5)."""
    if number < 128:
        return number.to_bytes(1, "big")
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    made.append(number)
    return bytes(made)


def read_variable_byte_integer(data: bytes, begin: int) -> tuple[int, int] | None:
    """Return a length that begins there, and where it ends.

    None if the data end before it. Raises ValueError if it is longer than one can be.
    """
    number = 0
    for index, byte in enumerate(data[begin : begin + 4]):
        number |= (byte & 127) << 7 * index
        if byte < 128:
            return number, begin + index + 1
    if len(data) < begin + 4:
        return None
    raise ValueError("a length has at most four bytes")


def _counted(data: bytes) -> bytes:
    if len(data) > _LONGEST:
        raise ValueError(f"a property has at most {_LONGEST} bytes, and one has {len(data)}")
    return len(data).to_bytes(2, "big") + data


def _counted_at(data: bytes, begin: int) -> tuple[bytes, int]:
    """Return what stands there with its length before it, and where it ends."""
    end = begin + 2 + int.from_bytes(data[begin : begin + 2], "big")
    return data[begin + 2 : end], end


def _text(data: bytes) -> str:
    """Return a string. Raises ValueError for what no string may have in it."""
    text = data.decode()
    if any(each in text for each in _NEVER_IN_TEXT):
        raise ValueError("a character that no string of MQTT has")
    return text
