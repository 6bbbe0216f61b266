"""What interrupts nodes, and what keeps it away: update, restart, busy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from rich.progress import BarColumn, Progress, TextColumn

from edgekernel.cli.console import err, out, print_json
from edgekernel.cli.ctl.group import ctl
from edgekernel.cli.ctl.leasing import Seconds, somebody
from edgekernel.cli.ctl.link import Link
from edgekernel.cli.ctl.plain import plain
from edgekernel.cli.ctl.targets import on_each, selecting, split, tell
from edgekernel.cli.ctl.waiting import Waiting
from edgekernel.mqtt.fleet import Fleet, NodeUpdate
from edgekernel.mqtt.fleet.updating import UPDATE_LIMIT_S, IfBusy

_EVERY = 10
"""Percent: so often there is a line where no bar can be shown."""


def _while_busy(command: Callable[..., None]) -> Callable[..., None]:
    """Give a subcommand what it does while a node is busy."""
    for each in (
        click.option("--now", is_flag=True, help="Do not wait while a node is busy."),
        click.option("--if-free", is_flag=True, help="Be refused while a node is busy."),
    ):
        command = each(command)
    return command


def _if_busy(now: bool, if_free: bool) -> IfBusy:
    if now and if_free:
        raise click.UsageError("--now and --if-free: give one of them")
    return "ignore" if now else "refuse" if if_free else "wait"


@ctl.command()
@selecting("[NODE]", "node")
@click.option(
    "--bundle",
    required=True,
    metavar="URL|PATH",
    help="The signed bundle: an address, or a path on the node.",
)
@click.option("--wait", is_flag=True, help="Show how it goes, and wait for its end.")
@click.option(
    "--limit",
    "limit_s",
    type=Seconds(),
    default=UPDATE_LIMIT_S,
    show_default="1h",
    help="How long to wait, such as 30min.",
)
@_while_busy
@click.pass_obj
def update(
    link: Link,
    words: tuple[str, ...],
    where: tuple[str, ...],
    all_nodes: bool,
    as_json: bool,
    bundle: str,
    wait: bool,
    limit_s: float,
    now: bool,
    if_free: bool,
) -> None:
    """Update the whole system of NODE, and go back by itself if it is not well with it.

    The node installs the bundle into its other slot and starts into it on trial. While somebody
    holds it busy it waits before each of the two. Without --wait it is only asked for, and
    `ctl info` shows how it goes.

    \b
      edgekernel ctl update greenhouse-1 --bundle https://updates.example/v2.raucb --wait

    With --wait it exits with 0 when the update is confirmed, 1 if it was refused or cancelled, 4
    if it could not be installed, 6 if the node fell back, 3 if it has not ended in time. Of many
    nodes 16 are updated at a time.
    """
    targets, _ = split(words, where, all_nodes, least=0, most=0, form="update NODE --bundle ...")
    if_busy, wait_s = _if_busy(now, if_free), limit_s if wait else 0.0
    with link.open(as_json=as_json) as fleet:
        if not targets.named:

            def one(node: str) -> NodeUpdate:
                return fleet.update(node, bundle, if_busy, wait_s)

            tell(on_each(fleet, targets, one, "update"), str, as_json=as_json)
            return
        found = _shown(fleet, targets.named[0], bundle, if_busy, wait_s, as_json)
    if as_json:
        print_json(plain(found))
    else:
        out.print(f"{found.node}: {found}", soft_wrap=True)
        if not wait:
            out.print(f"`edgekernel ctl info {found.node}` shows how it goes", soft_wrap=True)


def _shown(
    fleet: Fleet, node: str, bundle: str, if_busy: IfBusy, wait_s: float, as_json: bool
) -> NodeUpdate:
    """Let a node be updated, and show how it goes: with a bar on a terminal, else a line for each
    change of what it does."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(node, total=100, visible=bool(wait_s))
        said: tuple[object, ...] = ()

        def told(found: NodeUpdate) -> None:
            nonlocal said
            progress.update(task, completed=found.percent, description=f"{node}: {found}")
            now = (found.phase, found.doing, found.reason, found.unmet, found.percent // _EVERY)
            if not err.is_terminal and not as_json and found.under_way and now != said:
                said = now
                err.print(f"{node}: {found}", soft_wrap=True)

        return fleet.update(node, bundle, if_busy, wait_s, told)


@ctl.command()
@selecting("[NODE]", "node")
@click.option("--reason", default="", show_default="who asks", help="Why, for others to see.")
@_while_busy
@click.pass_obj
def restart(
    link: Link,
    words: tuple[str, ...],
    where: tuple[str, ...],
    all_nodes: bool,
    as_json: bool,
    reason: str,
    now: bool,
    if_free: bool,
) -> None:
    """Let the agent of NODE end, so that its service starts it again; outputs are safe between.

    While somebody holds the node busy it waits.
    """
    targets, _ = split(words, where, all_nodes, least=0, most=0, form="restart NODE")
    if_busy, why = _if_busy(now, if_free), reason or somebody()
    with link.open(as_json=as_json) as fleet:

        def one(node: str) -> str:
            fleet.restart(node, why, if_busy)
            held = "" if now else "; ".join(map(str, fleet.busy(node)))
            return f"restarts when it is free: {held}" if held else "restarts"

        _each(fleet, targets, one, "restart", as_json)


@ctl.command()
@selecting("[NODE]", "node")
@click.option("--for", "seconds", type=Seconds(), help="How long at most, such as 30min; a week.")
@click.option("--reason", default="", help="Why, for others to see.")
@click.option("--holder", show_default="you, and where", help="Who holds it, for others to see.")
@click.option("--lock", default="", metavar="ID", help="The lock to prolong, or to release.")
@click.option("--release", is_flag=True, help="Release it, or all that operators hold.")
@click.pass_obj
def busy(
    link: Link,
    words: tuple[str, ...],
    where: tuple[str, ...],
    all_nodes: bool,
    as_json: bool,
    seconds: float | None,
    reason: str,
    holder: str | None,
    lock: str,
    release: bool,
) -> None:
    """Say "not now": an update, a pushed configuration and a restart of NODE wait meanwhile.

    \b
      edgekernel ctl busy greenhouse-1 --for 30min --reason "a firing is on"
      edgekernel ctl busy greenhouse-1
      edgekernel ctl busy greenhouse-1 --release

    It ends by itself. Without --for and --release it shows who holds the node busy.
    """
    targets, _ = split(words, where, all_nodes, least=0, most=0, form="busy NODE")
    if release and seconds is not None:
        raise click.UsageError("--for and --release: give one of them")
    if (seconds is not None) != bool(reason):
        raise click.UsageError("to hold a node busy give --for and --reason")
    with link.open(as_json=as_json) as fleet:

        def one(node: str) -> Any:
            if release:
                return fleet.release_busy(node, lock)
            if seconds is not None:
                who = holder or somebody()
                args = {"reason": reason, "seconds": seconds, "holder": who, "lock": lock}
                return fleet.call(node, "busy.hold", args)
            return fleet.busy(node)

        _each(fleet, targets, one, "busy", as_json)


def _each(
    fleet: Fleet, targets: Any, action: Callable[[str], Any], what: str, as_json: bool
) -> None:
    if not targets.named:
        tell(on_each(fleet, targets, action, what), _text, as_json=as_json)
        return
    with Waiting(what):
        found = action(targets.named[0])
    if as_json:
        print_json(plain(found))
    else:
        click.echo(_text(found))


def _text(found: Any) -> str:
    if isinstance(found, tuple):
        return "\n".join(f"{each.id}  {each}" for each in found) or "free"
    if isinstance(found, list):
        return f"released {', '.join(found)}" if found else "nothing to release"
    return str(found)
