"""The lines of an I/O expander: who has them, what they are driven to, and what changes.

The same for every chip; what a chip can do is an `ExpanderPort`. Masks have bit n for line n.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from edgekernel import Device, InvalidValueError
from edgekernel.hal import BusyError, ClosedError, DigitalInput, Edge, Pull
from edgekernel_devices._settling import Settling

_log = logging.getLogger(__name__)

_LONGEST_SETTLE_S = 10.0
OnEdge = Callable[[Edge], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """What all lines of a chip are set to."""

    latch: int = 0
    """The levels of the outputs."""
    outputs: int = 0
    pull_ups: int = 0
    watched: int = 0
    """The inputs whose changes interrupt."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at the chip found."""

    levels: int
    changed: int = 0
    """The inputs that have interrupted since the last look, as far as the chip tells."""
    captured: int = 0
    """The levels when they did."""


class ExpanderPort(Protocol):
    """A chip's side of its lines. Each call raises OSError if the chip does not answer."""

    where: str
    chip: str
    """What the chip is called."""
    pull_advice: str
    """What to do without the pull-down resistors that it has not."""
    loss: str
    """What has happened when `look` returns None."""

    def set_up(self, wanted: Settings, claimed: int) -> Settings:
        """Set the chip, levels before directions, and return what it is set to now.

        The lines that are not `claimed` stay as the chip has them.
        """
        ...

    def drive(self, settings: Settings, line: int) -> None:
        """Bring the level of one output to the chip, in one transaction."""
        ...

    def look(self, settings: Settings) -> Seen | None:
        """Read the levels, which ends the interrupt; None if the settings are not the chip's."""
        ...


@dataclass(slots=True, eq=False)
class Claim:
    """One use of a line, from its opening on."""

    line: int
    name: str
    opened_with: bool = False
    closed: bool = False
    settling: Settling | None = None
    on_edge: OnEdge | None = None

    def check(self) -> None:
        """Raise ClosedError if it is over."""
        if self.closed:
            raise ClosedError(f"{self.name} is not open")


