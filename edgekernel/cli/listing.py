"""`edgekernel devices` and `edgekernel boards`: what is installed."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from edgekernel.cli.console import fail, out, print_json, table
from edgekernel.cli.exits import Exit
from edgekernel.core.errors import ConfigError
from edgekernel.node.catalogue import describe_driver
from edgekernel.node.packs import board_names, driver_names, load_board


def _complete(
    context: click.Context, parameter: click.Parameter, text: str
) -> list[CompletionItem]:
    try:
        return [CompletionItem(name) for name in driver_names() if name.startswith(text)]
    except ConfigError:  # a broken pack is told by the command itself
        return []


@click.command()
@click.argument("name", metavar="[DRIVER]", required=False, shell_complete=_complete)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array; of one, an object.")
def devices(name: str | None, as_json: bool) -> None:
    """List the installed drivers, or show DRIVER: its wiring, and what its settings take.

    \b
      edgekernel devices            every driver, with its settings, readings and outputs
      edgekernel devices relay      one, with a table for the node file to begin with
    """
    if name is not None:
        _show_driver(name, as_json)
        return
    loaded, failed = [], []
    try:
        names = driver_names()
    except ConfigError as error:
        fail(Exit.REFUSED, error.problems)
    for name in names:
        try:
            loaded.append(describe_driver(name))
        except ConfigError as error:
            failed.append({"name": name, "error": str(error)})
    if as_json:
        print_json(loaded + failed)
    else:
        listing = table("", "driver", "what it is", "settings", "readings and outputs")
        for entry in loaded:
            settings = ", ".join(s["name"] for s in entry["settings"])
            signals = ", ".join(entry["readings"] + [f"{o} (output)" for o in entry["outputs"]])
            listing.add_row(entry["name"], entry["summary"], settings, signals)
        out.print(listing)
    if failed:
        fail(Exit.REFUSED, (f"{entry['name']}: {entry['error']}" for entry in failed))


def _show_driver(name: str, as_json: bool) -> None:
    from edgekernel.cli.driver_view import page

    try:
        found = describe_driver(name)
    except ConfigError as error:
        fail(Exit.REFUSED, error.problems)
    if as_json:
        print_json(found)
        return
    for part in page(found):
        out.print(part, soft_wrap=isinstance(part, str))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def boards(as_json: bool) -> None:
    """List the installed boards; `edgekernel board show BOARD` draws one, with PWM and labels."""
    try:
        found = [load_board(name) for name in board_names()]
    except ConfigError as error:
        fail(Exit.REFUSED, error.problems)
    if as_json:
        print_json(
            [
                {
                    "name": board.id,
                    "title": board.name,
                    "compatible": board.compatible,
                    "chips": board.chips,
                    "headers": sorted(board.headers),
                    "lines": sorted(board.lines),
                    "i2c": sorted(board.buses),
                    "spi": sorted(board.selects),
                    "onewire": sorted(board.onewires),
                    "uart": sorted(board.ports),
                    "pwm": sorted(board.pwm_lines),
                    "labels": board.labels,
                    "reserved": board.reserved,
                }
                for board in found
            ]
        )
        return
    listing = table("", "board", "title", "lines", "buses and ports")
    for board in found:
        buses = [*board.buses, *board.selects, *board.onewires, *board.ports]
        cells = (board.name, str(len(board.lines)), ", ".join(in_short(buses)) or "-")
        listing.add_row(board.id, *cells)
    out.print(listing)


def in_short(names: Iterable[str]) -> list[str]:
    """Return names with those that count up as one, such as "i2c3-6" for i2c3 to i2c6."""
    runs: list[tuple[str, str, str]] = []
    for name in names:
        stem = name.rstrip("0123456789")
        number = name.removeprefix(stem)
        before, first, last = runs[-1] if runs else ("", "", "")
        if number and last and before == stem and int(last) + 1 == int(number):
            runs[-1] = (stem, first, number)
        else:
            runs.append((stem, number, number))
    return [f"{stem}{a}" if a == b else f"{stem}{a}-{b}" for stem, a, b in runs]
