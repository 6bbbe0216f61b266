"""What a node says of itself when it comes and when it changes: who it is and what it has."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

from edgekernel.core.clock import Clock
from edgekernel.core.time_quality import is_simulated, system_quality
from edgekernel.core.version import VERSION
from edgekernel.mqtt.about import About
from edgekernel.mqtt.describing import Schema
from edgekernel.mqtt.encoding import encode, to_plain_or_text
from edgekernel.mqtt.signatures import Signatures
from edgekernel.mqtt.topics import Topics

Retain = Callable[[str, bytes], object]


class Announcing:
    """Publishes schema and info. Who calls it sees to it that one thread does so at a time."""

    def __init__(
        self,
        clock: Clock,
        topics: Topics,
        about: About,
        boot: str,
        retain: Retain,
        signatures: Signatures | None = None,
    ) -> None:
        """Prepare; `retain` publishes what is kept. It says whose `signatures` count."""
        self._signed = {} if signatures is None else {"signatures": signatures.describe()}
        self._topics = topics
        self.about = about
        """What the node tells of itself beside what its runtime knows."""
        self._boot = boot
        self._retain = retain
        self._simulated = is_simulated(clock)
        self._quality = ""

    def is_outdated(self) -> bool:
        """Say whether the quality of the time is another one than when it was asked last."""
        before, self._quality = self._quality, self._time_quality()
        return self._quality != before

    def publish(self, schema: Schema) -> None:
        """Publish the schema of the node, and the info."""
        self._quality = self._time_quality()
        self._retain(self._topics.schema, encode(to_plain_or_text({**schema, **self._signed})))
        self._retain(self._topics.info, encode(self._info()))

    def _time_quality(self) -> str:
        return "simulated" if self._simulated else system_quality()

    def _info(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "board": self.about.board,
            "host": "simulated" if self._simulated else platform.node(),
            "config": self.about.config,
            "boot": self._boot,
            "restart_cause": self.about.restart_cause,
            "restart_detail": self.about.restart_detail,
            "time_quality": self._quality,
            "layout": self._topics.form.layout,
            "payloads": self._topics.form.payloads,
            "labels": dict(self.about.labels),
        }
