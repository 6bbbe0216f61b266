"""The serial ports of Linux (/dev/ttyAMA0, /dev/ttyUSB0, ...), through pyserial."""

from __future__ import annotations

from edgekernel.backends.pyserial_port import WRITE_TIMEOUT_S, OpenStream, Stream


def serial_opener(device: str) -> OpenStream:
    """Return what opens a device file with 8N1, locked against other users of pyserial."""

    def open_stream(baudrate: int, timeout_s: float) -> Stream:
        import termios

        from serial import Serial

        try:
            return Serial(
                device,
                baudrate,
                timeout=timeout_s,
                write_timeout=WRITE_TIMEOUT_S,
                exclusive=True,
            )
        except termios.error as error:  # no OSError, and pyserial lets it through
            raise OSError(*error.args) from error

    return open_stream
