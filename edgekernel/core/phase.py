"""Phase: where a runtime is in its life."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """Where a runtime is in its life. It goes through them in this order and may skip some."""

    CREATED = "created"
    BOOTING = "booting"
    RUNNING = "running"
    DRAINING = "draining"
    STOPPING = "stopping"
    STOPPED = "stopped"

    @property
    def booted(self) -> bool:
        """Whether everything is at work."""
        return self in (Phase.RUNNING, Phase.DRAINING)

    @property
    def ending(self) -> bool:
        """Whether the runtime is on its way out, or gone."""
        return self in (Phase.STOPPING, Phase.STOPPED)
