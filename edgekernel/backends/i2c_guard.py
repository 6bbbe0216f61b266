"""What stands between an I²C bus and its wire: counting, recovery, and two kinds of breakers.

A transaction that gives no answer in time has met either a chip that hangs or a bus that is stuck.
Which of the two shows afterwards: the bus is opened anew, and a START byte is sent, which no chip
is allowed to acknowledge (UM10204, section 3.1.12). If it comes back without acknowledge, the bus
works and the others go on. If it does not come back, the bus is out of use for a while. Either way
it counts against the address: after three times in a row that is left out for a while.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from edgekernel.backends.breaker import Breaker
from edgekernel.backends.recovery import Recovery
from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.core.errors import BoundaryError, BrokenError, NackError, StuckError
from edgekernel.hal.health import BusHealth, BusState

T = TypeVar("T")

_FAULTS_OF_A_CHIP = 3
"""After so many faults in a row an address is left out."""


class Probed(Protocol):
    """The part of a wire that a recovery needs."""

    def open(self) -> None:
        """Take the bus into use. Raises BrokenError."""
        ...

    def probe(self) -> None:
        """Send a START byte. Raises StuckError if the bus does not take it."""
        ...

    def close(self) -> None:
        """Give the bus back. Closing twice is harmless."""
        ...


class Guard:
    """Lets transactions through to a wire. Called by who has the bus, `health` by anybody."""

    def __init__(self, name: str, wire: Probed, clock: Clock) -> None:
        self.recovery: Recovery | None = None
        """What is tried when opening the bus anew did not help."""
        self._name = name
        self._wire = wire
        self._clock = clock
        self._bus = Breaker(name, clock, 1)
        self._chips: dict[str, Breaker] = {}  # those that had a fault last
        self._transactions = self._nacks = self._errors = self._recoveries = self._busy_ns = 0

    @property
    def health(self) -> BusHealth:
        """What was counted, and what is out of use."""
        chips = self._chips.copy().items()
        return BusHealth(
            self._bus.state,
            self._bus.reason,
            self._transactions,
            self._nacks,
            self._errors,
            self._recoveries,
            self._busy_ns / NANOSECONDS,
            self._bus.next_attempt_ns,
            {address: chip.reason for address, chip in chips if chip.reason},
        )

    @property
    def works(self) -> bool:
        """Whether the bus is in use."""
        return self._bus.state is BusState.CLOSED

    def check(self) -> None:
        """Try a bus that is out of use again if it is time. Raises BrokenError while it is."""
        if self.works:
            return
        if self._bus.lets_through:
            self._try_again()
        if not self.works:
            raise BrokenError(f"{self._name}: {self._bus.reason}")

    def carry_out(self, address: str, transaction: Callable[[], T]) -> T:
        """Carry out a transaction with an address, written as people know it, such as "0x76".

        Raises what it raises, and BrokenError at once if the bus or the address is out of use.
        """
        self.check()
        chip = self._chips.get(address)
        if chip is not None:
            if not chip.lets_through:
                raise BrokenError(f"{self._name}, address {address}: {chip.reason}")
            chip.attempt()
        begun_ns = self._clock.monotonic_ns()
        self._transactions += 1
        try:
            answer = transaction()
        except NackError:
            self._nacks += 1
            self._chips.pop(address, None)  # it lets go of the lines, so it does not hang
            raise
        except StuckError as error:
            self._errors += 1
            self._recover(address, error)
            raise
        except BrokenError:
            self._errors += 1
            raise
        finally:
            self._busy_ns += self._clock.monotonic_ns() - begun_ns
        self._chips.pop(address, None)
        return answer

    def _recover(self, address: str, error: StuckError) -> None:
        """Make the bus usable after a fault, or put it out of use."""
        if address not in self._chips:
            name = f"{self._name}/{address}"
            self._chips[address] = Breaker(name, self._clock, _FAULTS_OF_A_CHIP)
        self._chips[address].failed(str(error))
        try:
            self._open_anew()
        except BoundaryError as stuck:
            self._bus.failed(str(stuck))

    def _try_again(self) -> None:
        begun_ns = self._clock.monotonic_ns()
        self._bus.attempt()
        try:
            self._open_anew()
        except BoundaryError as stuck:
            self._bus.failed(str(stuck))
        else:
            self._bus.worked()
        finally:
            self._busy_ns += self._clock.monotonic_ns() - begun_ns

    def _open_anew(self) -> None:
        """Close and open the wire; raises what shows that the bus does not work."""
        self._wire.close()
        self._wire.open()
        try:
            self._wire.probe()
        except StuckError:
            if self.recovery is None:
                raise
            self.recovery.free_bus()
            self._wire.probe()
        self._recoveries += 1
