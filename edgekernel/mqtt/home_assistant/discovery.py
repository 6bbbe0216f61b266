"""Discovery: keeps what Home Assistant knows of a node right, over one link to a broker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.mqtt.encoding import encode
from edgekernel.mqtt.home_assistant.announcement import announce
from edgekernel.mqtt.home_assistant.messages import (
    MAX_BYTES,
    device_message,
    device_topic,
    entity_messages,
    entity_topics,
    is_of_node,
    is_ours,
    removal,
)
from edgekernel.mqtt.home_assistant.settings import HomeAssistant
from edgekernel.mqtt.topics import Topics

_SHARE_OF_EXPIRY = 3
"""A value is told this often within the time after which it would become unavailable."""

_SETTLE_NS = NANOSECONDS // 2
"""After the last of what the broker had kept; it comes all at once."""


class Timer(Protocol):
    """A call to come, as `edgekernel.core.timers` has it."""

    def set(self, due_ns: int) -> None:
        """Call at a monotonic time, instead of before."""
        ...

    def cancel(self) -> None:
        """Do not call."""
        ...


@dataclass(frozen=True, slots=True)
class Seam:
    """What discovery needs of the bridge; every function is for any thread."""

    publish: Callable[[str, bytes], object]
    """Publishes, retained, after what was given before, on this link only; an empty payload clears
    a topic."""
    publish_states: Callable[[], object]
    """Publishes every retained topic of the node again, changed or not."""
    timer: Callable[[Callable[[], object]], Timer]
    """Makes a timer on the runtime's clock."""
    problem: Callable[[str], object]
    """Tells of something that Home Assistant cannot be told."""


class Discovery:
    """Announces a node to Home Assistant, again after every connect, change and birth message.

    What an earlier configuration has announced is found where it was left, retained on the broker:
    it comes with the subscription, and what is no longer there is taken away. So nothing has to be
    kept on the node.
    """

    def __init__(
        self, settings: HomeAssistant, topics: Topics, clock: Clock, random: Random, seam: Seam
    ) -> None:
        """Prepare it; `describe` says what there is, `connected` begins."""
        self._settings = settings
        self._topics = topics
        self._clock = clock
        self._random = random
        self._seam = seam
        self._lock = clock.Lock()  # around what is told, so that the latest is told last
        self._birth = f"{settings.prefix}/status"
        self._device_topic = device_topic(settings.prefix, self._topics.node)
        self._message: dict[str, Any] | None = None
        self._payloads: dict[str, bytes] = {}
        self._up = False
        self._is_first = True
        self.left_out: tuple[str, ...] = ()
        """What is not shown, with the reason."""
        self._again = seam.timer(self._tell_again)
        self._fresh = seam.timer(self._refresh)
        self._instead = seam.timer(self._tell_instead)

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """The filters to subscribe to: what was announced in either form comes back."""
        filters = [self._device_topic, entity_topics(self._settings.prefix, self._topics.node)]
        if self._settings.discovery != "off":
            filters.append(self._birth)
        return tuple(filters)

    def describe(self, schema: Mapping[str, Any]) -> None:
        """Take the node's schema, at first and after every change."""
        if self._settings.discovery == "off":
            return
        told = announce(schema, self._topics, self._settings)
        self.left_out = told.left_out
        for mistake in told.mistakes:
            self._seam.problem(mistake)
        if self._settings.discovery == "device":
            message = device_message(told)
            self._replace({self._device_topic: self._encoded(message)}, message)
        else:
            self._replace(entity_messages(told, self._settings.prefix, self._topics.node), None)

    def connected(self) -> None:
        """Tell everything: the broker may have lost it. At the first time after a moment, in which
        what an earlier run has left there is taken away."""
        with self._lock:
            self._up = True
            if self._is_first:
                self._tell_soon()
            else:
                self._tell()
        self._plan_refresh()

    def disconnected(self) -> None:
        """Hold back what changes until the link is up again."""
        with self._lock:
            self._up = False
        self._again.cancel()
        self._fresh.cancel()
        self._instead.cancel()

    def message(self, topic: str, payload: bytes, retained: bool) -> bool:
        """Take a message from the broker; return whether it is for Home Assistant or from it."""
        if topic == self._birth:
            if payload == b"online" and not retained:
                wait_s = self._random.uniform(0, self._settings.birth_delay_s)
                self._again.set(self._clock.monotonic_ns() + round(wait_s * NANOSECONDS))
            return True
        if not is_of_node(topic, self._settings.prefix, self._topics.node):
            return False
        if retained and is_ours(payload):
            with self._lock:
                if self._take_away(topic, payload):
                    self._tell_after(topic)
        return True

    def _tell_after(self, topic: str) -> None:
        """Tell what takes the place of what was taken away."""
        if topic == self._device_topic and self._message is not None:  # a message between two
            self._instead.cancel()
            self._is_first = False
            self._tell()
        else:
            self._tell_soon()

    def _tell_soon(self) -> None:
        """Tell when nothing more comes that is to be taken away: Home Assistant takes an entity
        only when another one of its id has gone."""
        self._instead.set(self._clock.monotonic_ns() + _SETTLE_NS)

    def _encoded(self, message: dict[str, Any]) -> bytes:
        payload = encode(message)
        if len(payload) > MAX_BYTES:
            self._seam.problem(
                f"the discovery message for Home Assistant has {len(payload)} bytes, and some "
                f"brokers take {MAX_BYTES} at most: where it does not arrive, set "
                'mqtt.home_assistant.discovery = "entities"'
            )
        return payload

    def _replace(self, payloads: dict[str, bytes], message: dict[str, Any] | None) -> None:
        with self._lock:
            before, self._payloads, self._message = self._payloads, payloads, message
            if self._up and before != payloads:
                for topic, payload in before.items():
                    self._take_away(topic, payload)
                self._tell()

    def _tell(self) -> None:
        for topic, payload in self._payloads.items():
            self._seam.publish(topic, payload)

    def _take_away(self, topic: str, payload: bytes) -> bool:
        """Take away what was announced before and is not now; return whether something was."""
        if topic not in self._payloads:
            self._seam.publish(topic, b"")
            return True
        if self._message is None:
            return False
        without = removal(payload, self._message)
        if without is None:
            return False
        self._seam.publish(topic, encode(without))
        return True

    def _tell_instead(self) -> None:
        with self._lock:
            if self._up:
                self._is_first = False
                self._tell()

    def _tell_again(self) -> None:
        with self._lock:
            self._tell()
        self._seam.publish_states()

    def _plan_refresh(self) -> None:
        if self._settings.expire_after_s and self._settings.discovery != "off":
            every_ns = round(self._settings.expire_after_s / _SHARE_OF_EXPIRY * NANOSECONDS)
            self._fresh.set(self._clock.monotonic_ns() + every_ns)

    def _refresh(self) -> None:
        self._seam.publish_states()
        self._plan_refresh()
