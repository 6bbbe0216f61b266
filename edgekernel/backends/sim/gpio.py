"""Simulated lines from outside: what a meter shows, and the wires that drive them."""

from __future__ import annotations

from collections.abc import Callable

from gpiozero import PinInfo

from edgekernel.backends.gpiozero_lines import pin_fields
from edgekernel.backends.sim.pins import SimFactory, SimPin
from edgekernel.core.clock import Clock
from edgekernel.core.errors import LifecycleError, UnknownTargetError, nearest
from edgekernel.hal.address import LineAddress


class SimLine:
    """A simulated line from outside: what a meter on it shows, and the wire that drives it."""

    def __init__(self, name: str, pin: SimPin) -> None:
        self._name = name
        self._pin = pin

    @property
    def name(self) -> str:
        """The line as people know it, such as "GPIO17"."""
        return self._name

    @property
    def level(self) -> bool:
        """The electrical level; True is high. Of pulses, whether they are ever high."""
        return self._pin.level

    @property
    def duty(self) -> float | None:
        """The share of each period that is high, 0 to 1, while it makes pulses; else None."""
        return None if self._pin.pulses is None else self._pin.pulses[1]

    @property
    def frequency_hz(self) -> float | None:
        """The frequency of the pulses that it makes; else None."""
        return None if self._pin.pulses is None else self._pin.pulses[0]

    @property
    def function(self) -> str:
        """What the pin is: "input" or "output". A closed output stays one, as on Linux."""
        return str(self._pin.function)

    @property
    def levels(self) -> tuple[bool, ...]:
        """Every level since the line was last opened, the one it was opened with first."""
        return tuple(self._pin.levels)

    def drive(self, level: bool, *, lose_edge: bool = False) -> None:
        """Put a level on the line, as the outside world; it stays, also against a pull.

        `lose_edge` tells nobody of the change, as when edges come faster than Linux keeps them.
        Raises LifecycleError if an output is on it: that would be a short circuit.
        """
        for pin in self._pin.net.outputs():
            name = self._name if pin is self._pin else pin.info.name
            raise LifecycleError(
                f"{name} is an output: the outside cannot drive it; read its level instead"
            )
        self._drive(level, lose_edge)

    def release(self) -> None:
        """Stop driving: the pull resistor decides, and without one the level stays."""
        self._drive(None, False)

    def watch(self, changed: Callable[[bool], None]) -> None:
        """Call `changed` with each new level of the line, whoever drives it."""
        self._pin.watching = (*self._pin.watching, changed)

    def _drive(self, level: bool | None, lose_edge: bool) -> None:
        self._pin.net.outside = level
        self._pin.net.settle(unseen=lose_edge)


class SimPins:
    """The pins of one simulated board, by the names of their lines."""

    def __init__(self, clock: Clock) -> None:
        self._factory = SimFactory(clock)
        self._pins: dict[str, SimPin] = {}

    @property
    def cut_off(self) -> bool:
        """Whether who uses the pins reaches them no more."""
        return self._factory.cut_off

    @cut_off.setter
    def cut_off(self, off: bool) -> None:
        self._factory.cut_off = off

    def vacate(self) -> None:
        """Let nobody watch, and who comes next reach them; levels and directions stay."""
        self._factory.vacate()
        for pin in self._pins.values():
            pin.close()

    def power_off(self) -> None:
        """Let every pin be without power."""
        for pin in self._pins.values():
            pin.power_off()

    def add(self, line: LineAddress) -> None:
        """Make the pin of a line, if it is not there yet."""
        if line.name not in self._pins:
            self._pins[line.name] = SimPin(self._factory, PinInfo(*pin_fields(line.offset)))

    def pin(self, line: LineAddress) -> SimPin:
        """Return the pin of a line that was added."""
        return self._pins[line.name]

    def line(self, name: str) -> SimLine:
        """Return the outside of a line. Raises UnknownTargetError."""
        return SimLine(name, self._named(name))

    def wire(self, first: str, second: str) -> None:
        """Put a jumper wire between two lines. Raises UnknownTargetError, LifecycleError."""
        self._named(first).net.join(self._named(second).net)

    def _named(self, name: str) -> SimPin:
        number = name.removeprefix("GPIO")
        if name not in self._pins and number != name and number.isdecimal():
            self.add(LineAddress(name, "", int(number)))
        if name not in self._pins:
            raise UnknownTargetError(
                f"no line {name!r} on the simulated board{nearest(name, self._pins)}"
            )
        return self._pins[name]
