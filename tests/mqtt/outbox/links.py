"""A broker as the outbox meets it: what it has got, in order, and who waits for an answer."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

from edgekernel.mqtt.transport import Properties


class Got(NamedTuple):
    """A message that the broker has got."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: Properties
    done: Callable[..., object]

    @property
    def fields(self) -> dict[str, Any]:
        """The payload, which is a JSON object."""
        fields: dict[str, Any] = json.loads(self.payload)
        return fields

    @property
    def id(self) -> str:
        """The message's id."""
        return str(self.fields["id"])


class Broker:
    """A link in memory: keeps what it is given, and acknowledges when it is told to."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.open: list[Got] = []
        """Those that are not acknowledged, the oldest first."""
        self.at_once = False
        """Whether it acknowledges before `publish` returns."""
        self.fails: Exception | None = None
        """What it raises instead of taking a message."""

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool,
        properties: Properties,
        on_done: Callable[..., object],
    ) -> None:
        """Take a message."""
        if self.fails is not None:
            raise self.fails
        got = Got(topic, payload, qos, retain, properties, on_done)
        self.got.append(got)
        if self.at_once:
            on_done()
        else:
            self.open.append(got)

    def acknowledge(self, count: int = 1) -> None:
        """Acknowledge the oldest."""
        for _ in range(count):
            self.open.pop(0).done()

    def acknowledge_all(self) -> None:
        """Acknowledge what there is, and from now on at once."""
        self.at_once = True
        while self.open:
            self.acknowledge()

    @property
    def values(self) -> list[Any]:
        """The field "value" of everything, in order."""
        return [got.fields["value"] for got in self.got]

    def by_topic(self) -> dict[str, list[Any]]:
        """Return the values of each topic, in order."""
        found: dict[str, list[Any]] = defaultdict(list)
        for got in self.got:
            found[got.topic].append(got.fields["value"])
        return dict(found)

    def ids(self) -> list[str]:
        """Return the ids of everything, in order."""
        return [got.id for got in self.got]
