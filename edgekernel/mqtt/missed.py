"""What was not told because its turn was dropped by a full queue: it is told later."""

from __future__ import annotations

from collections.abc import Callable

from edgekernel.core.turns import TurnQueue
from edgekernel.mqtt.admitted_turn import AdmittedTurn


class Missed:
    """Has everything looked at once more when turns were dropped: nobody knows whose they were."""

    def __init__(self, turns: TurnQueue, refresh: Callable[[], object]) -> None:
        """Prepare; `refresh` is called in a turn."""
        self._turns = turns
        self._refresh = refresh
        self._dropped = turns.dropped_turns

    def look(self) -> None:
        """Do so if turns were dropped since the last look; called from any thread."""
        dropped = self._turns.dropped_turns
        if dropped != self._dropped:
            self._dropped = dropped
            self._turns.submit_elsewhere(AdmittedTurn(self._refresh, "mqtt: what was missed"))
