"""A simulated serial port from outside: the line to the far end, and what can happen to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.hal.serial import SerialPeer

POLL_S = 0.016
"""How often a waiting read asks the far end: as coarse as a USB adapter, whose latency timer is
16 ms by default (FTDI AN232B-04). At real speed it is asked once per byte."""

End = Callable[[], None]
"""Ends what was begun, if it has not ended by itself."""

_BUFFER = 65_536
"""Bytes that wait to be read; what comes on top of them is lost."""

_XON, _XOFF = b"\x11", b"\x13"


@runtime_checkable
class ControlPeer(Protocol):
    """A far end that is also wired to the control lines."""

    def control(self, rts: bool, dtr: bool) -> tuple[bool, bool]:
        """Take the levels that the port drives; return those of its inputs CTS and DSR."""
        ...


class Loopback:
    """A plug that connects TX with RX, RTS with CTS, and DTR with DSR."""

    def __init__(self) -> None:
        self._pending = b""

    def received(self, data: bytes, now_s: float) -> None:
        """Take bytes."""
        self._pending += data

    def due(self, now_s: float) -> bytes:
        """Give them back."""
        pending, self._pending = self._pending, b""
        return pending

    def control(self, rts: bool, dtr: bool) -> tuple[bool, bool]:
        """Connect the control lines."""
        return rts, dtr


class SimPort:
    """A simulated port from outside: the socket that a far end is plugged into.

    Bytes pass at once, unless `real_speed` is set: then each takes its time at the port's speed,
    so that silences are as long as on a wire. The far end gets what was sent with the time of its
    arrival, at the latest when the port is used the next time.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self.present = True
        """False while the adapter itself is gone, as an unplugged USB adapter is."""
        self.losing = False
        """Whether every byte that the far end sends is lost."""
        self.garbling = False
        """Whether every byte that the far end sends arrives with all bits inverted."""
        self.real_speed = False
        self.taken = False
        """Whether somebody has the port open."""
        self.byte_ns = 0
        """How long a byte takes at the settings of the one who has it open."""
        self.obeys_xoff = False
        """Whether XON and XOFF from the far end are obeyed and not handed on."""
        self.stopped = False
        """Whether the far end has sent an XOFF, and no XON since."""
        self.cut_off = False
        """Whether who has it open reaches the line no more."""
        self._peer: SerialPeer | None = None
        self._outgoing, self._incoming = _Wire(), _Wire()
        self._buffer = bytearray()
        self._to_drop, self._to_corrupt = _Quota(), _Quota()
        self._lock = clock.Lock()  # one thread may read while another writes

    def vacate(self) -> None:
        """Be as nobody has opened it; the far end and the faults stay."""
        self.taken = self.cut_off = self.stopped = False
        self._lock = self.clock.Lock()

    def plug(self, peer: SerialPeer) -> None:
        """Connect a far end in place of the last one; what it has sent before is lost."""
        with self._lock:
            self._peer = peer
            peer.due(self.clock.monotonic())

    def unplug(self) -> None:
        """Take the far end away: the port is silent."""
        self._peer = None

    def inject(self, data: bytes) -> None:
        """Put bytes on the line as if the far end had sent them: noise, or another sender."""
        with self._lock:
            self._incoming.put(data, self.clock.monotonic_ns(), self._pace_ns)

    def drop(self, count: int) -> End:
        """Lose the next `count` bytes that the far end sends; return what ends it before that."""
        return self._to_drop.add(count)

    def corrupt(self, count: int) -> End:
        """Invert every bit of the next `count` bytes that the far end sends and that arrive; return
        what ends it before that."""
        return self._to_corrupt.add(count)

    def send(self, data: bytes) -> None:
        """Send bytes to the far end; with nobody there they are lost."""
        if self.cut_off:
            return
        with self._lock:
            self._outgoing.put(data, self.clock.monotonic_ns(), self._pace_ns)
            self._carry()

    def waiting(self) -> int:
        """Return how many bytes have arrived and not been read."""
        with self._lock:
            self._carry()
            return len(self._buffer)

    def leaving(self) -> int:
        """Return how many bytes have been sent and not left."""
        with self._lock:
            self._carry()
            return self._outgoing.underway

    def take(self, length: int) -> bytes:
        """Return bytes that have arrived, at most `length`."""
        with self._lock:
            taken = bytes(self._buffer[:length])
            del self._buffer[:length]
        return taken

    def forget_input(self) -> None:
        """Lose what has been received, on its way or not; the far end begins anew."""
        with self._lock:
            self._carry()
            self._incoming.clear()
            self._buffer.clear()

    def forget_output(self) -> None:
        """Lose what was sent and has not left."""
        with self._lock:
            self._outgoing.clear()

    def control(self, rts: bool, dtr: bool) -> tuple[bool, bool]:
        """Drive RTS and DTR; return CTS and DSR, which are off unless the far end has them."""
        peer = self._peer
        return peer.control(rts, dtr) if isinstance(peer, ControlPeer) else (False, False)

    def patience_s(self) -> float:
        """Return how long nothing can happen here; at most what a wait is cut into."""
        now_ns = self.clock.monotonic_ns()
        arrivals = (*self._incoming.next_ns(), *self._outgoing.next_ns())
        steps = [int(POLL_S * NANOSECONDS), *(at_ns - now_ns for at_ns in arrivals)]
        if self.real_speed:
            steps.append(self.byte_ns)
        return max(1, min(steps)) / NANOSECONDS

    @property
    def _pace_ns(self) -> int:
        return self.byte_ns if self.real_speed else 0

    def _carry(self) -> None:
        """Let arrive what is due by now, both ways."""
        now_ns = self.clock.monotonic_ns()
        if self._peer is None:
            self._outgoing.arrived(now_ns)
        else:
            for at_ns, data in self._outgoing.arrived(now_ns):
                self._peer.received(data, at_ns / NANOSECONDS)
                self._hear(self._peer, at_ns)  # an answer begins then, whenever somebody looks
            self._hear(self._peer, now_ns)
        for _, data in self._incoming.arrived(now_ns):
            self._buffer += self._without_flow_control(data) if self.obeys_xoff else data
        del self._buffer[_BUFFER:]

    def _hear(self, peer: SerialPeer, now_ns: int) -> None:
        sent = self._spoilt(peer.due(now_ns / NANOSECONDS))
        self._incoming.put(sent, now_ns, self._pace_ns)

    def _without_flow_control(self, data: bytes) -> bytes:
        stop, go = data.rfind(_XOFF), data.rfind(_XON)
        if stop != go:  # one of them is there
            self.stopped = stop > go
        return data.translate(None, _XON + _XOFF)

    def _spoilt(self, data: bytes) -> bytes:
        if self.losing:
            return b""
        kept = data[self._to_drop.take(len(data)) :]
        counted = self._to_corrupt.take(len(kept))
        wrong = len(kept) if self.garbling else counted
        return bytes(byte ^ 0xFF for byte in kept[:wrong]) + kept[wrong:]


