"""Shared buses as parts of a node: online or not, counted, and needed by the devices on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from edgekernel.backends.backend import Backend
from edgekernel.core.clock import Clock
from edgekernel.core.device import Device
from edgekernel.core.reading import ReadingSettings
from edgekernel.core.runtime import Runtime
from edgekernel.hal.address import BusAddress, OneWireAddress
from edgekernel.hal.health import BusHealth, HasHealth
from edgekernel.hal.i2c import I2CBus
from edgekernel.hal.onewire import OneWireBus
from edgekernel.node.planned import PlannedDevice
from edgekernel.node.recovery import PlannedRecovery, Supply, apply_recovery

Shared = BusAddress | OneWireAddress
"""Where a bus is that several devices share."""


class Bus(Device):
    """A bus that devices share, called as the board calls it ("i2c1").

    The devices on it depend on it: they start after it, are taken down before it, and are offline
    while it is. A bus that counts tells it in readings: `state` ("closed" is in use, as with a
    circuit breaker), `errors`, `nacks` and `recoveries` since the start, and in `left_out` the
    addresses with which there are no transactions because their chip hangs. One that has a
    `supply` takes the power from its chips when it is stuck, and tells how often in
    `power_cycles`: all devices on it are offline by then, and set their chips up anew.
    """

    kind: ClassVar[str] = "bus"
    carries: ClassVar[bool] = True
    every = 2.0

    def __init__(self, id: str, bus: I2CBus | OneWireBus, supply: Supply | None = None) -> None:
        super().__init__(id)
        self.poll_group = id
        self.bus = bus
        self._supply = supply
        self._is_open = False
        self._counting = bus if isinstance(bus, HasHealth) else None
        self._told: tuple[object, ...] = ()
        if self._counting is not None:
            plain, counter = ReadingSettings(), ReadingSettings(counts_up=True)
            self._state = self.add_reading("state", str, plain)
            self._errors = self.add_reading("errors", int, counter)
            self._nacks = self.add_reading("nacks", int, counter)
            self._recoveries = self.add_reading("recoveries", int, counter)
            self._left_out = self.add_reading("left_out", str, plain)
        if supply is not None:
            self._power_cycles = self.add_reading("power_cycles", int, ReadingSettings())

    def connect(self) -> None:
        """Take the bus into use, when its chips have power."""
        if self._supply is not None:
            self._supply.open()
            self._power_cycles.update(self._supply.cycles)
        self.bus.open()
        self._is_open = True

    def disconnect(self) -> None:
        """Give the bus back; the devices on it have done so."""
        if self._is_open:
            self._is_open = False
            self.bus.close()
        if self._supply is not None:
            self._supply.close()

    def poll(self) -> None:
        """Look how the bus is, and try it again if it is out of use and its time has come."""
        if self._counting is not None:
            try:
                self._cycle_power(self._counting.health)
            finally:
                self._check(self._counting)

    def _cycle_power(self, health: BusHealth) -> None:
        """Take the power from the chips if that may free the bus now.

        Not before the devices on it are offline with it: what their chips were told is lost.
        """
        if self._supply is None or self.online or health.next_attempt_ns is None:
            return
        if self.clock.monotonic_ns() >= health.next_attempt_ns:
            self._supply.cycle()
            self._power_cycles.update(self._supply.cycles)

    def _check(self, counting: HasHealth) -> None:
        try:
            counting.check()
        finally:
            health = counting.health
            self._report(health)
            if health.next_attempt_ns is not None:  # regular polls become rare meanwhile
                self.poll_at(health.next_attempt_ns)

    def _report(self, health: BusHealth) -> None:
        state, left_out = str(health.state), ", ".join(sorted(health.left_out))
        told = state, health.errors, health.nacks, health.recoveries, left_out, self.online
        if told == self._told:
            return
        self._told = told
        self._state.update(state)
        self._errors.update(health.errors)
        self._nacks.update(health.nacks)
        self._recoveries.update(health.recoveries)
        self._left_out.update(left_out)


def attach_buses(
    runtime: Runtime,
    backend: Backend,
    devices: Iterable[tuple[PlannedDevice, Device]],
    recoveries: Mapping[str, PlannedRecovery],
) -> None:
    """Make the shared buses of devices parts of the runtime, on which those depend.

    To be called before the devices are attached. A bus is optional if all devices on it are.
    `recoveries` say by name how a bus is freed.
    """
    optional: dict[Shared, bool] = {}
    for planned, device in devices:
        for bus in shared_buses(planned):
            optional[bus] = optional.get(bus, True) and planned.optional
            device.depends = (*device.depends, bus.name)
    for bus, all_optional in optional.items():
        part = make_bus(backend, bus, runtime.clock, recoveries.get(bus.name))
        runtime.attach_device(part, optional=all_optional)


def shared_buses(planned: PlannedDevice) -> list[Shared]:
    """Return the shared buses that a device uses, each once."""
    found = [each for each in planned.addresses.values() if isinstance(each, Shared)]
    return list(dict.fromkeys(found))


def name_clashes(devices: Iterable[PlannedDevice]) -> list[str]:
    """Return what is wrong with devices that are called as a bus in use, from the key on."""
    users: dict[str, str] = {}
    planned = list(devices)
    for device in planned:
        for bus in shared_buses(device):
            users.setdefault(bus.name, device.id)
    return [
        f'devices.{device.id}: the name "{device.id}" is taken by the bus {device.id}, which '
        f"devices.{users[device.id]} uses; name the device otherwise"
        for device in planned
        if device.id in users
    ]


def make_bus(backend: Backend, bus: Shared, clock: Clock, recovery: PlannedRecovery | None) -> Bus:
    """Make the part for a shared bus, which is freed as `recovery` says."""
    if isinstance(bus, OneWireAddress):
        return Bus(bus.name, backend.onewire_bus(bus))
    boundary = backend.i2c_bus(bus)
    supply = None if recovery is None else apply_recovery(recovery, boundary, backend, clock)
    return Bus(bus.name, boundary, supply)
