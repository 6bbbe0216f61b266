"""The outbox: messages that reach the broker whatever happens to link, agent and power."""

from edgekernel.mqtt.outbox.drops import CAUSES
from edgekernel.mqtt.outbox.link import Link
from edgekernel.mqtt.outbox.messages import (
    OutboxDropped,
    OutboxFailed,
    OutboxRecovered,
    OutboxRefused,
    OutboxSetAside,
    OutboxUnsent,
)
from edgekernel.mqtt.outbox.outbox import Outbox
from edgekernel.node.outbox_table import OutboxTable, TopicRule

__all__ = [
    "CAUSES",
    "Link",
    "Outbox",
    "OutboxDropped",
    "OutboxFailed",
    "OutboxRecovered",
    "OutboxRefused",
    "OutboxSetAside",
    "OutboxTable",
    "OutboxUnsent",
    "TopicRule",
]
