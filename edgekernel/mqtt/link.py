"""One link to a broker from its making to its end, and when it counts as dead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.mqtt.elapsed import elapsed_ns
from edgekernel.mqtt.transport import (
    Inbound,
    Login,
    MakeTransport,
    Outbound,
    Published,
    QoS,
    Server,
)

_NEVER = 1 << 63
"""Nanoseconds."""


class LinkOwner(Protocol):
    """Who is told what happens on a link: in the transport's thread, and not without a link."""

    def link_up(self, link: Link, refused: list[str]) -> None:
        """The broker has accepted the client and its subscriptions, but for the refused ones."""
        ...

    def arrived(self, message: Inbound) -> None:
        """A message has arrived."""
        ...

    def failed(self, where: str, error: Exception) -> None:
        """Something that was told has raised."""
        ...


class Link:
    """A connection with its subscriptions, watched for signs of life.

    Whatever is asked of the broker is to be answered. Where nothing has been asked for
    `keepalive_s` seconds a sign of life is, so that the broker hears of us too; when answers stay
    out for half as long, the link is dead, whatever the network says. So a half-open connection is
    found within 1.5 times `keepalive_s`, within `keepalive_s` of a message that is not
    acknowledged, and so is a transport whose thread has died or hangs.

    A process that stood still for longer, or a computer that was suspended, has said nothing
    meanwhile: the broker counts the client as gone, and its last will has been told. What it has
    sent before that is late, so nothing is taken from such a link any more.

    A subscription that it begins with and that the broker refuses is asked for again at least twice
    in a keep-alive.
    """

    def __init__(
        self,
        owner: LinkOwner,
        clock: Clock,
        make: MakeTransport,
        subscriptions: Sequence[str],
        keepalive_s: float,
        outdated: Callable[[], str] = str,
        patience_s: float | None = None,
    ) -> None:
        """Prepare one; `outdated` is asked at least twice in a keep-alive and says why the link is
        to be made anew, nothing if it is not. To whether it takes the client the broker has half a
        keep-alive to answer, and `patience_s` seconds if that is less."""
        self._owner = owner
        self._clock = clock
        self.subscriptions = subscriptions
        """What it subscribes to before it counts as up."""
        self._idle_ns = round(keepalive_s * NANOSECONDS)
        self._answer_ns = self._idle_ns // 2
        longest_s = keepalive_s / 2
        self._first_ns = round(min(patience_s or longest_s, longest_s) * NANOSECONDS)
        self._is_accepted = False
        self._outdated = outdated
        self._lock = clock.Lock()
        self._over = clock.Event()
        self._unanswered = 0
        self._asked_ns = clock.monotonic_ns()
        self._alive_ns = self._asked_ns  # of the last answer, or of the first question since
        self._elapsed_ns = elapsed_ns(clock)
        self._given_up_ns = _NEVER  # when the broker does, if it hears nothing more
        self._transport = make(self)
        self._refusal = self._loss = ""
        self._unheard: list[str] = []
        self.notes: Sequence[str] = ()
        """What the broker does otherwise than it was asked to."""
        self.was_up = False
        """Whether the broker has accepted the client and its subscriptions."""
        self.is_outdated = False
        """Whether it has ended, alive, only to be made anew."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._over.is_set()

    @property
    def refusal(self) -> str:
        """Why the broker does not take the client; empty if it does."""
        return self._refusal

    @property
    def loss(self) -> str:
        """Why it has ended; empty if nobody gave a reason."""
        return self._loss

    def run(self, server: Server, login: Login) -> None:
        """Connect, and watch over it until it is over. Raises OSError if no server is reached."""
        self._ask()
        self._transport.connect(server, login)
        with self._lock:
            self._alive_ns = self._clock.monotonic_ns()  # reaching it may have taken long
        while not self._over.is_set():
            self._subscribe_again()
            self._clock.wait_until(self._over, self._look())
            if self.was_up and (reason := self._outdated()) and not self._over.is_set():
                self.leave(reason)

    def leave(self, reason: str) -> None:
        """End it, alive, only to be made anew."""
        self.is_outdated = True
        self.lost(reason)

    def end(self) -> None:
        """Let `run` return."""
        self._over.set()

    def close(self, timeout_s: float, *, goodbye: bool) -> bool:
        """End the connection and its thread; return whether that took no longer."""
        return self._transport.close(timeout_s, goodbye=goodbye)

    def publish(self, message: Outbound, done: Published) -> None:
        """Send a message; `done` when it is acknowledged, or refused."""
        if message.qos == 0:
            self._transport.publish(message, done)
            return

        def acknowledged(refusal: str) -> None:
            self._answered()
            done(refusal)

        self._ask()
        self._transport.publish(message, acknowledged)

    def subscribe(
        self, filters: Sequence[str], done: Callable[[list[str]], object], qos: QoS = 1
    ) -> None:
        """Subscribe to more; `done` is given the filters that the broker refuses."""

        def subscribed(refused: list[str]) -> None:
            self._answered()
            done(refused)

        self._ask()
        self._transport.subscribe(filters, subscribed, qos)

    def unsubscribe(
        self, filters: Sequence[str], done: Callable[[], object] = lambda: None
    ) -> None:
        """Give subscriptions up; `done` when the broker has."""
        with self._lock:
            self._unheard = [each for each in self._unheard if each not in filters]

        def unsubscribed() -> None:
            self._answered()
            done()

        self._ask()
        self._transport.unsubscribe(filters, unsubscribed)

    def accepted(self, session_present: bool, notes: Sequence[str] = ()) -> None:
        """Called by the transport: the broker takes the client."""
        self._is_accepted = True
        self._answered()
        self.notes = notes
        if self.subscriptions:
            # It is up only then: whoever hears that we are here and publishes must reach us.
            self.subscribe(self.subscriptions, self._go_up)
        else:
            self._go_up([])

    def refused(self, reason: str) -> None:
        """Called by the transport: the broker does not take the client."""
        self._refusal = reason
        self.end()

    def arrived(self, message: Inbound) -> None:
        """Called by the transport: a message has arrived."""
        if not self._over.is_set() and not self._stood_still():
            self._owner.arrived(message)

    def lost(self, reason: str) -> None:
        """Called by the transport: the connection has ended."""
        if not self._over.is_set():
            self._loss = reason
            self.end()

    def failed(self, where: str, error: Exception) -> None:
        """Called by the transport: what it told has raised."""
        self._owner.failed(where, error)

    def _go_up(self, refused: list[str]) -> None:
        if not self._over.is_set():
            self.was_up = True
            self._keep_refused(refused)
            self._owner.link_up(self, refused)

    def _keep_refused(self, refused: list[str]) -> None:
        with self._lock:
            self._unheard += refused

    def _subscribe_again(self) -> None:
        """Ask again for what was refused. Access rules change, and a cluster refuses while it is
        without a leader what it takes a moment later."""
        with self._lock:
            again, self._unheard = self._unheard, []
        if again and not self._over.is_set():
            self.subscribe(again, self._keep_refused)

    def _ask(self) -> None:
        elapsed_ns = self._elapsed_ns()
        with self._lock:
            self._asked_ns = self._clock.monotonic_ns()
            if elapsed_ns <= self._given_up_ns < _NEVER:  # the broker hears of us
                self._given_up_ns = elapsed_ns + self._idle_ns + self._answer_ns
            self._unanswered += 1
            if self._unanswered == 1:
                self._alive_ns = self._asked_ns

    def _answered(self) -> None:
        with self._lock:
            self._unanswered -= 1
            self._alive_ns = self._clock.monotonic_ns()

    def _look(self) -> int:
        """Judge the link; return when to look again."""
        now_ns, elapsed_ns = self._clock.monotonic_ns(), self._elapsed_ns()
        if self._stood_still():
            return now_ns
        with self._lock:
            silent_ns, waits = now_ns - self._alive_ns, self._unanswered > 0
            ask_ns = self._asked_ns + self._idle_ns
        limit_ns = self._answer_ns if self._is_accepted else self._first_ns
        if waits and silent_ns >= limit_ns:
            self.lost(f"no answer for {limit_ns / NANOSECONDS:g} s")
        elif now_ns >= ask_ns:
            self._ask()
            self._transport.probe(self._answered)
            self._given_up_ns = elapsed_ns + self._idle_ns + self._answer_ns
        else:
            self._given_up_ns = elapsed_ns + ask_ns - now_ns + self._answer_ns
            return min(ask_ns, now_ns + limit_ns - (silent_ns if waits else 0))
        return now_ns + self._answer_ns

    def _stood_still(self) -> bool:
        """Say whether the link is over because nobody has looked at it for too long."""
        late_ns = self._elapsed_ns() - self._given_up_ns
        if late_ns <= 0:
            return False
        silent_s = (late_ns + self._idle_ns + self._answer_ns) / NANOSECONDS
        self.lost(f"this node stood still, and said nothing for {silent_s:.1f} s")
        return True
