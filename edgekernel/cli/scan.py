"""`edgekernel scan`: what answers on the buses of this board."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import click

from edgekernel.backends.backend import Backend
from edgekernel.cli.console import fail, out, print_json, table
from edgekernel.cli.exits import Exit
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import ConfigError
from edgekernel.hal.address import BusAddress, OneWireAddress
from edgekernel.node.board import Board
from edgekernel.node.examination.needs import is_there
from edgekernel.node.machine import Machine
from edgekernel.node.packs import load_board
from edgekernel.node.plan import Plan, find_this_board, make_plan
from edgekernel.node.problems import did_you_mean
from edgekernel.node.scan import Place, Survey
from edgekernel.node.scan import scan as ask


@click.command()
@click.option(
    "--node", type=click.Path(readable=False, path_type=Path), help="Compare with this node file."
)
@click.option("--board", "name", help="The board, instead of the one this computer is.")
@click.option("--bus", "wanted", multiple=True, help="Ask this bus only; may be repeated.")
@click.option("--sim", "simulated", is_flag=True, help="Ask the simulated board of the node file.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def scan(
    node: Path | None, name: str | None, wanted: tuple[str, ...], simulated: bool, as_json: bool
) -> None:
    """List what answers on the I²C and 1-Wire buses, and which chips it may be.

    An I²C chip has no name: which drivers fit its address is a guess, unless the chip has an
    identification that its driver knows. With --node the devices of a node file stand beside
    what was found, and what is missing is marked.

    Every address is read once: stop the agent first, if one uses the buses.

    \b
      edgekernel scan
      edgekernel scan --node greenhouse.toml --bus i2c1

    Exits with 1 if a bus cannot be asked or a device of the node file does not answer.
    """
    try:
        plan = None if node is None else make_plan(node)
        board = _board(plan, name, simulated)
        buses = _buses(board, wanted, plan, simulated)
        with closing(_backend(plan, simulated)) as backend:
            survey = ask(backend, buses, plan)
    except ConfigError as error:
        fail(Exit.REFUSED, error.problems)
    if as_json:
        places = [asdict(place) for place in survey.places]
        print_json({"board": board.id, "places": places, "problems": survey.problems})
    else:
        _show(board, buses, survey)
    if survey.problems or any(not place.answers for place in survey.places):
        raise click.exceptions.Exit(Exit.REFUSED)


def _board(plan: Plan | None, name: str | None, simulated: bool) -> Board:
    if simulated and plan is None:
        raise ConfigError("--sim asks the chips of a node file: name it with --node")
    if name is not None:
        return load_board(name)
    return plan.board if plan is not None else find_this_board()


def _buses(
    board: Board, wanted: tuple[str, ...], plan: Plan | None, simulated: bool
) -> list[BusAddress | OneWireAddress]:
    """Return the buses to ask: those that are named, else all but those that are there by choice,
    are off, and have no device of the node file on them."""
    known: dict[str, BusAddress | OneWireAddress] = {**board.buses, **board.onewires}
    for name in wanted:
        if name not in known:
            raise ConfigError(
                f'--bus: "{name}" is no bus of {board.id}; {did_you_mean(name, known)}'
            )
    if wanted:
        return [known[name] for name in wanted]
    devices = plan.devices if plan is not None else ()
    expected = {address.name for device in devices for address in device.addresses.values()}
    machine = Machine()
    return [
        bus
        for name, bus in known.items()
        if name in expected
        or not board.is_extra(name)
        or (not simulated and is_there(machine, bus))
    ]


def _backend(plan: Plan | None, simulated: bool) -> Backend:
    clock = SystemClock()
    if plan is not None and simulated:
        from edgekernel.backends.sim import SimBackend
        from edgekernel.node.simulate import plug_chips

        backend = SimBackend(clock)
        plug_chips(plan, backend, clock)
        return backend
    from edgekernel.backends.linux import LinuxBackend

    return LinuxBackend(clock)


def _show(board: Board, buses: list[BusAddress | OneWireAddress], survey: Survey) -> None:
    listing = table("", "bus", "address", "device", "what it may be")
    for place in survey.places:
        listing.add_row(place.bus, place.address, place.device or "-", _chips(place))
    if survey.places:
        out.print(listing)
    asked = ", ".join(bus.name for bus in buses) or "no bus"
    answering = sum(place.answers for place in survey.places)
    out.print(f"{board.name}: asked {asked}: {answering} answered")
    for problem in survey.problems:
        click.echo(problem, err=True)


def _chips(place: Place) -> str:
    if not place.answers:
        return f"{place.drivers[0]}: DOES NOT ANSWER; check wiring, power and address"
    if place.identified:
        return f"{place.drivers[0]} (says so itself)"
    return " or ".join(place.drivers) + "?" if place.drivers else "no driver fits"
