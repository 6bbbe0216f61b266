"""What the dialect Homie says on the node."""

from __future__ import annotations

from edgekernel.core.messages import Message


class HomieBroadcast(Message):
    """Somebody has told all Homie devices something, on `$broadcast/<topic>`."""

    topic: str
    text: str
