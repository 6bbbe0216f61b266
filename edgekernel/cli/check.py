"""`edgekernel check`: everything that can be known about a node file without hardware."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from edgekernel.cli.console import Exit, fail, out, print_json, show, table
from edgekernel.core.clock import SystemClock
from edgekernel.core.device import Device
from edgekernel.core.errors import BootError, ConfigError
from edgekernel.core.runtime import Runtime
from edgekernel.hal.address import LineAddress
from edgekernel.node.assemble import assemble
from edgekernel.node.plan import Plan, make_plan
from edgekernel.node.planned import Address, PlannedDevice


@click.command()
@click.argument("node", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def check(node: Path, as_json: bool) -> None:
    """Check the node file NODE without touching hardware.

    Finds unknown keys and names, wrong types and values, and conflicts of pins, buses,
    addresses and names; loads the application and finds what it requires. Every mistake is one
    line with file, key, value and what is allowed. Exits with 1 if there is any.
    """
    try:
        plan = make_plan(node)
        runtime = _check_parts(plan)
    except ImportError as error:  # an extra that is not installed says which
        fail(Exit.REFUSED, [str(error)])
    except ConfigError as error:
        if as_json:
            print_json({"ok": False, "problems": list(error.problems)})
            raise click.exceptions.Exit(Exit.REFUSED) from None
        fail(Exit.REFUSED, error.problems)
    if as_json:
        print_json({"ok": True, "name": plan.name, "board": plan.board.id, "problems": []})
        return
    used = table("", "device", "driver", "where", "safe state")
    for device in plan.devices:
        where = ", ".join(_where(address, device) for address in device.addresses.values())
        name = device.driver.__module__.rpartition(".")[2]
        used.add_row(device.id, name, where, _safe(runtime.devices[device.id]))
    out.print(used)
    out.print(
        f"\n{plan.name}: {node.name} is right: {len(plan.devices)} devices on {plan.board.name}"
    )


def _check_parts(plan: Plan) -> Runtime:
    """Make all parts and the settings of the link; raise ConfigError with the mistakes of both."""
    problems: list[str] = []
    if plan.document.mqtt is not None:
        from edgekernel.mqtt import Settings

        try:
            Settings.of(plan)
        except ConfigError as error:
            problems += error.problems
    try:
        runtime = _assemble(plan)
    except ConfigError as error:
        raise ConfigError(*error.problems, *problems) from error
    if problems:
        raise ConfigError(*problems)
    return runtime


def _assemble(plan: Plan) -> Runtime:
    """Make all parts, on the simulated board so that nothing real is opened."""
    clock = SystemClock()
    if plan.document.sim.world is not None and find_spec("greenlet") is not None:
        from edgekernel.node.simulate import assemble_simulated

        runtime = assemble_simulated(plan, clock, Runtime)[0]
    else:  # a board in the field needs no extra for simulation to check its file
        from edgekernel.backends.sim import SimBackend

        runtime = assemble(plan, SimBackend(clock), clock, Runtime)
    try:
        runtime.resolve()
    except BootError as error:
        raise ConfigError(*(f"{plan.path.name}: {e}" for e in error.exceptions)) from error
    return runtime


def _where(address: Address, device: PlannedDevice) -> str:
    if isinstance(address, LineAddress):
        return address.name
    chip = device.settings.get("address")
    return f"{address.name} {chip:#04x}" if isinstance(chip, int) else address.name


def _safe(device: Device) -> str:
    outputs = device.outputs.items()
    return ", ".join(f"{name} = {show(output.safe)}" for name, output in outputs) or "-"
