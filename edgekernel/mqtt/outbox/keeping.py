"""What is kept of a topic while the broker is away."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from edgekernel.node.outbox_table import TopicRule

_REMEMBERED = 4096
ALL = sys.maxsize


@dataclass(frozen=True, slots=True)
class Keeping:
    """How many of the latest messages of a topic are kept, `ALL` or none of them."""

    count: int
    cause: str = ""
    """Why the others go."""

    @property
    def limited(self) -> bool:
        """Whether there is a number of messages that is kept of each topic."""
        return 0 < self.count < ALL


_KEEP = {
    "all": Keeping(ALL),
    "latest": Keeping(1, "superseded"),
    "none": Keeping(0, "not kept"),
}


class Rules:
    """Finds what is kept of a topic: by the first rule that matches, otherwise everything."""

    def __init__(self, rules: Sequence[TopicRule], base: str = "") -> None:
        """Take rules whose filters are below `base`, a topic without a slash at its end."""
        begin = f"{base}/" if base else ""
        self._rules = [((begin + rule.filter).split("/"), _keeping(rule)) for rule in rules]
        self._found: dict[str, Keeping] = {}

    def of(self, topic: str) -> Keeping:
        """Return what is kept of a topic."""
        found = self._found.get(topic)
        if found is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            found = self._found[topic] = self._find(topic.split("/"))
        return found

    def _find(self, levels: list[str]) -> Keeping:
        for filter, keeping in self._rules:
            if matches(filter, levels):
                return keeping
        return _KEEP["all"]


def matches(filter: list[str], levels: list[str]) -> bool:
    """Say whether a topic matches a filter, both split at their slashes (MQTT 3.1.1, 4.7).

    A filter that begins with a wildcard does not match topics that begin with "$".
    """
    if levels[0].startswith("$") and filter[0] in ("+", "#"):
        return False
    for number, wanted in enumerate(filter):
        if wanted == "#":
            return True
        if number >= len(levels) or wanted not in ("+", levels[number]):
            return False
    return len(filter) == len(levels)


def _keeping(rule: TopicRule) -> Keeping:
    if rule.keep is not None:
        return _KEEP[rule.keep]
    assert rule.ring is not None
    return Keeping(rule.ring, "ring")
