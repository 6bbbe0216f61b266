"""How the I²C buses of a node are freed when a chip holds SDA low, as the node file says."""

from __future__ import annotations

from dataclasses import dataclass

from edgekernel.backends.backend import Backend
from edgekernel.backends.recovery import NineClocks, OpenDrain, PowerCycle, Recoverable
from edgekernel.core.clock import Clock
from edgekernel.core.errors import ConfigError
from edgekernel.hal.address import LineAddress
from edgekernel.hal.i2c import I2CBus
from edgekernel.node.board import Board
from edgekernel.node.claims import Claims
from edgekernel.node.document import NodeDocument, RecoveryTable


@dataclass(frozen=True, slots=True)
class PlannedRecovery:
    """The lines by which a bus is freed, found on the board; `scl` and `sda` go together."""

    scl: LineAddress | None
    sda: LineAddress | None
    power: LineAddress | None
    active_high: bool
    off_s: float

    @property
    def lines(self) -> dict[str, LineAddress]:
        """The lines that it has, by the key of the node file."""
        found = {"scl": self.scl, "sda": self.sda, "power": self.power}
        return {key: line for key, line in found.items() if line is not None}


class Supply:
    """The power of the chips on a bus, which can be taken from them for a moment."""

    def __init__(self, bus: I2CBus, power: PowerCycle) -> None:
        self._bus = bus
        self._power = power
        self.cycles = 0
        """How often that was done."""

    def open(self) -> None:
        """Give the chips power. Raises BusyError, BrokenError."""
        self._power.open()

    def cycle(self) -> None:
        """Take the power away and give it again; nobody has the bus meanwhile."""
        with self._bus.held():
            self.cycles += 1
            self._power.free_bus()

    def close(self) -> None:
        """Give the line back; the chips keep their power."""
        self._power.close()


def plan_recovery(
    bus: str, board: Board, document: NodeDocument, claims: Claims
) -> dict[str, PlannedRecovery]:
    """Find the lines by which a bus is freed, and note their use; empty if it has none.

    Raises ConfigError with every mistake, from the key behind `recovery` on.
    """
    told = document.buses.get(bus)
    table = None if told is None else told.recovery
    if table is None:
        return {}
    problems = _incomplete(table)
    lines: dict[str, LineAddress] = {}
    for key in ("scl", "sda", "power"):
        written = getattr(table, key)
        if written is None:
            continue
        try:
            line = lines[key] = _line(bus, key, written, board, document)
        except ConfigError as error:
            problems.append(f".{key}: {error}")
            continue
        if problem := claims.take_line(line, written, f"buses.{bus}.recovery.{key}"):
            problems.append(f".{key}: {problem}")
    if problems:
        raise ConfigError(*problems)
    return {
        bus: PlannedRecovery(
            lines.get("scl"), lines.get("sda"), lines.get("power"), table.active_high, table.off_for
        )
    }


def _incomplete(table: RecoveryTable) -> list[str]:
    """Return what is missing, or says something about what is not there."""
    missing = [key for key in ("scl", "sda") if getattr(table, key) is None]
    if len(missing) == 2 and table.power is None:
        return [
            ': says no way; name the spare lines "scl" and "sda" for nine clocks, or in "power" '
            "the line that switches the supply of the chips"
        ]
    problems = []
    if len(missing) == 1:
        problems.append(f".{missing[0]}: is missing; nine clocks need both scl and sda")
    if table.power is None:
        problems += [
            f".{key}: says something about power, which is missing; name its line, or take this out"
            for key in ("active_high", "off_for")
            if key in table.model_fields_set
        ]
    return problems


def _line(bus: str, key: str, name: str, board: Board, document: NodeDocument) -> LineAddress:
    """Find a line of the board that the recovery may have. Raises ConfigError."""
    device = name.partition(":")[0]
    if device in document.devices:
        raise ConfigError(
            f'"{name}": {device} is a device; name a line of the board, which no device has: it '
            "has to work when nothing on the bus does"
        )
    line = board.line(name)
    if line.name in board.reserved:
        raise ConfigError(f'"{name}" is reserved on {board.id}: {board.reserved[line.name]}')
    if line in board.lines_of(bus):
        wired = "" if key == "power" else f", wired to {key.upper()}"
        raise ConfigError(
            f'"{name}" belongs to {bus} itself: claimed as a GPIO it would be lost to the I²C '
            f"controller; name a spare line{wired}"
        )
    return line


def apply_recovery(
    planned: PlannedRecovery, bus: I2CBus, backend: Backend, clock: Clock
) -> Supply | None:
    """Give a bus its nine clocks, if that is planned; return the supply of its chips, if so."""
    if planned.scl is not None and planned.sda is not None and isinstance(bus, Recoverable):
        scl, sda = (
            OpenDrain(backend.digital_output(line), backend.digital_input(line))
            for line in (planned.scl, planned.sda)
        )
        bus.use_recovery(NineClocks(scl, sda, clock))
    if planned.power is None:
        return None
    line = backend.digital_output(planned.power)
    power = PowerCycle(line, clock, active_high=planned.active_high, off_s=planned.off_s)
    return Supply(bus, power)
