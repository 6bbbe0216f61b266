"""What a node retains of its upkeep: how an update goes, and who holds it busy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from edgekernel.core.effect import Effect
from edgekernel.core.state import StateStore
from edgekernel.mqtt.encoding import encode
from edgekernel.mqtt.topics import Topics
from edgekernel.node.busy import STATE as BUSY
from edgekernel.node.update_watch import STATE as UPDATE


class Upkeep:
    """Retains two paths of the runtime's state, each as long as there is something."""

    def __init__(
        self, state: StateStore, topics: Topics, retain: Callable[[str, bytes], object]
    ) -> None:
        """Prepare; `retain` publishes what is kept on a topic."""
        self._state = state
        self._retain = retain
        self._places = {BUSY: topics.busy, UPDATE: topics.update}
        self._effects: list[Effect] = []

    def __contains__(self, topic: object) -> bool:
        return any(
            topic == place and self._state.get(path) is not None
            for path, place in self._places.items()
        )

    def start(self) -> None:
        """Follow them, in turns."""
        self._effects = [
            Effect(partial(self._publish, path, topic), name=f"mqtt.{path}")
            for path, topic in self._places.items()
        ]

    def refresh(self) -> None:
        """Publish what has changed; called in a turn."""
        for effect in self._effects:
            effect.run()

    def close(self) -> None:
        """Follow them no more; what is retained stays."""
        for effect in self._effects:
            effect.dispose()

    def _publish(self, path: str, topic: str) -> None:
        found = self._state.get(path)
        if isinstance(found, list):
            self._retain(topic, encode({"locks": found}))
        elif found is not None:
            self._retain(topic, encode(found))
