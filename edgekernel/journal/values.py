"""Values: plain data as bytes, compact, and back from any bytes without harm.

A value begins with a byte that says what follows:

    00 to 3f   the integer 0 to 63
    40 41 42   None, False, True
    43 44      an integer of at most 64 bits, n or -1 - n, as a varint n
    45         a float, IEEE 754 binary64, little-endian
    46         bytes: their number as a varint, then they
    47         a list: the number of its items as a varint, then they
    48         a mapping: the number of pairs as a varint, then a text's number and a value for each
    49         a text, by its number, as a varint
    4a         a longer integer: the number of its bytes as a varint, then two's complement, little-
               endian
    80 to ff   a text, by its number: 0 to 127

The numbers of texts begin with those of `COMMON`; the table of the block follows. A varint has
seven bits in a byte, the lowest first; all bytes but the last have the bit 80.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

_NONE, _FALSE, _TRUE, _INT, _NEGATIVE, _FLOAT, _BYTES, _LIST, _MAP, _TEXT, _LONG = range(0x40, 0x4B)
_SMALL = 0x40
_SHORT_TEXT = 0x80
_DOUBLE = struct.Struct("<d")
_MAX_VARINT_BYTES = 10
_MAX_DEPTH = 64


COMMON = (
    "", "boot", "config", "clock", "event", "bus", "edge", "command", "outcome", "output", "lost",
    "opaque", "i2c", "serial", "input", "open", "close", "read", "write", "write_read",
    "read_available", "i2c1", "uart0", "ok", "failed", "good", "uncertain", "bad", "device",
    "error", "traceback", "service", "reason", "seconds", "journal", "spi", "onewire", "pwm",
    "transfer", "measure", "BrokenError", "NackError", "spi0.0", "w1", "up", "down", "none",
    "gpio",
)  # fmt: skip
"""Texts that every block knows, by number. They belong to the version of the format."""


_COMMON_NUMBERS = {text: number for number, text in enumerate(COMMON)}


class Texts:
    """The texts of a block, each with a number."""

    def __init__(self) -> None:
        self.numbers = dict(_COMMON_NUMBERS)

    @property
    def own(self) -> list[str]:
        """Those that are not common, in the order of their numbers."""
        return list(self.numbers)[len(COMMON) :]

    def number(self, text: str) -> int:
        """Return the number of a text."""
        return self.numbers.setdefault(text, len(self.numbers))


def put_varint(out: bytearray, value: int) -> None:
    """Append an integer that is not negative."""
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def put_signed(out: bytearray, value: int) -> None:
    """Append an integer so that small ones are short: 0, -1, 1, -2 are 0, 1, 2, 3."""
    put_varint(out, value << 1 if value >= 0 else ~value << 1 | 1)


def put_text(out: bytearray, text: str) -> None:
    """Append the text itself: the number of its bytes, and UTF-8, lone surrogates included."""
    data = text.encode("utf-8", "surrogatepass")
    put_varint(out, len(data))
    out += data


def put_value(out: bytearray, value: Any, texts: Texts) -> None:
    """Append a value: None, bool, int, float, str, bytes, or a list or mapping of such.

    Raises TypeError for anything else.
    """
    kind = type(value)
    if kind is str:
        _put_reference(out, texts.number(value))
    elif kind is int:
        _put_int(out, value)
    elif value is None or kind is bool:
        out.append(_NONE if value is None else _TRUE if value else _FALSE)
    elif kind is float:
        out.append(_FLOAT)
        out += _DOUBLE.pack(value)
    elif kind is bytes:
        out.append(_BYTES)
        put_varint(out, len(value))
        out += value
    elif kind is list:
        out.append(_LIST)
        put_varint(out, len(value))
        for item in value:
            put_value(out, item, texts)
    elif kind is dict:
        out.append(_MAP)
        put_varint(out, len(value))
        for name, item in value.items():
            put_varint(out, texts.number(name))
            put_value(out, item, texts)
    else:
        raise TypeError(f"a {kind.__name__} is no plain data")


def _put_reference(out: bytearray, number: int) -> None:
    if number < 0x80:
        out.append(_SHORT_TEXT + number)
    else:
        out.append(_TEXT)
        put_varint(out, number)


def _put_int(out: bytearray, value: int) -> None:
    if 0 <= value < _SMALL:
        out.append(value)
    elif -(1 << 64) <= value < 1 << 64:
        out.append(_INT if value >= 0 else _NEGATIVE)
        put_varint(out, value if value >= 0 else ~value)
    else:
        data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        out.append(_LONG)
        put_varint(out, len(data))
        out += data


class Reader:
    """Takes values from bytes. Raises ValueError for what cannot be, wherever it ends."""

    def __init__(self, data: bytes, texts: Sequence[str] = ()) -> None:
        self._data = data
        self._at = 0
        self.texts = texts

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._at

    def byte(self) -> int:
        """Take a byte."""
        if self._at >= len(self._data):
            raise ValueError("it ends too early")
        self._at += 1
        return self._data[self._at - 1]

    def take(self, length: int) -> bytes:
        """Take that many bytes."""
        if length > self.left:
            raise ValueError("it ends too early")
        self._at += length
        return self._data[self._at - length : self._at]

    def varint(self) -> int:
        """Take an integer that is not negative."""
        value = 0
        for shift in range(0, 7 * _MAX_VARINT_BYTES, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("an integer does not end")

    def signed(self) -> int:
        """Take what `put_signed` has put."""
        value = self.varint()
        return ~(value >> 1) if value & 1 else value >> 1

    def text(self) -> str:
        """Take what `put_text` has put."""
        return self.take(self.varint()).decode("utf-8", "surrogatepass")

    def value(self, depth: int = 0) -> Any:
        """Take a value."""
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
        kind = self.byte()
        if kind < _SMALL:
            return kind
        if kind >= _SHORT_TEXT:
            return self._reference(kind - _SHORT_TEXT)
        if kind == _LIST:
            return [self.value(depth + 1) for _ in range(self._count())]
        if kind == _MAP:
            return {
                self._reference(self.varint()): self.value(depth + 1) for _ in range(self._count())
            }
        return self._scalar(kind)

    def _scalar(self, kind: int) -> Any:
        if kind in (_NONE, _FALSE, _TRUE):
            return None if kind == _NONE else kind == _TRUE
        if kind in (_INT, _NEGATIVE):
            number = self.varint()
            return number if kind == _INT else ~number
        if kind == _FLOAT:
            return _DOUBLE.unpack(self.take(_DOUBLE.size))[0]
        if kind == _BYTES:
            return self.take(self.varint())
        if kind == _TEXT:
            return self._reference(self.varint())
        if kind == _LONG:
            return int.from_bytes(self.take(self.varint()), "little", signed=True)
        raise ValueError(f"a value begins with {kind:#04x}")

    def _reference(self, number: int) -> str:
        if number >= len(self.texts):
            raise ValueError(f"there is no text {number}")
        return self.texts[number]

    def _count(self) -> int:
        """Take how many items follow, each of one byte at least."""
        count = self.varint()
        if count > self.left:
            raise ValueError("it ends too early")
        return count
