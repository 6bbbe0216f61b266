"""The difference between two configurations of one node: what stops, starts and goes on.

Nothing is touched: both are plans. What is to be done about it is in `reconfigure`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from typing import Any

from edgekernel.hal.address import (
    LineAddress,
    OneWireAddress,
    PortAddress,
    ProvidedLine,
    PwmAddress,
    SpiAddress,
)
from edgekernel.node.buses import Shared, shared_buses
from edgekernel.node.document import NodeDocument
from edgekernel.node.keys import KeyChange, changed_keys
from edgekernel.node.plan import Plan
from edgekernel.node.planned import PlannedDevice

_RESTART: Mapping[tuple[str, ...], str] = {
    ("node", "name"): "the node has another name",
    ("node", "board"): "the lines and buses are those of another board",
    ("node", "app"): "another application is loaded",
    ("node", "data"): "what the node remembers is in another folder",
    ("mqtt", "prefix"): "all topics of the node are others",
    ("journal",): "the recording begins with the start of the node",
    ("leases",): "what needs a controller is settled at the start of the node",
    ("update", "remote"): "what may be asked of the node is settled at its start",
    ("sim",): "the simulated surroundings are made at the start",
}
"""What cannot be changed while the node runs, and why."""


class Action(StrEnum):
    """What happens to a device."""

    START = "start"
    STOP = "stop"
    REPLACE = "replace"
    """It stops, its outputs safe, and starts with its new settings."""
    ADJUST = "adjust"
    """It goes on without a break; no output moves."""


@dataclass(frozen=True, slots=True)
class DeviceChange:
    """What happens to one device. `old` is what it is now, `new` what it is to be."""

    id: str
    action: Action
    keys: tuple[KeyChange, ...] = ()
    old: PlannedDevice | None = None
    new: PlannedDevice | None = None
    in_place: bool = True
    """Whether a replaced one takes the place of the old one at once; otherwise all of those that
    are not are stopped before the first of them starts, since they use what others have."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What is to be done to make one configuration of the other."""

    keys: tuple[KeyChange, ...]
    restart: Mapping[str, str]
    """The keys that need a restart of the agent, and why."""
    devices: tuple[DeviceChange, ...]
    buses_in: tuple[Shared, ...]
    """The buses that are taken into use, and those that nobody uses any more."""
    buses_out: tuple[Shared, ...]
    link: tuple[KeyChange, ...]
    """The keys for which the link to the broker is made anew."""

    def __bool__(self) -> bool:
        """Whether there is anything that is not the same."""
        return bool(self.keys)

    @property
    def does_something(self) -> bool:
        """Whether anything stops, starts or changes: some keys are only for the check."""
        return bool(self.restart or self.devices or self.link or self._others)

    @property
    def _others(self) -> tuple[KeyChange, ...]:
        """The keys that are read when they are needed."""
        return tuple(
            each
            for each in self.keys
            if each.below("node", "labels") or each.below("config") or each.below("update")
        )


def difference(old: Plan, new: Plan) -> Difference:
    """Compare what a node runs with what it is to run."""
    keys = changed_keys(plain(old.document), plain(new.document))
    before, after = _by_id(old), _by_id(new)
    buses_before, buses_after = _buses(before.values()), _buses(after.values())
    return Difference(
        keys=keys,
        restart=dict(_restarts(keys, old, new)),
        devices=device_changes(before, after, keys),
        buses_in=tuple(each for each in buses_after if each not in buses_before),
        buses_out=tuple(each for each in buses_before if each not in buses_after),
        link=tuple(each for each in keys if each.path[0] == "mqtt"),
    )


def plain(document: NodeDocument) -> dict[str, Any]:
    """Return what a node file says as plain data, secrets and all."""
    content: dict[str, Any] = document.model_dump(mode="json", exclude_unset=True)
    return content


def device_changes(
    old: Mapping[str, PlannedDevice],
    new: Mapping[str, PlannedDevice],
    keys: Iterable[KeyChange] = (),
) -> tuple[DeviceChange, ...]:
    """Return what happens to which devices, in the order of the new ones; those that go first."""
    changed = list(keys)
    actions = {id: _action(old.get(id), new.get(id)) for id in dict.fromkeys([*old, *new])}
    _with_their_providers(actions, new)
    apart = _apart(actions, old, new)
    return tuple(
        DeviceChange(
            id,
            action,
            tuple(each for each in changed if each.below("devices", id)),
            old.get(id),
            new.get(id),
            in_place=id not in apart,
        )
        for id, action in actions.items()
        if action is not None
    )


@dataclass(frozen=True, slots=True)
class Steps:
    """The changes of devices in the order in which none meets what another one still has."""

    leaving: tuple[DeviceChange, ...]
    """Stopped first; users of lines before those that provide them."""
    arriving: tuple[DeviceChange, ...]
    """Replaced in their places, or started; those first whose lines or outputs others name."""
    adjusted: tuple[DeviceChange, ...]


