"""`edgekernel schema`: what a node has and can be asked for, as data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekernel.cli.console import fail, out, print_json, show, table
from edgekernel.cli.exits import Exit
from edgekernel.cli.run import tree
from edgekernel.core.errors import BootError, ConfigError
from edgekernel.node.plan import Plan, make_plan

if TYPE_CHECKING:
    from edgekernel.node.schema import Schema


@click.command()
@click.argument("node", type=click.Path(readable=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the whole schema as a JSON object.")
def schema(node: Path, as_json: bool) -> None:
    """Show what the node described by the file NODE has and can be asked for.

    Its devices with their readings and outputs, its commands with their arguments, and the messages
    of its drivers and its application. The node is booted for it on a simulated board, in simulated
    time. With --json it is what the node publishes, retained, on its topic `schema`: commands and
    messages have a JSON Schema there, so that a client can build itself from it.
    """
    try:
        found = _describe(node)
    except ConfigError as error:
        fail(Exit.REFUSED, error.problems)
    except ImportError as error:  # an extra that is not installed says which
        fail(Exit.REFUSED, [str(error)])
    except BootError as error:
        fail(Exit.FAILED, tree(error))
    if as_json:
        print_json(found)
    else:
        show_schema(found)


def _describe(node: Path) -> Schema:
    from edgekernel.core.runtime import Runtime
    from edgekernel.node.schema import describe_node
    from edgekernel.node.simulate import assemble_simulated
    from edgekernel.sim.clock import SimClock

    plan = make_plan(node)
    with SimClock() as clock, assemble_simulated(plan, clock, Runtime)[0] as runtime:
        found = describe_node(runtime)
    found["commands"].pop("sim", None)  # only a simulated node has it
    return found | _signatures(plan)


def _signatures(plan: Plan) -> Schema:
    """Return what the node adds to its schema when it is on MQTT."""
    if plan.document.mqtt is None or plan.document.mqtt.signatures is None:
        return {}
    from edgekernel.mqtt.settings import Settings

    signatures = Settings.of(plan, with_secrets=False).signatures
    return {} if signatures is None else {"signatures": signatures.describe()}


def show_schema(found: Mapping[str, Any]) -> None:
    """Print a schema as tables."""
    signals = table("", "device", "signal", "type", "range", "safe", "role")
    for device, each in found["devices"].items():
        for name, reading in each["readings"].items():
            signals.add_row(device, name, reading["type"], _range(reading), "", "")
        for name, output in each["outputs"].items():
            more = show(output["safe"]), output.get("role", "-")
            signals.add_row(device, name, output["type"], _range(output), *more)
    out.print(signals)
    commands = table("", "command", "arguments", "role", "what it does")
    for owner, own in found["commands"].items():
        for name, each in own.items():
            arguments = ", ".join(_arguments(each["arguments"])) or "-"
            text = " ".join(each["description"].split())
            commands.add_row(f"{owner}.{name}", arguments, each.get("role", "-"), text)
    if found["commands"]:
        out.print()
        out.print(commands)
    messages = table("", "message", "severity", "fields", "when")
    for name, each in found["messages"].items():
        named = ", ".join(each["fields"].get("properties", {})) or "-"
        messages.add_row(name, each["severity"], named, each["description"])
    if found["messages"]:
        out.print()
        out.print(messages)
    _show_terms(found)


def _show_terms(found: Mapping[str, Any]) -> None:
    """Print on what requests depend: leases, and signatures."""
    leases = table("", "lease", "renew within", "what needs it")
    for name, each in found.get("leases", {}).items():
        needing = ", ".join([*each["outputs"], *each["commands"]])
        leases.add_row(name, f"{each['timeout_s']:g} s", needing)
    if leases.row_count:
        out.print()
        out.print(leases)
    if (signed := found.get("signatures")) is not None:
        who = "only signed requests count" if signed["required"] else "signed requests count"
        keys = table("", "key of", "fingerprint")
        for principal, fingerprint in sorted(signed["keys"].items()):
            keys.add_row(principal, fingerprint)
        out.print()
        out.print(f"{who}, by these keys:" if signed["keys"] else f"{who}; there is no key")
        out.print(keys)


def _range(values: dict[str, Any]) -> str:
    unit: str = values.get("unit", "")
    if "range" not in values:
        return unit
    low, high = values["range"]
    return f"{low:g} to {high:g} {unit}".rstrip()


def _arguments(arguments: Schema) -> list[str]:
    """Return the names of arguments; with `=` those that have a default."""
    required = arguments.get("required", ())
    properties = arguments.get("properties", {})
    return [
        name if name in required else f"{name}={each.get('default')!r}"
        for name, each in properties.items()
    ]
