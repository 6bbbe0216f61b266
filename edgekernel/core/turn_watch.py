"""Turn watch: lets the watchdog see a handler or effect that never comes back (promise P7)."""

from __future__ import annotations

import math
from collections.abc import Callable

from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.turns import TurnQueue


class TurnWatch:
    """The turns of a queue, as steps for the watchdog (`Watched`).

    It looks from when one waits behind another until it next finds that none runs: a queue for
    which nobody has waited wakes nobody. What the `problem` is can be asked at any time.
    """

    def __init__(
        self,
        turns: TurnQueue,
        limit_s: float,
        look: Callable[[], object],
        tell: Callable[[str, float], object],
    ) -> None:
        """Let a turn take `limit_s` seconds; `math.inf` is no limit.

        `look` lets the watchdog look. `tell` hears which turn hangs, and for how many seconds; it
        must not wait for turns.
        """
        self._turns = turns
        self._limit_ns = None if limit_s == math.inf else int(limit_s * NANOSECONDS)
        self._look = look
        self._tell = tell
        turns.when_one_waits = look

    @property
    def begun_ns(self) -> int | None:
        """When the turn that runs now began; None while none does."""
        return self._turns.begun_ns

    @property
    def limit_ns(self) -> int | None:
        """How long it may take; None while nobody waits for it."""
        turns = self._turns
        if turns.when_one_waits is None and turns.begun_ns is None:
            turns.when_one_waits = self._look
        return None if turns.when_one_waits is not None else self._limit_ns

    def mark_hung(self, hung: bool) -> None:
        """Let the watchdog look when the turn has ended."""
        self._turns.when_slow = self._look if hung else None

    def hangs(self, seconds: float) -> None:
        """Tell which turn keeps all others waiting."""
        self._tell(self._what(), seconds)

    def recovered(self, seconds: float) -> None:
        """Nothing: the queue itself reports a slow turn when it has ended."""

    def problem(self) -> str:
        """Say which turn has taken longer than it may; "" if none has."""
        turns = self._turns
        begun_ns = turns.begun_ns
        if begun_ns is None or self._limit_ns is None:
            return ""
        took_ns = turns.clock.monotonic_ns() - begun_ns
        if took_ns < self._limit_ns:
            return ""
        return f"{self._what()} keeps all turns waiting for {took_ns / NANOSECONDS:.1f} s"

    def _what(self) -> str:
        turn = self._turns.running
        if turn is None:
            return "the dispatcher"
        return f"{turn.running} ({turn.label})" if turn.running else turn.label
