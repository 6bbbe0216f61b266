"""What happens: watch, events, logs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any

import click

from edgekernel.cli.console import err, out
from edgekernel.cli.ctl.completing import complete
from edgekernel.cli.ctl.group import ctl
from edgekernel.cli.ctl.lines import as_line, as_row
from edgekernel.cli.ctl.link import Link
from edgekernel.cli.ctl.live import WatchTable
from edgekernel.cli.ctl.targets import Targets
from edgekernel.core.errors import EdgekernelError, InvalidValueError
from edgekernel.core.messages import Severity
from edgekernel.mqtt.fleet import Fleet, LinkState, Stream, parse_where
from edgekernel.mqtt.fleet.gathering import QUIET_S

_SEVERITIES = [each.name.lower() for each in Severity]


@dataclass(frozen=True)
class _Listening:
    """What the subcommands here have in common: the nodes, until when, and in which form."""

    link: Link
    words: tuple[str, ...]
    where: tuple[str, ...]
    all_nodes: bool
    seconds: float | None
    as_json: bool

    def names(self, fleet: Fleet) -> list[str]:
        """Return the nodes to listen to; none are all."""
        if (bool(self.words), bool(self.where), self.all_nodes).count(True) > 1:
            raise click.UsageError("NODE, --where and --all: give one of them")
        try:
            wanted = parse_where(self.where)
        except InvalidValueError as error:
            raise click.UsageError(f"--where: {error}") from None
        return Targets((), wanted).pick(fleet) if wanted else list(dict.fromkeys(self.words))

    def print_events(self, **which: Any) -> None:
        """Print the events that `Fleet.events` gives for these arguments."""
        with self.link.open(as_json=self.as_json, endless=True) as fleet:
            names = self.names(fleet)
            with fleet.events(*names, **which) as stream:
                _announce("events of", names, self.as_json)
                for item in stream.during(self.seconds):
                    _print(item, len(names) != 1, self.as_json)


def _listening(command: Callable[..., None]) -> Callable[..., None]:
    """Give a subcommand its nodes and its end, in one."""

    def listening(
        link: Link,
        /,
        words: tuple[str, ...],
        where: tuple[str, ...],
        all_nodes: bool,
        seconds: float | None,
        as_json: bool,
        **others: Any,
    ) -> None:
        command(_Listening(link, words, where, all_nodes, seconds, as_json), **others)

    made: Callable[..., None] = update_wrapper(click.pass_obj(listening), command)
    for each in (
        click.option("--json", "as_json", is_flag=True, help="Print each as a line of JSON."),
        click.option("--for", "seconds", type=click.FloatRange(0, 1e9), help="End after SECONDS."),
        click.option("--all", "all_nodes", is_flag=True, help="Every node; as without NODE."),
        click.option(
            "--where",
            multiple=True,
            metavar="NAME=VALUE",
            help="Nodes with this label, field of info or state, as far as there are now.",
        ),
        click.argument("words", nargs=-1, metavar="[NODE]...", shell_complete=complete("nodes")),
    ):
        made = each(made)
    return made


@ctl.command()
@_listening
@click.option("--lines", is_flag=True, help="Print lines also where a table could be shown.")
def watch(asked: _Listening, lines: bool) -> None:
    """Show what happens on NODE until Ctrl-C: its status, states and events.

    On a terminal it is a table with the latest values and events; elsewhere, and with --lines, a
    line for each. Without NODE all nodes are watched.
    """
    with asked.link.open(as_json=asked.as_json, endless=True) as fleet:
        names = asked.names(fleet)
        with fleet.watch(*names) as stream:
            if out.is_terminal and not asked.as_json and not lines:
                with WatchTable(names) as shown:
                    for item in stream.during(asked.seconds):
                        shown.take(item)
                return
            _announce("watching", names, asked.as_json)
            _print_all(fleet, stream, names, asked.seconds, asked.as_json)


def _announce(what: str, names: list[str], as_json: bool) -> None:
    """Say that from now on nothing is missed."""
    if not as_json:
        err.print(f"{what} {', '.join(names) or 'all nodes'}; Ctrl-C ends", style="dim")


def _print_all(
    fleet: Fleet, stream: Stream[Any], names: list[str], seconds: float | None, as_json: bool
) -> None:
    several = len(names) != 1
    unseen = set(names)
    for item in stream.during(QUIET_S if seconds is None else min(QUIET_S, seconds)):
        unseen.discard(getattr(item, "node", ""))
        _print(item, several, as_json)
    try:
        known = {node.name for node in fleet.nodes()} if unseen else set[str]()
    except EdgekernelError:  # nobody can say: then nothing is said, and it goes on
        known = unseen
    for name in sorted(unseen - known):
        text = f"no node {name!r} is known yet; waiting for it (see `edgekernel ctl nodes`)"
        err.print(text, soft_wrap=True)
    left_s = None if seconds is None else max(0.0, seconds - QUIET_S)
    for item in stream.during(left_s):
        _print(item, several, as_json)


@ctl.command()
@_listening
@click.option("--name", default="", help="Events of this name only, such as button.pressed.")
@click.option(
    "--share",
    default="",
    metavar="GROUP",
    help="Share the events with all that name this GROUP: each event goes to one of them.",
)
def events(asked: _Listening, name: str, share: str) -> None:
    """Print the events of NODE, or of all nodes, as they come, until Ctrl-C."""
    asked.print_events(name=name, share=share)


@ctl.command()
@_listening
@click.option(
    "--severity",
    type=click.Choice(_SEVERITIES),
    default="warning",
    show_default=True,
    help="The least severity.",
)
def logs(asked: _Listening, severity: str) -> None:
    """Print what goes wrong on NODE, or on all nodes, as it comes, until Ctrl-C."""
    asked.print_events(least=Severity[severity.upper()])


def _print(item: Any, several: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(as_row(item), ensure_ascii=False))
    elif isinstance(item, LinkState):
        err.print("connected again" if item.up else f"the link is down: {item.reason}", style="dim")
    else:
        click.echo(as_line(item, several))
