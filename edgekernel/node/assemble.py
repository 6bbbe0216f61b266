"""From a plan to a runtime: boundaries made, drivers constructed, the application set up."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from edgekernel.backends.backend import Backend
from edgekernel.core.clock import Clock
from edgekernel.core.device import Device
from edgekernel.core.errors import ConfigError
from edgekernel.core.runtime import Runtime
from edgekernel.hal.address import BusAddress, LineAddress
from edgekernel.hal.gpio import DigitalOutput
from edgekernel.node.buses import attach_buses
from edgekernel.node.plan import Address, Plan, PlannedDevice
from edgekernel.node.signature import bind_validated

R = TypeVar("R", bound=Runtime)


def assemble(plan: Plan, backend: Backend, clock: Clock, kind: type[R]) -> R:
    """Make a runtime of class `kind` with the plan's devices and application; nothing starts.

    Raises ConfigError if a driver refuses its settings or the application cannot be loaded.
    """
    runtime = kind(name=plan.name, clock=clock, binder=bind_validated)
    devices = [(planned, _make(plan, planned, backend)) for planned in plan.devices]
    attach_buses(runtime, backend, devices)
    for planned, device in devices:
        runtime.attach_device(device, optional=planned.optional)
    if plan.document.node.app is not None:
        _set_up(plan, plan.document.node.app, runtime)
    return runtime


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


def _make(plan: Plan, planned: PlannedDevice, backend: Backend) -> Device:
    boundaries = {
        parameter: _boundary(backend, planned.kinds[parameter], address)
        for parameter, address in planned.addresses.items()
    }
    arguments: dict[str, Any] = {**boundaries, **planned.settings}
    try:
        device = planned.driver(planned.id, **arguments)
    except ValueError as error:
        raise ConfigError(f"{plan.path.name}: devices.{planned.id}: {error}") from error
    if planned.every_s is not None:
        device.every = planned.every_s
    return device


def _boundary(backend: Backend, kind: type, address: Address) -> object:
    if isinstance(address, LineAddress):
        if kind is DigitalOutput:
            return backend.digital_output(address)
        return backend.digital_input(address)
    if isinstance(address, BusAddress):
        return backend.i2c_bus(address)
    return backend.serial_port(address)


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