class ExpanderLines:
    """All lines of one chip. Its device calls `open`, `poll` and `close`.

    A chip that was away or lost its settings is set up anew before anything else is asked of it:
    claimed outputs get their levels back. If the last write to one has failed, nobody can say
    which level it should have: then it gets the one that it was opened with.

    Changes are told by `poll`, whoever finds them, so one at a time.
    """

    def __init__(
        self,
        device: Device,
        names: tuple[str, ...],
        port: ExpanderPort,
        interrupt: DigitalInput | None,
    ) -> None:
        self._device = device
        self._names = names
        self._port = port
        self._interrupt = interrupt
        self._lock = device.clock.Lock()  # around chip and variables, never around `on_edge`
        self._asking = device.clock.Lock()  # around `_look_now` and what it asks for
        self._open = False
        self._claims: dict[int, Claim] = {}
        self._settings = Settings()
        self._ready = False  # the chip has these settings, as far as we know
        self._untold: list[tuple[Claim, Edge]] = []
        self._complaint = ""
        self._look_now = False
        self._interrupted_ns: int | None = None

    def output(self, name: str) -> "ExpanderOutput":
        """Return a closed output. Raises InvalidValueError for a line that is not there."""
        return ExpanderOutput(self, self._number(name), f"{self._device.id}:{name}")

    def input(self, name: str) -> "ExpanderInput":
        """Return a closed input. Raises InvalidValueError for a line that is not there."""
        return ExpanderInput(self, self._number(name), f"{self._device.id}:{name}")

    def open(self) -> None:
        """Find the chip, with every line as it is, and listen to its interrupt line."""
        self._lock, self._asking = self._device.clock.Lock(), self._device.clock.Lock()
        self._untold.clear()
        self._settings, self._ready, self._complaint = Settings(), False, ""
        with self._lock:
            self._see()
            self._open = True
        if self._interrupt is not None:
            self._interrupt.open(Pull.UP, self._hear)

    def close(self) -> None:
        """Leave the chip as it is, and the interrupt line to others; every claim is over."""
        self._open = False
        claims, self._claims = self._claims, {}  # without the lock: a bus that hangs may have it
        for claim in claims.values():
            claim.closed = True
        if self._interrupt is not None:
            self._interrupt.close()

    def poll(self) -> None:
        """Look at the chip and tell what has changed.

        Raises OSError if the chip does not answer, or has lost its settings meanwhile.
        """
        self._look_now = False
        with self._lock:
            self._see()
            untold, self._untold = self._untold, []
            complaint, self._complaint = self._complaint, ""
        for claim, edge in untold:
            self._tell(claim, edge)
        with self._lock:
            self._plan()
        if complaint:
            raise OSError(complaint)

    def renew(self) -> None:
        """Set the chip up anew with the next look."""
        self._ready = False

    def claim_output(self, line: int, name: str, level: bool | None) -> Claim:
        """Make a line an output at a level; None keeps the one that it has."""
        with self._lock:
            self._check_free(line, name)
            if level is None:
                level = bool(self._see().levels >> line & 1)
            claim = Claim(line, name, opened_with=level)
            self._take(claim, _as_output(self._settings, line, level))
            return claim

    def claim_input(
        self, line: int, name: str, pull: Pull, on_edge: OnEdge | None, settle_s: float
    ) -> Claim:
        """Make a line an input whose changes are told."""
        if pull is Pull.DOWN:
            raise InvalidValueError(
                f"{name}: the {self._port.chip} has no pull-down resistors; "
                f"{self._port.pull_advice}"
            )
        if not 0 <= settle_s <= _LONGEST_SETTLE_S:
            raise InvalidValueError(
                f"{name}: a settle time of {settle_s} s; it is from 0 to {_LONGEST_SETTLE_S:g} s"
            )
        with self._lock:
            self._check_free(line, name)
            claim = Claim(line, name, on_edge=on_edge)
            self._take(claim, _as_input(self._settings, line, pull is Pull.UP))
            at_ns = self._device.clock.monotonic_ns()
            try:
                level = bool(self._see().levels >> line & 1)
            except BaseException:
                del self._claims[line]
                raise
            claim.settling = Settling(level, at_ns, round(settle_s * 1e9))
            return claim

    def drive(self, claim: Claim, level: bool) -> None:
        """Drive an output that was claimed."""
        with self._lock:
            claim.check()
            self._settings = _with_level(self._settings, claim.line, level)
            try:
                if not self._ready:
                    self._set_up()
                self._port.drive(self._settings, claim.line)
            except BaseException:
                self._ready = False
                self._settings = _with_level(self._settings, claim.line, claim.opened_with)
                raise

    def level(self, claim: Claim) -> bool:
        """Return the level of a claimed line; of an input with a settle time the settled one."""
        with self._lock:
            claim.check()
            levels = self._see().levels
            if self._untold or self._complaint or self._due_ns() is not None:
                self._ask_now()  # a poll tells, and plans the next one
            if claim.settling is not None:
                return claim.settling.level
            return bool(levels >> claim.line & 1)

    def release(self, claim: Claim) -> None:
        """Give a line back as it is; an input interrupts no more, from the next look on."""
        with self._lock:
            if claim.closed:
                return
            claim.closed = True
            self._claims.pop(claim.line, None)
            if claim.settling is not None:
                watched = self._settings.watched & ~(1 << claim.line)
                self._settings = replace(self._settings, watched=watched)
                self._ready = False

    def _number(self, name: str) -> int:
        if name not in self._names:
            raise InvalidValueError(
                f"{self._device.id}: no line {name!r}: the {self._port.chip} has "
                f"{', '.join(self._names)}"
            )
        return self._names.index(name)

    def _check_free(self, line: int, name: str) -> None:
        if not self._open:
            raise ClosedError(f"{name}: {self._device.id} is not attached, so its lines are closed")
        if line in self._claims:
            raise BusyError(f"{name}: somebody else has the line: close it there first")

    def _take(self, claim: Claim, settings: Settings) -> None:
        before, self._settings = self._settings, settings
        self._claims[claim.line] = claim
        try:
            self._set_up()
        except BaseException:
            self._settings, self._ready = before, False
            del self._claims[claim.line]
            raise

    def _set_up(self) -> None:
        claimed = sum(1 << line for line in self._claims)
        self._settings = self._port.set_up(self._settings, claimed)
        self._ready = True

    def _see(self) -> Seen:
        """Look at the chip, after setting it up if need be, and note what has changed."""
        since_ns, self._interrupted_ns = self._interrupted_ns, None
        now_ns = self._device.clock.monotonic_ns()  # before the look: the levels are of then on
        try:
            seen = self._look()
        except BaseException:
            self._ready = False
            raise
        for claim in self._claims.values():
            if claim.settling is not None:
                self._note(claim, claim.settling, seen, (since_ns or now_ns, now_ns))
        return seen

    def _look(self) -> Seen:
        if not self._ready:
            self._set_up()
        seen = self._port.look(self._settings)
        if seen is None:
            self._complaint = f"{self._port.where}: {self._port.loss}"
            self._set_up()
            seen = self._port.look(self._settings)
        if seen is None:
            raise OSError(
                f"{self._port.where}: the chip does not keep its settings: check that it is a "
                f"{self._port.chip}, and its supply"
            )
        return seen

    def _note(self, claim: Claim, settling: Settling, seen: Seen, times: tuple[int, int]) -> None:
        line, (interrupted_ns, now_ns) = claim.line, times
        edges: list[Edge | None] = []
        if seen.changed >> line & 1:  # told even if it is over again
            captured = bool(seen.captured >> line & 1)
            edges.append(settling.see(captured, interrupted_ns, interrupted_ns))
        edges.append(settling.see(bool(seen.levels >> line & 1), now_ns, now_ns))
        self._untold += [(claim, edge) for edge in edges if edge is not None]

    def _hear(self, edge: Edge) -> None:
        """Take an edge of the interrupt line, which is active low."""
        if not edge.level:
            self._interrupted_ns = self._interrupted_ns or edge.monotonic_ns
            self._ask_now()

    def _ask_now(self) -> None:
        with self._asking:
            self._look_now = True
            self._device.poll_at(0)

    def _plan(self) -> None:
        """Ask for the poll in which something settles; one that was asked for meanwhile stays."""
        due_ns = self._due_ns()
        with self._asking:
            if due_ns is not None and not self._look_now:
                self._device.poll_at(due_ns)

    def _due_ns(self) -> int | None:
        settling = [each.settling for each in self._claims.values() if each.settling is not None]
        return min((each.due_ns for each in settling if each.due_ns is not None), default=None)

    def _tell(self, claim: Claim, edge: Edge) -> None:
        if claim.on_edge is None or claim.closed:
            return
        try:
            claim.on_edge(edge)
        except Exception:
            # Raised further, it would say that the chip has failed.
            _log.exception("%s: what was called for an edge raised", claim.name)


