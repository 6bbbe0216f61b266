"""`edgekernel image update`: what root does when the agent has asked for an update."""

from __future__ import annotations

from pathlib import Path

import click

from edgekernel.cli.console import fail, out
from edgekernel.cli.exits import Exit
from edgekernel.node.restart import boot_id
from edgekernel.node.update_request import REQUEST_FILE, take_request
from edgekernel.node.update_state import (
    STATE_FILE,
    UpdateState,
    after_boot,
    read_state,
    running_slot,
    write_state,
)
from edgekernel.node.update_work import UpdateWork


@click.command()
@click.option("--request", type=click.Path(path_type=Path), default=REQUEST_FILE)
@click.option("--state", type=click.Path(path_type=Path), default=STATE_FILE)
def update(request: Path, state: Path) -> None:
    """Carry out what the agent has asked for: install a bundle, or start into it.

    Exits with 1 if the request is none, or it cannot be kept how it goes.
    """
    try:
        wanted = take_request(request)
        UpdateWork(state, boot_id(), tell).carry_out(wanted)
    except FileNotFoundError:
        tell("nobody has asked for an update")
    except (OSError, ValueError) as error:
        fail(Exit.REFUSED, [f"edgekernel: no update: {error}"])


def note_boot(state: Path) -> None:
    """Note how an update goes on after the start of the computer; before the agent starts."""
    found, boot = read_state(state) or UpdateState(), boot_id()
    after = after_boot(found, running_slot(), boot)
    if after is found and state.exists():
        return
    try:
        write_state(after, state, boot=boot)
    except OSError as error:  # the node works without
        click.echo(f"edgekernel: how updates go cannot be kept: {error}", err=True)
        return
    if after.phase != found.phase:
        tell(f"the update in slot {after.slot}: {after.phase} {after.reason}".rstrip())


def tell(text: str) -> None:
    """Say something on the console of the computer."""
    out.print(f"edgekernel: {text}", soft_wrap=True)
