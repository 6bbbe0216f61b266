"""ReplayBackend: the boundaries of a board that is only a record."""

from __future__ import annotations

from collections.abc import Iterable

from edgekernel.backends.recording import LineEdge
from edgekernel.backends.replay.buses import ReplayI2C, ReplayOneWire, ReplaySpi
from edgekernel.backends.replay.lines import ReplayInput, ReplayOutput, ReplayPwm
from edgekernel.backends.replay.serial import ReplaySerial
from edgekernel.backends.replay.tape import Tape
from edgekernel.hal.address import (
    BusAddress,
    LineAddress,
    OneWireAddress,
    PortAddress,
    PwmAddress,
    SpiAddress,
)
from edgekernel.hal.gpio import Edge


class ReplayBackend:
    """A Backend that answers from a tape. Nothing is driven: what is written goes nowhere."""

    def __init__(self, tape: Tape, edges: Iterable[LineEdge] = ()) -> None:
        """Answer from `tape`; `edges` are those that will be told, for the levels before them."""
        self._tape = tape
        self._edges: dict[str, list[Edge]] = {}
        for each in edges:
            self._edges.setdefault(each.line, []).append(each.edge)
        self._inputs: dict[str, ReplayInput] = {}
        self._buses: dict[str, ReplayI2C] = {}
        self._onewires: dict[str, ReplayOneWire] = {}

    def tell(self, line: str, edge: Edge) -> None:
        """Tell an edge to the driver that watches a line, if one does."""
        if line in self._inputs:
            self._inputs[line].tell(edge)

    def digital_output(self, line: LineAddress) -> ReplayOutput:
        """Return a closed output on a line."""
        return ReplayOutput(line.name, self._tape)

    def digital_input(self, line: LineAddress) -> ReplayInput:
        """Return a closed input on a line."""
        made = ReplayInput(line.name, self._tape, self._edges.get(line.name, []))
        self._inputs[line.name] = made
        return made

    def pwm_output(self, address: PwmAddress, *, software: bool = False) -> ReplayPwm:
        """Return a closed output for pulses."""
        return ReplayPwm(address.name, self._tape, bool(address.controller))

    def i2c_bus(self, bus: BusAddress) -> ReplayI2C:
        """Return the bus; the same object for every device on it."""
        if bus.name not in self._buses:
            self._buses[bus.name] = ReplayI2C(bus.name, self._tape)
        return self._buses[bus.name]

    def serial_port(self, port: PortAddress) -> ReplaySerial:
        """Return a closed port."""
        return ReplaySerial(port.name, self._tape)

    def spi_device(self, address: SpiAddress) -> ReplaySpi:
        """Return a closed chip select."""
        return ReplaySpi(address.name, self._tape)

    def onewire_bus(self, bus: OneWireAddress) -> ReplayOneWire:
        """Return the bus; the same object for every device on it."""
        if bus.name not in self._onewires:
            self._onewires[bus.name] = ReplayOneWire(bus.name, self._tape)
        return self._onewires[bus.name]

    def close(self) -> None:
        """Do nothing: a record needs no closing."""
