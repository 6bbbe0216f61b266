"""A simulated 1-Wire bus: chips are plugged in and known by their ROM codes."""

from __future__ import annotations

from edgekernel.backends.shared_onewire import SharedOneWireBus, check_rom
from edgekernel.core.clock import Clock
from edgekernel.core.errors import BusyError, NackError
from edgekernel.hal.onewire import OneWireTarget


class SimOneWireBus(SharedOneWireBus):
    """A OneWireBus whose other end is simulated chips. A conversion takes its time."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._targets = TargetWire(name, clock)
        super().__init__(name, self._targets, clock)

    def vacate(self, clock: Clock) -> None:
        """Be as nobody has opened it; who comes next waits on `clock`. The chips stay."""
        super().__init__(self.name, self._targets, clock)

    def plug(self, target: OneWireTarget) -> None:
        """Connect a chip; raises BusyError if there is one with its ROM code."""
        check_rom(self.name, target.rom)
        if target.rom in self._targets.chips:
            raise BusyError(
                f"{self.name}, {target.rom}: a chip with this ROM code is plugged in; unplug it "
                "first, or give one of the two another `rom`"
            )
        self._targets.chips[target.rom] = target

    def unplug(self, rom: str) -> None:
        """Take the chip away; from now on it does not answer. Harmless if there is none."""
        self._targets.chips.pop(rom, None)


class TargetWire:
    """A Wire with simulated chips on it."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self.chips: dict[str, OneWireTarget] = {}

    def open(self) -> None:
        """Do nothing: a simulated bus is always there."""

    def search(self) -> tuple[str, ...]:
        """Return the ROM codes of the chips, sorted."""
        return tuple(sorted(self.chips))

    def measure(self, rom: str) -> bytes:
        """Let a chip convert, wait as long as it takes, and return its scratchpad."""
        chip = self.chips.get(rom)
        if chip is not None:
            self._clock.sleep(chip.convert())
        if chip is None or self.chips.get(rom) is not chip:
            found = ", ".join(self.search()) or "none"
            raise NackError(f"{self._name}, {rom}: the chip does not answer; found: {found}")
        return bytes(chip.scratchpad())
