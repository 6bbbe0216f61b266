"""A serial port that is opened again after it was lost: what every serial driver needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgekernel.hal.serial import Parity, Rs485, SerialPort


class LastingPort:
    """A SerialPort with its settings, opened anew by whoever uses it after it was lost.

    A driver opens it in `connect`, uses it in `poll` and closes it in `disconnect`. What fails
    closes it and is raised, so that the device goes offline; the next use opens it anew, by the
    name that it was given. How often that is tried is up to the poller, which backs off.
    """

    def __init__(
        self,
        port: SerialPort,
        baudrate: int,
        timeout_s: float,
        *,
        data_bits: int = 8,
        parity: Parity = Parity.NONE,
        stop_bits: int = 1,
        rs485: Rs485 | None = None,
    ) -> None:
        """Take what `SerialPort.open` takes; nothing is opened yet."""
        self._port = port
        self._baudrate = baudrate
        self._timeout_s = timeout_s
        self._data_bits = data_bits
        self._parity = parity
        self._stop_bits = stop_bits
        self._rs485 = rs485
        self._open = False
        self.openings = 0
        """How often it has been opened: who sees it change has to find the framing anew."""

    @property
    def name(self) -> str:
        """The port as people know it."""
        return self._port.name

    def open(self) -> None:
        """Open it, unless it is open. Raises what `SerialPort.open` raises."""
        if self._open:
            return
        self._port.open(
            self._baudrate,
            self._timeout_s,
            data_bits=self._data_bits,
            parity=self._parity,
            stop_bits=self._stop_bits,
            rs485=self._rs485,
        )
        self._open = True
        self.openings += 1

    @contextmanager
    def in_use(self) -> Iterator[SerialPort]:
        """Hand out the port, open. A failure of the port inside the block closes it.

        A silence is none: raise TimeoutError for that, which is let through.
        """
        self.open()
        try:
            yield self._port
        except TimeoutError:
            raise
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close it. Closing twice is harmless."""
        self._open = False
        self._port.close()
