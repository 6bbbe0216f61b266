"""`edgekernel safe-state`: drive the outputs of a node to their safe values, without the agent."""

from __future__ import annotations

import os
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
from edgekernel.node.safe_state import LIMIT_S, SafeOutput, make_safe
from edgekernel.node.starting import plans_of_the_end


@click.command("safe-state")
@click.argument("node", type=click.Path(path_type=Path))
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

    Exits with 4 if an output could not be brought to its safe value.
    """
    try:
        plan, *others = plans_of_the_end(node, environ=_without_secrets(), simulated=simulated)
        outcomes = _drive(plan, simulated, limit_s)
        for other in others:  # the node may have run with what has been changed since
            outcomes += _drive(other, simulated, limit_s)
    except ConfigError as error:
        fail(Exit.REFUSED, error.problems)
    except ImportError as error:  # an extra that is not installed says which
        fail(Exit.REFUSED, [str(error)])
    if plan.data is not None and not simulated:
        _note_end(plan.data)
    if as_json:
        print_json([asdict(each) for each in outcomes])
    else:
        for each in outcomes:
            out.print(_line(each), soft_wrap=True)
        if not outcomes:
            out.print(f"{node.name}: no outputs")
    if any(each.problem for each in outcomes):
        raise click.exceptions.Exit(Exit.FAILED)


def _without_secrets() -> dict[str, str]:
    """Return the environment without credentials: systemd has taken them away after an end, and
    they must keep no output from being safe."""
    return {key: value for key, value in os.environ.items() if key != "CREDENTIALS_DIRECTORY"}


def _drive(plan: Plan, simulated: bool, limit_s: float) -> list[SafeOutput]:
    clock = SystemClock()
    if simulated:
        from edgekernel.backends.sim import SimBackend
        from edgekernel.node.simulate import plug_chips

        backend = SimBackend(clock)
        plug_chips(plan, backend, clock)
        return make_safe(plan, backend, clock, limit_s)
    from edgekernel.backends.linux import LinuxBackend

    return make_safe(plan, LinuxBackend(clock), clock, limit_s)


def _note_end(data: Path) -> None:
    """Note why the agent has ended, as the service manager that has called this says."""
    try:
        note_end(data, SystemDisk(), os.environ, boot_id())
    except OSError as error:  # the outputs are what matters here
        click.echo(f"{data}: the cause of the end could not be noted: {error}", err=True)


def _line(outcome: SafeOutput) -> str:
    if outcome.problem:
        return f"{outcome.output}: NOT SAFE: {outcome.problem}"
    if outcome.safe is None:
        return f"{outcome.output}: left as it is, it has no safe value"
    return f"{outcome.output}: {show(outcome.safe)}"
