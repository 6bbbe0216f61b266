"""What the broker does not take: counted, and told once for each topic."""

from __future__ import annotations

from edgekernel.mqtt import link_problems as problems

MOST = 50
"""Topics that are told of; whoever may write nowhere learns it from the first ones."""


class Refusals:
    """Remembers which refused topics were told. Its owner's lock protects it."""

    def __init__(self) -> None:
        self.count = 0
        """Messages that were refused."""
        self._topics: set[str] = set()

    def to_tell(self, broker: str, topic: str, reason: str) -> str:
        """Count a message that a broker has refused; return what is to be told, if anything."""
        self.count += 1
        if topic in self._topics or len(self._topics) > MOST:
            return ""
        self._topics.add(topic)
        if len(self._topics) > MOST:
            return problems.unpublished_more(broker, MOST)
        return problems.unpublished(broker, topic, reason)
