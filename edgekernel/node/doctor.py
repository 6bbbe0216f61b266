"""The examination of a computer: does it have what a node needs, and what mends what is missing?"""

from __future__ import annotations

from collections.abc import Iterator

from edgekernel.core.errors import ConfigError
from edgekernel.hal.address import BusAddress, LineAddress
from edgekernel.node.board import Board
from edgekernel.node.examination.bus_speeds import look_at_speeds
from edgekernel.node.examination.disks import look_at_disks
from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.examination.hardware_watchdog import look_at_watchdog
from edgekernel.node.examination.kept_levels import look_at_kept_levels
from edgekernel.node.examination.memory_left import look_at_memory
from edgekernel.node.examination.needs import Bus, is_there, look_at_needs
from edgekernel.node.examination.nvme_wear import look_at_nvme
from edgekernel.node.examination.overlays import look_at_overlays
from edgekernel.node.examination.power import look_at_heat, look_at_power
from edgekernel.node.examination.real_time_clock import look_at_clocks
from edgekernel.node.examination.time_service import look_at_time
from edgekernel.node.examination.wear import look_at_wear
from edgekernel.node.machine import Machine
from edgekernel.node.outputs import may_have_outputs
from edgekernel.node.packs import find_board
from edgekernel.node.plan import Plan


def examine(machine: Machine, board: Board | None, plan: Plan | None) -> list[Finding]:
    """Look at everything that the plan needs; without a plan at what the board offers. Then at the
    computer itself, which a node of any kind needs in good order.

    `board` is the one that the user has named; without it the device tree tells.
    """
    known = plan.board if plan is not None else board
    found = [*_user(machine), *_board(machine, known)]
    if known is None:
        known = _this_board(machine)
    if plan is not None:
        found += _planned(machine, plan)
    elif known is not None:
        found += _offered(machine, known)
    if known is not None:
        found += look_at_overlays(machine, known)
    return [*found, *_computer(machine, plan)]


def _computer(machine: Machine, plan: Plan | None) -> Iterator[Finding]:
    """Look at what is the same whatever the node does."""
    data = None if plan is None else plan.data
    folder = "/" if data is None else str(data.absolute())
    yield from look_at_power(machine)
    yield from look_at_heat(machine)
    yield from look_at_memory(machine)
    yield from look_at_disks(machine, folder, written=data is not None)
    yield from look_at_wear(machine)
    yield from look_at_nvme(machine)
    yield from look_at_time(machine)
    yield from look_at_clocks(machine)
    yield from look_at_watchdog(machine)


def _user(machine: Machine) -> Iterator[Finding]:
    if machine.uid == 0:
        yield Finding(
            Level.WARNING,
            "user",
            "root: a fault in an application can reach everything",
            "run the agent as a user of its own, in the groups gpio, i2c, spi and dialout",
        )
    else:
        yield Finding(Level.OK, "user", machine.user)


def _this_board(machine: Machine) -> Board | None:
    try:
        return find_board(machine.compatible)
    except ConfigError:
        return None


def _board(machine: Machine, expected: Board | None) -> Iterator[Finding]:
    this = _this_board(machine)
    if this is None:
        level = Level.ERROR if expected is None else Level.WARNING
        tree = ", ".join(machine.compatible) or "no device tree"
        text = f"this computer is no board that is known here ({tree})"
        yield Finding(level, "board", text, "`edgekernel boards` lists them: name one with --board")
        return
    if expected is not None and expected.id != this.id:
        yield Finding(
            Level.ERROR,
            "board",
            f"this computer is {this.id} ({this.name}), the node file is for {expected.id}",
            f'write board = "{this.id}", and look at every pin with edgekernel board show',
        )
    else:
        yield Finding(Level.OK, "board", f"{this.id} ({this.name})")


def _offered(machine: Machine, board: Board) -> Iterator[Finding]:
    """Look at what a board offers; buses that are there by choice may be off."""
    ports: list[Bus] = []
    ports += [*board.buses.values(), *board.ports.values(), *board.selects.values()]
    ports += board.onewires.values()
    off = [each for each in ports if board.is_extra(each.name) and not is_there(machine, each)]
    offered = [each for each in ports if each not in off]
    yield from look_at_needs(machine, board, [*board.lines.values(), *offered], must=False)
    buses = [each for each in offered if isinstance(each, BusAddress)]
    yield from look_at_speeds(machine, board, buses, board.speed_hz)
    yield from look_at_kept_levels(machine, [line.chip for line in board.lines.values()])
    if off:
        text = f"off: {', '.join(each.name for each in off)}"
        fix = f"edgekernel board show {board.id} says what switches each of them on"
        yield Finding(Level.OK, "further buses", text, fix)


def _planned(machine: Machine, plan: Plan) -> Iterator[Finding]:
    used = [each for device in plan.devices for each in device.addresses.values()]
    yield from look_at_needs(machine, plan.board, used, must=True)
    buses = [each for each in used if isinstance(each, BusAddress)]
    yield from look_at_speeds(machine, plan.board, buses, plan.speed_hz)
    driven = [each for each in plan.devices if may_have_outputs(each.driver)]
    lines = [each for device in driven for each in device.addresses.values()]
    chips = [each.chip for each in lines if isinstance(each, LineAddress)]
    yield from look_at_kept_levels(machine, chips)
