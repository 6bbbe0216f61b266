"""pyserial's port of Linux, where it does not suit us. Imported when a port is opened."""

from __future__ import annotations

import termios
from collections.abc import Iterator
from contextlib import contextmanager

from serial import Serial
from serial.rs485 import RS485Settings

from edgekernel.backends.pyserial_port import WRITE_TIMEOUT_S, PortSettings
from edgekernel.hal.serial import Parity, Rs485

_PARITY = {Parity.NONE: "N", Parity.EVEN: "E", Parity.ODD: "O"}  # pyserial's letters


class Tty(Serial):
    """A serial port whose errors are OSErrors and ValueErrors, and nothing else."""

    @property
    def timeout(self) -> float | None:
        """Seconds that a read waits at most; None for ever."""
        return self._timeout

    @timeout.setter
    def timeout(self, timeout: float | None) -> None:
        # pyserial would apply every setting anew, RS-485 among them. No setting depends on this:
        # its reads wait with `select` and look it up.
        self._timeout = timeout

    def open(self) -> None:
        """Open the port. Raises OSError, and ValueError for what it cannot have."""
        with _os_errors():
            super().open()

    def flush(self) -> None:
        """Wait until everything has left."""
        with _os_errors():
            super().flush()

    def reset_input_buffer(self) -> None:
        """Lose what has been received."""
        with _os_errors():
            super().reset_input_buffer()


def open_tty(device: str, settings: PortSettings) -> Tty:
    """Open a device file, locked against other users of pyserial.

    Raises OSError, and ValueError for what it cannot have.
    """
    tty = Tty(
        None,
        settings.baudrate,
        bytesize=settings.data_bits,
        parity=_PARITY[settings.parity],
        stopbits=settings.stop_bits,
        timeout=settings.timeout_s,
        write_timeout=WRITE_TIMEOUT_S,
        exclusive=True,
    )
    tty.port = device
    if settings.rs485 is not None:
        tty.rts = not settings.rs485.rts_on_send  # from the first moment on, not to jam the line
        tty.rs485_mode = _rs485(settings.rs485)
    tty.open()
    return tty


def _rs485(settings: Rs485) -> RS485Settings:
    # pyserial cuts the delays off to whole milliseconds, which is what the kernel takes.
    return RS485Settings(
        rts_level_for_tx=settings.rts_on_send,
        rts_level_for_rx=not settings.rts_on_send,
        delay_before_tx=round(settings.delay_before_s, 3) + 1e-6,
        delay_before_rx=round(settings.delay_after_s, 3) + 1e-6,
    )


@contextmanager
def _os_errors() -> Iterator[None]:
    """Turn termios' errors, which are no OSErrors, into such."""
    try:
        yield
    except termios.error as error:
        raise OSError(*error.args) from error
