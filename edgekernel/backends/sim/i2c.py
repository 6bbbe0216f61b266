"""A simulated I²C bus: chips are plugged into addresses and speak bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgekernel.backends.shared_i2c import BLOCK, SharedI2CBus, check_address
from edgekernel.backends.sim.gpio import SimLine
from edgekernel.backends.sim.i2c_faults import End, I2CFaults, Line, Until
from edgekernel.backends.sim.i2c_lines import JoinedLines
from edgekernel.core.clock import Clock
from edgekernel.core.errors import BrokenError, BusyError, InvalidValueError, NackError, StuckError
from edgekernel.hal.i2c import I2CTarget


class SimI2CBus(SharedI2CBus):
    """An I2CBus whose other end is simulated chips. A chip that sleeps holds up the bus.

    Beside the chips the outside brings the faults: `stick`, `refuse`, `hang`, `slow`, `corrupt` and
    `present`. Where they name an address, `nth` is the first transaction with it that is meant,
    counted from now, and `times` how many from there on; None is all. What they return ends the
    fault and leaves the others.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self._faults = I2CFaults(name, clock)
        self._targets = TargetWire(name, self._faults)
        super().__init__(name, self._targets, clock)

    def cut_off(self) -> None:
        """Let who uses it reach no chip any more."""
        self._targets.cut_off = True

    def vacate(self, clock: Clock) -> None:
        """Be as nobody has opened it; who comes next waits on `clock`. Chips and faults stay."""
        self._targets.cut_off = False
        super().__init__(self.name, self._targets, clock)

    def plug(self, address: int, target: I2CTarget, *, ten_bit: bool = False) -> None:
        """Put a chip at an address (0x08 to 0x77); raises BusyError if there is one."""
        label = check_address(self.name, address, ten_bit=ten_bit)
        present = self._targets.chips.get((address, ten_bit))
        if present is not None:
            raise BusyError(
                f"{self.name}, address {label}: {type(present).__name__} is plugged in; "
                "unplug it first, or give one of the two another address"
            )
        self._targets.chips[address, ten_bit] = target

    def unplug(self, address: int, *, ten_bit: bool = False) -> None:
        """Take the chip away; from now on nobody acknowledges. Harmless if there is none."""
        self._targets.chips.pop((address, ten_bit), None)

    @property
    def present(self) -> bool:
        """Whether the adapter is there: False is a bus that is not enabled, or was pulled out."""
        return self._targets.present

    @present.setter
    def present(self, there: bool) -> None:
        self._targets.present = there

    @property
    def timeout_s(self) -> float:
        """After how many seconds a transaction is given up that does not end; 1 s on Linux."""
        return self._faults.timeout_s

    @timeout_s.setter
    def timeout_s(self, seconds: float) -> None:
        self._faults.timeout_s = seconds

    @property
    def kernel_clocks(self) -> bool:
        """Whether the kernel's driver clocks a stuck bus free by itself after a failure."""
        return self._faults.kernel_clocks

    @kernel_clocks.setter
    def kernel_clocks(self, it_does: bool) -> None:
        self._faults.kernel_clocks = it_does

    def stick(self, line: Line = "sda", until: Until = "released") -> None:
        """Hold a line low, so that no transaction ends.

        It stays until `release`; or until nine clocks have been seen (`until="clocks"`: `pulse`, or
        `kernel_clocks`, or lines that were joined), until the bus is opened anew
        (`until="reopened"`), or until the chips have no power (`until="power"`, and "clocks" too).
        """
        self._faults.stick(line, until)

    def release(self) -> None:
        """Let go of the line that was held."""
        self._faults.release()

    @property
    def stuck(self) -> Line | None:
        """The line that is held low, if one is."""
        return self._faults.held

    def pulse(self, times: int = 9) -> None:
        """Clock SCL from outside, as a recovery through GPIO lines does."""
        self._faults.pulse(times)

    def join(self, scl: SimLine, sda: SimLine) -> None:
        """Wire two spare lines of the board to SCL and SDA: they see what holds those, and clock.

        Raises LifecycleError if one that is held is driven by an output.
        """
        joined = JoinedLines(self._faults, scl, sda)
        self._faults.changed = joined.follow
        joined.follow()

    @property
    def powered(self) -> bool:
        """Whether the chips have power. Without it none acknowledges, and registers are lost."""
        return self._targets.powered

    @powered.setter
    def powered(self, on: bool) -> None:
        if on and not self._targets.powered:
            for chip in self._targets.chips.values():
                power_on = getattr(chip, "power_on", None)
                if callable(power_on):
                    power_on()
        self._targets.powered = on
        if not on:
            self._faults.unpowered()

    def refuse(self, address: int, *, nth: int = 1, times: int | None = 1) -> End:
        """Let transactions with an address be without acknowledge."""
        return self._faults.refuse(address, nth - 1, times)

    def hang(self, address: int, *, nth: int = 1, times: int | None = None) -> End:
        """Let transactions with an address not end in time; then the bus is free again."""
        return self._faults.hang(address, nth - 1, times)

    def slow(self, seconds: float, address: int | None = None) -> None:
        """Let each transaction, or each with one address, take so long; 0 ends it."""
        self._faults.slow(seconds, address)

    def corrupt(
        self, address: int, mask: bytes = b"\x01", *, nth: int = 1, times: int | None = 1
    ) -> End:
        """Turn over the bits of `mask` in what is read from an address, from the first byte on."""
        return self._faults.corrupt(address, mask, nth - 1, times)

    def heal(self) -> None:
        """End every fault; `present`, `powered`, `timeout_s` and `kernel_clocks` stay."""
        self._faults.heal()


