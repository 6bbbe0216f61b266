"""The rig: a real node as a drill sees it, with the layer before its board."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from edgekernel.core.clock import Clock
from edgekernel.core.errors import UnknownTargetError, nearest
from edgekernel.core.reading import Reading
from edgekernel.sim.drill.layer import DrillBackend
from edgekernel.sim.faults.fault import End, Fault
from edgekernel.sim.faults.site import Overlay


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device is on the board, and what it says."""

    bus: str = ""
    address: int | str | None = None
    """On an I²C bus, or the ROM code on a 1-Wire bus."""
    port: str = ""
    inputs: tuple[str, ...] = ()
    """The lines of the board that it reads."""
    readings: Mapping[str, Reading[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Spot:
    """A target of a plan, found on the rig."""

    sort: str
    name: str
    rig: Rig

    @property
    def place(self) -> Place:
        """Where it is; of a bus, port or line, that."""
        if self.sort == "device":
            return self.rig.places[self.name]
        if self.sort == "bus":
            return Place(bus=self.name)
        return Place(port=self.name) if self.sort == "port" else Place(inputs=(self.name,))

    def reading(self, quantity: str | None) -> Reading[Any] | str:
        """Return the reading that is meant by the quantity of a chip, such as "temperature" by
        "temperature_c"; or what is wrong with it."""
        numbers = {
            name: each
            for name, each in self.place.readings.items()
            if each.values.type in (int, float)
        }
        if quantity is None and len(numbers) == 1:
            return next(iter(numbers.values()))
        meant = [n for n in numbers if quantity is not None and f"{quantity}_".startswith(f"{n}_")]
        if meant:
            return numbers[max(meant, key=len)]
        if quantity is None:
            return f"name its quantity: {', '.join(sorted(numbers)) or 'it has none'}"
        return f"{self.name} has no reading {quantity!r}{nearest(quantity, numbers)}"


class Rig:
    """A Stage of fault plans on a real node."""

    agent_alive = True
    outlives_agent = False
    depends: tuple[str, ...] = ()

    def __init__(
        self,
        layer: DrillBackend,
        places: Mapping[str, Place],
        keep_broker_away: Callable[[bool], object] | None = None,
    ) -> None:
        """Take the layer before the board, where each device is, and what cuts the link to the
        broker, if the node has one."""
        self.layer = layer
        self.places = places
        self.keep_broker_away = keep_broker_away
        self._overlays: dict[tuple[str, ...], Overlay[Any]] = {}

    @property
    def clock(self) -> Clock:
        """What the drill waits on."""
        return self.layer.clock

    def problem(self, fault: Fault) -> str:
        """Say why a fault cannot be drilled on this node; empty if it can.

        Raises UnknownTargetError for a target that the node does not have.
        """
        from edgekernel.sim.drill.ways import WAYS

        way = WAYS.get(type(fault.what))
        if way is None:
            return "only a simulation can do this; take it out of the plan of a drill"
        return way.problem(fault.what, self._spot(fault))

    def begin(self, fault: Fault, random: Random) -> End:
        """Let a fault begin; return what ends it."""
        from edgekernel.sim.drill.ways import WAYS

        return WAYS[type(fault.what)].begin(fault.what, self._spot(fault), random)

    def overlay(self, about: tuple[str, ...], apply: Callable[[Any], object], state: object) -> End:
        """Bring about a state that other faults may want too; return what ends it."""
        return self._overlays.setdefault(about, Overlay(apply)).put(state)

    def _spot(self, fault: Fault) -> Spot:
        sort, name = next(iter(fault.targets.items()), ("", ""))
        known = self._known(sort)
        if sort and name not in known:
            raise UnknownTargetError(f"no {sort} {name!r} in this node{nearest(name, known)}")
        return Spot(sort, name, self)

    def _known(self, sort: str) -> list[str]:
        places = self.places.values()
        if sort == "device":
            return list(self.places)
        if sort == "bus":
            return [each.bus for each in places if each.bus]
        if sort == "port":
            return [each.port for each in places if each.port]
        return [line for each in places for line in each.inputs] if sort == "line" else []
