"""On which nodes a subcommand works: one that is named, or all that are picked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from rich.text import Text

from edgekernel.cli.console import out, print_json, table
from edgekernel.cli.ctl.completing import complete
from edgekernel.cli.ctl.link import code_of, exit_of, said
from edgekernel.cli.ctl.plain import plain
from edgekernel.cli.ctl.waiting import Waiting
from edgekernel.cli.exits import Exit
from edgekernel.core.errors import InvalidValueError, UnknownTargetError
from edgekernel.mqtt.fleet import Fleet, Outcome, parse_where

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


@dataclass(frozen=True)
class Targets:
    """The nodes that are meant: those named, or without a name those with these values."""

    named: tuple[str, ...]
    where: dict[str, str]

    def pick(self, fleet: Fleet) -> list[str]:
        """Return their names. Raises UnknownTargetError if nobody is picked."""
        if self.named:
            return list(self.named)
        found = [node.name for node in fleet.nodes(self.where)]
        if not found:
            asked = " ".join(f"{name}={value}" for name, value in self.where.items())
            text = f"no node with {asked}" if asked else "the broker knows no node"
            raise UnknownTargetError(text)
        return found


def selecting(metavar: str, kind: str) -> Callable[[F], F]:
    """Give a subcommand its words, --where, --all and --json; `kind` is how they are completed."""

    def decorate(command: F) -> F:
        for each in (
            click.option("--json", "as_json", is_flag=True, help="Print JSON."),
            click.option("--all", "all_nodes", is_flag=True, help="Every node instead of NODE."),
            click.option(
                "--where",
                multiple=True,
                metavar="NAME=VALUE",
                help="Nodes with this label, field of info or state, instead of NODE.",
            ),
            click.argument("words", nargs=-1, metavar=metavar, shell_complete=complete(kind)),
        ):
            command = each(command)
        return command

    return decorate


def split(
    words: Sequence[str],
    where: Sequence[str],
    all_nodes: bool,
    *,
    least: int,
    most: float,
    form: str,
) -> tuple[Targets, list[str]]:
    """Return the nodes, and the words behind NODE: `least` to `most` of them."""
    if where and all_nodes:
        raise click.UsageError("--where and --all: give one of them")
    try:
        found = parse_where(where)
    except InvalidValueError as error:
        raise click.UsageError(f"--where: {error}") from None
    rest = list(words)
    named: tuple[str, ...] = ()
    if not found and not all_nodes:
        if not rest:
            raise click.UsageError("name a NODE, or pick some with --where or --all")
        named = (rest.pop(0),)
    if not least <= len(rest) <= most:
        raise click.UsageError(f"write {form}")
    return Targets(named, found), rest


def on_each(
    fleet: Fleet, targets: Targets, action: Callable[[str], T], what: str
) -> list[Outcome[T]]:
    """Do something with each node that is picked; return the outcomes in order of names.

    What takes longer shows on a terminal how far it is.
    """
    found = []
    with Waiting(what) as waiting:
        names = targets.pick(fleet)
        waiting.begin(len(names))
        for outcome in fleet.each(names, action):
            found.append(outcome)
            waiting.step()
    return sorted(found, key=lambda outcome: outcome.node)


def tell(outcomes: Sequence[Outcome[T]], show: Callable[[T], str], *, as_json: bool) -> None:
    """Print what has come of each node, and end with the exit code of the worst."""
    if as_json:
        print_json([_row(each) for each in outcomes])
    else:
        listing = table("", "node", "result")
        for each in outcomes:
            if each.error is None:
                listing.add_row(each.node, show(each.value))  # type: ignore[arg-type]
            else:
                listing.add_row(each.node, failed(each))
        out.print(listing)
    end(outcomes)


def failed(outcome: Outcome[Any]) -> Text:
    """Return why a node has not done it, in red."""
    assert outcome.error is not None
    return Text(said(outcome.error, as_json=False), style="red")


def end(outcomes: Sequence[Outcome[Any]]) -> None:
    """End with an exit code unless every node has done it; what is refused counts more than who
    does not answer."""
    codes = [exit_of(each.error) for each in outcomes if each.error is not None]
    if codes:
        raise click.exceptions.Exit(Exit.REFUSED if Exit.REFUSED in codes else codes[0])


def _row(outcome: Outcome[Any]) -> dict[str, Any]:
    if outcome.error is None:
        return {"node": outcome.node, "ok": True, "result": plain(outcome.value)}
    error = {"code": code_of(outcome.error), "message": said(outcome.error, as_json=True)}
    return {"node": outcome.node, "ok": False, "error": error}
