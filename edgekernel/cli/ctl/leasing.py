"""A lease that is held for as long as somebody watches: lease."""

from __future__ import annotations

import getpass
import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from edgekernel.cli.console import show
from edgekernel.cli.ctl.completing import complete
from edgekernel.cli.ctl.group import ctl
from edgekernel.cli.ctl.link import Link
from edgekernel.core.errors import UnknownTargetError
from edgekernel.mqtt.fleet import Fleet, HeldLease, NodeSchema
from edgekernel.node.duration import parse_duration


class Seconds(click.ParamType[float]):
    """A duration, such as "30min"; a plain number is seconds."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@ctl.command()
@click.argument("words", nargs=-1, metavar="NODE LEASE", shell_complete=complete("lease"))
@click.option(
    "--every",
    "every_s",
    type=Seconds(),
    show_default="a third of its time",
    help="How often to renew it, such as 1s.",
)
@click.option("--holder", show_default="you, and where", help="Who holds it, for others to see.")
@click.option("--let-go", is_flag=True, help="At the end do not release it: it ends by itself.")
@click.option("--for", "seconds", type=click.FloatRange(0, 1e9), help="End after SECONDS.")
@click.option("--json", "as_json", is_flag=True, help="Print each change as a line of JSON.")
@click.pass_obj
def lease(
    link: Link,
    words: tuple[str, ...],
    every_s: float | None,
    holder: str | None,
    let_go: bool,
    seconds: float | None,
    as_json: bool,
) -> None:
    """Hold a LEASE of NODE until Ctrl-C: what needs a living controller works meanwhile.

    It shows what depends on it, and each time that it is lost and held again. At the end it is
    released, so that its outputs go to their safe values at once; with --let-go, and if this is
    killed or loses the broker, they do so when its time is over.
    """
    if len(words) != 2:
        raise click.UsageError("write lease NODE LEASE")
    node, name = words
    with link.open(as_json=as_json) as fleet:
        held = fleet.lease(
            node, name, holder=holder or somebody(), every_s=every_s, release=not let_go
        )
        with _ended_by_signal():
            with held:
                _tell_begin(held, fleet, as_json)
                _tell_changes(held, seconds, as_json)
            _tell_end(held, let_go, as_json)


def _tell_begin(held: HeldLease, fleet: Fleet, as_json: bool) -> None:
    terms = held.terms
    if as_json:
        needing = {"outputs": terms.outputs, "commands": terms.commands}
        _row(held, True, holder=held.holder, timeout_s=terms.timeout_s, **needing)
        return
    click.echo(
        f"{held.node}: lease {terms.name} is held by {held.holder}, renewed every "
        f"{held.every_s:g} s; it is lost {terms.timeout_s:g} s after the last time"
    )
    schema = fleet.schema(held.node)
    for label in terms.outputs:
        click.echo(f"  {label}: free; safe is {_safe(schema, label)}")
    for label in terms.commands:
        click.echo(f"  {label}: may be called")


def _tell_changes(held: HeldLease, seconds: float | None, as_json: bool) -> None:
    """Print what becomes of it, until a time is over or somebody ends it."""
    try:
        for change in held.during(seconds):
            if as_json:
                _row(held, change.held, reason=change.reason)
            else:
                state = "held again" if change.held else f"not held: {change.reason}"
                click.echo(f"{held.node}: lease {held.terms.name}: {state}")
    except KeyboardInterrupt:
        return


def _tell_end(held: HeldLease, let_go: bool, as_json: bool) -> None:
    how = "left" if let_go else "released"
    if as_json:
        _row(held, False, reason=how)
        return
    when = f"at most {held.terms.timeout_s:g} s after the last renewal" if let_go else "now"
    what = "its outputs are safe" if held.terms.outputs else "its commands are refused"
    click.echo(f"{held.node}: lease {held.terms.name} {how}: {what} {when}")


def _row(lease: HeldLease, held: bool, **said: Any) -> None:
    which = {"kind": "lease", "node": lease.node, "lease": lease.terms.name}
    click.echo(json.dumps({**which, "held": held, **said}, ensure_ascii=False))


def _safe(schema: NodeSchema, label: str) -> str:
    try:
        return show(schema.output(label).document.get("safe"))
    except UnknownTargetError:  # its device has been taken out of the node
        return "unknown"


def somebody() -> str:
    """Return who holds it, as others can understand it: each run is another one."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # this user has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} {os.getpid()}"[-64:]


@contextmanager
def _ended_by_signal() -> Iterator[None]:
    """Let SIGTERM end it as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
