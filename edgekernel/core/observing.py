"""Who hears of what goes wrong in a turn queue, and in which words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from edgekernel.core.turn import Cause, Turn


class TurnObserver(Protocol):
    """Who is told of what goes wrong in a queue. Called with no lock held."""

    def turn_failed(self, label: str, error: BaseException) -> None: ...
    def turn_was_slow(self, label: str, seconds: float) -> None: ...
    def feedback_cut(self, members: Sequence[str], cut: str) -> None: ...
    def turns_dropped(self, dropped: int) -> None: ...


class PrintingObserver:
    """Reports through `logging`: for queues that belong to no runtime."""

    def turn_failed(self, label: str, error: BaseException) -> None:
        """Log the error with its traceback."""
        self._log().error("%s failed", label, exc_info=error)

    def turn_was_slow(self, label: str, seconds: float) -> None:
        """Log the duration."""
        self._log().warning("%s took %.3f s", label, seconds)

    def feedback_cut(self, members: Sequence[str], cut: str) -> None:
        """Log the members of the loop."""
        self._log().error("feedback loop cut at %s: %s", cut, " -> ".join(members))

    def turns_dropped(self, dropped: int) -> None:
        """Log how many."""
        self._log().error("the turn queue is full: %d turns dropped so far", dropped)

    @staticmethod
    def _log() -> Any:
        import logging  # costs 12 ms: only where something has gone wrong

        return logging.getLogger("edgekernel")


def members(turn: Turn, cause: Cause | None) -> list[str]:
    """Name the turns of the loop that ends in `turn`, in the order in which they cause."""
    names: list[str] = []
    while True:
        earlier, via, _, before = cause or (None, "", 0, None)
        name = f"{turn.label} (by {via})" if via else turn.label
        if name in names:
            break
        names.append(name)
        if earlier is None:
            break
        turn, cause = earlier, before
    names.reverse()
    return names
