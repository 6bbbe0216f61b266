"""Where a fault is: the part of the simulated node that it is done to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from edgekernel.backends.sim import SimI2CBus, SimPort
from edgekernel.core.errors import UnknownTargetError, nearest
from edgekernel.sim.bench import Bench
from edgekernel.sim.faults.fault import End
from edgekernel.sim.outside import OutsideLine
from edgekernel.sim.wiring import Socket

T = TypeVar("T")


class Overlay(Generic[T]):
    """A state that several faults may want at once: the one that began last has it, and when it
    is healed the one before."""

    def __init__(self, apply: Callable[[T | None], object]) -> None:
        """`apply` brings a state about; None is the sound one."""
        self._apply = apply
        self._wanted: list[list[T]] = []

    def put(self, state: T) -> End:
        """Bring a state about; return what ends it."""
        entry = [state]
        self._wanted.append(entry)
        self._apply(state)

        def end() -> None:
            was_last = self._wanted[-1] is entry
            self._wanted[:] = [each for each in self._wanted if each is not entry]
            if was_last:
                self._apply(self._wanted[-1][0] if self._wanted else None)

        return end


@dataclass(frozen=True, slots=True)
class Site:
    """A target of a fault plan, found on the bench."""

    sort: str
    name: str
    bench: Bench
    overlays: dict[tuple[str, ...], Overlay[Any]]
    """Those of the whole run, by what they are about."""

    def overlay(self, about: tuple[str, ...], apply: Callable[[Any], object], state: object) -> End:
        """Bring about a state that other faults may want too; return what ends it."""
        return self.overlays.setdefault(about, Overlay(apply)).put(state)

    @property
    def socket(self) -> Socket | None:
        """Where the device's chip or far end is plugged in."""
        wired = self.bench.wiring.get(self.name)
        return wired.socket if self.sort == "device" and wired is not None else None

    @property
    def part(self) -> Any:
        """The chip or far end of a device, or a world; None if there is none."""
        if self.sort == "world":
            return self.bench.worlds[self.name]
        wired = self.bench.wiring.get(self.name)
        return wired.chip if self.sort == "device" and wired is not None else None

    @property
    def on_i2c(self) -> list[tuple[SimI2CBus, int]]:
        """The bus and address of the device; of a bus, all that are on it."""
        found = []
        for device, wired in self.bench.wiring.items():
            socket = wired.socket
            if socket is None or socket.address is None:
                continue
            if isinstance(socket.place, SimI2CBus) and self.name in (device, socket.place.name):
                found.append((socket.place, socket.address))
        return found

    @property
    def port(self) -> SimPort | None:
        """The serial port itself, or that of the device."""
        for device, wired in self.bench.wiring.items():
            place = None if wired.socket is None else wired.socket.place
            if isinstance(place, SimPort) and self.name in (device, place.name):
                return place
        return None

    @property
    def input(self) -> OutsideLine | None:
        """The line itself, or the only one that the device reads; None for one that is driven."""
        if self.sort == "line":
            driven = {n for wired in self.bench.wiring.values() for n in wired.outputs.values()}
            return None if self.name in driven else self.bench.line(self.name)
        wired = self.bench.wiring.get(self.name)
        lines = [] if wired is None else list(wired.inputs.values())
        return self.bench.line(lines[0]) if len(lines) == 1 else None


def find_site(bench: Bench, sort: str, name: str, overlays: dict[Any, Any]) -> Site:
    """Find a target by what it is and its name. Raises UnknownTargetError with a suggestion."""
    known = _known(bench, sort)
    if sort and name not in known:
        raise UnknownTargetError(f"no {sort} {name!r} in this node{nearest(name, known)}")
    return Site(sort, name, bench, overlays)


def _known(bench: Bench, sort: str) -> list[str]:
    if sort == "device":
        return list(bench.wiring)
    if sort == "world":
        return list(bench.worlds)
    wirings = bench.wiring.values()
    if sort == "line":
        return [line for wired in wirings for line in wired.lines.values()]
    places = [wired.socket.place for wired in wirings if wired.socket is not None]
    return [each.name for each in places if isinstance(each, SimPort) is (sort == "port")]