def steps(changes: Iterable[DeviceChange]) -> Steps:
    """Return what is done first, and what then. Raises CycleError if there is no such order."""
    known = tuple(changes)
    apart = [each for each in known if each.action is Action.REPLACE and not each.in_place]
    leaving = [each for each in known if each.action is Action.STOP or each in apart]
    arriving = [each for each in known if each.action in (Action.START, Action.REPLACE)]
    there = {each.id for each in arriving if each.action is Action.REPLACE and each.in_place}
    return Steps(
        tuple(reversed(_ordered((each, _providers(each.old)) for each in leaving))),
        tuple(_ordered((each, _named(each.new, there)) for each in arriving)),
        tuple(each for each in known if each.action is Action.ADJUST),
    )


def _ordered(needing: Iterable[tuple[DeviceChange, Iterable[str]]]) -> list[DeviceChange]:
    """Return changes so that each comes after those of the devices that it needs."""
    needs = {change.id: (change, [*ids]) for change, ids in needing}
    order = TopologicalSorter({id: ids for id, (_, ids) in needs.items()}).static_order()
    return [needs[id][0] for id in order if id in needs]


def _providers(device: PlannedDevice | None) -> tuple[str, ...]:
    return () if device is None else device.providers


def _named(device: PlannedDevice | None, there: Container[str]) -> list[str]:
    """Return which devices have to be there before one starts: those whose lines it uses, and whose
    outputs its own exclude, unless these are there all the time."""
    limits = () if device is None else device.limits.values()
    excluded = [name.partition(".")[0] for each in limits for name in each.interlock]
    own = "" if device is None else device.id
    return [*_providers(device), *(id for id in excluded if id != own and id not in there)]


def claims(device: PlannedDevice) -> frozenset[object]:
    """Return what a device has for itself: lines, ports, and places on buses."""
    return frozenset(_claims(device))


def _action(old: PlannedDevice | None, new: PlannedDevice | None) -> Action | None:
    if old is None or new is None:
        return Action.START if old is None else Action.STOP
    if old == new:
        return None
    if replace(old, every_s=new.every_s, tuning=new.tuning) == new:
        return Action.ADJUST
    return Action.REPLACE


def _with_their_providers(
    actions: dict[str, Action | None], new: Mapping[str, PlannedDevice]
) -> None:
    """Let those be replaced too whose lines are of a device that is replaced."""
    moving = (Action.REPLACE, Action.START)
    found = True
    while found:
        found = False
        for id, device in new.items():
            provided = any(actions[provider] in moving for provider in device.providers)
            if provided and actions[id] in (None, Action.ADJUST):
                actions[id], found = Action.REPLACE, True


def _apart(
    actions: Mapping[str, Action | None],
    old: Mapping[str, PlannedDevice],
    new: Mapping[str, PlannedDevice],
) -> set[str]:
    """Return which of those that are replaced have to stop before any of the new ones starts."""
    replaced = [id for id, action in actions.items() if action is Action.REPLACE]
    coming = {id: claims(new[id]) for id, each in actions.items() if each and id in new}
    return {
        id
        for id in replaced
        if old[id].optional is not new[id].optional
        or any(actions.get(provider) for provider in (*old[id].providers, *new[id].providers))
        or any(other != id and claims(old[id]) & taken for other, taken in coming.items())
    }


def _claims(device: PlannedDevice) -> Iterator[object]:
    for address in device.addresses.values():
        match address:
            case PwmAddress():
                yield address.line
                if address.controller:
                    yield address.controller, address.channel
            case LineAddress() | ProvidedLine() | PortAddress() | SpiAddress():
                yield address
            case OneWireAddress():
                yield address, str(device.settings.get("rom"))
            case _:
                yield address, str(device.settings.get("address"))


def _restarts(keys: Iterable[KeyChange], old: Plan, new: Plan) -> Iterator[tuple[str, str]]:
    for key in keys:
        for path, why in _RESTART.items():
            if key.path[: len(path)] == path:
                yield str(key), why
    try:
        steps(device_changes(_by_id(old), _by_id(new)))
    except CycleError as error:
        first = error.args[1][0]
        yield f"devices.{first}.outputs", "outputs that exclude one another start with the node"
    if _roles(old) != _roles(new):
        yield "mqtt.signatures.roles", "who may do what is settled at the start of the node"
    for name in dict.fromkeys([*old.recoveries, *new.recoveries]):
        if old.recoveries.get(name) != new.recoveries.get(name):
            yield f"buses.{name}.recovery", "a bus is freed as it was told at the start"


def _roles(plan: Plan) -> Mapping[str, list[str]]:
    mqtt = plan.document.mqtt
    return {} if mqtt is None or mqtt.signatures is None else mqtt.signatures.roles


def _by_id(plan: Plan) -> dict[str, PlannedDevice]:
    return {device.id: device for device in plan.devices}


def _buses(devices: Iterable[PlannedDevice]) -> tuple[Shared, ...]:
    return tuple(dict.fromkeys(bus for device in devices for bus in shared_buses(device)))
