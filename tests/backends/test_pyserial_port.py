"""A serial port on a stream of which only what matters here is there."""

from __future__ import annotations

import pytest

from edgekernel.backends.pyserial_port import PortSettings, PySerialPort
from edgekernel.core.clock import Clock
from edgekernel.core.errors import ClosedError
from edgekernel.hal.address import PortAddress
from edgekernel.sim.clock import SimClock


class HungStream:
    """A port whose adapter takes no more bytes: what was written never leaves."""

    timeout: float | None = None
    in_waiting = 0

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.closed = False

    def read(self, size: int, /) -> bytes:
        return b""

    def write(self, data: bytes, /) -> int:
        return len(data)

    def flush(self) -> None:
        self._clock.sleep(3600)

    def reset_input_buffer(self) -> None: ...
    def cancel_read(self) -> None: ...
    def cancel_write(self) -> None: ...

    def close(self) -> None:
        self.closed = True


def test_close_while_a_flush_hangs() -> None:
    """P6: nothing cancels a flush (tcdrain); who closes the port waits for it for a moment, and
    it can be opened anew."""
    with SimClock() as clock:
        streams: list[HungStream] = []

        def open_stream(settings: PortSettings) -> HungStream:
            streams.append(HungStream(clock))
            return streams[-1]

        port = PySerialPort(PortAddress("uart0", "uart0"), open_stream, clock)
        port.open(9600, 1.0)
        errors: list[BaseException] = []

        def flush() -> None:
            with pytest.raises(ClosedError, match="closed while it was in use") as caught:
                port.flush()
            errors.append(caught.value)

        clock.Thread(flush, "flush").start()
        clock.advance(1)
        port.close()
        assert clock.monotonic() <= 4
        assert streams[0].closed
        port.open(9600, 1.0)
        port.write(b"anew")
        clock.advance(3600)
        assert len(errors) == 1
        port.close()
