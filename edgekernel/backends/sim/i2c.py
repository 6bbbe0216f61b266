"""A simulated I²C bus: chips are plugged into addresses and speak bytes."""

from __future__ import annotations

from edgekernel.backends.shared_i2c import SharedI2CBus, check_address
from edgekernel.core.clock import Clock
from edgekernel.core.errors import BusyError, InvalidValueError, NackError
from edgekernel.hal.i2c import I2CTarget


class SimI2CBus(SharedI2CBus):
    """An I2CBus whose other end is simulated chips. A chip that sleeps holds up the bus."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._targets = TargetWire(name)
        super().__init__(name, self._targets, clock)

    def plug(self, address: int, target: I2CTarget) -> None:
        """Put a chip at an address (0x08 to 0x77); raises BusyError if there is one."""
        check_address(self.name, address)
        present = self._targets.chips.get(address)
        if present is not None:
            raise BusyError(
                f"{self.name}, address 0x{address:02x}: {type(present).__name__} is plugged in; "
                "unplug it first, or give one of the two another address"
            )
        self._targets.chips[address] = target

    def unplug(self, address: int) -> None:
        """Take the chip away; from now on nobody acknowledges. Harmless if there is none."""
        self._targets.chips.pop(address, None)


class TargetWire:
    """A Wire with simulated chips on it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.chips: dict[int, I2CTarget] = {}

    def open(self) -> None:
        """Do nothing: a simulated bus is always there."""

    def transfer(self, address: int, data: bytes, length: int) -> bytes:
        """Write `data` if there is any, then read `length` bytes if not 0.

        Raises NackError if there is no chip or it refuses, and InvalidValueError if it answers
        another number of bytes than was asked for, which a real chip cannot.
        """
        place = f"{self._name}, address 0x{address:02x}"
        chip = self.chips.get(address)
        if chip is None:
            raise NackError(f"{place}: no acknowledge; no simulated chip is plugged in")
        try:
            if data:
                chip.write(bytes(data))
            answer = bytes(chip.read(length)) if length else b""
        except NackError as refusal:
            raise NackError(f"{place}: no acknowledge from the chip. {refusal}") from refusal
        if len(answer) != length:
            raise InvalidValueError(
                f"{place}: the simulated {type(chip).__name__} answered {len(answer)} bytes "
                f"to a read of {length}; correct its `read`"
            )
        return answer

    def close(self) -> None:
        """Do nothing: the chips stay plugged in."""
