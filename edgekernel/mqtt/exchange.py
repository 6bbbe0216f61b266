"""The exchange of a running node: between its dialect and its link to the broker."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from edgekernel.core import message
from edgekernel.core.clock import Clock
from edgekernel.core.context import Context
from edgekernel.core.errors import TurnTimeoutError, describe
from edgekernel.core.messages import Event, Message
from edgekernel.core.turn import CallTurn
from edgekernel.mqtt.about import NOTHING_KNOWN, About
from edgekernel.mqtt.client import MqttClient
from edgekernel.mqtt.dialect import read_own
from edgekernel.mqtt.messages import MqttConnected, MqttDisconnected, MqttProblem
from edgekernel.mqtt.outgoing import Outgoing, Publication
from edgekernel.mqtt.settings import Settings
from edgekernel.mqtt.transport import Inbound, Medium, Outbound

if TYPE_CHECKING:
    from edgekernel.mqtt.remote_config import RemoteConfig
    from edgekernel.node.outbox_table import OutboxPlace

_FLUSH_S = 1.5
_CLOSE_S = 2.0


class Exchange:
    """Carries what a dialect says: the same for each of them.

    It is the observer of its client, so `connected`, `disconnected`, `problem`, `message` and
    `failed` are called in the network thread.
    """

    def __init__(
        self,
        ctx: Context,
        settings: Settings,
        node: str,
        max_events: int,
        medium: Medium | None = None,
        about: About = NOTHING_KNOWN,
        outbox: OutboxPlace | None = None,
        remote: RemoteConfig | None = None,
    ) -> None:
        """Prepare the link and the dialect of its settings. It goes over paho unless another
        `medium` is given.

        Without an `outbox` events wait in memory, at most `max_events`. Raises ConfigError for a
        dialect that is not installed, and for names that it cannot say.
        """
        self.ctx = ctx
        self.settings = settings
        self.node = node
        self.about = about
        self.outbox = outbox
        self.remote = remote
        base = f"{settings.prefix}/{node}"
        self.random = _chance(medium.seed if medium else "", ctx.clock, base)
        self.boot = f"{self.random.getrandbits(128):032x}"
        self.outgoing = Outgoing(self._send, ctx.clock, max_events=max_events)
        turns = ctx.runtime.turns
        # paho's thread is relieved when a turn takes long; another medium's may not be kept.
        self.submit = turns.submit if medium is None else turns.submit_elsewhere
        self._connections = 0
        self._linked = False  # whether a link is wanted
        self._lock = ctx.clock.Lock()  # around what is said of a new link, and the goodbye
        self._stopping = False
        make, own = read_own(settings)
        self.dialect = make(self, own)
        self.client = MqttClient(
            settings,
            self,
            client_id=settings.client_id or base.replace("/", "-"),
            subscriptions=self.dialect.subscriptions,
            as_published=self.dialect.as_published,
            will=self.dialect.will,
            clock=ctx.clock,
            transport=medium.transport if medium else None,
            random=self.random,
            leaving=self._leave,
        )

    def watch(self) -> None:
        """Let the dialect watch the devices. Raises ConfigError for names that it cannot say."""
        self.ctx.runtime.turns.within(self.dialect.watch)

    def connect(self) -> None:
        """Begin to connect; from the first connection on requests are served."""
        self._linked = True
        self.dialect.begin()
        self.client.start()

    def renew(self, about: About) -> None:
        """Let the dialect publish what the node says of itself, which has changed."""
        self.about = about
        self.dialect.renew(about)

    def stop(self, reason: str) -> None:
        """Publish the final states, then the goodbye, and disconnect; each within its limit."""
        self.dialect.end()
        if self._linked:
            self._say_goodbye(reason)
        self.dialect.close()

    def _leave(self, reason: str) -> None:
        """Let nobody believe that the node is still on a broker that it leaves."""
        self.dialect.leave(reason)
        self.outgoing.flush(_FLUSH_S)

    def _say_goodbye(self, reason: str) -> None:
        with suppress(TurnTimeoutError):  # a turn hangs: what was published last stands
            self.ctx.runtime.turns.call(self.dialect.refresh, "mqtt: final states", _FLUSH_S)
        self.outgoing.flush(_FLUSH_S)
        held = self._lock.acquire(timeout=_FLUSH_S)  # what is said of a new link comes before
        try:
            self._stopping = True
            self.dialect.goodbye(reason)
            if self.client.connected and not self.outgoing.is_open:  # it has come up just now
                self.outgoing.open()
        finally:
            if held:
                self._lock.release()
        self.outgoing.flush(_FLUSH_S)
        self.outgoing.close()
        self._linked = False
        self.dialect.disconnected()
        self.client.close(_CLOSE_S)

    def status(self) -> dict[str, Any]:
        """Return what the link has done and what waits for it, with what the dialect says of it."""
        return {
            "broker": self.client.broker,
            "connections": self._connections,
            "waiting": self.outgoing.waiting,
            "dropped_events": self.outgoing.dropped_events,
            "dropped_replies": self.outgoing.dropped_replies,
            "refused_by_broker": self.client.refused,
            **self.dialect.status(),
        }

    def connected(self) -> None:
        """Publish everything that is retained, last what vouches for the others; after the goodbye
        nothing more."""
        with self._lock:
            if self._stopping:
                return
            cause = "reconnected" if self._connections else "started"
            self._connections += 1
            self.dialect.connected(cause)
            self.outgoing.open()
            self.dialect.opened()
        self.tell(MqttConnected(self.client.broker))

    def disconnected(self, reason: str) -> None:
        """Hold everything back until the link is up again."""
        self.outgoing.close()
        self.dialect.disconnected()
        if self._linked:  # else it was closed by us
            self.tell(MqttDisconnected(self.client.broker, reason))

    def problem(self, text: str) -> None:
        """Tell why the link does not work, or what cannot be said over it."""
        self.tell(MqttProblem(self.client.broker, text))

    def message(self, message: Inbound) -> None:
        """Take a message from the broker."""
        self.dialect.message(message)

    def failed(self, where: str, error: Exception) -> None:
        """Report a mistake in what the network thread calls."""
        self.tell(message.InterfaceError(self.ctx.source, where, *describe(error)))

    def tell(self, told: Message) -> None:
        """Emit in the dispatcher's thread: handlers must not keep the network's from its pings."""
        emit = partial(self.ctx.emit, told)
        self.ctx.runtime.turns.submit_elsewhere(CallTurn(emit, f"mqtt: {told.name}"))

    def event(self, event: Event) -> None:
        """Give the dialect an event, in its turn."""
        self.dialect.event(event)

    def _send(self, publication: Publication, on_done: Callable[[], None]) -> None:
        topic, payload, retain, properties = publication
        self.client.publish(Outbound(topic, payload, 1, retain, properties), on_done)


def _chance(seed: str, clock: Clock, base: str) -> Random:
    """Return what the id of this boot and the delays of the link come from."""
    return Random(f"{seed}:{base}:{clock.time_ns()}") if seed else Random()
