"""The native dialect: the topic map of `edgekernel.mqtt.topics`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from edgekernel.core.device import Device
from edgekernel.core.messages import Event
from edgekernel.mqtt.about import About
from edgekernel.mqtt.announcing import Announcing
from edgekernel.mqtt.describing import Describing, Schema
from edgekernel.mqtt.dialect import OF_DIALECTS, Carrier, Dialect
from edgekernel.mqtt.events import event_way
from edgekernel.mqtt.health import Health
from edgekernel.mqtt.history import History
from edgekernel.mqtt.home_assistant.discovery import Discovery, Seam
from edgekernel.mqtt.leftovers import Leftovers
from edgekernel.mqtt.missed import Missed
from edgekernel.mqtt.names import command_problems, device_problems
from edgekernel.mqtt.requests import Requests
from edgekernel.mqtt.settings import Settings
from edgekernel.mqtt.states import States
from edgekernel.mqtt.status import Status
from edgekernel.mqtt.topics import Topics
from edgekernel.mqtt.transport import Inbound, Outbound, Will
from edgekernel.mqtt.upkeep import Upkeep


class Native(Dialect):
    """Publishes states, events and the status; hands requests to `Requests`.

    Home Assistant's discovery stands beside it: entities point to the topics of this dialect.
    """

    heeds = OF_DIALECTS
    for_ctl = True

    def __init__(self, carrier: Carrier, own: None) -> None:
        """Prepare; raises ConfigError for a prefix or node that no topic can hold."""
        ctx, settings = carrier.ctx, carrier.settings
        self._carrier = carrier
        self._ctx = ctx
        self._topics = topics = Topics(settings.prefix, carrier.node, settings.form)
        self._boot = carrier.boot
        self._outgoing = carrier.outgoing
        self._status = Status(ctx, topics.status, self._boot, self._outgoing.retain_last)
        self._events = event_way(
            carrier.outbox, ctx.clock, topics, self._boot, self._outgoing, carrier.tell
        )
        self._history = History(ctx.devices, ctx.clock, settings.history_s, self._events.send_data)
        self._requests = Requests(
            ctx,
            topics,
            self._outgoing.reply,
            settings.signatures,
            self._boot,
            submit=carrier.submit,
            flagged=lambda: carrier.client.version == "5",
        )
        if (leases := ctx.runtime.outputs.leases) is not None:
            leases.how = lambda name: f"publish to {topics.lease(name)}"
        self._states = States(ctx, topics, self._outgoing.retain, self._outgoing.clear)
        self._upkeep = Upkeep(ctx.state, topics, self._outgoing.retain)
        known = (self._states, self._upkeep)
        self._leftovers = Leftovers(topics, known, self._outgoing.clear)
        self._announcing = Announcing(
            ctx.clock,
            topics,
            carrier.about,
            self._boot,
            self._outgoing.retain,
            settings.signatures,
        )
        self._missed = Missed(ctx.runtime.turns, self._look_again)
        self._health = Health(ctx, carrier.status, self._send_health, carrier.about.data)
        self._describing = Describing(
            ctx,
            self._described,
            name="announcing",
            outdated=self._announcing.is_outdated,
            beat=self._beat,
        )
        self._said_goodbye = False
        self._home_assistant = self._make_discovery(settings)
        shown = self._home_assistant.subscriptions if self._home_assistant else ()
        self._remote = carrier.remote
        if self._remote is not None:
            shown += self._remote.join(topics, settings.signatures, self._outgoing.retain)
        self.subscriptions = (*topics.requests, *shown)
        self.as_published = topics.requests
        self.will = Will(topics.status, self._status.will)

    @classmethod
    def check(
        cls,
        devices: Mapping[str, Device],
        commands: Iterable[tuple[str, str]],
        settings: Settings,
    ) -> tuple[list[str], list[str]]:
        """Return which names meet in a topic, and which commands no topic can hold."""
        shared, without = command_problems(commands)
        return [*device_problems(devices, settings.form), *shared], without

    def watch(self) -> None:
        """Watch the devices and take events.

        Raises ConfigError if two devices would share a topic.
        """
        self._events.start()
        self._states.watch()
        self._upkeep.start()
        self._history.start()

    def begin(self) -> None:
        """Begin to announce."""
        if self._home_assistant is not None:  # before what it has announced earlier comes back
            self._describing.describe()
        self._describing.start()

    def event(self, event: Event) -> None:
        """Follow what a message says about devices and parts; publish it, now or when there is a
        link, and tell of earlier ones that were lost."""
        payload = event.payload
        self._states.noticed(payload)
        self._history.noticed(payload)
        self._describing.noticed(payload)
        self._status.noticed(payload)
        self._events.send(event)

    def renew(self, about: About) -> None:
        """Publish the info with what has changed in it."""
        self._announcing.about = about
        self._describing.again()

    def connected(self, cause: str) -> None:
        """Publish everything that is retained, the status last: it vouches for the others."""
        self._leftovers.look(self._carrier.client, self._carrier.client.broker)
        self._describing.describe()
        self._describing.beat_now()
        if self._remote is not None:
            self._remote.publish()
        self._status.connected(cause)

    def opened(self) -> None:
        """Let the events go that waited, and tell Home Assistant."""
        self._events.up(self._carrier.client)
        if self._home_assistant is not None:
            self._home_assistant.connected()

    def disconnected(self) -> None:
        """Hold everything back until the link is up again."""
        self._events.down()
        if self._home_assistant is not None:
            self._home_assistant.disconnected()

    def message(self, message: Inbound) -> None:
        """Take a message from the broker."""
        if self._leftovers.arrived(message):
            return
        if self._remote is not None and self._remote.arrived(message):
            return
        topic, payload, retained = message.topic, message.payload, message.retained
        discovery = self._home_assistant
        if discovery is None or not discovery.message(topic, payload, retained):
            self._requests.arrived(topic, payload, retained, message.properties)

    def end(self) -> None:
        """End the threads."""
        self._describing.close()
        self._history.close()

    def refresh(self) -> None:
        """Publish every state that has changed."""
        self._states.refresh()

    def goodbye(self, reason: str) -> None:
        """Let the events go that can go, then publish that the node is offline."""
        self._said_goodbye = True
        self._events.close()
        self.leave(reason)

    def leave(self, reason: str) -> None:
        """Publish that the node is offline."""
        self._status.goodbye(reason)

    def close(self) -> None:
        """Watch no more."""
        if not self._said_goodbye:
            self._events.close()
        self._requests.close()
        self._upkeep.close()
        self._states.close()

    def status(self) -> dict[str, Any]:
        """Return what was turned away, what waits in the outbox, and what is not shown."""
        found = {"requests_turned_away": self._requests.turned_away, **self._events.counters()}
        if self._home_assistant is not None:
            found["not_in_home_assistant"] = list(self._home_assistant.left_out)
        return found

    def _make_discovery(self, settings: Settings) -> Discovery | None:
        if settings.home_assistant is None:
            return None
        carrier, not_shown = self._carrier, (self._topics.info, self._topics.schema)
        seam = Seam(
            publish=lambda topic, payload: carrier.client.publish(
                Outbound(topic, payload, retain=True), here=True
            ),
            publish_states=partial(self._outgoing.repeat, but=not_shown),
            timer=self._ctx.runtime.timers.timer,
            problem=carrier.problem,
        )
        clock, random = self._ctx.clock, carrier.random
        return Discovery(settings.home_assistant, self._topics, clock, random, seam)

    def _look_again(self) -> None:
        """See what has changed while turns were dropped."""
        self._states.watch()
        self._states.refresh()
        self._upkeep.refresh()
        self._history.refresh()
        self._status.look()
        self._describing.again()

    def _beat(self) -> None:
        self._missed.look()
        self._health.publish()

    def _described(self, schema: Schema) -> None:
        self._announcing.publish(schema)
        if self._home_assistant is not None:
            self._home_assistant.describe(schema)

    def _send_health(self, payload: bytes) -> None:
        client = self._carrier.client
        if client.connected:  # else it would be an old one when it is sent
            client.publish(Outbound(self._topics.health, payload, qos=0, retain=True))
