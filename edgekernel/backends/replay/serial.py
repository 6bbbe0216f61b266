"""A serial port as the record has it: what was received then is received again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from edgekernel.backends.recording import Transaction
from edgekernel.backends.replay.failures import failure
from edgekernel.backends.replay.tape import Tape
from edgekernel.backends.replay.track import begun_ns, frozen
from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.errors import ClosedError
from edgekernel.hal.serial import Parity, Rs485

_READS = ("read", "read_available", "read_until", "read_frame")


class ReplaySerial:
    """A SerialPort that receives what was received.

    Who reads as was read then gets the same, call by call. Who reads otherwise gets the same bytes
    at their times, cut as he asks for them.
    """

    def __init__(self, name: str, tape: Tape) -> None:
        self._name, self._tape = name, tape
        self._reads = deque(call for call in tape.of("serial", name) if call.op in _READS)
        self._rest = b""
        self._timeout_s: float | None = None

    @property
    def name(self) -> str:
        """The port as people know it."""
        return self._name

    def open(
        self,
        baudrate: int,
        timeout_s: float,
        *,
        data_bits: int = 8,
        parity: Parity = Parity.NONE,
        stop_bits: int = 1,
        rs485: Rs485 | None = None,
    ) -> None:
        """Open it."""
        self._tape.ask("serial", self._name, "open", (baudrate, timeout_s), {})
        self._timeout_s = timeout_s

    def read(self, length: int) -> bytes:
        """Return `length` bytes, or fewer when the timeout comes first."""
        return self._read("read", (length,), lambda rest: length if len(rest) >= length else 0)

    def read_available(self) -> bytes:
        """Return what had been received by now."""
        return self._read("read_available", (), len, waits=False)

    def read_until(self, end: bytes, limit: int) -> bytes:
        """Return the bytes up to and with `end`, at most `limit`."""

        def ready(rest: bytes) -> int:
            found = rest.find(end)
            whole = found + len(end) if found >= 0 else 0
            return min(whole, limit) or (limit if len(rest) >= limit else 0)

        return self._read("read_until", (end, limit), ready)

    def read_frame(self, gap_s: float, limit: int) -> bytes:
        """Return the bytes up to the first silence: what one read had received then."""
        return self._read("read_frame", (gap_s, limit), lambda rest: min(len(rest), limit))

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        self._check_open("write")
        self._tape.ask("serial", self._name, "write", (data,), {})

    def flush(self) -> None:
        """Wait as long as it took."""
        self._tape.ask("serial", self._name, "flush", (), {})

    def discard_input(self) -> None:
        """Lose what has been received and not been read."""
        self._tape.ask("serial", self._name, "discard_input", (), {})
        self._rest = b""

    def close(self) -> None:
        """Close the port."""
        self._timeout_s = None

    def _read(
        self, op: str, args: tuple[Any, ...], ready: Callable[[bytes], int], *, waits: bool = True
    ) -> bytes:
        """Read as was read then, or else from the bytes; `ready` says how many make it whole."""
        self._check_open(op)
        call = self._same(op, args)
        if call is not None:
            return bytes(self._tape.result(call))
        timeout_s = (self._timeout_s or 0.0) if waits else 0.0
        now_ns = self._tape.clock.monotonic_ns()
        end_ns = now_ns + round(timeout_s * NANOSECONDS)
        while self._receive(now_ns):
            pass
        while not ready(self._rest) and self._receive(end_ns):
            pass
        if not ready(self._rest):
            self._wait_until(end_ns)
            return self._cut(len(self._rest))
        return self._cut(ready(self._rest))

    def _same(self, op: str, args: tuple[Any, ...]) -> Transaction | None:
        """Take the next recorded read, if it is this one and nothing is left of others."""
        now_ns, window_ns = self._tape.clock.monotonic_ns(), self._tape.window_ns
        while self._reads and self._reads[0].monotonic_ns < now_ns - window_ns:
            self._take()
        if self._rest or not self._reads:
            return None
        call = self._reads[0]
        same = call.op == op and frozen(call.args) == frozen(args)
        if not same or begun_ns(call) > now_ns + window_ns:
            return None
        return self._reads.popleft()

    def _receive(self, end_ns: int) -> bool:
        """Take what comes next, at its time, if it comes before a time; raise what was raised."""
        if not self._reads or self._reads[0].monotonic_ns > end_ns:
            return False
        self._wait_until(self._reads[0].monotonic_ns)
        error = self._take()
        if error is not None:
            raise error
        return True

    def _take(self) -> Exception | None:
        call = self._reads.popleft()
        if call.error is not None:
            return failure(call.error, call.text)
        self._rest += bytes(call.result)
        return None

    def _cut(self, length: int) -> bytes:
        cut, self._rest = self._rest[:length], self._rest[length:]
        return cut

    def _wait_until(self, monotonic_ns: int) -> None:
        left_ns = monotonic_ns - self._tape.clock.monotonic_ns()
        if left_ns > 0:
            self._tape.clock.sleep(left_ns / NANOSECONDS)

    def _check_open(self, op: str) -> None:
        if self._timeout_s is None:
            raise ClosedError(f"{self._name}: {op}: the port is not open; open it first")
