"""A connection of a client to the broker: what one end says reaches the other after a while."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.sim.broker.inbox import Inbox
from edgekernel.sim.broker.packets import Hello, Publication
from edgekernel.sim.broker.session import Session

if TYPE_CHECKING:
    from edgekernel.sim.broker.broker import SimBroker


class Client(Protocol):
    """The client's end; called in its own thread."""

    def accepted(self, session_present: bool) -> None:
        """The broker takes the client; `session_present` if it had a session of it."""
        ...

    def refused(self, reason: str) -> None:
        """The broker does not take the client, and ends the connection."""
        ...

    def arrived(self, packet: int, publication: Publication, again: bool) -> None:
        """A message comes, to be acknowledged by its number unless that is 0; `again` if it may
        have come before. Its `retain` says whether the broker had kept it."""
        ...

    def subscribed(self, number: int) -> None:
        """A subscription is there."""
        ...

    def acknowledged(self, number: int, refusal: str = "") -> None:
        """The broker has a message, or answers a ping; `refusal` is why it does not take a message,
        which it says on MQTT 5 only."""
        ...

    def lost(self, reason: str) -> None:
        """The connection has ended; `reason` is empty if nobody gave one."""
        ...

    def failed(self, error: Exception) -> None:
        """What was told has raised."""
        ...


class Connection:
    """Both ends of a connection. What the client calls never waits.

    A connection that was there while nothing came through (`Troubles.dead_air`) stays dead, as
    where a router has forgotten it; neither end is told.
    """

    def __init__(
        self, broker: SimBroker, hello: Hello, client: Client, latency_s: float, clock: Clock
    ) -> None:
        self.hello = hello
        self.client = client
        self.session: Session | None = None
        self.is_open = True
        """Whether the broker holds it open."""
        self.is_dead = False
        """Whether nothing comes through."""
        self.heard_ns = 0
        """When the broker has last heard the client."""
        self.clock = clock
        """That of the client."""
        self._broker = broker
        self._latency_s = latency_s
        self._latency_ns = round(latency_s * NANOSECONDS)
        self._inbox = Inbox(clock, f"mqtt:{hello.client_id}", client.failed)

    def publish(self, number: int, publication: Publication) -> None:
        """Publish; at QoS 1 `number` is acknowledged."""
        self.up(partial(self._broker.published, self, number, publication))

    def subscribe(self, number: int, filters: Sequence[tuple[str, int]]) -> None:
        """Subscribe to filters, each with its QoS."""
        self.up(partial(self._broker.subscribed, self, number, tuple(filters)))

    def unsubscribe(self, number: int, filters: Sequence[str]) -> None:
        """Give subscriptions up; `number` is acknowledged."""
        self.up(partial(self._broker.unsubscribed, self, number, tuple(filters)))

    def ping(self, number: int) -> None:
        """Ask for a sign of life: `number` is acknowledged."""
        self.up(partial(self.down, partial(self.client.acknowledged, number)))

    def acknowledge(self, packet: int) -> None:
        """Say that a message has come."""
        self.up(partial(self._broker.acknowledged, self, packet))

    def goodbye(self) -> None:
        """End it in good order: no last will."""
        self.up(partial(self._broker.ended, self, "", will=False))

    def hang_up(self) -> None:
        """End it without a word: the broker publishes the last will."""
        self.up(partial(self._broker.ended, self, "", will=True))

    def close(self, timeout_s: float) -> bool:
        """End the client's thread; return whether that took no longer."""
        return self._inbox.close(timeout_s)

    def up(self, handle: Callable[[], object]) -> None:
        """Let something reach the broker."""
        if not self.is_dead:
            self._broker.later(self._latency_s, partial(self._hear, handle))

    def down(self, call: Callable[[], object]) -> None:
        """Let something reach the client."""
        if not self.is_dead:
            due_ns = self.clock.monotonic_ns() + self._latency_ns
            self._inbox.put(due_ns, partial(self._tell, call))

    def deliver(self, packet: int, publication: Publication, again: bool) -> None:
        """Send a message to the client."""
        self.down(partial(self.client.arrived, packet, publication, again))

    def _hear(self, handle: Callable[[], object]) -> None:
        if self.is_open and not self.is_dead:  # it may have died under way
            self.heard_ns = self.clock.monotonic_ns()
            handle()

    def _tell(self, call: Callable[[], object]) -> None:
        if not self.is_dead:
            call()
