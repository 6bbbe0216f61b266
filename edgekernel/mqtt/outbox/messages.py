"""What the outbox says about itself."""

from __future__ import annotations

from edgekernel.core.messages import Message, Severity

__all__ = [
    "OutboxDropped",
    "OutboxFailed",
    "OutboxRecovered",
    "OutboxRefused",
    "OutboxSetAside",
    "OutboxUnsent",
]


class OutboxDropped(Message):
    """So many messages were not delivered, for one cause. Told of each cause at once, and while it
    goes on after a minute, then after pauses twice as long each, up to an hour.

    The causes are those of `edgekernel.mqtt.outbox.drops`.
    """

    severity = Severity.WARNING
    dropped: int
    cause: str


class OutboxFailed(Message):
    """The outbox cannot be written; messages wait in memory. Told once per spell."""

    severity = Severity.ERROR
    file: str
    error: str


class OutboxRecovered(Message):
    """The outbox is written again."""

    file: str


class OutboxRefused(Message):
    """The link or the broker does not take a message of this topic; it is not sent again.

    Told once for each of at most 50 topics; `OutboxDropped` counts them all.
    """

    severity = Severity.WARNING
    topic: str
    error: str


class OutboxSetAside(Message):
    """The file could not be used and has another name now; `lost` messages in it are known of."""

    severity = Severity.ERROR
    file: str
    kept_as: str
    reason: str
    lost: int


class OutboxUnsent(Message):
    """The link has failed to take a message; told once per spell and tried again each second."""

    severity = Severity.WARNING
    topic: str
    error: str
