"""`edgekernel check`: everything that can be known about a node file without hardware."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from edgekernel.cli.check_view import Found, describe, page
from edgekernel.cli.console import err, fail, out, print_json
from edgekernel.cli.exits import Exit
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import BootError, ConfigError
from edgekernel.core.runtime import Runtime
from edgekernel.node.assemble import assemble
from edgekernel.node.document import MqttTable
from edgekernel.node.plan import Plan, make_plan
from edgekernel.node.tuning import hasty
from edgekernel.node.without_effect import without_effect

if TYPE_CHECKING:
    from edgekernel.mqtt import Settings
    from edgekernel.mqtt.home_assistant.settings import HomeAssistant

_OF_EVERY_NODE = {"config": "the configuration", "node-file": "the node file"}
"""Parts that `edgekernel run` adds."""
_OF_SIMULATION = "sim."
"""What commands begin with that only a simulated node has."""


@click.command()
@click.argument("node", type=click.Path(readable=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option("--strict", is_flag=True, help="Refuse a file for a warning too.")
def check(node: Path, as_json: bool, strict: bool) -> None:
    """Check the node file NODE without touching hardware.

    Finds unknown keys and names, wrong types and values, and conflicts of pins, buses,
    addresses, names and topics; loads the application and finds what it requires; starts the
    devices on a simulated board, polls them for a minute and tells how busy each bus is. Every
    output has a safe value, or its driver says that it has none: those are listed. Every mistake
    is one line with file, key, value and what is allowed; what has no effect, or hardly fits, is
    a warning. Exits with 1 if there is a mistake.
    """
    try:
        found = check_all(node)
    except ImportError as error:  # an extra that is not installed says which
        fail(Exit.REFUSED, [str(error)])
    except ConfigError as error:
        _refuse(error.problems, as_json)
    if strict and found.warnings:
        _refuse(found.warnings, as_json)
    if as_json:
        print_json(describe(found))
        return
    for warning in found.warnings:
        err.print(f"warning: {warning}", soft_wrap=True, style="yellow")
    for part in page(found):
        out.print(part, soft_wrap=isinstance(part, str))


def _refuse(problems: Sequence[str], as_json: bool) -> NoReturn:
    if as_json:
        print_json({"ok": False, "problems": list(problems), "warnings": []})
        raise click.exceptions.Exit(Exit.REFUSED)
    fail(Exit.REFUSED, problems)


def check_all(node: Path) -> Found:
    """Look at everything; raise ConfigError with every mistake of the first stage that has one."""
    plan = make_plan(node, os.environ)
    found = Found(plan, _check_parts(plan), without_effect(plan))
    problems = [f"{plan.path.name}: {text}" for text in hasty(found.runtime.devices)]
    if plan.document.mqtt is not None:
        problems += _check_link(found, plan.document.mqtt)
    if find_spec("greenlet") is not None:
        from edgekernel.node.load import measure_load
        from edgekernel.node.load_report import load_problems
        from edgekernel.node.rehearsal import refusals

        problems += refusals(plan)
        found.loads = measure_load(plan)
        too_much, much = load_problems(plan, found.loads)
        problems += too_much
        found.warnings += much
    if problems:
        raise ConfigError(*problems)
    return found


def _check_link(found: Found, table: MqttTable) -> list[str]:
    from edgekernel.mqtt import Settings

    settings, commands = Settings.of(found.plan, with_secrets=False), _commands(found.runtime)
    problems = _check_topics(found, table, settings, commands)
    if settings.home_assistant is not None:
        problems += _check_shown(found, settings.home_assistant, commands)
    return problems


def _check_topics(
    found: Found, table: MqttTable, settings: Settings, commands: Mapping[str, Sequence[str]]
) -> list[str]:
    from edgekernel.mqtt.dialect import load_dialect, unheeded

    dialect = load_dialect(table.dialect)
    pairs = [(owner, command) for owner, names in commands.items() for command in names]
    problems, warnings = dialect.check(found.runtime.devices, pairs, settings)
    file = found.plan.path.name
    found.warnings += [f"{file}: mqtt: {text}" for text in warnings]
    ignored = unheeded(dialect, table.dialect, table.model_fields_set)
    found.warnings += [f"{file}: {text}" for text in ignored]
    return [f"{file}: mqtt: {text}" for text in problems]


def _commands(runtime: Runtime) -> dict[str, list[str]]:
    """Return the commands that MQTT may call, by component; no part has to have started."""
    parts = runtime.status()["components"].items()
    return {
        owner: part["commands"]
        for owner, part in parts
        if not part["exposed"] or "mqtt" in part["exposed"]
    }


def _check_shown(
    found: Found, shown: HomeAssistant, commands: Mapping[str, Sequence[str]]
) -> list[str]:
    """Say which names in `[mqtt.home_assistant]` there are not; a simulation has more."""
    from edgekernel.mqtt.home_assistant.names import Names, unknown_names
    from edgekernel.node.schema import describe_node

    plan, runtime = found.plan, found.runtime
    messages = describe_node(runtime)["messages"]
    names = Names.of_parts(runtime.devices, commands, messages)
    exclude = tuple(each for each in shown.exclude if not each.startswith(_OF_SIMULATION))
    problems = unknown_names(names, replace(shown, exclude=exclude))
    return [f"{plan.path.name}: {problem}" for problem in problems]


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
        runtime = make_parts(plan)
    except ConfigError as error:
        raise ConfigError(*error.problems, *problems) from error
    if problems:
        raise ConfigError(*problems)
    return runtime


def make_parts(plan: Plan) -> Runtime:
    """Make all parts, on the simulated board so that nothing real is opened. Raises ConfigError."""
    clock = SystemClock()
    if plan.document.sim.surrounds and find_spec("greenlet") is not None:
        from edgekernel.node.simulate import assemble_simulated

        runtime = assemble_simulated(plan, clock, Runtime)[0]
    else:  # a board in the field needs no extra for simulation to check its file
        from edgekernel.backends.sim import SimBackend

        runtime = assemble(plan, SimBackend(clock), clock, Runtime)
    try:
        runtime.resolve()
    except BootError as error:
        raise ConfigError(*(f"{plan.path.name}: {e}" for e in error.exceptions)) from error
    if problems := [
        f'{plan.path.name}: node.app: a part is called "{name}", as {what} of every node is; '
        "name it otherwise"
        for name, what in _OF_EVERY_NODE.items()
        if name in runtime.processes
    ]:
        raise ConfigError(*problems)
    return runtime
