"""From a plan to a runtime: boundaries made, drivers constructed, the application set up."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from edgekernel.backends.backend import Backend
from edgekernel.core.clock import Clock
from edgekernel.core.device import Device
from edgekernel.core.errors import ConfigError
from edgekernel.core.runtime import Runtime
from edgekernel.hal.address import (
    BusAddress,
    LineAddress,
    OneWireAddress,
    PortAddress,
    ProvidedLine,
    PwmAddress,
    SpiAddress,
)
from edgekernel.hal.disk import Disk
from edgekernel.hal.gpio import DigitalOutput, LineProvider
from edgekernel.node.buses import attach_buses
from edgekernel.node.edges import ToldInput
from edgekernel.node.leases import add_leases, check_commands
from edgekernel.node.memory import FileMemory
from edgekernel.node.outputs import begin_together, check_interlocks, limit_outputs
from edgekernel.node.plan import Plan
from edgekernel.node.planned import Address, PlannedDevice
from edgekernel.node.roles import authorizer_of
from edgekernel.node.safety import Safety
from edgekernel.node.signature import bind_validated

R = TypeVar("R", bound=Runtime)


def assemble(
    plan: Plan,
    backend: Backend,
    clock: Clock,
    kind: Callable[..., R],
    *,
    remember: bool = False,
    disk: Disk | None = None,
) -> R:
    """Make a runtime by `kind`, such as its class, with the plan's devices and application.

    Nothing starts. With `remember` it knows after a restart what the folder of the plan holds, and
    writes there, on `disk` or else that of this machine; a node that is only checked does not.
    Raises ConfigError if a driver refuses its settings or the application cannot be loaded.
    """
    data = plan.data if remember else None
    memory = None if data is None else FileMemory(data, clock, disk)
    runtime = kind(
        name=plan.name,
        clock=clock,
        binder=bind_validated,
        authorizer=authorizer_of(plan.document),
        memory=memory,
    )
    if memory is not None:
        memory.tell = runtime.post
    made: dict[str, Device] = {}
    for planned in _providers_first(plan.devices):
        made[planned.id] = _make(plan, planned, backend, made)
    problems = [
        f"{plan.path.name}: devices.{planned.id}{problem}"
        for planned in plan.devices
        for problem in check_interlocks(planned.limits, made)
    ]
    problems += [f"{plan.path.name}: {problem}" for problem in begin_together(made)]
    if problems:
        raise ConfigError(*problems)
    add_leases(plan, runtime, made)
    if plan.document.node.hold:
        runtime.register(Safety(runtime, made))
    users = [(each, made[each.id]) for each in plan.devices]
    attach_buses(runtime, backend, users, plan.recoveries)
    for planned in plan.devices:
        runtime.attach_device(made[planned.id], optional=planned.optional)
    if plan.document.node.app is not None:
        _set_up(plan, plan.document.node.app, runtime)
    check_commands(plan, runtime)
    return runtime


def make_device(
    plan: Plan, planned: PlannedDevice, backend: Backend, made: Mapping[str, Device]
) -> Device:
    """Make one device of a plan, on lines of devices that are `made`; it touches no hardware yet.

    The buses that it depends on are not among its `depends`. Raises ConfigError.
    """
    return _make(plan, planned, backend, made)


def load_named(plan: Plan, key: str, name: str) -> ModuleType:
    """Import a module named in the node file; the file's folder is searched first."""
    folder = str(plan.folder.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except Exception as error:
        where = f'{plan.path.name}: {key}: "{name}"'
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{name}.".startswith(f"{missing}."):
            raise ConfigError(
                f"{where}: there is no such module, neither in {Path(folder).name}/ nor installed"
            ) from None
        raise ConfigError(f"{where}: cannot be imported: {_place(error)}") from error


def _place(error: Exception) -> str:
    """Return an error with the file and line that raised it."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(last.filename).name}, line {last.lineno})"


def _providers_first(devices: Sequence[PlannedDevice]) -> Iterator[PlannedDevice]:
    """Return the devices in an order in which each comes after those that provide its lines."""
    order = TopologicalSorter({device.id: device.providers for device in devices})
    by_id = {device.id: device for device in devices}
    return (by_id[id] for id in order.static_order())


def _make(
    plan: Plan, planned: PlannedDevice, backend: Backend, made: Mapping[str, Device]
) -> Device:
    boundaries = {
        parameter: _boundary(backend, planned, parameter, address, made)
        for parameter, address in planned.addresses.items()
    }
    arguments: dict[str, Any] = {**boundaries, **planned.settings}
    try:
        device = planned.driver(planned.id, **arguments)
    except ValueError as error:
        problems = error.problems if isinstance(error, ConfigError) else (str(error),)
        raise ConfigError(*(_refused(plan, planned, arguments, p) for p in problems)) from error
    for boundary in boundaries.values():
        if isinstance(boundary, ToldInput):
            boundary.device = device
    if planned.every_s is not None:
        device.every = planned.every_s
    device.depends = (*device.depends, *planned.providers)
    types = {name: reading.values.type for name, reading in device.readings.items()}
    try:
        planned.tuning.check(type(device).__name__, types)
        limit_outputs(device, planned.limits)
        for name, role in planned.roles.items():
            device.outputs[name].role = role
    except ConfigError as error:
        where = f"{plan.path.name}: devices.{planned.id}"
        raise ConfigError(*(f"{where}{problem}" for problem in error.problems)) from None
    planned.tuning.apply(device)
    return device


def _refused(plan: Plan, planned: PlannedDevice, keys: Iterable[str], problem: str) -> str:
    """Return what a driver says of its settings, with the key if that is what it begins with."""
    key = problem.partition(":")[0].partition(".")[0]
    between = "." if key in keys else ": "
    return f"{plan.path.name}: devices.{planned.id}{between}{problem}"


def _boundary(
    backend: Backend,
    planned: PlannedDevice,
    parameter: str,
    address: Address,
    made: Mapping[str, Device],
) -> object:
    drives = planned.kinds[parameter] is DigitalOutput
    match address:
        case LineAddress():
            if drives:
                return backend.digital_output(address)
            return ToldInput(backend.digital_input(address))
        case ProvidedLine():
            provider = made[address.provider]
            assert isinstance(provider, LineProvider), "the plan has looked at its driver"
            if drives:
                return provider.digital_output(address.line)
            return ToldInput(provider.digital_input(address.line))
        case PwmAddress():
            return backend.pwm_output(address, software=not address.controller)
        case BusAddress():
            return backend.i2c_bus(address)
        case PortAddress():
            return backend.serial_port(address)
        case SpiAddress():
            return backend.spi_device(address)
        case OneWireAddress():
            return backend.onewire_bus(address)


def _set_up(plan: Plan, name: str, runtime: Runtime) -> None:
    module = load_named(plan, "node.app", name)
    setup = getattr(module, "setup", None)
    if not callable(setup):
        raise ConfigError(
            f'{plan.path.name}: node.app: "{name}" has no function setup(runtime), in which it '
            "registers its processes and services"
        )
    try:
        setup(runtime)
    except ConfigError as error:
        raise ConfigError(*(f"{plan.path.name}: node.app: {p}" for p in error.problems)) from error
    except Exception as error:
        raise ConfigError(
            f'{plan.path.name}: node.app: setup of "{name}" failed: {_place(error)}'
        ) from error