class _Quota:
    """How many bytes are still to be spoilt, as several have asked for it."""

    def __init__(self) -> None:
        self._asked: list[list[int]] = []

    def add(self, count: int) -> End:
        """Ask for so many more; return what takes back those that are left."""
        asked = [count]
        self._asked.append(asked)

        def end() -> None:
            asked[0] = 0

        return end

    def take(self, most: int) -> int:
        """Use up as many as there are, `most` at most; return how many."""
        taken = 0
        for asked in self._asked:
            share = min(asked[0], most - taken)
            asked[0] -= share
            taken += share
        self._asked = [asked for asked in self._asked if asked[0]]
        return taken


class _Wire:
    """One direction of a line: bytes on their way, with the times of their arrival."""

    def __init__(self) -> None:
        self._underway: deque[tuple[int, bytes]] = deque()
        self._free_ns = 0

    @property
    def underway(self) -> int:
        """How many bytes have not arrived."""
        return sum(len(data) for _, data in self._underway)

    def put(self, data: bytes, now_ns: int, byte_ns: int) -> None:
        """Send bytes behind those on their way; each takes `byte_ns`, or nothing at all."""
        begins_ns = max(now_ns, self._free_ns)
        if byte_ns == 0:
            if data:
                self._underway.append((begins_ns, data))
            self._free_ns = begins_ns
            return
        for index in range(len(data)):
            self._free_ns = begins_ns + (index + 1) * byte_ns
            self._underway.append((self._free_ns, data[index : index + 1]))

    def arrived(self, now_ns: int) -> list[tuple[int, bytes]]:
        """Take what has arrived by now, with the times."""
        found = []
        while self._underway and self._underway[0][0] <= now_ns:
            found.append(self._underway.popleft())
        return found

    def next_ns(self) -> list[int]:
        """Return when the next bytes arrive; empty if none are on their way."""
        return [self._underway[0][0]] if self._underway else []

    def clear(self) -> None:
        """Lose what is on its way."""
        self._underway.clear()
        self._free_ns = 0
