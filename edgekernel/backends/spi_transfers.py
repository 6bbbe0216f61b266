"""What every SPI chip select checks before it transfers, on whatever backend."""

from __future__ import annotations

from edgekernel.core.errors import InvalidValueError

_LONGEST = 4096
"""Bytes in one transaction (Linux, drivers/spi/spidev.c, parameter bufsiz)."""


def check_settings(place: str, speed_hz: int, mode: int) -> None:
    """Raise InvalidValueError unless a chip select can be opened so."""
    if speed_hz <= 0:
        raise InvalidValueError(f"{place}: a clock of {speed_hz} Hz; it is above 0")
    if mode not in (0, 1, 2, 3):
        raise InvalidValueError(f"{place}: SPI mode {mode}; there are 0, 1, 2 and 3")


def check_length(place: str, data: bytes) -> None:
    """Raise InvalidValueError unless one transaction can be that long."""
    if not 1 <= len(data) <= _LONGEST:
        raise InvalidValueError(
            f"{place}: a transfer of {len(data)} bytes; a transaction has 1 to {_LONGEST}"
        )