class TargetWire:
    """A Wire with simulated chips on it."""

    def __init__(self, name: str, faults: I2CFaults) -> None:
        self._name = name
        self._faults = faults
        self.chips: dict[tuple[int, bool], I2CTarget] = {}
        self.present = True
        self.powered = True
        self.cut_off = False

    def open(self) -> None:
        """Take the bus into use. Raises BrokenError if it is not there."""
        if not self.present:
            raise BrokenError(f"{self._name}: the simulated bus is not there; set `present`")
        self._faults.reopened()

    def transfer(
        self, address: int, messages: Sequence[bytes | int], ten_bit: bool
    ) -> tuple[bytes, ...]:
        """Carry out writes (bytes) and reads (lengths) as one transaction; return what was read.

        Raises NackError if there is no chip or it refuses, StuckError for a bus that is stuck, and
        InvalidValueError if a chip answers another number of bytes than was asked for, which a real
        one cannot.
        """
        place = f"{self._name}, address 0x{address:02x}"
        self._begin(address, place)
        if not self.powered:
            raise NackError(f"{place}: no acknowledge; the chips have no power")
        chip = self.chips.get((address, ten_bit))
        if chip is None:
            raise NackError(f"{place}: no acknowledge; no simulated chip is plugged in")
        try:
            return self._faults.end(address, _spoken(chip, messages, place))
        except NackError as refusal:
            raise NackError(f"{place}: no acknowledge from the chip. {refusal}") from refusal

    def read_block(self, address: int, command: int) -> bytes:
        """Send a command byte and read the longest block, as adapters do that know no blocks."""
        return self.transfer(address, (bytes([command]), 1 + BLOCK), False)[0]

    def probe(self) -> None:
        """Send a START byte, which nobody acknowledges. Raises StuckError if a line is held."""
        self._begin(0, f"{self._name}: the bus is stuck")

    def close(self) -> None:
        """Do nothing: the chips stay plugged in."""

    def _begin(self, address: int, label: str) -> None:
        if not self.present or self.cut_off:
            raise StuckError(f"{self._name}: the simulated bus has gone")
        self._faults.begin(address, label)


def _spoken(chip: I2CTarget, messages: Sequence[bytes | int], place: str) -> Iterator[bytes]:
    """Carry out the messages of one transaction; return what was read."""
    for message in messages:
        if not isinstance(message, int):
            chip.write(bytes(message))
            continue
        answer = bytes(chip.read(message))
        if len(answer) != message:
            raise InvalidValueError(
                f"{place}: the simulated {type(chip).__name__} answered {len(answer)} bytes "
                f"to a read of {message}; correct its `read`"
            )
        yield answer
