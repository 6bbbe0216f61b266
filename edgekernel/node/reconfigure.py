"""Reconfiguration: a running node is brought from one plan to another, device by device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from edgekernel.backends.backend import Backend
from edgekernel.core.device import Device
from edgekernel.core.runtime import Runtime
from edgekernel.node.assemble import make_device
from edgekernel.node.buses import make_bus, shared_buses
from edgekernel.node.difference import Action, DeviceChange, device_changes, plain, steps
from edgekernel.node.keys import changed_keys
from edgekernel.node.plan import Plan
from edgekernel.node.planned import PlannedDevice
from edgekernel.node.tuning import ReadingTuning, Tuning

LINK = "mqtt"
"""What the part is called that links the node to its broker."""

MakeLink = Callable[[Plan], Any]
"""Makes the part that links a node to its broker; None if the plan has none."""


class Reconfiguration:
    """Does to a running node what a difference says; other parts go on meanwhile.

    Devices that only have another interval, filter or stale limit are not stopped. Those that
    are replaced take the place of the old ones at once, so that no consumer misses them; where
    one gets what another one has, they are stopped first, and who cannot do without them waits.
    """

    def __init__(
        self,
        runtime: Runtime,
        plan: Plan,
        backend: Backend,
        *,
        make_link: MakeLink = lambda plan: None,
        plug: Callable[[Plan, Iterable[str]], object] = lambda plan, ids: None,
        announce: Callable[[Sequence[Plan]], object] = lambda plans: None,
    ) -> None:
        """Begin with what a runtime was assembled from. `plug` brings what is around the board in
        line with the devices of these ids, before they start: of a simulated node. `announce` is
        told of which plans the node may have something: of several from before a change on, and of
        one after it."""
        self._runtime = runtime
        self._backend = backend
        self._make_link = make_link
        self._plug = plug
        self._announce = announce
        self._there = {device.id: device for device in plan.devices}
        self._linked = plan
        self._driven: Sequence[Plan] = [plan]

    def carry_out(self, plan: Plan, *, back: bool = False) -> None:
        """Bring the node to a plan that needs no restart; not in a turn.

        Raises what keeps it from that: then it is in between, and another `carry_out` brings it
        back. On the way `back`, what does not start is tried again later, as an optional part is,
        and nothing is raised for it.
        """
        self._note_driven([*self._driven, plan])
        wanted = {device.id: device for device in plan.devices}
        changes = device_changes(self._there, wanted)
        todo = steps(changes)
        for change in todo.leaving:
            with _naming(change):
                self._remove(change.id, force=back or change.action is Action.REPLACE)
        self._plug(plan, [change.id for change in todo.arriving])
        self._take_buses(plan, todo.arriving)
        for change in todo.arriving:
            exchanged = change.action is Action.REPLACE and change.in_place
            with _naming(change):
                (self._exchange if exchanged else self._start)(plan, change, back=back)
        self._drop_buses(wanted.values())
        for change in todo.adjusted:
            self._adjust(plan, change)
        self._relink(plan)
        self._note_driven([plan])

    def _note_driven(self, plans: Sequence[Plan]) -> None:
        self._driven = plans
        self._announce(plans)

    def _remove(self, id: str, *, force: bool) -> None:
        if id in self._runtime.devices:
            self._runtime.hot_remove(id, force=force)
        del self._there[id]

    def _exchange(self, plan: Plan, change: DeviceChange, *, back: bool) -> None:
        assert change.new is not None
        made = self._make(plan, change.new)
        try:
            self._runtime.hot_update(made)
        except Exception:
            if not back:
                raise
            self._remove(change.id, force=True)
            made = self._make(plan, change.new)
            self._runtime.hot_add(made, optional=True)
        self._there[change.id] = change.new

    def _start(self, plan: Plan, change: DeviceChange, *, back: bool) -> None:
        assert change.new is not None
        made = self._make(plan, change.new)
        self._runtime.hot_add(made, optional=back or change.new.optional)
        self._there[change.id] = change.new

    def _adjust(self, plan: Plan, change: DeviceChange) -> None:
        old, new = change.old, change.new
        assert old is not None
        assert new is not None
        device = self._runtime.devices[change.id]
        adjust(device, self._make(plan, new), old.tuning, new.tuning)
        self._there[change.id] = new

    def _make(self, plan: Plan, planned: PlannedDevice) -> Device:
        device = make_device(plan, planned, self._backend, self._runtime.devices)
        for bus in shared_buses(planned):
            device.depends = (*device.depends, bus.name)
        return device

    def _take_buses(self, plan: Plan, coming: Iterable[DeviceChange]) -> None:
        users: dict[Any, bool] = {}
        for change in coming:
            assert change.new is not None
            for bus in shared_buses(change.new):
                users[bus] = users.get(bus, True) and change.new.optional
        for bus, optional in users.items():
            if bus.name not in self._runtime.devices:
                recovery = plan.recoveries.get(bus.name)
                made = make_bus(self._backend, bus, self._runtime.clock, recovery)
                self._runtime.hot_add(made, optional=optional)

    def _drop_buses(self, devices: Iterable[PlannedDevice]) -> None:
        """Give back the buses that no device is on any more."""
        from edgekernel.node.buses import Bus

        used = {bus.name for device in devices for bus in shared_buses(device)}
        for id, device in list(self._runtime.devices.items()):
            if isinstance(device, Bus) and id not in used:
                self._runtime.hot_remove(id, force=True)

    def _relink(self, plan: Plan) -> None:
        """Make the link anew if what it is made from has changed; else tell it what it is of."""
        old, new = _link_of(self._linked), _link_of(plan)
        self._linked = plan
        if not changed_keys(old, new):
            renew = getattr(self._runtime.interfaces.get(LINK), "renew", None)
            if renew is not None:
                renew(plan)
            return
        if LINK in self._runtime.interfaces:
            self._runtime.hot_remove(LINK, force=True)
        made = self._make_link(plan)
        if made is not None:
            self._runtime.hot_add(made)


@contextmanager
def _naming(change: DeviceChange) -> Iterator[None]:
    """Let an error say of which device it is."""
    try:
        yield
    except Exception as error:
        error.add_note(f"devices.{change.id}")
        raise


def adjust(device: Device, fresh: Device, old: Tuning, new: Tuning) -> None:
    """Give a device that goes on the interval, filters and limits of one that was just made.

    A reading of which nothing else is said than before keeps what its filters know.
    """
    for name, reading in device.readings.items():
        made = fresh.readings[name]
        if _said_of(old, name) != _said_of(new, name):
            reading.filters = made.filters
            reading.stale_s = made.stale_s
    if device.every != fresh.every:
        device.every = fresh.every
        device.poll_at(0)  # the next one was due after the old interval


def _said_of(tuning: Tuning, name: str) -> tuple[object, object]:
    own = tuning.readings.get(name, ReadingTuning())
    return (
        tuning.filters if own.filters is None else own.filters,
        tuning.stale_s if own.stale_s is None else own.stale_s,
    )


def _link_of(plan: Plan) -> Mapping[str, Any]:
    table: Mapping[str, Any] | None = plain(plan.document).get("mqtt")
    return {} if table is None else {"mqtt": table}
