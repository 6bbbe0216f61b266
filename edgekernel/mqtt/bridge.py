"""The bridge of a running node: between its runtime and its link to the broker."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from edgekernel.core import message
from edgekernel.core.clock import Clock
from edgekernel.core.context import Context
from edgekernel.core.errors import TurnTimeoutError, describe
from edgekernel.core.messages import Event, Message
from edgekernel.core.turns import CallTurn
from edgekernel.mqtt.about import NOTHING_KNOWN, About
from edgekernel.mqtt.announcing import Announcing, Schema
from edgekernel.mqtt.client import MqttClient
from edgekernel.mqtt.encoding import status_payload
from edgekernel.mqtt.events import event_way
from edgekernel.mqtt.health import Health
from edgekernel.mqtt.history import History
from edgekernel.mqtt.home_assistant.discovery import Discovery, Seam
from edgekernel.mqtt.leftovers import Leftovers
from edgekernel.mqtt.messages import MqttConnected, MqttDisconnected, MqttProblem
from edgekernel.mqtt.outgoing import Outgoing, Publication
from edgekernel.mqtt.requests import Requests
from edgekernel.mqtt.settings import Settings
from edgekernel.mqtt.states import States
from edgekernel.mqtt.topics import Topics
from edgekernel.mqtt.transport import Inbound, Medium, Outbound, Will

if TYPE_CHECKING:
    from edgekernel.node.outbox_table import OutboxPlace

_FLUSH_S = 1.5
_CLOSE_S = 2.0


class Bridge:
    """Publishes states, events and the status; hands requests to `Requests`.

    It is the observer of its client, so `connected`, `disconnected`, `problem`, `message` and
    `failed` are called in the network thread.
    """

    def __init__(
        self,
        ctx: Context,
        settings: Settings,
        topics: Topics,
        max_events: int,
        medium: Medium | None = None,
        about: About = NOTHING_KNOWN,
        outbox: OutboxPlace | None = None,
    ) -> None:
        """Prepare the bridge. It goes over paho unless another `medium` is given.

        Without an `outbox` events wait in memory, at most `max_events`.
        """
        self._ctx = ctx
        self._topics = topics
        self._broker = settings.broker
        random = _chance(medium.seed if medium else "", ctx.clock, topics)
        self._boot = f"{random.getrandbits(128):032x}"
        self._outgoing = Outgoing(self._send, ctx.clock, max_events=max_events)
        self._events = event_way(outbox, ctx.clock, topics, self._boot, self._outgoing, self._tell)
        self._history = History(ctx.devices, ctx.clock, settings.history_s, self._events.send_data)
        self._requests = Requests(
            ctx, topics, self._outgoing.reply, settings.signatures, self._boot
        )
        self._states = States(ctx, topics, self._outgoing.retain, self._outgoing.clear)
        self._leftovers = Leftovers(topics, self._states, self._outgoing.clear)
        self._announcing = Announcing(
            ctx,
            topics,
            about,
            self._boot,
            self._outgoing.retain,
            Health(ctx, self.counters, self._send_health),
            self._described,
            settings.signatures,
        )
        self._connections = 0
        self._linked = False  # whether a link is wanted
        self.home_assistant = self._make_discovery(settings, random)
        shown = self.home_assistant.subscriptions if self.home_assistant else ()
        self.client = MqttClient(
            settings,
            self,
            client_id=settings.client_id or topics.base.replace("/", "-"),
            subscriptions=(*topics.requests, *shown),
            will=Will(topics.status, self._status("offline", None, "connection lost")),
            clock=ctx.clock,
            transport=medium.transport if medium else None,
            random=random,
        )

    def watch(self) -> None:
        """Watch the devices and take events: all is ready for the moment the link is up.

        Raises ConfigError if two devices would share a topic.
        """
        self._events.start()
        self._ctx.runtime.turns.within(self._watch_devices)

    def connect(self) -> None:
        """Begin to connect; from the first connection on requests are served."""
        self._linked = True
        if self.home_assistant is not None:  # before what it has announced earlier comes back
            self._announcing.describe()
        self.client.start()
        self._announcing.start()

    def stop(self, reason: str) -> None:
        """Publish the final states, then the status, and disconnect; each within its limit."""
        self._announcing.close()
        self._history.close()
        if self._linked:
            self._say_goodbye(reason)
        else:
            self._events.close()
        self._requests.close()
        self._states.close()

    def _say_goodbye(self, reason: str) -> None:
        with suppress(TurnTimeoutError):  # a turn hangs: what was published last stands
            self._ctx.runtime.turns.call(self._states.refresh, "mqtt: final states", _FLUSH_S)
        self._outgoing.flush(_FLUSH_S)
        self._events.close()
        now = self._ctx.clock.now_utc()
        self._outgoing.retain(self._topics.status, self._status("offline", now, reason))
        self._outgoing.flush(_FLUSH_S)
        self._outgoing.close()
        self._linked = False
        if self.home_assistant is not None:
            self.home_assistant.disconnected()
        self.client.close(_CLOSE_S)

    def counters(self) -> dict[str, Any]:
        """Return what the link has done and what waits for it."""
        return {
            "connections": self._connections,
            "waiting": self._outgoing.waiting,
            "dropped_events": self._outgoing.dropped_events,
            "dropped_replies": self._outgoing.dropped_replies,
            "requests_turned_away": self._requests.turned_away,
            **self._events.counters(),
        }

    def noticed(self, payload: Message) -> None:
        """Follow what a message says about devices and parts."""
        self._states.noticed(payload)
        self._announcing.noticed(payload)

    def publish_event(self, event: Event) -> None:
        """Publish an event, now or when there is a link; tell of earlier ones that were lost."""
        self._events.send(event)

    def connected(self) -> None:
        """Publish everything that is retained, the status last: it vouches for the others."""
        cause = "reconnected" if self._connections else "started"
        self._connections += 1
        self._leftovers.look(self.client)
        self._announcing.connected()
        now = self._ctx.clock.now_utc()
        self._outgoing.retain(self._topics.status, self._status("online", now, cause))
        self._outgoing.open()
        self._events.up(self.client)
        if self.home_assistant is not None:
            self.home_assistant.connected()
        self._tell(MqttConnected(self._broker))

    def disconnected(self, reason: str) -> None:
        """Hold everything back until the link is up again."""
        self._outgoing.close()
        self._events.down()
        if self.home_assistant is not None:
            self.home_assistant.disconnected()
        if self._linked:  # else it was closed by us
            self._tell(MqttDisconnected(self._broker, reason))

    def problem(self, text: str) -> None:
        """Tell why the link does not work."""
        self._tell(MqttProblem(self._broker, text))

    def message(self, message: Inbound) -> None:
        """Take a message from the broker."""
        if self._leftovers.arrived(message):
            return
        topic, payload, retained = message.topic, message.payload, message.retained
        discovery = self.home_assistant
        if discovery is None or not discovery.message(topic, payload, retained):
            self._requests.arrived(topic, payload, retained)

    def failed(self, where: str, error: Exception) -> None:
        """Report a mistake in what the network thread calls."""
        self._tell(message.InterfaceError(self._ctx.source, where, *describe(error)))

    def _tell(self, told: Message) -> None:
        """Emit in the dispatcher's thread: handlers must not keep the network's from its pings."""
        emit = partial(self._ctx.emit, told)
        self._ctx.runtime.turns.submit_elsewhere(CallTurn(emit, f"mqtt: {told.name}"))

    def _make_discovery(self, settings: Settings, random: Random) -> Discovery | None:
        if settings.home_assistant is None:
            return None
        not_shown = (self._topics.info, self._topics.schema)
        seam = Seam(
            publish=lambda topic, payload: self.client.publish(
                Outbound(topic, payload, retain=True)
            ),
            publish_states=partial(self._outgoing.repeat, but=not_shown),
            timer=self._ctx.runtime.timers.timer,
            problem=self.problem,
        )
        return Discovery(settings.home_assistant, self._topics, self._ctx.clock, random, seam)

    def _described(self, schema: Schema) -> None:
        if self.home_assistant is not None:
            self.home_assistant.describe(schema)

    def _watch_devices(self) -> None:
        self._states.watch()
        self._history.start()

    def _status(self, state: str, since: datetime | None, cause: str) -> bytes:
        return status_payload(state, self._boot, since, cause)

    def _send(self, publication: Publication, on_done: Callable[[], None]) -> None:
        topic, payload, retain = publication
        self.client.publish(Outbound(topic, payload, retain=retain), on_done)

    def _send_health(self, payload: bytes) -> None:
        if self.client.connected:  # else it would be an old one when it is sent
            self.client.publish(Outbound(self._topics.health, payload, qos=0, retain=True))


def _chance(seed: str, clock: Clock, topics: Topics) -> Random:
    """Return what the id of this boot and the delays of the link come from."""
    return Random(f"{seed}:{topics.base}:{clock.time_ns()}") if seed else Random()
