"""Nodes that are no more: forget."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from edgekernel.cli.console import err, out, print_json
from edgekernel.cli.ctl.group import ctl
from edgekernel.cli.ctl.link import Link
from edgekernel.cli.ctl.targets import Targets, on_each, selecting, split, tell
from edgekernel.cli.ctl.waiting import Waiting
from edgekernel.mqtt.fleet import Fleet, Outcome
from edgekernel.mqtt.fleet.forgetting import DISCOVERY


@ctl.command()
@selecting("[NODE]", "node")
@click.option("--dry-run", is_flag=True, help="Only show what would be cleared.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Also while it is online; it may publish again.")
@click.option(
    "--discovery",
    default=DISCOVERY,
    show_default=True,
    metavar="PREFIX",
    help="Where Home Assistant is told of nodes; '' leaves that alone.",
)
@click.pass_obj
def forget(
    link: Link,
    words: tuple[str, ...],
    where: tuple[str, ...],
    all_nodes: bool,
    as_json: bool,
    dry_run: bool,
    yes: bool,
    force: bool,
    discovery: str,
) -> None:
    """Let the broker forget NODE, which is no more or has another name: clear all that it has left.

    \b
      edgekernel ctl forget greenhouse-7
      edgekernel ctl forget --where state=offline --dry-run

    That is whatever is retained below its name, and what tells Home Assistant of it. It is shown
    first, and asked for; one that is online is refused.
    """
    targets, _ = split(words, where, all_nodes, least=0, most=0, form="forget NODE")
    if as_json and not (yes or dry_run):
        raise click.UsageError("--json does not ask: give --yes or --dry-run")
    with link.open(as_json=as_json) as fleet:

        def look(node: str) -> tuple[str, ...]:
            return fleet.forget(node, force=force, dry_run=True, discovery=discovery)

        def clear(node: str) -> tuple[str, ...]:
            return fleet.forget(node, force=force, discovery=discovery)

        if targets.named:
            with Waiting("forget"):
                found = look(targets.named[0])
            _show(found, as_json)
            if not dry_run:
                _ask(targets.named, yes)
                with Waiting("forget"):
                    found = clear(targets.named[0])
        else:
            looks = on_each(fleet, targets, look, "forget")
            if not dry_run:
                looks = _clear_each(fleet, looks, clear, yes)
            tell(looks, lambda topics: _said(topics, dry_run), as_json=as_json)
            return
    if as_json:
        print_json({"node": targets.named[0], "dry_run": dry_run, "topics": found})
    else:
        out.print(f"{targets.named[0]}: {_said(found, dry_run)}", soft_wrap=True)


def _clear_each(
    fleet: Fleet,
    looks: Sequence[Outcome[tuple[str, ...]]],
    clear: Callable[[str], tuple[str, ...]],
    yes: bool,
) -> list[Outcome[tuple[str, ...]]]:
    """Forget the nodes that were looked at and may be; return what has come of all."""
    found = {each.node: each.value or () for each in looks if each.ok}
    names = tuple(found)
    if not names:
        return [*looks]
    if not yes:
        for topic in (each for topics in found.values() for each in topics):
            err.print(topic, soft_wrap=True)
    _ask(names, yes)
    done = on_each(fleet, Targets(names, {}), clear, "forget")
    return sorted([*done, *(each for each in looks if not each.ok)], key=lambda each: each.node)


def _show(topics: Sequence[str], as_json: bool) -> None:
    if not as_json:
        for topic in topics:
            click.echo(topic)


def _ask(names: Sequence[str], yes: bool) -> None:
    if not yes:
        question = f"Let the broker forget {', '.join(names)}? It cannot be taken back."
        click.confirm(question, abort=True, err=True)


def _said(topics: Sequence[str], dry_run: bool) -> str:
    return f"{len(topics)} topics {'would be' if dry_run else 'are'} cleared"
