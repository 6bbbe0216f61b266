"""Parts: what a runtime consists of, by name, and what of it stands, in the order of starting."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

from edgekernel.core.component import describe_class, is_marked
from edgekernel.core.context import Host
from edgekernel.core.device import Device
from edgekernel.core.errors import ConfigError, UnknownTargetError, nearest
from edgekernel.core.markers import KindNote, SkillNote, own_component_note
from edgekernel.core.poller import Poller
from edgekernel.core.role import Role
from edgekernel.core.unit import Unit, UnitState

P = TypeVar("P")


class Parts:
    """The units of a runtime. Changed by one thread at a time, read by any."""

    def __init__(self, runtime: Host) -> None:
        self._runtime = runtime
        self.units: Mapping[str, Unit] = {}  # replaced, not changed: others iterate it
        self.standing: list[Unit] = []  # those that a shutdown stops, in the order of starting
        self.coming: list[Unit] = []
        """Services that run already and have yet to take the place of another one."""
        self.held_back: list[Unit] = []
        """Devices whose driver is being replaced: until then their outputs take nothing."""
        self._of_kind: dict[type, dict[str, Any]] = {}

    def of(self, kind: type[P]) -> Mapping[str, P]:
        """Return the parts of one class, by name, in the order of adding."""
        found: dict[str, P] | None = self._of_kind.get(kind)
        if found is None:
            known, units = self._of_kind, self.units
            found = {name: unit.part for name, unit in units.items() if isinstance(unit.part, kind)}
            known[kind] = found
        return found

    def find(self, name: str) -> Unit:
        """Return the unit of a name; raises UnknownTargetError with the nearest one."""
        if name not in self.units:
            raise UnknownTargetError(f"no part {name!r}{nearest(name, list(self.units))}")
        return self.units[name]

    def add(self, part: Any, name: str = "", **how: Any) -> Unit:
        """Take a part in, an instance or a component class; see `make_unit`."""
        unit = self.make_unit(part() if isinstance(part, type) else part, name, **how)
        self.enlist(unit)
        return unit

    def make_unit(self, part: Any, name: str = "", **how: Any) -> Unit:
        """Describe a part as a unit of this runtime, under a name that is free."""
        if not is_component(part):
            raise TypeError(
                f"{part!r} is no component: make it a Device, Process, Interface or Service, or "
                "mark its class with @component"
            )
        name = name or part_name(part)
        if name in self.units:
            other = self.units[name].part
            raise ConfigError(f"{name}: two parts of this name: {part!r} and {other!r}")
        for unit in self.units.values():
            if unit.part is part:
                raise ConfigError(f"{name}: this very part is there already, as {unit.name}")
        if isinstance(part, Device):
            _check_device(part, name)
        unit = self.renewed(part, name, **how)
        _check_brought(unit, self.units.values())
        return unit

    def renewed(self, part: Any, name: str, **how: Any) -> Unit:
        """Describe a part as a unit that may take the place of one of that name."""
        unit = Unit(self._runtime, part, name, **how)
        if isinstance(part, Role):
            part.name = name
        return unit

    def enlist(self, unit: Unit) -> None:
        """Put a unit on the list of parts."""
        self._relist({**self.units, unit.name: unit})

    def strike(self, unit: Unit) -> None:
        """Take a unit off the list of parts."""
        self._relist({name: each for name, each in self.units.items() if each is not unit})

    def replace(self, old: Unit, new: Unit) -> None:
        """Let a unit have the place of another one."""
        self._relist({name: new if each is old else each for name, each in self.units.items()})
        if old in self.standing:
            self.standing[self.standing.index(old)] = new

    def _relist(self, units: Mapping[str, Unit]) -> None:
        self.units, self._of_kind = units, {}

    def family(self, *units: Unit) -> list[Unit]:
        """Return units and what they and their children have spawned, parents first."""
        found = list(units)
        for member in found:  # grows while it is walked
            found += [
                each
                for each in self.units.values()
                if each.parent == member.name and each not in found
            ]
        return found

    def needing(self, gone: Collection[Unit]) -> list[Unit]:
        """Return the active units that cannot do without these, and without one another."""
        found: list[Unit] = []
        units = [unit for unit in self.units.values() if unit not in gone]
        while True:
            lost = [*gone, *found]
            more = [unit for unit in units if unit not in found and unit.misses(lost)]
            if not more:
                return found
            found += more

    def poller_of(self, device: Device) -> Unit | None:
        """Return who polls a device."""
        for unit in self.units.values():
            if isinstance(unit.part, Poller) and device in unit.part.devices:
                return unit
        return None

    def poll(self, device: Device) -> Unit | None:
        """Let a device be polled with the others of its group; return a poller that is new."""
        if not device.polled:
            return None
        for poller in self.of(Poller).values():
            if poller.group == device.poll_group:
                poller.add(device)
                return None
        return self.add(Poller(device.poll_group, [device]))

    def on_this_thread(self) -> Unit | None:
        """Return the service on whose thread the caller runs."""
        for unit in (*self.units.values(), *self.coming):
            if unit.supervised is not None and unit.supervised.is_here():
                return unit
        return None

    def all(self) -> tuple[Unit, ...]:
        """Return the units, in the order of adding."""
        return tuple(self.units.values())

    def in_state(self, *states: UnitState) -> tuple[Unit, ...]:
        """Return the units in one of these states."""
        return tuple(unit for unit in self.units.values() if unit.state in states)


def is_component(part: Any) -> bool:
    """Say whether an object can be a part: by its role, or by a marker on its class."""
    if isinstance(part, Device | Role):
        return True
    return is_marked(type(part))


def part_name(part: Any) -> str:
    """Return what a part, or the instances of a class, are called unless another name is given.

    A device by its id, a role by its name, anything else as its class says. Raises ConfigError
    if it has no name.
    """
    cls = part if isinstance(part, type) else type(part)
    if isinstance(part, Device):
        if not hasattr(part, "poll_group"):
            raise ConfigError(f"{cls.__name__}: its __init__ does not call super().__init__(id)")
        if not part.id:
            raise ConfigError(f"{cls.__name__}: a device needs an id: super().__init__(id)")
        return part.id
    if not issubclass(cls, Role) or (cls is part and own_component_note(cls) and not cls.name):
        return describe_class(cls).name
    if not part.name:
        raise ConfigError(
            f'{cls.__name__}: a part needs a name: write `name = "..."` in the class, or give one '
            "where it is registered"
        )
    name: str = part.name
    return name


def _check_device(device: Device, name: str) -> None:
    if name != device.id:
        raise ConfigError(f"{name}: a device is called by its id, which is {device.id!r}")
    if device.polled and not device.every > 0:
        raise ConfigError(f"{device.id}: every is {device.every} s; it must be above 0")


def _check_brought(unit: Unit, others: Iterable[Unit]) -> None:
    """Refuse a kind or skill of a name under which another component brings another one."""
    brought = {(type(each), each.name): each for each in _brought_by(unit)}
    if not brought:
        return
    for other in (each for each in others if each.meta.name != unit.meta.name):
        for known in _brought_by(other):
            if brought.get((type(known), known.name), known) != known:
                raise ConfigError(
                    f"{unit.name}: brings {known.name!r}, and {other.name} brings another "
                    "kind or skill of that name"
                )


def _brought_by(unit: Unit) -> list[KindNote | SkillNote]:
    return [*unit.meta.kinds, *unit.meta.skills]
