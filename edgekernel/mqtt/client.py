"""The policy of a link to a broker: connect, subscribe, notice the end, and come back.

It waits on the runtime's clock and speaks through a transport, so that it is the same in simulated
time. What is published while the link is down is for the caller to hold back (see `outgoing`);
what was on its way when the link broke is sent again before the link counts as up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Protocol

from edgekernel.core.clock import Clock, SystemClock
from edgekernel.core.errors import ConfigError
from edgekernel.mqtt import link_problems as problems
from edgekernel.mqtt.deliveries import Deliveries, Delivery
from edgekernel.mqtt.link import Link
from edgekernel.mqtt.refusals import Refusals
from edgekernel.mqtt.rounds import Rounds
from edgekernel.mqtt.settings import Settings
from edgekernel.mqtt.transport import (
    Inbound,
    Login,
    MakeTransport,
    Outbound,
    Published,
    QoS,
    Server,
    Transport,
    TransportObserver,
    Version,
    Will,
)
from edgekernel.mqtt.versions import PATIENCE_S, Versions
from edgekernel.mqtt.way_back import WayBack

_MOST_TOLD = 100
"""Problems that are remembered as told, while there is no link; texts of the network may vary."""
_SUSPICIOUS = 3
"""Links in a row that did not last, after which it is told."""

_END_S = 2.0
"""How long the thread of a link that is over may take to end; then it is left to itself."""

_UNSUBSCRIBE_S = 1.0
"""How long a broker that is left may take to send no more requests."""


class LinkObserver(Protocol):
    """Who is told what happens on the link; called in the network thread, so be brief.

    What these raise is given to `failed` and does not end the link.
    """

    def connected(self) -> None:
        """The broker has accepted the client and its subscriptions."""
        ...

    def disconnected(self, reason: str) -> None:
        """The link that was up is down; it will be tried again."""
        ...

    def problem(self, text: str) -> None:
        """Something keeps the link from working; told once per spell, and tried again."""
        ...

    def message(self, message: Inbound) -> None:
        """A message has arrived. What takes long says so (see `relief`)."""
        ...

    def failed(self, where: str, error: Exception) -> None:
        """A callback has raised."""
        ...


class MqttClient:
    """Keeps a link to the broker: connects, subscribes, and comes back after every failure.

    Of several brokers it is the most preferred that can be reached: see `rounds` and `way_back`.
    """

    def __init__(
        self,
        settings: Settings,
        observer: LinkObserver,
        *,
        client_id: str,
        subscriptions: tuple[str, ...] = (),
        as_published: Iterable[str] = (),
        will: Will | None = None,
        clock: Clock | None = None,
        transport: MakeTransport | None = None,
        random: Random | None = None,
        leaving: Callable[[str], object] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Prepare a link; `start` begins to connect. `subscriptions` are filters, at QoS 1; what
        comes by those that are `as_published` is flagged as it was published, on MQTT 5.

        It waits on `clock`, the system's unless given, and makes a `transport` for each attempt,
        one of paho unless given. `random` varies the delays between attempts. Before a broker is
        left for a better one `leaving` is called with the reason, in a thread of its own and with
        the link up: it may publish, and wait for that. A broker that may not know MQTT 5 has
        `patience_s` to answer it.
        """
        self._settings = settings
        self._observer = observer
        self._client_id = client_id
        self._subscriptions: dict[str, QoS] = dict.fromkeys(subscriptions, 1)
        self._as_published = frozenset(as_published)
        self._will = will
        self._clock = clock or SystemClock()
        self._versions = Versions(settings.protocol, self._clock, patience_s)
        self._make_transport = self._versions.over(transport or _paho)
        self._random = random or Random()
        self._rounds = Rounds(settings, self._clock, self._random)
        self._leaving = leaving
        self._way_back: WayBack | None = None
        self._lock = self._clock.Lock()
        self._closing = self._clock.Event()
        self._thread = self._clock.Thread(self._run, "edgekernel-mqtt")
        self._deliveries = Deliveries(self._clock, self._refused)
        self._refusals = Refusals()
        self._link: Link | None = None
        self._password = settings.password
        self._told: set[tuple[str, str]] = set()  # brokers, and what was told of them

    @property
    def broker(self) -> str:
        """The broker that the link is up with, or that is tried."""
        return str(self._rounds.server)

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """The filters that are subscribed to, on this link and on the next."""
        with self._lock:
            return tuple(self._subscriptions)

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the client and its subscriptions."""
        return self._deliveries.is_open

    @property
    def version(self) -> Version | None:
        """The version of MQTT that the broker has taken the client with; None before."""
        return self._versions.spoken(self._rounds.server)

    @property
    def refused(self) -> int:
        """How many messages the broker has refused; they were dropped."""
        return self._refusals.count

    def start(self) -> None:
        """Begin to connect, on a thread of its own, and never give up."""
        self._thread.start()

    def publish(
        self,
        message: Outbound,
        on_done: Callable[[], object] | None = None,
        on_refused: Published | None = None,
        *,
        here: bool = False,
    ) -> Delivery:
        """Send a message; `on_done` is called in the network thread when it is acknowledged.

        It is sent again after a reconnect until the broker answers. One that the broker refuses,
        as it can on MQTT 5, is dropped and told, and `on_refused` is called with the reason, or
        without one `on_done`. With `here` it is for this link only, and dropped without one: for
        what is told anew with each.
        """
        return self._deliveries.publish(message, on_done, on_refused, here=here)

    def withdraw(self, delivery: Delivery) -> None:
        """Send a message on no later link; on this one it may be on its way already."""
        self._deliveries.withdraw(delivery)

    def subscribe(
        self,
        filters: Sequence[str],
        done: Callable[[list[str]], object] | None = None,
        qos: QoS = 1,
    ) -> None:
        """Subscribe to more filters, on this link and on all that follow.

        `done` is called in the network thread with those that the broker refuses. If the link
        breaks before it has answered, the observer's `connected` tells that it is up again, and
        what is at QoS 1 is there then.
        """
        with self._lock:
            self._subscriptions |= dict.fromkeys(filters, qos)
            link = self._link
        if link is not None and link.was_up and not link.is_over:
            link.subscribe(filters, done or (lambda refused: None), qos)

    def unsubscribe(
        self, filters: Sequence[str], done: Callable[[], object] = lambda: None
    ) -> None:
        """Give subscriptions up; what is on its way still arrives.

        `done` is called in the network thread when the broker has; not if the link breaks before.
        """
        with self._lock:
            for each in filters:
                self._subscriptions.pop(each, None)
            link = self._link
        if link is not None and link.was_up and not link.is_over:
            link.unsubscribe(filters, done)

    def close(self, timeout_s: float = 2.0) -> bool:
        """Disconnect cleanly (no last will) and end the thread; False if it takes longer."""
        self._closing.set()
        with self._lock:
            link = self._link
        if link is not None:
            link.end()
        self._thread.join(timeout_s)
        if self._thread.is_alive() and link is not None:  # it has not reached any server yet
            link.close(0.0, goodbye=False)
        self._deliveries.close()
        return not self._thread.is_alive()

    def link_up(self, link: Link, refused: list[str]) -> None:
        """Called by the link: send again what was on its way, then tell."""
        self._told.clear()
        for note in link.notes:
            self._tell(f"{self.broker} {note}")
        if refused:
            self._tell(problems.unsubscribed(self.broker, refused))
        self._deliveries.open(link)
        self._rounds.up()
        self._catch_up(link)
        if not link.is_over:
            self._observer.connected()
            self._look_back(link)

    def _catch_up(self, link: Link) -> None:
        """Subscribe to what is at QoS 0, and to what was asked for while the link was made."""
        with self._lock:
            late = [
                each for each in self._subscriptions.items() if each[0] not in link.subscriptions
            ]
        levels: tuple[QoS, ...] = (0, 1)
        for level in levels:
            if filters := [each for each, qos in late if qos == level]:
                link.subscribe(filters, lambda refused: None, level)

    def arrived(self, message: Inbound) -> None:
        """Called by the link: a message has arrived."""
        self._observer.message(message)

    def failed(self, where: str, error: Exception) -> None:
        """Called by the link: what it told has raised."""
        try:
            self._observer.failed(where, error)
        except Exception:
            logging.getLogger("edgekernel").exception("mqtt: %s failed", where)

    def _run(self) -> None:
        while not self._closing.is_set():
            link = self._make_link()
            try:
                self._follow(link)
            except Exception as error:  # a mistake here must not end the attempts
                self.failed("link", error)
            if not self._closing.is_set():
                self._go_on(link)

    def _make_link(self) -> Link:
        with self._lock:
            link = self._link = Link(
                self,
                self._clock,
                self._make_transport,
                [each for each, qos in self._subscriptions.items() if qos],
                self._settings.keepalive_s,
                self._outdated,
                self._versions.patience_s(self._rounds.server),
            )
        if self._closing.is_set():  # `close` has not seen it
            link.end()
        return link

    def _follow(self, link: Link) -> None:
        """Keep one link until it is over, and tell how it ended."""
        try:
            self._password = self._settings.current_password()
            link.run(self._rounds.server, self._login)
        except OSError as error:
            self._tell(problems.unreachable(self.broker, error, self._clock.now_utc()))
        except ConfigError as error:
            self._tell(f"{self.broker} cannot be reached: {error}")
        else:
            self._tell_end(link)
        finally:
            self._deliveries.close()
            self._stop_looking_back()
            if not link.close(_END_S, goodbye=self._closing.is_set() or link.is_outdated):
                self._tell(problems.hanging(self.broker))

    @property
    def _login(self) -> Login:
        settings = self._settings
        return Login(
            self._client_id,
            settings.username,
            self._password,
            settings.keepalive_s,
            self._will,
            as_published=self._as_published,
        )

    def _outdated(self) -> str:
        try:
            changed = self._settings.current_password() != self._password
        except ConfigError as error:  # the link lives, and nobody knows of a new password
            self._tell(f"{self.broker} cannot be reached again: {error}")
            return ""
        return "the password has changed" if changed else ""

    def _look_back(self, link: Link) -> None:
        """Try the brokers that are better than that of a link, until it ends."""
        better = self._rounds.preferred
        if not better:
            return
        way_back = WayBack(
            self._clock,
            self._make_transport,
            self._random,
            self._login,
            better,
            self._rounds.back_after_s,
            found=lambda index: self._go_back(link, index),
            refused=self._tell_refused_back,
            failed=self.failed,
        )
        with self._lock:
            if not link.is_over:  # else nobody would stop it
                self._way_back = way_back
                way_back.start()

    def _stop_looking_back(self) -> None:
        with self._lock:
            way_back, self._way_back = self._way_back, None
        if way_back is not None:
            way_back.stop()

    def _go_back(self, link: Link, index: int) -> None:
        """Leave a broker in good order: no request comes any more, and what is to be said there is
        said."""
        reason = f"{self._rounds.preferred[index]} is back"
        unsubscribed = self._clock.Event()
        link.unsubscribe(self.subscriptions, unsubscribed.set)
        unsubscribed.wait(_UNSUBSCRIBE_S)
        if self._leaving is not None:
            self._guarded(self._leaving, reason)
        if not link.is_over:
            self._rounds.go_back(index)
            link.leave(reason)

    def _tell_refused_back(self, server: Server, reason: str) -> None:
        if self._versions.falls_back(server):
            return  # the next attempt speaks the other version
        text = problems.refused(str(server), self._settings.username, reason)
        self._tell(f"{self.broker} is kept: {text}")

    def _tell_end(self, link: Link) -> None:
        if self._closing.is_set():
            return
        if not link.was_up:
            link.close(_END_S, goodbye=False)  # now it is known whether it was for the version
        if self._versions.falls_back(self._rounds.server):
            return
        if link.was_up:
            self._deliveries.close()
            self._guarded(self._observer.disconnected, problems.ended(link.loss, self._client_id))
        elif link.refusal:
            self._tell(problems.refused(self.broker, self._settings.username, link.refusal))
        elif not any(broker == self.broker for broker, _ in self._told):
            tls = self._rounds.server.tls is not None
            self._tell(problems.no_answer(self.broker, link.loss, tls=tls))

    def _go_on(self, link: Link) -> None:
        """Wait for the next attempt; one that only speaks another version follows at once."""
        if self._versions.falls_back(self._rounds.server):
            return
        lasted = self._rounds.ended(was_up=link.was_up)
        self._tell_contested()
        delay_s = self._rounds.move_on(lasted=lasted, same=link.is_outdated)
        self._clock.sleep(delay_s, self._closing)

    def _refused(self, topic: str, reason: str) -> None:
        """Count what the broker does not take, and tell it once for each topic."""
        with self._lock:
            text = self._refusals.to_tell(self.broker, topic, reason)
        if text:
            self._guarded(self._observer.problem, text)

    def _tell_contested(self) -> None:
        if self._rounds.short_links == _SUSPICIOUS:
            self._tell(problems.contested(self.broker, self._client_id, _SUSPICIOUS))

    def _tell(self, text: str) -> None:
        if (self.broker, text) not in self._told:
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
            self._told.add((self.broker, text))
            self._guarded(self._observer.problem, text)

    def _guarded(self, tell: Callable[[str], object], text: str) -> None:
        try:
            tell(text)
        except Exception as error:
            self.failed(getattr(tell, "__name__", "callback").strip("_"), error)


def _paho(observer: TransportObserver) -> Transport:
    from edgekernel.mqtt.paho_transport import PahoTransport  # not needed in a simulation

    return PahoTransport(observer)
