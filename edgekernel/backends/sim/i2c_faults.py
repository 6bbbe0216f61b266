"""Faults of a simulated I²C bus, put there from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from edgekernel.core.clock import Clock
from edgekernel.core.errors import InvalidValueError, NackError, StuckError

Line = Literal["sda", "scl"]
Until = Literal["released", "clocks", "reopened", "power"]
End = Callable[[], None]
"""Ends a fault; harmless when it has ended."""

_CLOCKS = 9
"""After so many clocks every chip has let go of the data line (UM10204, section 3.1.16)."""


@dataclass(slots=True, eq=False)
class _Rule:
    """What happens to some transactions with an address: `times` of them, after the next `skip`."""

    address: int
    skip: int
    times: int | None
    mask: bytes = b""

    def hits(self, address: int) -> bool:
        """Count a transaction; say whether it is one of those."""
        if address != self.address or self.times == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class I2CFaults:
    """What is wrong with one bus."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.timeout_s = 1.0
        """After how many seconds the adapter gives a transaction up; Linux' default."""
        self.kernel_clocks = False
        """Whether the kernel's driver clocks a stuck bus free after a transaction has failed."""
        self.changed: Callable[[], object] = lambda: None
        """Called when a line is held or let go of."""
        self._name = name
        self._clock = clock
        self._stuck: tuple[Line, Until] | None = None
        self._pulses = 0
        self._refused: list[_Rule] = []
        self._hanging: list[_Rule] = []
        self._corrupted: list[_Rule] = []
        self._slow_s: dict[int | None, float] = {}

    def heal(self) -> None:
        """End all of them."""
        self.release()
        for rules in (self._refused, self._hanging, self._corrupted, self._slow_s):
            rules.clear()

    def stick(self, line: Line, until: Until) -> None:
        """Hold a line low."""
        if line == "scl" and until == "clocks":
            raise InvalidValueError(
                f"{self._name}: a clock line that is held cannot be clocked free; "
                'until="released" or "reopened"'
            )
        self._stuck = line, until
        self._pulses = 0
        self.changed()

    def release(self) -> None:
        """Let go of the line."""
        self._stuck = None
        self.changed()

    @property
    def held(self) -> Line | None:
        """The line that is held low, if one is."""
        return None if self._stuck is None else self._stuck[0]

    def pulse(self, times: int) -> None:
        """Take clocks from outside."""
        self._pulses += times
        if self._stuck == ("sda", "clocks") and self._pulses >= _CLOCKS:
            self.release()

    def reopened(self) -> None:
        """Take note that the bus was opened."""
        if self._stuck is not None and self._stuck[1] == "reopened":
            self.release()

    def unpowered(self) -> None:
        """Take note that the chips have lost their power: none of them holds a line."""
        if self._stuck is not None and self._stuck[1] in ("clocks", "power"):
            self.release()

    def refuse(self, address: int, skip: int, times: int | None) -> End:
        """Let transactions be without acknowledge; return what ends it."""
        return _added(self._refused, _Rule(address, skip, times))

    def hang(self, address: int, skip: int, times: int | None) -> End:
        """Let transactions not end in time; return what ends it."""
        return _added(self._hanging, _Rule(address, skip, times))

    def corrupt(self, address: int, mask: bytes, skip: int, times: int | None) -> End:
        """Turn bits of what is read over; return what ends it."""
        return _added(self._corrupted, _Rule(address, skip, times, mask))

    def slow(self, seconds: float, address: int | None) -> None:
        """Let transactions take so long; 0 ends it."""
        if seconds:
            self._slow_s[address] = seconds
        else:
            self._slow_s.pop(address, None)

    def begin(self, address: int, label: str) -> None:
        """Let a transaction begin, as far as it does. Raises NackError, StuckError."""
        delay_s = self._slow_s.get(address, self._slow_s.get(None, 0.0))
        if delay_s:
            self._clock.sleep(delay_s)
        if self._stuck is not None:
            self._clock.sleep(self.timeout_s)
            held = self.held
            if self.kernel_clocks:
                self.pulse(_CLOCKS)
            raise StuckError(f"{label}: no end within {self.timeout_s:g} s: {held} is held low")
        # All of them count, also those after the one that hits.
        hangs, refused = (_any_hits(rules, address) for rules in (self._hanging, self._refused))
        if hangs:
            self._clock.sleep(self.timeout_s)
            raise StuckError(f"{label}: no end within {self.timeout_s:g} s: the chip hangs")
        if refused:
            raise NackError(f"{label}: no acknowledge (a simulated fault)")

    def end(self, address: int, answers: Iterator[bytes]) -> tuple[bytes, ...]:
        """Let what was read in a transaction come back."""
        masks = [rule.mask for rule in self._corrupted if rule.hits(address)]
        return tuple(_flipped(answer, masks) for answer in answers)


def _added(rules: list[_Rule], rule: _Rule) -> End:
    """Add a rule, and take those out that have been: a long simulation has many."""
    rules[:] = [each for each in rules if each.times != 0]
    rules.append(rule)

    def end() -> None:
        if rule in rules:  # `heal` may have ended it before
            rules.remove(rule)

    return end


def _any_hits(rules: list[_Rule], address: int) -> bool:
    return sum(rule.hits(address) for rule in rules) > 0


def _flipped(answer: bytes, masks: list[bytes]) -> bytes:
    for mask in masks:
        pairs = zip_longest(answer, mask[: len(answer)], fillvalue=0)
        answer = bytes(byte ^ bits for byte, bits in pairs)
    return answer
