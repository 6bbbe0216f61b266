"""`edgekernel devices` and `edgekernel boards`: what is installed."""

from __future__ import annotations

import inspect
from typing import Any

import click

from edgekernel.cli.console import Exit, fail, out, print_json, table
from edgekernel.core.device import Device
from edgekernel.core.errors import ConfigError
from edgekernel.core.output_declaration import OutputDeclaration
from edgekernel.core.reading import ReadingDeclaration
from edgekernel.node.packs import board_names, driver_names, load_board, load_driver
from edgekernel.node.plan import boundary_parameters, settings_model


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def devices(as_json: bool) -> None:
    """List the installed drivers, with their settings, readings and outputs."""
    loaded, failed = [], []
    try:
        names = driver_names()
    except ConfigError as error:
        fail(Exit.REFUSED, error.problems)
    for name in names:
        try:
            loaded.append(_describe_driver(name, load_driver(name)))
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


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def boards(as_json: bool) -> None:
    """List the installed boards."""
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
    listing = table("", "board", "title", "lines", "buses and ports", "PWM", "labels")
    for board in found:
        buses = [*board.buses, *board.selects, *board.onewires, *board.ports]
        cells = (buses, board.pwm_lines, board.labels)
        listing.add_row(
            board.id, board.name, str(len(board.lines)), *(", ".join(cell) or "-" for cell in cells)
        )
    out.print(listing)


def _describe_driver(name: str, driver: type[Device]) -> dict[str, Any]:
    text = inspect.getdoc(driver) or ""
    boundaries = boundary_parameters(driver)
    model = settings_model(driver, boundaries)
    properties = model.model_json_schema().get("properties", {})
    settings = []
    for key, field in model.model_fields.items():
        setting: dict[str, Any] = {"name": key, "required": field.is_required()}
        if key in boundaries:
            setting["boundary"] = boundaries[key].__name__
        schema = properties.get(key, {})
        setting.update({k: v for k, v in schema.items() if k != "title"})
        settings.append(setting)
    return {
        "name": name,
        "summary": text.partition("\n")[0],
        "description": text,
        "module": driver.__module__,
        "settings": settings,
        "readings": _declared(driver, ReadingDeclaration),
        "outputs": _declared(driver, OutputDeclaration),
    }


def _declared(driver: type[Device], kind: type) -> list[str]:
    return [n for n, v in inspect.getmembers_static(driver, lambda v: isinstance(v, kind)) if n]
