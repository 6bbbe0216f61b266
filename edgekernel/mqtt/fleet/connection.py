"""A client's connection to the nodes on one broker: what is retained, what comes, and requests."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from math import ceil
from typing import Any

from edgekernel.core.clock import Clock, SystemClock
from edgekernel.core.errors import ForbiddenError
from edgekernel.mqtt.client import MqttClient
from edgekernel.mqtt.deliveries import Delivery
from edgekernel.mqtt.fleet.copies import Copies
from edgekernel.mqtt.fleet.errors import NoAnswerError, RequestRefusedError
from edgekernel.mqtt.fleet.gathering import Gathering
from edgekernel.mqtt.fleet.listening import Answer, Arrival, LinkChange, Listener
from edgekernel.mqtt.fleet.sealing import Seal, plain
from edgekernel.mqtt.settings import Settings
from edgekernel.mqtt.transport import Inbound, Medium, Outbound, Properties, Published, QoS
from edgekernel.mqtt.versions import PATIENCE_S

ROOM = 10_000
"""Messages that wait for whoever listens."""

_MANY = 200_000
"""The same for what is retained, which comes all at once."""


class Connection:
    """Speaks with the broker; every method is for any thread, and waits on the clock."""

    def __init__(
        self,
        settings: Settings,
        timeout_s: float,
        clock: Clock | None,
        medium: Medium | None,
        share: str = "",
    ) -> None:
        """Prepare. Each question has `timeout_s` seconds to be answered.

        With a `share` of its own everything it listens to is shared among the clients of that
        name: the broker gives each message to one of them.
        """
        self.prefix = settings.prefix
        self.timeout_s = timeout_s
        self.clock: Clock = clock or SystemClock()
        self.name = f"fleet-{os.urandom(6).hex()}"
        self._below = f"$share/{share}/{settings.prefix}" if share else settings.prefix
        self._lock = self.clock.Lock()
        self._order = self.clock.Lock()  # a filter is not given up after somebody else needs it
        self._listeners: dict[Listener, None] = {}
        self._filters: Counter[str] = Counter()
        self._copies = Copies()
        self._retained = 0
        self._replies: Listener | None = None
        self._asked: dict[str, _Question] = {}
        self._known = self.clock.Event()
        self._problems: dict[str, None] = {}
        self._brokers = len(settings.servers)
        self._client = MqttClient(
            settings,
            self,
            client_id=settings.client_id or f"edgekernel-{self.name}",
            clock=self.clock,
            transport=medium.transport if medium else None,
            patience_s=min(PATIENCE_S, timeout_s / 2),
        )

    @property
    def broker(self) -> str:
        """The broker that is spoken with, or tried."""
        return self._client.broker

    def open(self) -> None:
        """Connect. Raises NoAnswerError that says why it is not possible, with every broker."""
        self._client.start()
        if not self._known.wait(self.timeout_s):
            self.problem(f"{self.broker} did not answer within {self.timeout_s:g} s")
        if not self._client.connected:
            self.close()
            raise NoAnswerError(
                "\n".join(self._problems) or f"{self.broker}: the connection was lost"
            )

    def close(self) -> None:
        """Disconnect; whoever listens is told that it is over."""
        for listener in self._all():
            listener.close()
        self._client.close()

    @contextmanager
    def listening(self, *filters: str, room: int = ROOM) -> Iterator[Listener]:
        """Give what arrives on filters below the prefix, beginning with what is retained."""
        listener = self.listen(filters, room)
        try:
            yield listener
        finally:
            self.leave(listener)

    def listen(self, filters: tuple[str, ...], room: int = ROOM, qos: QoS = 0) -> Listener:
        """Subscribe, and return what arrives until `leave`.

        At QoS 0: at QoS 1 a broker holds back, and drops, what is beyond its queue for a client
        (1,000 messages on mosquitto), which the retained messages of a large fleet are; and with
        a session that ends with the link QoS 1 brings nothing that QoS 0 does not.

        Raises NoAnswerError if the broker does not answer, ForbiddenError if it refuses.
        """
        listener = Listener(self.clock, filters, room)

        def answered(refused: list[str]) -> None:
            listener.refused += refused
            listener.subscribed.set()

        with self._order:
            with self._lock:
                self._listeners[listener] = None
                self._filters.update(filters)
                self._copies.add(filters)
            self._client.subscribe(self._full(filters), answered, qos)
        if not listener.subscribed.wait(self.timeout_s):
            self.leave(listener)
            raise NoAnswerError(f"{self.broker} did not answer within {self.timeout_s:g} s")
        if listener.refused:
            self.leave(listener)
            raise ForbiddenError(f"{self.broker} does not let us read {listener.refused[0]}")
        return listener

    def leave(self, listener: Listener) -> None:
        """Listen no more."""
        listener.close()
        with self._order:
            if unused := self._forget(listener):
                self._client.unsubscribe(self._full(unused), partial(self._left, unused))

    def retained(self, *filters: str) -> dict[str, bytes]:
        """Return what is retained on filters, by topic below the prefix.

        Exact topics are there as soon as the last of them has come. Raises NoAnswerError if the
        link breaks meanwhile, and if it is not certain that this is all.
        """
        exact = set() if any(set(each) & set("+#") for each in filters) else set(filters)
        with self.listening(*filters, room=_MANY) as listener:
            ask = partial(self._ask_for_more, listener)
            try:
                found = Gathering(listener, ask, self.clock, self.timeout_s).run(exact)
            except NoAnswerError as error:
                raise NoAnswerError(f"{self.broker}: {error}") from None
            if listener.dropped:
                raise NoAnswerError(f"{self.broker}: more than {_MANY} messages waited to be read")
        return {topic: payload for topic, payload in found.items() if payload}

    def ask(
        self, node: str, topic: str, body: dict[str, Any], timeout_s: float, seal: Seal = plain
    ) -> Any:
        """Publish a request below a node and return the result from its reply; `seal` makes its
        payload.

        Raises RequestRefusedError with the node's reason, ForbiddenError if the broker does not
        take the request, and NoAnswerError if no reply comes in time: then it says whether the
        request may have been carried out.
        """
        self._listen_to_replies()
        question = _Question(self.clock, f"{node}/reply/{self.name}")
        document = {**body, "id": question.id, "reply_to": f"{self.prefix}/{question.reply_to}"}
        full = f"{self.prefix}/{node}/{topic}"
        payload = seal(full, document, timeout_s)
        with self._lock:
            self._asked[question.id] = question
        message = Outbound(full, payload, properties=Properties(ceil(timeout_s)))
        delivery = self._client.publish(message, on_refused=question.refused)
        try:
            if question.answered.wait(timeout_s) and not delivery.refusal:
                return _result(question.reply)
        finally:
            with self._lock:
                del self._asked[question.id]
            self._client.withdraw(delivery)
        if delivery.refusal:
            raise self.refusal_of(delivery)
        raise NoAnswerError(
            f"{node} did not answer within {timeout_s:g} s; {self._fate(delivery)}; "
            "`edgekernel ctl nodes` shows who is online"
        )

    def _fate(self, delivery: Delivery) -> str:
        """Say what has become of a request without an answer."""
        if delivery.wait(0):
            taken = "the broker has taken the request, so that it may have been carried out"
            return taken + self.doubt
        if delivery.was_sent:
            return "the broker has not acknowledged the request: it may arrive, and be carried out"
        return "the request was not sent, and is taken back"

    def retain(self, topic: str, payload: bytes, on_refused: Published | None = None) -> Delivery:
        """Publish what the broker is to keep on a topic below the prefix; `wait` waits for that,
        and `on_refused` is called in the network thread if the broker does not take it."""
        message = Outbound(f"{self.prefix}/{topic}", payload, retain=True)
        return self._client.publish(message, on_refused=on_refused)

    def refusal_of(self, delivery: Delivery) -> ForbiddenError:
        """Return the error that says why the broker does not take a message."""
        return ForbiddenError(
            f"{self.broker} does not take what we publish on {delivery.message.topic}: "
            f"{delivery.refusal}; check its access rules"
        )

    @property
    def doubt(self) -> str:
        """What to add where it is said that the broker has taken a message: on 3.1.1 it says so of
        what it drops, too."""
        if self._client.version != "3.1.1":
            return ""
        return ", unless its access rules forbid us that: on MQTT 3.1.1 it does not say so"

    def withdraw(self, delivery: Delivery) -> None:
        """Take back what has not reached the broker."""
        self._client.withdraw(delivery)

    def connected(self) -> None:
        """Called by the link: it is up."""
        again = self._known.is_set()
        for listener in self._all():
            listener.subscribed.set()
            if again:
                listener.put(LinkChange(True, ""))
        self._known.set()

    def disconnected(self, reason: str) -> None:
        """Called by the link: it is down, and tried again."""
        with self._lock:
            self._copies = Copies(self._filters)
        for listener in self._all():
            listener.put(LinkChange(False, reason))

    def problem(self, text: str) -> None:
        """Called by the link: it cannot be made."""
        self._problems[text] = None
        if len(self._problems) >= self._brokers:
            self._known.set()

    def message(self, message: Inbound) -> None:
        """Called by the link: a message has arrived."""
        self._retained += message.retained
        topic = message.topic.removeprefix(f"{self.prefix}/")
        arrival = Arrival(topic, message.payload, message.retained)
        if "/reply/" in topic:
            self._replied(arrival)
            return
        with self._lock:
            if self._copies.has(arrival):
                return
        for listener in self._all():
            listener.offer(arrival)

    def failed(self, where: str, error: Exception) -> None:
        """Called by the link: a callback has raised."""
        self.problem(f"{where}: {type(error).__name__}: {error}")

    def _forget(self, listener: Listener) -> tuple[str, ...]:
        """Strike a listener; return the filters that nobody needs any more."""
        with self._lock:
            if listener not in self._listeners:
                return ()
            del self._listeners[listener]
            self._filters.subtract(listener.filters)
            unused = tuple(each for each in listener.filters if self._filters[each] <= 0)
            for each in unused:
                del self._filters[each]
            return unused

    def _ask_for_more(self, listener: Listener) -> int:
        """Ask what changes nothing; return how many retained messages there were before.

        What is given up is a filter for events that nobody has, which needs no more rights than
        others. It is subscribed to just before: mosquitto keeps what is retained back where the
        socket had no room, until the next subscription.
        """
        before = self._retained
        nobodys = self._full((f"{listener.filters[0].partition('/')[0]}/event/{self.name}",))
        self._client.subscribe(nobodys, qos=0)
        self._client.unsubscribe(nobodys, lambda: listener.put(Answer(self._retained)))
        return before

    def _left(self, filters: tuple[str, ...]) -> None:
        """The broker sends nothing any more for filters, unless somebody listens again."""
        with self._lock:
            self._copies.drop(each for each in filters if each not in self._filters)

    def _listen_to_replies(self) -> None:
        if self._replies is None:  # twice is harmless
            self._replies = self.listen((f"+/reply/{self.name}",), room=1, qos=1)

    def _replied(self, arrival: Arrival) -> None:
        try:
            reply = json.loads(arrival.payload)
        except (ValueError, RecursionError):
            return
        id = reply.get("id") if isinstance(reply, dict) else None
        with self._lock:
            question = self._asked.get(id) if isinstance(id, str) else None
        if question is not None and question.reply_to == arrival.topic:
            question.reply = reply
            question.answered.set()

    def _all(self) -> list[Listener]:
        with self._lock:
            return list(self._listeners)

    def _full(self, filters: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"{self._below}/{each}" for each in filters)


class _Question:
    """A request that waits for its reply."""

    def __init__(self, clock: Clock, reply_to: str) -> None:
        self.id = os.urandom(16).hex()
        self.reply_to = reply_to
        self.answered = clock.Event()
        self.reply: dict[str, Any] = {}

    def refused(self, reason: str) -> None:
        """The broker does not take the question: there will be no reply."""
        self.answered.set()


def _result(reply: dict[str, Any]) -> Any:
    if reply.get("ok") is True:
        return reply.get("result")
    error = reply.get("error")
    error = error if isinstance(error, dict) else {}
    code, text = error.get("code", "refused"), error.get("message", "no reason given")
    raise RequestRefusedError(str(code), str(text))
