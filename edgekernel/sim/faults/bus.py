"""Faults of buses, and of chips on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from edgekernel.backends.sim import SimPort
from edgekernel.sim.faults.fault import End, FaultKind, end_all
from edgekernel.sim.faults.site import Site

Count = Annotated[int, Ge(1)]


class _OnI2C(FaultKind):
    """A fault of chips on an I²C bus."""

    on = ("device", "bus")

    def misfit(self, site: Site) -> str:
        """Say that it is not on an I²C bus."""
        return "" if site.on_i2c else f"{site.name} is on no I²C bus"


@dataclass(frozen=True)
class Nack(_OnI2C):
    """No acknowledge: a chip does not answer to its address, as when its supply is away.

    `nth` is the first transaction that is meant, `count` how many from there on; without it all.
    """

    word = "nack"
    nth: Count = 1
    count: Count | None = None

    def begin(self, site: Site, random: Random) -> End:
        """Refuse transactions."""
        return end_all(
            bus.refuse(address, nth=self.nth, times=self.count) for bus, address in site.on_i2c
        )


@dataclass(frozen=True)
class Hang(_OnI2C):
    """A chip that stretches the clock without end: transactions with it run into the timeout."""

    word = "hang"
    nth: Count = 1
    count: Count | None = None

    def begin(self, site: Site, random: Random) -> End:
        """Let transactions not end."""
        return end_all(
            bus.hang(address, nth=self.nth, times=self.count) for bus, address in site.on_i2c
        )


@dataclass(frozen=True)
class Slow(_OnI2C):
    """Each transaction takes `takes` seconds more: a chip or a whole bus that stretches clocks."""

    word = "slow"
    durations = ("takes",)
    takes: Annotated[float, Gt(0), Le(60)] = 0.05

    def begin(self, site: Site, random: Random) -> End:
        """Slow down."""
        (bus, address), *_ = site.on_i2c
        meant = None if site.sort == "bus" else address

        def apply(seconds: float | None) -> None:
            bus.slow(seconds or 0.0, meant)

        return site.overlay(("slow", bus.name, str(meant)), apply, self.takes)


@dataclass(frozen=True)
class Stuck(FaultKind):
    """A chip holds a line of its bus low: nothing goes over the bus.

    `line` is "sda" or "scl". It lasts until it is healed; with `until` "clocks", "reopened" or
    "power" it ends before that: by nine clocks, when the bus is opened anew, or when the chips
    lose their power.
    """

    word = "stuck"
    on = ("bus",)
    line: Literal["sda", "scl"] = "sda"
    until: Literal["released", "clocks", "reopened", "power"] = "released"

    def misfit(self, site: Site) -> str:
        """Say that it is no I²C bus, or cannot end so."""
        if self.line == "scl" and self.until == "clocks":
            return "a clock line that is held cannot be clocked free"
        return "" if site.on_i2c else f"{site.name} is no I²C bus"

    def begin(self, site: Site, random: Random) -> End:
        """Hold the line."""
        bus = site.on_i2c[0][0]

        def apply(held: Stuck | None) -> None:
            if held is None:
                bus.release()
            else:
                bus.stick(held.line, held.until)

        return site.overlay(("stuck", bus.name), apply, self)


@dataclass(frozen=True)
class BitErrors(FaultKind):
    """Bits of what a chip sends come wrong: what has a checksum is refused, the rest is believed.

    The bits of `mask`, in hexadecimal from the first byte on, are turned over; at a serial port all
    bits are. `count` is in how many transactions (or serial bytes); without it in all.
    """

    word = "bit_errors"
    on = ("device", "port")
    mask: str = "01"
    count: Count | None = None

    @property
    def mask_problem(self) -> str:
        """Say that the mask is none; empty if it is one."""
        try:
            bytes.fromhex(self.mask)
        except ValueError:
            return f'"{self.mask}" is no mask; it is bytes in hexadecimal, such as "01" or "0080"'
        return ""

    def misfit(self, site: Site) -> str:
        """Say that there is nothing to read, or what is no mask."""
        answers = site.on_i2c or site.port or _answering(site)
        return self.mask_problem or ("" if answers else _no_bytes(site))

    def begin(self, site: Site, random: Random) -> End:
        """Turn bits over from now on."""
        if site.on_i2c:
            bus, address = site.on_i2c[0]
            return bus.corrupt(address, bytes.fromhex(self.mask), times=self.count)
        if site.port is not None:
            return self._on_port(site, site.port)
        return self._of_answers(site.part, _answering(site))

    def _on_port(self, site: Site, port: SimPort) -> End:
        if self.count is not None:
            return port.corrupt(self.count)
        apply = partial(_set, port, "garbling")
        return site.overlay(("garbling", port.name), apply, True)

    def _of_answers(self, chip: Any, method: str) -> End:
        """Come between the chip and who reads it; the last one that came is the outermost."""
        answer = getattr(chip, method)
        left = [self.count]
        mask = bytes.fromhex(self.mask)

        def spoilt(*sent: bytes) -> bytes:
            said = bytes(answer(*sent))
            if left[0] == 0:
                return said
            left[0] = None if left[0] is None else left[0] - 1
            flipped = (byte ^ bits for byte, bits in zip(said, mask, strict=False))
            return bytes(flipped) + said[len(mask) :]

        setattr(chip, method, spoilt)

        def end() -> None:
            left[0] = 0
            if vars(chip).get(method) is spoilt:
                setattr(chip, method, answer)

        return end


def _answering(site: Site) -> str:
    """Return the method by which a chip on SPI or 1-Wire answers; empty if it has none."""
    found = (name for name in ("transfer", "scratchpad") if hasattr(site.part, name))
    return next(found, "")


def _no_bytes(site: Site) -> str:
    return f"{site.name} sends no bytes: it is on no bus or port"


def _set(part: Any, attribute: str, on: bool | None) -> None:
    setattr(part, attribute, bool(on))
