"""Transactions as SMBus calls, for adapters that carry out nothing else (no I2C_FUNC_I2C).

Such are the SMBus of a PC (i2c-i801, i2c-piix4), some USB bridges, and the kernel's i2c-stub. On
the wire a call is the same as the messages it stands for (Linux, Documentation/i2c/smbus-protocol).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smbus2 import SMBus

# Linux, include/uapi/linux/i2c.h
_READ_BYTE, _WRITE_BYTE = 0x00020000, 0x00040000
_READ_BYTE_DATA, _WRITE_BYTE_DATA = 0x00080000, 0x00100000
_READ_WORD_DATA, _WRITE_WORD_DATA = 0x00200000, 0x00400000
_WRITE_BLOCK_DATA = 0x02000000
_READ_I2C_BLOCK, _WRITE_I2C_BLOCK = 0x04000000, 0x08000000
_BLOCK = 32
"""I2C_SMBUS_BLOCK_MAX."""

Call = Callable[["SMBus", int], bytes | None]
"""Carries itself out at an address; returns what was read, None if that is no part of it."""


def call_for(messages: Sequence[bytes | int], functions: int) -> Call | None:
    """Return the call of an adapter with these functions (I2C_FUNCS) that is these messages: writes
    (bytes) and reads (lengths). None if it has no such call."""
    calls: Iterable[tuple[int, Call]]
    match messages:
        case [1]:
            calls = [(_READ_BYTE, _read_byte)]
        case [bytes(written)]:
            calls = _writes(written[0], written[1:])
        case [bytes(written), int(length)] if len(written) == 1:
            calls = _reads(written[0], length)
        case _:
            return None
    return next((call for needed, call in calls if functions & needed), None)


def _read_byte(smbus: SMBus, address: int) -> bytes:
    return bytes([smbus.read_byte(address)])


def _reads(command: int, length: int) -> Iterator[tuple[int, Call]]:
    """Yield the calls that write a command byte and read so many bytes, the most common first."""
    if length == 1:
        yield _READ_BYTE_DATA, lambda smbus, at: bytes([smbus.read_byte_data(at, command)])
    if length == 2:
        yield (
            _READ_WORD_DATA,
            lambda smbus, at: smbus.read_word_data(at, command).to_bytes(2, "little"),
        )
    if length <= _BLOCK:
        yield (
            _READ_I2C_BLOCK,
            lambda smbus, at: bytes(smbus.read_i2c_block_data(at, command, length)),
        )


def _writes(command: int, data: bytes) -> Iterator[tuple[int, Call]]:
    """Yield the calls that write a command byte and this data, the most common first."""
    if not data:
        yield _WRITE_BYTE, lambda smbus, at: smbus.write_byte(at, command)
    if len(data) == 1:
        yield (
            _WRITE_BYTE_DATA,
            lambda smbus, at: smbus.write_byte_data(at, command, data[0]),
        )
    if len(data) == 2:
        word = int.from_bytes(data, "little")
        yield _WRITE_WORD_DATA, lambda smbus, at: smbus.write_word_data(at, command, word)
    if 1 <= len(data) <= _BLOCK:
        yield (
            _WRITE_I2C_BLOCK,
            lambda smbus, at: smbus.write_i2c_block_data(at, command, list(data)),
        )
    if 2 <= len(data) <= 1 + _BLOCK and data[0] == len(data) - 1:
        block = list(data[1:])
        yield (
            _WRITE_BLOCK_DATA,
            lambda smbus, at: smbus.write_block_data(at, command, block),
        )
