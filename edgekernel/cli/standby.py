"""`edgekernel standby`: a process that makes a node safe within milliseconds of its agent's end."""

from __future__ import annotations

import gc
import socket
from contextlib import closing
from functools import partial
from pathlib import Path

import click

from edgekernel.backends.linux import LinuxBackend
from edgekernel.backends.linux.loading import load_libraries
from edgekernel.cli.exits import Exit
from edgekernel.core.clock import Clock, SystemClock
from edgekernel.node.plan import Plan
from edgekernel.node.practice import practise
from edgekernel.node.safe_state import LIMIT_S, SafeOutput, SafeState
from edgekernel.node.standby import Documents, Standby
from edgekernel.node.standby_link import VARIABLE
from edgekernel.node.starting import read_document
from edgekernel.node.unit import takes_devices


@click.command()
@click.argument("node", type=click.Path(readable=False, path_type=Path))
@click.option(
    "--socket",
    "path",
    type=click.Path(readable=False, path_type=Path),
    envvar=VARIABLE,
    required=True,
    help=f"Where the agent finds it; ${VARIABLE} otherwise, as for the agent.",
    metavar="PATH",
)
@click.option(
    "--limit",
    "limit_s",
    type=click.FloatRange(0.1, 3600),
    default=LIMIT_S,
    show_default=True,
    help="Try again for SECONDS what cannot be driven.",
    metavar="SECONDS",
)
def standby(node: Path, path: Path, limit_s: float) -> None:
    """Wait for the end of the agent of NODE, with everything ready to make its outputs safe.

    The agent says what it drives. When it ends without having made all of it safe itself, such as
    by `kill -9`, this process does within milliseconds what `safe-state` does, and ends. Until then
    it sleeps. The systemd units that `edgekernel install` writes run one beside each node with
    outputs; with another service manager, set the variable for all three commands:

    \b
      export EDGEKERNEL_STANDBY=/run/edgekernel/standby
      edgekernel standby node.toml &
      edgekernel run node.toml; edgekernel safe-state node.toml

    Exits with 4 if an output could not be brought to its safe value.
    """
    clock = SystemClock()
    practise(clock)
    prepare = partial(make_ready, node, clock)
    with closing(_listen(path)) as listener, closing(Standby(listener, prepare)) as waiting:
        waiting.wait()
        outcomes = waiting.drive(limit_s)
        _tell(outcomes, waiting.took_s)
    if any(each.problem for each in outcomes):
        raise click.exceptions.Exit(Exit.FAILED)


def make_ready(node: Path, clock: Clock, documents: Documents) -> SafeState:
    """Make ready what the documents of a node say, so that nothing is loaded any more later."""
    plans = [read_document(node, each, None, {}) for each in documents]
    devices = [device for plan in plans for device in plan.devices]
    load_libraries(address for device in devices for address in device.addresses.values())
    state = SafeState(plans, lambda plan: LinuxBackend(clock), clock)
    gc.unfreeze()
    gc.collect()
    gc.freeze()  # nothing is to be looked through while outputs wait
    return state


def has_outputs(plan: Plan) -> bool:
    """Say whether a node has outputs, or may have: only then somebody has to stand by."""
    clock = SystemClock()
    return (
        takes_devices(plan)
        or SafeState([plan], lambda plan: LinuxBackend(clock), clock).has_outputs
    )


def _listen(path: Path) -> socket.socket:
    """Listen where nobody listens any more."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        with socket.socket(socket.AF_UNIX) as other:
            if other.connect_ex(str(path)) == 0:
                raise click.ClickException(f"{path}: another standby listens there")
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        listener.listen()
    except OSError as error:
        listener.close()
        raise click.ClickException(f"{path}: cannot be listened on: {error}") from error
    except BaseException:
        listener.close()
        raise
    return listener


def _tell(outcomes: list[SafeOutput], after_s: float) -> None:
    from edgekernel.cli.safe_state import line

    if not outcomes:
        click.echo("the agent has ended, and nothing was left to do")
        return
    click.echo(f"the agent has ended; within {1000 * after_s:.0f} ms:")
    for each in outcomes:
        click.echo(f"  {line(each)}")
