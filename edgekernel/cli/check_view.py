"""What `edgekernel check` shows of a node file that is right."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table

from edgekernel.cli.console import show, table
from edgekernel.core.device import Device
from edgekernel.core.runtime import Runtime
from edgekernel.hal.address import LineAddress
from edgekernel.node.plan import Plan
from edgekernel.node.planned import Address, PlannedDevice

if TYPE_CHECKING:
    from edgekernel.node.load import BusLoad

_NOT_PROVEN = (
    "bus load: not proven: that needs the package greenlet, of edgekernel's extra `sim`: "
    f"{sys.executable} -m pip install greenlet"
)


@dataclass
class Found:
    """What is known of a node file."""

    plan: Plan
    runtime: Runtime
    warnings: list[str] = field(default_factory=list)
    loads: tuple[BusLoad, ...] | None = None
    """None if they could not be measured."""


def describe(found: Found) -> dict[str, Any]:
    """Return it ready for JSON."""
    from edgekernel.node.load_report import loads_as_json

    return {
        "ok": True,
        "name": found.plan.name,
        "board": found.plan.board.id,
        "problems": [],
        "warnings": found.warnings,
        "without_safe_value": _without_safe(found.runtime),
        "buses": None if found.loads is None else loads_as_json(found.loads),
    }


def page(found: Found) -> Iterator[RenderableType]:
    """Yield the table of the devices, that of the buses, and what is right."""
    plan = found.plan
    used = table("", "device", "driver", "where", "safe state")
    for device in plan.devices:
        where = ", ".join(_where(address, device) for address in device.addresses.values())
        name = device.driver.__module__.rpartition(".")[2]
        used.add_row(device.id, name, where, _safe(found.runtime.devices[device.id]))
    yield used
    if unsafe := _without_safe(found.runtime):
        yield f"\nwithout a safe value, as their drivers say: {', '.join(unsafe)}"
    if found.loads is None:
        yield f"\n{_NOT_PROVEN}"
    elif any(load.costs for load in found.loads):
        yield ""
        yield _loads(found.loads)
    file, number = plan.path.name, len(plan.devices)
    devices = f"{number} device{'' if number == 1 else 's'}"
    yield f"\n{plan.name}: {file} is right: {devices} on {plan.board.name}"
    if plan.document.node.app is not None:
        command = f"edgekernel simulate {plan.path} --for 10min"
        yield f"its application was loaded and not run: `{command}` runs it"


def _loads(loads: tuple[BusLoad, ...]) -> Table:
    from edgekernel.node.load_report import duration, percent

    drawn = table("", "bus", "busy", "device", "every", "bus time", "waiting", "shortest")
    for load in loads:
        clock = "" if load.speed_hz is None else f" at {load.speed_hz // 1000} kHz"
        head = (load.bus + clock, percent(load.utilisation))
        for cost in load.costs:
            shortest = load.shortest_s(cost)
            times = (cost.every_s, cost.wire_s, cost.waiting_s)
            least = "-" if shortest is None else duration(shortest)
            drawn.add_row(*head, cost.device, *map(duration, times), least)
            head = ("", "")
    return drawn


def _where(address: Address, device: PlannedDevice) -> str:
    if isinstance(address, LineAddress):
        return address.name
    chip = device.settings.get("address")
    return f"{address.name} {chip:#04x}" if isinstance(chip, int) else address.name


def _without_safe(runtime: Runtime) -> list[str]:
    """Return the outputs that nobody makes safe; each driver has declared that explicitly."""
    outputs = (o for device in runtime.devices.values() for o in device.outputs.values())
    return [output.label for output in outputs if output.safe is None]


def _safe(device: Device) -> str:
    outputs = device.outputs.items()
    return ", ".join(f"{name} = {show(output.safe)}" for name, output in outputs) or "-"
