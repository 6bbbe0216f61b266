"""A 1-Wire bus that several devices share: counting, locking and checking, for every backend."""

from __future__ import annotations

import re
import threading
from typing import Protocol

from edgekernel.core.clock import Clock
from edgekernel.core.errors import BrokenError, ClosedError, InvalidValueError

_ROM = re.compile(r"[0-9a-f]{2}-[0-9a-f]{12}")
_SCRATCHPAD = 9
"""Bytes of it, with the CRC (DS18B20 datasheet, figure 9)."""


class Wire(Protocol):
    """The bus below the counting: what a backend has to bring."""

    def open(self) -> None:
        """Take the bus into use. Raises BrokenError."""
        ...

    def search(self) -> tuple[str, ...]:
        """Return the ROM codes of the chips, sorted. Raises BrokenError."""
        ...

    def measure(self, rom: str) -> bytes:
        """Let a chip convert; return its scratchpad. Raises NackError, BrokenError."""
        ...


class SharedOneWireBus:
    """A OneWireBus on a wire, with one transaction at a time."""

    def __init__(self, name: str, wire: Wire, clock: Clock) -> None:
        self._name = name
        self._wire = wire
        self._lock = clock.Lock()  # around a transaction
        self._count = threading.Lock()  # around `_users`; nobody waits inside
        self._users = 0

    @property
    def name(self) -> str:
        """The bus as people know it, such as "w1"."""
        return self._name

    @property
    def users(self) -> int:
        """How many have opened it and not closed it."""
        return self._users

    def open(self) -> None:
        """Take the bus into use; every `open` needs its `close`. Raises BrokenError."""
        with self._count:
            if self._users == 0:
                self._wire.open()
            self._users += 1

    def search(self) -> tuple[str, ...]:
        """Return the ROM codes of the chips that were found, sorted."""
        with self._lock:
            self._check_open()
            return self._wire.search()

    def measure(self, rom: str) -> bytes:
        """Let a chip convert its temperature, wait for it, and return its scratchpad.

        Raises InvalidValueError for what is no ROM code, NackError if the chip does not answer.
        """
        check_rom(self._name, rom)
        with self._lock:
            self._check_open()
            answer = self._wire.measure(rom)
        if len(answer) != _SCRATCHPAD:
            raise BrokenError(
                f"{self._name}, {rom}: a scratchpad of {len(answer)} bytes; it has {_SCRATCHPAD}"
            )
        return answer

    def close(self) -> None:
        """Give the bus back; the last one closes it. One `close` too many is harmless.

        Never waits for a transaction.
        """
        with self._count:
            self._users = max(0, self._users - 1)

    def close_for_all(self) -> None:
        """Close the bus however many use it; every later call raises ClosedError."""
        with self._count:
            self._users = 0

    def _check_open(self) -> None:
        if self._users == 0:
            raise ClosedError(f"{self._name}: not open; open it first")


def is_rom(text: str) -> bool:
    """Say whether a text is the ROM code of a chip; there is no family 00."""
    return _ROM.fullmatch(text) is not None and not text.startswith("00-")


def check_rom(bus: str, rom: str) -> None:
    """Raise InvalidValueError unless `rom` is the ROM code of a chip."""
    if not is_rom(rom):
        raise InvalidValueError(
            f'{bus}: "{rom}" is no ROM code; one is the family and the serial number as Linux '
            'writes them, such as "28-0316a2795bff"'
        )
