"""Copies of one message, for filters that overlap."""

from __future__ import annotations

from collections.abc import Iterable

from edgekernel.mqtt.fleet.listening import Arrival, matches


class Copies:
    """Tells the copies of a message from the message.

    A broker may deliver a message once for each filter of a client that matches it (MQTT 5, 3.3.4;
    3.1.1, 3.3.5). mosquitto does so on 5, one behind the other. What is equal to the message right
    before it is a copy of that, as often as other filters match.
    """

    def __init__(self, filters: Iterable[str] = ()) -> None:
        """Begin with filters that the broker knows."""
        self._filters: dict[str, dict[str, list[str]]] = {}  # by first level: there may be many
        self._latest, self._left = Arrival("", b"", False), 0  # the message, and copies to come
        self.add(filters)

    def add(self, filters: Iterable[str]) -> None:
        """Count with more filters."""
        for each in filters:
            levels = each.split("/")
            self._filters.setdefault(levels[0], {})[each] = levels

    def drop(self, filters: Iterable[str]) -> None:
        """Count no more with filters."""
        for each in filters:
            self._filters.get(each.partition("/")[0], {}).pop(each, None)

    def has(self, arrival: Arrival) -> bool:
        """Take what has arrived; say whether it is a copy. Of what was retained there are none:
        that comes for one filter."""
        if arrival.retained:
            return False
        latest = self._latest
        if self._left > 0 and (latest.topic, latest.payload) == (arrival.topic, arrival.payload):
            self._left -= 1
            return True
        self._latest, self._left = arrival, self._matching(arrival.topic.split("/")) - 1
        return False

    def _matching(self, levels: list[str]) -> int:
        near = (self._filters.get(first, {}).values() for first in ("+", levels[0]))
        return sum(matches(each, levels) for some in near for each in some)
