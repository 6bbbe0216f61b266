"""The topics of a node in Homie, all below `{domain}/5/{node}/`.

Source: The Homie Convention 5.0, "Domain and Root Topic", "Topology and structure".
"""

from __future__ import annotations

import re

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.rights import Rights

_ID = re.compile(r"[a-z0-9-]{1,64}")
_KEPT = ("$state", "$description", "+/+", "+/+/$target")  # of a value, an alert, a target


def rights(domain: str) -> Rights:
    """Return which topics devices and controllers need; what is logged is among the `told`."""
    base = f"{domain}/5/{{node}}"
    kept = tuple(f"{base}/{each}" for each in _KEPT)
    return Rights(kept, kept, (f"{base}/+/+/set",), (f"{domain}/5/$broadcast/#",))


class HomieTopics:
    """The topics of one node, which is a device in Homie."""

    def __init__(self, domain: str, node: str) -> None:
        """Build them; raises ConfigError for a node that cannot be a device's id."""
        if not _ID.fullmatch(node):
            raise ConfigError(
                f"node name {node!r}: Homie needs 1 to 64 of the characters a-z, 0-9 and '-'"
            )
        self.base = f"{domain}/5/{node}"
        self.state = f"{self.base}/$state"
        self.description = f"{self.base}/$description"
        self.sets = f"{self.base}/+/+/set"
        """The filter of what is to be set."""
        self.broadcasts = f"{domain}/5/$broadcast/#"
        """The filter of what is said to all devices."""
        self.kept = tuple(f"{self.base}/{each}" for each in _KEPT)
        """The filters of all that may be retained."""

    def value(self, node: str, property: str) -> str:
        """Return where the value of a property is."""
        return f"{self.base}/{node}/{property}"

    def target(self, node: str, property: str) -> str:
        """Return where it is said what a property is to become."""
        return f"{self.base}/{node}/{property}/$target"

    def alert(self, node: str, property: str) -> str:
        """Return where it is said that a value is not to be trusted. An id never has two hyphens
        in a row, so no two properties share an alert."""
        return f"{self.base}/$alert/{node}--{property}"

    def log(self, level: str) -> str:
        """Return where messages of a level are logged."""
        return f"{self.base}/$log/{level}"

    def to_set(self, topic: str) -> tuple[str, str] | None:
        """Return the node and property that a topic sets; None if it is not for that."""
        match self.below(topic):
            case [node, property, "set"]:
                return node, property
        return None

    def broadcast(self, topic: str) -> str:
        """Return what is below `$broadcast` in a topic; nothing if it is none of these."""
        head = self.broadcasts.removesuffix("#")
        return topic.removeprefix(head) if topic.startswith(head) else ""

    def is_kept(self, topic: str) -> bool:
        """Say whether a topic is one that a node retains something on."""
        match self.below(topic):
            case ["$state" | "$description"] | [_, _, "$target"]:
                return True
            case [node, _]:
                return node != "$log"
        return False

    def below(self, topic: str) -> list[str]:
        """Return the levels of a topic below the node's own; none if it is not of the node."""
        if not topic.startswith(f"{self.base}/"):
            return []
        return topic[len(self.base) + 1 :].split("/")
