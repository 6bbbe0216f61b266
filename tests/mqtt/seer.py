"""A client that sees everything on a stage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.stages import Got, Peer, Stage

BASE = "edge/n1"
REPLY = f"{BASE}/reply/me"


class Seer:
    """A peer that gets everything, to look at."""

    def __init__(self, stage: Stage, name: str = "seer", filter: str = "#") -> None:
        self.stage = stage
        self.peer: Peer = stage.peer(name)
        self.peer.subscribe(filter)

    def sees(self, topic: str, fits: Callable[[Any], object] = lambda document: True) -> Got:
        """Wait for a message on a topic with a document that fits; return the first."""

        def found() -> list[Got]:
            return [got for got in list(self.peer.received) if _is(got, topic, fits)]

        self.stage.until(found, f"{topic} that fits")
        return found()[0]

    def on(self, topic: str) -> list[Any]:
        """Return the documents of a topic that have come."""
        return [each.document for each in self.peer.received if each.topic == topic]

    def ask(self, topic: str, id: str = "1", **body: object) -> Any:
        """Send a request and return the reply to it."""
        self.peer.publish(f"{BASE}/{topic}", {**body, "id": id, "reply_to": REPLY})
        return self.sees(REPLY, lambda document: document["id"] == id).document

    def forget(self) -> None:
        """Forget what has come."""
        self.peer.received.clear()


def _is(got: Got, topic: str, fits: Callable[[Any], object]) -> bool:
    return got.topic == topic and bool(got.payload) and bool(fits(got.document))
