"""`edgekernel safe-state`: drive the outputs of a node to their safe values, without the agent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from edgekernel.backends.disk import SystemDisk
from edgekernel.cli.console import fail, out, print_json, show
from edgekernel.cli.exits import Exit
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import ConfigError
from edgekernel.node.plan import Plan
from edgekernel.node.restart import boot_id, note_end
from edgekernel.node.safe_state import LIMIT_S, SafeOutput, SafeState
from edgekernel.node.standby_link import VARIABLE, wait_for
from edgekernel.node.starting import data_folder, plans_of_the_end

_SPARE_S = 2.0
"""A standby has as long for what cannot be driven, and needs a little to let go of it."""


@click.command("safe-state")
@click.argument("node", type=click.Path(readable=False, path_type=Path))
@click.option("--sim", "simulated", is_flag=True, help="On a simulated board: touches nothing.")
@click.option(
    "--limit",
    "limit_s",
    type=click.FloatRange(0.1, 3600),
    default=LIMIT_S,
    show_default=True,
    help="Try again for SECONDS what cannot be driven.",
    metavar="SECONDS",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def safe_state(node: Path, simulated: bool, limit_s: float, as_json: bool) -> None:
    """Drive every output of the node file NODE to its safe value.

    For when the agent has ended and could not do it itself: the systemd unit that `edgekernel
    install` writes calls this after every end, whatever the reason. Stop the agent first: it holds
    its lines and ports, and what is on a bus it would drive again. Neither the application nor MQTT
    is started. What the node has run and the file does not say any more, such as a configuration
    from afar, is driven too.

    \b
      edgekernel safe-state /etc/edgekernel/node.toml

    Exits with 4 if an output could not be brought to its safe value, and with 1 if nothing says
    what the node has. Why the agent has ended is noted in the data folder either way.
    """
    environ = _without_secrets()
    data = None if simulated else data_folder(node, environ)
    if (standby := environ.get(VARIABLE)) and not simulated:
        _let_finish(Path(standby), limit_s)
    try:
        plans = plans_of_the_end(node, environ=environ, simulated=simulated)
        data = None if simulated else plans[0].data
        outcomes = _ready(plans, simulated).drive(limit_s)
    except ConfigError as error:
        fail(Exit.REFUSED, error.problems)
    except ImportError as error:  # an extra that is not installed says which
        fail(Exit.REFUSED, [str(error)])
    finally:
        if data is not None:
            _note_end(data)
    if as_json:
        print_json([asdict(each) for each in outcomes])
    else:
        for each in outcomes:
            out.print(line(each), soft_wrap=True)
        if not outcomes:
            out.print(f"{node.name}: no outputs")
    if any(each.problem for each in outcomes):
        raise click.exceptions.Exit(Exit.FAILED)


def _without_secrets() -> dict[str, str]:
    """Return the environment without credentials: systemd has taken them away after an end, and
    they must keep no output from being safe."""
    return {key: value for key, value in os.environ.items() if key != "CREDENTIALS_DIRECTORY"}


def _let_finish(standby: Path, limit_s: float) -> None:
    """Let a standby end first: what two drive at once, such as a chip, may take it wrong."""
    if problem := wait_for(standby, limit_s + _SPARE_S):
        click.echo(problem, err=True)


def _ready(plans: Sequence[Plan], simulated: bool) -> SafeState:
    clock = SystemClock()
    if not simulated:
        from edgekernel.backends.linux import LinuxBackend

        return SafeState(plans, lambda plan: LinuxBackend(clock), clock)
    from edgekernel.backends.sim import SimBackend
    from edgekernel.node.simulate import plug_chips

    def board(plan: Plan) -> SimBackend:
        backend = SimBackend(clock)
        plug_chips(plan, backend, clock)
        return backend

    return SafeState(plans, board, clock)


def _note_end(data: Path) -> None:
    """Note why the agent has ended, as the service manager that has called this says."""
    try:
        note_end(data, SystemDisk(), os.environ, boot_id())
    except OSError as error:  # the outputs are what matters here
        click.echo(f"{data}: the cause of the end could not be noted: {error}", err=True)


def line(outcome: SafeOutput) -> str:
    """Return what came of an output, as people read it."""
    if outcome.problem:
        return f"{outcome.output}: NOT SAFE: {outcome.problem}"
    if outcome.safe is None:
        return f"{outcome.output}: left as it is, it has no safe value"
    return f"{outcome.output}: {show(outcome.safe)}"