class _ExpanderLine:
    """A line, open while it has a claim."""

    def __init__(self, lines: ExpanderLines, line: int, name: str) -> None:
        self._lines = lines
        self._line = line
        self._name = name
        self._claim: Claim | None = None

    @property
    def name(self) -> str:
        """The line as people know it, such as "io:GPA3"."""
        return self._name

    def read(self) -> bool:
        """Return the level that the line really has; of an input with a settle time the settled
        one. Raises ClosedError before `open` and after `close`."""
        return self._lines.level(self._opened())

    def close(self) -> None:
        """Give the line back as it is. Closing twice is harmless."""
        claim, self._claim = self._claim, None
        if claim is not None:
            self._lines.release(claim)

    def _opened(self) -> Claim:
        if self._claim is None:
            raise ClosedError(f"{self._name} is not open")
        return self._claim


class ExpanderOutput(_ExpanderLine):
    """A DigitalOutput on a line of an expander."""

    def open(self, level: bool | None) -> None:
        """Claim the line and drive `level`, which is set before the direction.

        None keeps the level that the line has. Raises BusyError if somebody else has it,
        ClosedError while the expander is not attached, OSError if the chip does not answer.
        """
        self._claim = self._lines.claim_output(self._line, self._name, level)

    def write(self, level: bool) -> None:
        """Drive `level`. Raises ClosedError before `open` and after `close`."""
        self._lines.drive(self._opened(), level)


class ExpanderInput(_ExpanderLine):
    """A DigitalInput on a line of an expander. Its edges come from polls of the expander."""

    def open(self, pull: Pull, on_edge: OnEdge | None = None, *, settle_s: float = 0.0) -> None:
        """Claim the line as an input; tell the changes that last `settle_s` (0 to 10 seconds).

        What happens between two looks at the chip is not seen, but for the first change after
        each if the chip captures it. Raises InvalidValueError for a pull-down resistor, BusyError
        if somebody else has the line, ClosedError while the expander is not attached, OSError if
        the chip does not answer.
        """
        self._claim = self._lines.claim_input(self._line, self._name, pull, on_edge, settle_s)


def _with_level(settings: Settings, line: int, level: bool) -> Settings:
    return replace(settings, latch=settings.latch & ~(1 << line) | level << line)


def _as_output(settings: Settings, line: int, level: bool) -> Settings:
    bit = 1 << line
    return replace(
        _with_level(settings, line, level),
        outputs=settings.outputs | bit,
        pull_ups=settings.pull_ups & ~bit,
        watched=settings.watched & ~bit,
    )


def _as_input(settings: Settings, line: int, pull_up: bool) -> Settings:
    bit = 1 << line
    return replace(
        settings,
        outputs=settings.outputs & ~bit,
        pull_ups=settings.pull_ups & ~bit | pull_up << line,
        watched=settings.watched | bit,
    )
