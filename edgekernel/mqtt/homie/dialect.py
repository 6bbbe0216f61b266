"""The dialect Homie: a node as a device of the Homie Convention 5.0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekernel.core.messages import Event, Severity
from edgekernel.mqtt.admitted_turn import AdmittedTurn
from edgekernel.mqtt.describing import Describing
from edgekernel.mqtt.dialect import Carrier, Dialect
from edgekernel.mqtt.encoding import encode, to_plain_or_text
from edgekernel.mqtt.homie.asking import Asking
from edgekernel.mqtt.homie.description import Description, describe
from edgekernel.mqtt.homie.leftovers import HomieLeftovers
from edgekernel.mqtt.homie.messages import HomieBroadcast
from edgekernel.mqtt.homie.properties import EVENTS, Schema
from edgekernel.mqtt.homie.settings import HomieSettings, read_settings
from edgekernel.mqtt.homie.telling import Telling
from edgekernel.mqtt.homie.topics import HomieTopics, rights
from edgekernel.mqtt.homie.values import EMPTY
from edgekernel.mqtt.missed import Missed
from edgekernel.mqtt.requests import Requests
from edgekernel.mqtt.rights import Rights
from edgekernel.mqtt.topics import segment
from edgekernel.mqtt.transport import Inbound, Outbound, Will

_LEVELS = {
    Severity.DEBUG: "debug",
    Severity.INFO: "info",
    Severity.WARNING: "warn",
    Severity.ERROR: "error",
    Severity.CRITICAL: "fatal",
}
_FROM = {"debug": 10, "info": 20, "warn": 30, "error": 40, "off": 100}
_MAX_LOG = 1000


class Homie(Dialect):
    """Shows a node as one device: each device, and each part with commands, is a Homie node of it.

    `$state` is `init` while the description changes, `ready`, `disconnected` after a goodbye, and
    `lost`, which is the last will. What is retained is at QoS 1, what is of a moment at QoS 0.
    """

    def __init__(self, carrier: Carrier, own: HomieSettings) -> None:
        """Prepare; raises ConfigError for a node that cannot be a device's id."""
        ctx = carrier.ctx
        self._carrier = carrier
        self._clock = ctx.clock
        self._settings = own
        self._topics = topics = HomieTopics(own.domain, carrier.node)
        self._outgoing = carrier.outgoing
        self._telling = Telling(ctx, topics, self._outgoing, keep_bad=own.keep_bad)
        self._asking = Asking(topics, self._telling.asked, self._say)
        self._requests = Requests(
            ctx,
            self._asking,
            self._asking.answered,
            boot=carrier.boot,
            read=self._asking.read,
            submit=carrier.submit,
            flagged=lambda: carrier.client.version == "5",
        )
        self._leftovers = HomieLeftovers(
            topics, self._telling, self._outgoing.clear, self._was_described
        )
        self._missed = Missed(ctx.runtime.turns, self._look_again)
        self._describing = Describing(ctx, self._describe, beat=self._missed.look)
        self._lock = ctx.clock.Lock()  # around the description and its version
        self._description = Description()
        self._version = 0
        self._up = False
        self.will = Will(topics.state, b"lost")
        said = (topics.broadcasts,) if own.broadcast else ()
        self.subscriptions = (topics.sets, *said)
        self.as_published = (topics.sets,)

    @classmethod
    def read(cls, table: Mapping[str, object]) -> HomieSettings:
        """Return the settings in `[mqtt.homie]`. Raises ConfigError with every mistake."""
        return read_settings(table)

    @classmethod
    def rights(cls, own: HomieSettings) -> Rights:
        """Return which topics a device and its controllers need."""
        return rights(own.domain)

    def begin(self) -> None:
        """Begin to describe the node."""
        self._describing.start()

    def event(self, event: Event) -> None:
        """Follow what a message says; tell those of devices, and log what is bad enough."""
        payload = event.payload
        self._describing.noticed(payload)
        device = getattr(payload, "device", None)
        if isinstance(device, str):
            self._tell_event(device, payload.name)
        if payload.severity >= _FROM[self._settings.log]:
            said = encode(to_plain_or_text(payload.to_dict())).decode()
            text = f"{event.source}: {payload.name} {said}"[:_MAX_LOG]
            self._say(self._topics.log(_LEVELS[payload.severity]), text.encode())

    def connected(self, cause: str) -> None:
        """Retain everything, the state `ready` last."""
        self._missed.look()
        self._leftovers.look(self._carrier.client, self._carrier.client.broker)
        self._announce_init()
        self._describing.describe()
        self._up = True
        self._announce()

    def disconnected(self) -> None:
        """Announce nothing before the link is up again."""
        self._up = False

    def message(self, message: Inbound) -> None:
        """Take what is left, what is to be set, and what is said to all devices."""
        if self._leftovers.arrived(message):
            return
        if self._settings.broadcast and (topic := self._topics.broadcast(message.topic)):
            if not message.retained:
                text = message.payload.decode("utf-8", "replace")
                self._carrier.tell(HomieBroadcast(topic, text))
            return
        self._requests.arrived(message.topic, message.payload, message.retained, message.properties)

    def end(self) -> None:
        """End the thread."""
        self._describing.close()

    def refresh(self) -> None:
        """Tell every value that has changed."""
        self._telling.refresh()

    def leave(self, reason: str) -> None:
        """Tell that the node is gone."""
        self._up = False
        self._outgoing.retain_last(self._topics.state, b"disconnected")

    def close(self) -> None:
        """Tell no more."""
        self._requests.close()
        self._telling.close()

    def status(self) -> dict[str, Any]:
        """Return what was turned away, and what has no property."""
        return {
            "requests_turned_away": self._requests.turned_away,
            "not_in_homie": list(self._description.left_out),
        }

    def _look_again(self) -> None:
        """See what has changed while turns were dropped."""
        self._telling.refresh()
        self._describing.again()

    def _describe(self, schema: Schema) -> None:
        """Take the schema of the node; called by one thread at a time."""
        made = describe(schema, self._settings)
        with self._lock:
            changed = made.document != self._description.document
            self._description = made
            if changed:
                self._version = max(self._version + 1, self._clock.time_ns() // 1_000_000_000)
            up = self._up and changed
        if up:
            self._announce_init()
        self._asking.properties = made.properties
        self._carrier.ctx.runtime.turns.within(self._telling.follow, made.properties)
        if up:
            self._announce()

    def _announce_init(self) -> None:
        """Say that the description may change.

        It is published as it stands and not only retained: nothing that waits comes before it, and
        what comes after it cannot take its place.
        """
        state = Outbound(self._topics.state, b"init", retain=True)
        self._outgoing.retain(state.topic, state.payload)
        self._carrier.client.publish(state, here=True)

    def _announce(self) -> None:
        """Vouch for what the node says, behind the turns in which the values are told."""
        self._carrier.ctx.runtime.turns.submit(AdmittedTurn(self._vouch, "mqtt.homie ready"))

    def _vouch(self) -> None:
        if not self._up:  # the link has gone, or the node goes
            return
        with self._lock:
            document = {**self._description.document, "version": self._version}
        self._outgoing.retain(self._topics.description, encode(document))
        self._outgoing.retain_last(self._topics.state, b"ready")

    def _was_described(self, version: int, document: object) -> None:
        """Count on from the description that an earlier run has left, if it says anything else."""
        with self._lock:
            new = document != self._description.document
            if version + new <= self._version:
                return
            self._version = version + new
        self._announce_init()
        self._announce()

    def _tell_event(self, device: str, name: str) -> None:
        for each in self._asking.properties.values():
            if each.source == "events" and each.owner == device and name in each.format.split(","):
                self._say(self._topics.value(segment(device), EVENTS), name.encode())

    def _say(self, topic: str, payload: bytes) -> None:
        """Publish what is of a moment: now, or not at all."""
        client = self._carrier.client
        if client.connected:
            client.publish(Outbound(topic, payload or EMPTY, qos=0))
