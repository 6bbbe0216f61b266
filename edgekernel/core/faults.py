"""What goes wrong where nobody waits for it: kept for inspection and told as messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edgekernel.core import message
from edgekernel.core.errors import BadReadingError, describe
from edgekernel.core.messages import Event, Message, Severity
from edgekernel.core.record import dataclass
from edgekernel.core.routes import Rank, Route

if TYPE_CHECKING:
    from edgekernel.core.runtime import Runtime

_KEPT = 200


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """A failure that was kept: when (UTC nanoseconds), where, what, and the traceback."""

    time_ns: int
    where: str
    error: str
    traceback: str


class Faults:
    """Keeps a runtime's failures and tells of them; the observer of its turn queue."""

    def __init__(self, runtime: Runtime) -> None:
        """Begin with none."""
        self._runtime = runtime
        self.kept: deque[ErrorRecord] = deque(maxlen=_KEPT)
        """The latest failures."""
        self.count = 0
        """How many there were in all."""
        self.held_back = 0
        """Refusals that were meant: an effect wanted an output that is held safe."""
        self._waiting: dict[str, tuple[str, int]] = {}  # of effects: for which reading and spell

    def handler_failed(self, route: Route, event: Event, error: BaseException) -> None:
        """Report a handler that raised, unless it was handling an error already: that is kept."""
        if route.holder is not None:
            route.holder.let_go(route.label, self.turn_failed)
        text, trace = describe(error)
        self._keep(f"{route.label} handling {event.payload.name}", text, trace)
        if event.payload.severity >= Severity.ERROR:
            self._log(route.label, error)
            return
        kinds: dict[Rank, Callable[[str, str, str, str], Message]] = {
            Rank.RECORDER: message.EventSubscriberError,
            Rank.PROCESS: message.ProcessError,
            Rank.INTERFACE: message.InterfaceError,
            Rank.SERVICE: message.ServiceError,
            Rank.SUBSCRIBER: message.EventSubscriberError,
        }
        self._runtime.emit(kinds[route.rank](route.owner, event.payload.name, text, trace))
        self._runtime.fault(route.owner, error)

    def turn_failed(self, label: str, error: BaseException) -> None:
        """Report an effect, or something else that nobody waits for, that raised."""
        if self._runtime.held_safe(error):
            self.held_back += 1
            return
        is_effect = label.startswith("effect ")
        if is_effect and isinstance(error, BadReadingError):
            self._effect_waits(label, error)
            return
        text, trace = describe(error)
        self._keep(label, text, trace)
        failed = message.EffectError if is_effect else message.BackgroundError
        self._runtime.emit(failed(label, text, trace))

    def _effect_waits(self, label: str, error: BadReadingError) -> None:
        """Tell, once per spell, that an effect waits for a reading: not a mistake in it.

        Before the first value of a reading there is nothing to tell.
        """
        spell = (error.reading, error.spell)
        if self._waiting.get(label) == spell:
            return
        if len(self._waiting) >= _KEPT:  # of effects that are gone too
            self._waiting.clear()
        self._waiting[label] = spell
        if error.spell:
            self._runtime.emit(message.EffectWaiting(label, error.reading, error.reason))

    def turn_was_slow(self, label: str, seconds: float) -> None:
        """Report a turn that kept others waiting."""
        if not label.endswith(f"({message.SlowTurn.name})"):  # a slow handler of the report
            self._runtime.emit(message.SlowTurn(label, seconds))

    def turn_hangs(self, label: str, seconds: float) -> None:
        """Log a turn that does not end: whatever would be emitted now would wait behind it."""
        import logging  # costs 12 ms: only where something has gone wrong

        text = f"keeps all handlers and effects waiting for {seconds:.1f} s, and goes on"
        self._keep(label, text, "")
        logging.getLogger("edgekernel").error("%s %s", label, text)

    def feedback_cut(self, members: Sequence[str], cut: str) -> None:
        """Report a feedback loop, from outside of it."""
        self._keep("feedback loop", " -> ".join(members), "")
        self._runtime.turns.submit_apart(
            self._runtime.event(message.FeedbackLoop(tuple(members), cut))
        )

    def turns_dropped(self, dropped: int) -> None:
        """Report that the turn queue is full, once per spell."""
        self._keep("turn queue", f"full: {dropped} turns dropped so far", "")
        self._runtime.turns.submit_apart(self._runtime.event(message.TurnsDropped(dropped)))

    def _keep(self, where: str, text: str, trace: str) -> None:
        self.count += 1
        self.kept.append(ErrorRecord(self._runtime.clock.time_ns(), where, text, trace))

    @staticmethod
    def _log(where: str, error: BaseException) -> None:
        import logging  # costs 12 ms: only where something has gone wrong

        logging.getLogger("edgekernel").error(
            "%s failed while handling an error", where, exc_info=error
        )
