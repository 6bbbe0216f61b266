"""Buses as the record has them: I²C, SPI and 1-Wire."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, replace
from typing import Any

from edgekernel.backends.recording import Transaction
from edgekernel.backends.replay.tape import Tape, outcome
from edgekernel.backends.replay.track import Latest, frozen
from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.errors import BrokenError
from edgekernel.hal.health import BusHealth, BusState

_LONGEST_TRY_NS = 10 * NANOSECONDS
"""Opening a stuck bus anew, with its timeouts, does not take longer."""


class ReplayI2C:
    """An I2CBus, with the health that it had."""

    def __init__(self, name: str, tape: Tape) -> None:
        self._name, self._tape = name, tape
        calls = tape.of("i2c", name)
        self._healths = Latest([call for call in calls if call.op == "health"])
        self._checks = deque(call for call in calls if call.op == "check")
        self._told = [call.monotonic_ns for call in calls if call.op in ("check", "health")]

    @property
    def name(self) -> str:
        """The bus as people know it."""
        return self._name

    @property
    def health(self) -> BusHealth:
        """How it was at this time."""
        now_ns = self._tape.clock.monotonic_ns()
        health = self._health_at(now_ns + self._tape.window_ns)
        if health.next_attempt_ns is not None and health.next_attempt_ns <= now_ns:
            return replace(health, next_attempt_ns=self._told_after(now_ns))
        return health

    def check(self) -> None:
        """Raise what a try of the bus raised at this time, when it had raised it.

        A try takes as long as it takes until something is known of the bus.
        """
        clock, window_ns = self._tape.clock, self._tape.window_ns
        attempt_ns = self._health_at(clock.monotonic_ns()).next_attempt_ns
        known_ns = self._told_after(clock.monotonic_ns())
        if attempt_ns is not None and attempt_ns <= clock.monotonic_ns() and known_ns is not None:
            left_ns = known_ns - clock.monotonic_ns()
            clock.sleep(min(left_ns, _LONGEST_TRY_NS) / NANOSECONDS)
        now_ns = clock.monotonic_ns()
        while self._checks and self._checks[0].monotonic_ns < now_ns - window_ns:
            self._checks.popleft()
        if self._checks and self._checks[0].monotonic_ns <= now_ns + window_ns:
            outcome(self._checks.popleft())

    def _health_at(self, monotonic_ns: int) -> BusHealth:
        found = self._healths.at(monotonic_ns)
        return BusHealth() if found is None else _health(found.result)

    def _told_after(self, now_ns: int) -> int | None:
        """Return when something new was told of the bus after a time."""
        found = bisect_right(self._told, now_ns)
        return self._told[found] if found < len(self._told) else None

    def open(self) -> None:
        """Take the bus into use."""
        self._ask("open")

    def read(self, address: int, length: int) -> bytes:
        """Read `length` bytes."""
        return bytes(self._ask("read", address, length))

    def write(self, address: int, data: bytes) -> None:
        """Write bytes."""
        self._ask("write", address, data)

    def write_read(self, address: int, data: bytes, length: int) -> bytes:
        """Write, then read after a repeated start."""
        return bytes(self._ask("write_read", address, data, length))

    def transfer(
        self, address: int, *messages: bytes | int, ten_bit: bool = False
    ) -> tuple[bytes, ...]:
        """Carry out messages as one transaction."""
        options = {"ten_bit": ten_bit}
        answer = self._tape.ask("i2c", self._name, "transfer", (address, *messages), options)
        return tuple(map(bytes, answer))

    def read_block(self, address: int, command: int) -> bytes:
        """Read an SMBus block."""
        return bytes(self._ask("read_block", address, command))

    def write_block(self, address: int, command: int, data: bytes) -> None:
        """Write an SMBus block."""
        self._ask("write_block", address, command, data)

    def held(self) -> AbstractContextManager[None]:
        """Keep nobody waiting: each transaction takes as long as it took, waiting included."""
        return nullcontext()

    def scan(self) -> tuple[int, ...]:
        """Return the addresses that answered."""
        return tuple(self._ask("scan"))

    def close(self) -> None:
        """Give the bus back."""

    def _ask(self, op: str, *args: Any) -> Any:
        return self._tape.ask("i2c", self._name, op, args, {})


class ReplaySpi:
    """An SpiDevice."""

    def __init__(self, name: str, tape: Tape) -> None:
        self._name, self._tape = name, tape
        transfers = [call for call in tape.of("spi", name) if call.op == "transfer"]
        self._known = {frozen(call.args[0]) for call in transfers}
        self._idle = _idle(transfers)

    @property
    def name(self) -> str:
        """The chip select as people know it."""
        return self._name

    def open(self, speed_hz: int, *, mode: int = 0, lsb_first: bool = False) -> None:
        """Take it into use."""
        self._tape.ask("spi", self._name, "open", (speed_hz,), {})

    def transfer(self, data: bytes) -> bytes:
        """Send bytes and return as many.

        A chip that has only ever sent one and the same byte, such as a display, takes others too.
        """
        if frozen(data) not in self._known and self._idle is not None:
            return self._idle * len(data)
        return bytes(self._tape.ask("spi", self._name, "transfer", (data,), {}))

    def close(self) -> None:
        """Give it back."""


class ReplayOneWire:
    """A OneWireBus."""

    def __init__(self, name: str, tape: Tape) -> None:
        self._name, self._tape = name, tape

    @property
    def name(self) -> str:
        """The bus as people know it."""
        return self._name

    def open(self) -> None:
        """Take the bus into use."""
        self._tape.ask("onewire", self._name, "open", (), {})

    def search(self) -> tuple[str, ...]:
        """Return the ROM codes that were found."""
        return tuple(self._tape.ask("onewire", self._name, "search", (), {}))

    def measure(self, rom: str) -> bytes:
        """Return the scratchpad that a chip had."""
        return bytes(self._tape.ask("onewire", self._name, "measure", (rom,), {}))

    def close(self) -> None:
        """Give the bus back."""


def _health(recorded: Any) -> BusHealth:
    """Return the health of a record. Raises BrokenError for what is none."""
    known = {each.name for each in fields(BusHealth)}
    try:
        given: dict[str, Any] = {k: value for k, value in recorded.items() if k in known}
        given["state"] = BusState(given.get("state", "closed"))
        return BusHealth(**given)
    except (AttributeError, TypeError, ValueError) as error:
        raise BrokenError(f"a health of a bus that is none: {error}") from error


def _idle(transfers: list[Transaction]) -> bytes | None:
    """Return the one byte that a chip has ever sent; None if it has sent others, or nothing."""
    sent = set().union(*(call.result for call in transfers if isinstance(call.result, bytes)))
    return bytes(sent) if len(sent) == 1 else None
