"""`edgekernel board show`: the header as it is on the board, and who uses each pin of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from edgekernel.cli.console import fail, out, print_json, table
from edgekernel.cli.exits import Exit
from edgekernel.core.errors import ConfigError
from edgekernel.node.board import Board
from edgekernel.node.packs import board_names, load_board
from edgekernel.node.pinout import Bus, Pin, buses, headers
from edgekernel.node.plan import Plan, find_this_board, make_plan

_STYLES = {"supply": "red", "ground": "dim", "other": "dim"}
_USED, _RESERVED, _FUNCTION = "bold green", "yellow", "cyan"


def _complete(
    context: click.Context, parameter: click.Parameter, text: str
) -> list[CompletionItem]:
    try:
        return [CompletionItem(name) for name in board_names() if name.startswith(text)]
    except ConfigError:  # a broken pack is told by the command itself
        return []


@click.group()
def board() -> None:
    """Look at one board."""


@board.command("show", short_help="Draw the headers and buses of a board.")
@click.argument("name", metavar="[BOARD]", required=False, shell_complete=_complete)
@click.option(
    "--node", type=click.Path(readable=False, path_type=Path), help="Show who uses each pin."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def show(name: str | None, node: Path | None, as_json: bool) -> None:
    """Draw the headers of BOARD, its buses, and what a node file uses them for.

    Without BOARD it is the one of the node file, or the machine that this runs on.

    \b
      edgekernel board show raspberrypi/4b
      edgekernel board show --node node.toml
    """
    try:
        plan = None if node is None else make_plan(node)
        shown = _find(name, plan)
    except ConfigError as error:
        fail(Exit.REFUSED, error.problems)
    if as_json:
        print_json(describe(shown, plan))
        return
    for part in page(shown, plan):
        out.print(part)


def page(board: Board, plan: Plan | None) -> Iterator[RenderableType]:
    """Yield what is drawn of a board: its name, each header, the buses, the chips."""
    user = f", as {plan.name} uses it" if plan else ""
    yield Text.assemble((board.id, "bold"), f"  {board.name}{user}")
    for header, pins in headers(board, plan).items():
        yield ""
        yield draw(header, pins, with_users=plan is not None)
        yield from (Text(note, style=_RESERVED) for note in notes(pins))
    if found := buses(board, plan):
        yield ""
        yield _listing(found, with_users=plan is not None)
        yield from (Text(note) for note in bus_notes(found))
    yield f"\nGPIO chips: {', '.join(board.chips)}"


def describe(board: Board, plan: Plan | None = None) -> dict[str, Any]:
    """Return what `board show` shows, ready for JSON."""
    return {
        "name": board.id,
        "title": board.name,
        "compatible": board.compatible,
        "chips": board.chips,
        "lines": {n: {"chip": line.chip, "line": line.offset} for n, line in board.lines.items()},
        "headers": {name: [asdict(pin) for pin in p] for name, p in headers(board, plan).items()},
        "buses": [asdict(bus) for bus in buses(board, plan)],
        "source": " ".join(board.source.split()),
    }


def draw(header: str, pins: tuple[Pin, ...], *, with_users: bool) -> Table:
    """Return a header as it is on the board: odd pins on the left, even ones on the right."""
    drawn = Table(title=header, title_justify="left", title_style="bold", box=None, pad_edge=False)
    sides = ["functions", "name", ""]
    if with_users:
        sides.insert(0, "used by")
    for side in sides:
        drawn.add_column(side, justify="right", overflow="fold")
    for side in reversed(sides):
        drawn.add_column(side, overflow="fold")
    for left in range(0, len(pins), 2):
        cells = _cells(pins[left], with_users)
        right = _cells(pins[left + 1], with_users) if left + 1 < len(pins) else []
        drawn.add_row(*reversed(cells), *right)
    return drawn


def _listing(found: Iterable[Bus], *, with_users: bool) -> Table:
    listing = table("", "bus", "device", "lines", "used by" if with_users else "switched on by")
    for bus in found:
        clock = f" at {bus.speed_hz // 1000} kHz" if bus.speed_hz else ""
        users = Text(", ".join(bus.users), style=_USED)
        last = users if with_users else bus.enable or "-"
        listing.add_row(bus.name, bus.device + clock, ", ".join(bus.lines) or "-", last)
    return listing


def notes(pins: tuple[Pin, ...]) -> list[str]:
    """Return why pins are reserved."""
    return [f"reserved: {pin.name}: {pin.reserved}" for pin in pins if pin.reserved]


def bus_notes(found: Iterable[Bus]) -> list[str]:
    """Return what the users of buses have to know, each note once with the buses it is for."""
    names: dict[str, list[str]] = {}
    for bus in found:
        names.setdefault(bus.note, []).append(bus.name)
    return [f"{', '.join(buses)}: {note}" for note, buses in names.items() if note]


def _cells(pin: Pin, with_users: bool) -> list[Text]:
    """Return the cells of a pin from the middle of the header outwards."""
    style = _STYLES.get(pin.kind, _RESERVED if pin.reserved else "")
    functions = ["reserved", *pin.functions] if pin.reserved else pin.functions
    cells = [
        Text(str(pin.number), style="bold" if pin.kind == "line" else "dim"),
        Text(pin.name, style=_USED if pin.used_by else style),
        Text(" ".join(functions), style=_RESERVED if pin.reserved else _FUNCTION),
    ]
    if with_users:
        cells.append(Text(", ".join(pin.used_by), style=_USED))
    return cells


def _find(name: str | None, plan: Plan | None) -> Board:
    if plan is not None:
        if name not in (None, plan.board.id):
            raise ConfigError(
                f"{plan.path.name} is for the board {plan.board.id}, not for {name}: leave out one"
            )
        return plan.board
    return find_this_board() if name in (None, "auto") else load_board(name)
