"""What a broker has retained of the nodes: read, and nobody is asked for anything."""

from __future__ import annotations

from collections.abc import Iterable

from edgekernel.core.errors import UnknownTargetError, nearest
from edgekernel.mqtt.fleet.connection import Connection
from edgekernel.mqtt.fleet.device_states import STATES, has_signals, whole_states
from edgekernel.mqtt.fleet.documents import Document, read_document, read_status
from edgekernel.mqtt.fleet.errors import NoAnswerError
from edgekernel.mqtt.fleet.results import DeviceState, NodeStatus
from edgekernel.mqtt.topics import Topics, segment

_FEW = 10
_DEPTH = 2
"""Levels of the topic of a device, behind the node; that of a signal has more."""
_SEE = "`edgekernel ctl nodes` shows which there are"


class Retained:
    """The documents and states that nodes have published, online or not."""

    def __init__(self, connection: Connection) -> None:
        """Read by a connection, when it is open."""
        self._connection = connection

    def check_name(self, node: str) -> None:
        """Raise ConfigError for a name that no node can have."""
        Topics(self._connection.prefix, node)

    def documents(self, *filters: str) -> list[tuple[str, str, Document]]:
        """Return node, last level and document of what is retained."""
        found = []
        for topic, payload in self._connection.retained(*filters).items():
            document = read_document(payload)
            if document is not None:
                found.append((topic.partition("/")[0], topic.rpartition("/")[2], document))
        return found

    def document(self, node: str, kind: str) -> Document:
        """Return one document of a node; raise NoAnswerError if it has published none."""
        self.check_name(node)
        if (found := self.maybe(node, kind)) is not None:
            return found
        self.status(node)
        raise NoAnswerError(f"{node} has published no {kind}")

    def maybe(self, node: str, kind: str) -> Document | None:
        """Return one document of a node; None if there is none."""
        for _, _, document in self.documents(f"{node}/{kind}"):
            return document
        return None

    def status(self, node: str) -> NodeStatus:
        """Return the status of a node; raise UnknownTargetError with the nearest name."""
        if (document := self.maybe(node, "status")) is not None:
            return read_status(node, document)
        found = [name for name, _, _ in self.documents("+/status")]
        hint = _hint(node, found) or f"; {_SEE}"
        raise UnknownTargetError(f"the broker knows no node {node!r}{hint}")

    def devices(self, node: str, device: str = "") -> dict[str, DeviceState]:
        """Return the states of a node's devices, or of one of them; raise UnknownTargetError with
        the nearest name, NoAnswerError if nothing is known of any."""
        self.check_name(node)
        if device and (found := self._states(node, segment(device))):
            return found
        states = self._states(node)
        if not states or device:
            self.status(node)
            if not device:
                raise NoAnswerError(f"the broker knows no device of {node}; {_SEE}")
            hint = _hint(device, states) or f"; `edgekernel ctl get {node}` shows which there are"
            raise UnknownTargetError(f"{node} has no device {device!r}{hint}")
        return states

    def _states(self, node: str, device: str = "") -> dict[str, DeviceState]:
        """Return the states of a node, or of one device of it, in whichever form they are."""
        if device:
            found = self._connection.retained(f"{node}/state/{device}")
            document = read_document(found.get(f"{node}/state/{device}", b"{}"))
            if document is not None and (has_signals(document) or not found):
                return whole_states(found)
        filters = (f"{node}/{each.replace('+', device or '+', 1)}" for each in STATES)
        found = self._connection.retained(*filters)
        if not any(topic.count("/") > _DEPTH for topic in found):
            return whole_states(found)
        return whole_states(found, self.maybe(node, "schema"))


def _hint(name: str, known: Iterable[str]) -> str:
    """Return the nearest name, or all of them if they are few."""
    names = list(known)
    hint = nearest(name, names)
    return hint if len(names) <= _FEW or "did you mean" in hint else ""
