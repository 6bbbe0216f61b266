"""The SPI chip selects of Linux (/dev/spidevB.C), through spidev."""

from __future__ import annotations

import errno
import fcntl
from contextlib import ExitStack
from typing import Any

from edgekernel.backends.linux.holders import file_processes
from edgekernel.backends.spi_transfers import check_length, check_settings
from edgekernel.core.clock import Clock
from edgekernel.core.errors import (
    BoundaryError,
    BrokenError,
    BusyError,
    ClosedError,
    InvalidValueError,
)
from edgekernel.hal.address import SpiAddress


class SpidevDevice:
    """An SpiDevice on a device file."""

    def __init__(self, address: SpiAddress, clock: Clock) -> None:
        self._address = address
        self._place = f"{address.name} ({address.device})"
        self._spidev: Any = None
        self._lock = clock.Lock()

    @property
    def name(self) -> str:
        """The chip select as people know it, such as "spi0.0"."""
        return self._address.name

    def open(self, speed_hz: int, *, mode: int = 0, lsb_first: bool = False) -> None:
        """Take it into use with a clock of at most `speed_hz` and 8 bits a word.

        The kernel lets several programs use a chip select at the same time; a lock on the device
        file keeps those out that ask for it. Raises BusyError if another owner has it, BrokenError
        if it is not there, InvalidValueError for settings that it cannot have.
        """
        check_settings(self._place, speed_hz, mode)
        with self._lock:
            if self._spidev is not None:
                raise BusyError(f"{self._place}: already open; close it first")
            spidev = self._import().SpiDev()
            with ExitStack() as undo:
                undo.callback(spidev.close)
                try:
                    spidev.open_path(self._address.device)
                    fcntl.flock(spidev.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                    spidev.max_speed_hz = speed_hz
                    spidev.bits_per_word = 8
                except OSError as error:
                    raise self._refusal(error) from error
                self._set_mode(spidev, mode, lsb_first)
                undo.pop_all()
            self._spidev = spidev

    def transfer(self, data: bytes) -> bytes:
        """Send bytes (1 to 4096) and return as many, received at the same time."""
        check_length(self._place, data)
        with self._lock:
            if self._spidev is None:
                raise ClosedError(f"{self._place}: not open; open it first")
            try:
                # One transaction: `xfer2` keeps the chip select active between the bytes.
                return bytes(self._spidev.xfer2(list(data)))
            except (OSError, OverflowError) as error:  # OverflowError: spidev's own limit
                raise BrokenError(
                    f"{self._place}: a transfer of {len(data)} bytes failed: {error}"
                ) from error

    def close(self) -> None:
        """Give it back. Closing twice is harmless."""
        with self._lock:
            spidev, self._spidev = self._spidev, None
            if spidev is not None:
                spidev.close()

    def _import(self) -> Any:
        try:
            import spidev  # pyright: ignore[reportMissingImports]  # on boards only
        except ImportError as error:
            raise BrokenError(
                f"{self._place}: the Python package spidev cannot be imported ({error}); "
                "install it with: pip install 'edgekernel[pi]'"
            ) from error
        return spidev

    def _set_mode(self, spidev: Any, mode: int, lsb_first: bool) -> None:
        try:
            spidev.mode = mode
            spidev.lsbfirst = lsb_first
        except OSError as error:
            order = "the lowest bit first" if lsb_first else "the highest bit first"
            raise InvalidValueError(
                f"{self._place}: this controller has no mode {mode} with {order} "
                f"({error.strerror}). One of a Raspberry Pi sends the highest bit first only"
            ) from error

    def _refusal(self, error: OSError) -> BoundaryError:
        match error.errno:
            case errno.EAGAIN | errno.EBUSY:
                holders = ", ".join(file_processes(self._address.device)) or "another process"
                return BusyError(f"{self._place}: in use by {holders}")
            case errno.ENOENT | errno.ENODEV | errno.ENXIO:
                return BrokenError(
                    f"{self._place}: SPI is not enabled. On a Raspberry Pi put dtparam=spi=on into "
                    "config.txt and reboot (raspi-config does both); a chip select beside 0 and 1 "
                    "needs an overlay such as spi0-2cs or spi1-3cs"
                )
            case errno.EACCES | errno.EPERM:
                return BrokenError(
                    f"{self._place}: no permission. Add the user to the group spi "
                    "(sudo usermod -aG spi $USER) and log in again"
                )
            case _:
                return BrokenError(f"{self._place}: cannot be opened: {error.strerror or error}")
