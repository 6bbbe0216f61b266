"""MqttInterface: states and events to a broker, requests from it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgekernel.core import message
from edgekernel.core.context import Context
from edgekernel.core.interface import Interface
from edgekernel.core.messages import Event
from edgekernel.core.phase import Phase
from edgekernel.mqtt.about import NOTHING_KNOWN, About
from edgekernel.mqtt.exchange import Exchange
from edgekernel.mqtt.settings import Settings
from edgekernel.mqtt.transport import Medium

if TYPE_CHECKING:
    from edgekernel.mqtt.remote_config import RemoteConfig
    from edgekernel.node import Plan
    from edgekernel.node.outbox_table import OutboxPlace


class MqttInterface(Interface):
    """Publishes the state of every device and every message, and serves set and call requests.

    Works without a broker: it keeps trying, and meanwhile events wait in the file of an outbox, or
    without one the latest `max_events` in memory. Retained on the broker are the node's status,
    `offline` being the last will, its info, schema and health, and one JSON object per device.
    `edgekernel.mqtt.topics` has the topic map, unless the settings name another dialect.
    """

    name = "mqtt"

    def __init__(
        self,
        settings: Settings,
        node: str = "",
        *,
        max_events: int = 1000,
        medium: Medium | None = None,
        about: About = NOTHING_KNOWN,
        outbox: OutboxPlace | None = None,
        remote: RemoteConfig | None = None,
    ) -> None:
        """Prepare the interface of a node, whose name is the runtime's unless given.

        It reaches the broker through paho-mqtt unless another `medium` is given. `about` is what it
        publishes of itself beside what its runtime knows, and `remote` takes the configuration that
        it is to have.
        """
        self.settings = settings
        self._medium = medium
        self._about = about
        self._outbox = outbox
        self._remote = remote
        self._node = node
        self._max_events = max_events
        self._exchange: Exchange | None = None
        self._stop_reason = "stopped"

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the node and its subscriptions."""
        return self._exchange is not None and self._exchange.client.connected

    def status(self) -> dict[str, Any]:
        """Return the state of the link, ready for JSON."""
        link: dict[str, Any] = {"broker": self.settings.broker, "connected": self.connected}
        if self._exchange is None:
            return link
        link |= self._exchange.status()
        if self.connected:
            link["protocol"] = self._exchange.client.version
        return link

    def start(self, ctx: Context) -> None:
        """Watch the devices; the link is made when the runtime has booted.

        Requests come only then, so that none is served by half a node. Raises ConfigError for
        names that no topic can hold and for a dialect that is not installed; an unreachable broker
        is no error.
        """
        self._exchange = Exchange(
            ctx,
            self.settings,
            self._node or ctx.runtime.name,
            self._max_events,
            self._medium,
            self._about,
            self._outbox,
            self._remote,
        )
        self._exchange.watch()
        if ctx.runtime.phase is Phase.RUNNING:  # it was added while the node runs
            self._exchange.connect()

    def renew(self, plan: Plan) -> None:
        """Publish what a changed configuration says of the node."""
        new = About.of(plan)
        self._about = replace(self._about, config=new.config, labels=new.labels)
        if self._exchange is not None:
            self._exchange.renew(self._about)

    def handle_event(self, ctx: Context, evt: Event) -> None:
        """Publish the event; note what it says about devices and the shutdown."""
        if self._exchange is None:
            return
        payload = evt.payload
        if isinstance(payload, message.RuntimeBooted):
            self._exchange.connect()
        elif isinstance(payload, message.RuntimeShuttingDown):
            self._stop_reason = payload.reason
        self._exchange.event(evt)

    def stop(self, ctx: Context) -> None:
        """Publish the final states, then the status offline, and disconnect; within 8 seconds."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.stop(self._stop_reason)
