"""The layer between the drivers and the board in which a drill happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from edgekernel.backends.backend import Backend
from edgekernel.backends.observed import ObservedBackend
from edgekernel.core.clock import Clock
from edgekernel.hal.address import LineAddress
from edgekernel.hal.gpio import DigitalInput, Edge, Pull

R = TypeVar("R")
End = Callable[[], object]
Make = Callable[[], Any]

_TALK = {"read", "write", "write_read", "transfer", "read_block", "write_block", "measure"}
_HEAR = {"read", "read_available", "read_until", "read_frame"}


class Disturbance:
    """What a drill does to some calls at the boundaries; `make` carries out the call itself."""

    def meets(self, kind: str, name: str, op: str, args: tuple[Any, ...]) -> bool:
        """Say whether a call is one of those."""
        raise NotImplementedError

    def carry_out(self, make: Make) -> Any:
        """Make the call, or not; raise what the board would raise."""
        raise NotImplementedError


class DrillBackend(ObservedBackend):
    """A Backend around another one, in which disturbances and held inputs are put for a while.

    What protects a bus is below it and sees nothing of a drill.
    """

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self.clock = clock
        """What the disturbances wait on."""
        self._calls = _Disturbed()
        self._inputs: dict[str, HeldInput] = {}
        super().__init__(backend, self._calls)

    def digital_input(self, line: LineAddress) -> HeldInput:
        """Return a closed input on a line."""
        self._inputs[line.name] = HeldInput(self._backend.digital_input(line), self.clock)
        return self._inputs[line.name]

    def input(self, name: str) -> HeldInput | None:
        """Return an input that was made, by the name of its line."""
        return self._inputs.get(name)

    def disturb(self, disturbance: Disturbance) -> End:
        """Put a disturbance before the calls; return what ends it."""
        return self._calls.add(disturbance)


class _Disturbed:
    """The observer that lets disturbances carry out the calls they meet; the last is outermost."""

    def __init__(self) -> None:
        self._all: tuple[Disturbance, ...] = ()

    def add(self, disturbance: Disturbance) -> End:
        self._all = (*self._all, disturbance)

        def end() -> None:
            self._all = tuple(each for each in self._all if each is not disturbance)

        return end

    def call(
        self,
        kind: str,
        name: str,
        op: str,
        args: tuple[Any, ...],
        options: Mapping[str, Any],
        make: Callable[[], R],
    ) -> R:
        """Make the call, disturbed if it is to be."""
        carry_out: Make = make
        for each in self._all:
            if each.meets(kind, name, op, args):
                carry_out = partial(each.carry_out, carry_out)
        result: R = carry_out()
        return result

    def edge(self, line: str, edge: Edge) -> None:
        """Let it pass: inputs are held, not disturbed."""


class HeldInput:
    """A DigitalInput that can be held at a level, whatever the line does."""

    def __init__(self, inner: DigitalInput, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock
        self._held: bool | None = None
        self._on_edge: Callable[[Edge], None] | None = None

    @property
    def name(self) -> str:
        """The line as people know it."""
        return self._inner.name

    def open(
        self,
        pull: Pull,
        on_edge: Callable[[Edge], None] | None = None,
        *,
        settle_s: float = 0.0,
    ) -> None:
        """Claim the line as an input with a pull resistor."""
        self._on_edge = on_edge
        told = None if on_edge is None else self._edge
        self._inner.open(pull, told, settle_s=settle_s)

    def read(self) -> bool:
        """Return the level, or the one that it is held at."""
        return self._inner.read() if self._held is None else self._held

    def close(self) -> None:
        """Stop watching and give the line back."""
        self._on_edge = None
        self._inner.close()

    def hold(self, level: bool | None) -> None:
        """Hold it at a level, or let go; who waits for edges is told of what changes by that."""
        before = self.read() if self._on_edge is not None else None
        self._held = level
        on_edge = self._on_edge
        if on_edge is not None and self.read() != before:
            on_edge(Edge(self.read(), self._clock.monotonic_ns()))

    def _edge(self, edge: Edge) -> None:
        on_edge = self._on_edge
        if self._held is None and on_edge is not None:
            on_edge(edge)


class OnBus(Disturbance):
    """Of transactions with an address of an I²C or 1-Wire bus, or with all of them."""

    def __init__(
        self,
        bus: str,
        address: object = None,
        *,
        nth: int = 1,
        count: int | None = None,
        do: Callable[[Make, str], Any],
    ) -> None:
        """Let `do` carry out `count` transactions, from the `nth` on; it is given the place."""
        self._bus, self._address = bus, address
        self._skip, self._left = nth - 1, count
        self._do = do
        at = "" if address is None else f", {address:#04x}" if isinstance(address, int) else ""
        self._place = f"{bus}{at} (a drill)"

    def meets(self, kind: str, name: str, op: str, args: tuple[Any, ...]) -> bool:
        """Say whether it is such a transaction, and count it."""
        if kind not in ("i2c", "onewire") or name != self._bus or op not in _TALK:
            return False
        if (self._address is not None and args[0] != self._address) or self._left == 0:
            return False
        if self._skip:
            self._skip -= 1
            return False
        self._left = None if self._left is None else self._left - 1
        return True

    def carry_out(self, make: Make) -> Any:
        """Do what there is to do."""
        return self._do(make, self._place)


class OnPort(Disturbance):
    """Of what is done with a serial port; `hearing` is of what comes from it only."""

    def __init__(self, port: str, do: Callable[[Make, str], Any], *, hearing: bool) -> None:
        self._port, self._do, self._hearing = port, do, hearing

    def meets(self, kind: str, name: str, op: str, args: tuple[Any, ...]) -> bool:
        """Say whether it is such a call."""
        wanted = op in _HEAR or (not self._hearing and op in ("open", "write", "flush"))
        return kind == "serial" and name == self._port and wanted

    def carry_out(self, make: Make) -> Any:
        """Do what there is to do."""
        return self._do(make, f"{self._port} (a drill)")
