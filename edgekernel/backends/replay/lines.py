"""Lines as the record has them: edges are told by whoever plays it, levels are looked up."""

from __future__ import annotations

from collections.abc import Callable

from edgekernel.backends.recording import Transaction
from edgekernel.backends.replay.tape import Tape, outcome
from edgekernel.backends.replay.track import Latest
from edgekernel.hal.gpio import Edge, Pull


class ReplayOutput:
    """A DigitalOutput whose pin obeys where it obeyed then, and else is at the level it had."""

    def __init__(self, name: str, tape: Tape) -> None:
        self._name, self._tape = name, tape
        self._level = False
        self._driven: dict[int, bool] = {}
        self._levels = Latest()
        level = False
        for call in tape.of("output", name):
            if call.op in ("open", "write") and call.error is None and _level(call) is not None:
                level = bool(_level(call))
                self._levels.add(call)
            self._driven[id(call)] = level

    @property
    def name(self) -> str:
        """The line as people know it."""
        return self._name

    def open(self, level: bool | None) -> None:
        """Claim the line and drive `level`, or keep the one that it had then."""
        self._tape.ask("output", self._name, "open", (level,), {})
        if level is None:
            kept = self._levels.at(self._tape.clock.monotonic_ns())
            level = self._level if kept is None else bool(_level(kept))
        self._level = level

    def write(self, level: bool) -> None:
        """Drive `level`."""
        self._tape.ask("output", self._name, "write", (level,), {})
        self._level = level

    def read(self) -> bool:
        """Return the level that the pin has."""
        found = self._tape.call_for("output", self._name, "read")
        if found is None:
            return self._level
        level = bool(outcome(found[0]))
        obeyed = level == self._driven[id(found[0])]
        return self._level if obeyed else level

    def close(self) -> None:
        """Give the line back."""


class ReplayInput:
    """A DigitalInput that has the levels and edges of the record."""

    def __init__(self, name: str, tape: Tape, edges: list[Edge]) -> None:
        self._name, self._tape = name, tape
        self._before = not edges[0].level if edges else None
        self._level: bool | None = None
        self._on_edge: Callable[[Edge], None] | None = None
        self._pull = Pull.NONE

    @property
    def name(self) -> str:
        """The line as people know it."""
        return self._name

    def open(
        self,
        pull: Pull,
        on_edge: Callable[[Edge], None] | None = None,
        *,
        settle_s: float = 0.0,
    ) -> None:
        """Claim the line; edges are told as they were told then."""
        self._tape.ask("input", self._name, "open", (pull.value, on_edge is not None), {})
        self._pull, self._on_edge = pull, on_edge

    def read(self) -> bool:
        """Return the level; if nobody read it then, that of the latest edge, or of the pull."""
        found = self._tape.call_for("input", self._name, "read")
        if found is not None and (found[1] or self._level is None):
            self._level = bool(outcome(found[0]))
        if self._level is not None:
            return self._level
        return self._pull is Pull.UP if self._before is None else self._before

    def tell(self, edge: Edge) -> None:
        """Tell an edge whose time has come."""
        self._level = edge.level
        if self._on_edge is not None:
            self._on_edge(edge)

    def close(self) -> None:
        """Give the line back; edges are told no more."""
        self._on_edge = None


class ReplayPwm:
    """A PwmOutput."""

    def __init__(self, name: str, tape: Tape, hardware: bool) -> None:
        self._name, self._tape = name, tape
        self.hardware = hardware

    @property
    def name(self) -> str:
        """The line as people know it."""
        return self._name

    def open(self, frequency_hz: float, duty: float) -> None:
        """Claim the line."""
        self._tape.ask("pwm", self._name, "open", (frequency_hz, duty), {})

    def write(self, duty: float) -> None:
        """Change the share that is high."""
        self._tape.ask("pwm", self._name, "write", (duty,), {})

    def close(self) -> None:
        """Give the line back."""


def _level(call: Transaction) -> bool | None:
    level: bool | None = call.args[0] if call.args else None
    return level
