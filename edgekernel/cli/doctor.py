"""`edgekernel doctor`: does this computer have what a node needs?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from rich.text import Text

from edgekernel.cli.console import fail, out, print_json
from edgekernel.cli.exits import Exit
from edgekernel.core.errors import ConfigError
from edgekernel.node.doctor import examine
from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.machine import Machine
from edgekernel.node.packs import load_board
from edgekernel.node.plan import make_plan

_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "bold red"}


@click.command()
@click.argument("node", type=click.Path(readable=False, path_type=Path), required=False)
@click.option("--board", "name", help="The board, instead of the one this computer is.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def doctor(node: Path | None, name: str | None, as_json: bool) -> None:
    """Examine this computer: is there what the node file NODE needs, and may this user use it?

    Looks at the board, GPIO chips, buses and their speeds, ports, groups, packages and overlays;
    without NODE at what the board offers. Then at the supply, heat, memory, disks and their wear,
    time, clock and watchdog. Each finding that is not right comes with what mends it. Nothing is
    changed.

    Exits with 1 if there is an error.
    """
    try:
        board = None if name is None else load_board(name)
        plan = None if node is None else make_plan(node)
    except ConfigError as error:
        fail(Exit.REFUSED, error.problems)
    findings = examine(Machine(), board, plan)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            out.print(_text(finding), soft_wrap=True)
    if any(finding.level is Level.ERROR for finding in findings):
        raise click.exceptions.Exit(Exit.REFUSED)


def _text(finding: Finding) -> Text:
    text = Text(f"{finding.level:9}", style=_STYLES[finding.level])
    text.append(f"{finding.subject}: {finding.text}", style="not bold default")
    if finding.fix:
        text.append(f"\n{'':9}-> {finding.fix}", style="not bold default")
    return text
