"""What is on its way to the broker, until it is acknowledged; over several links if need be."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from edgekernel.core.clock import Clock, EventLike
from edgekernel.mqtt.link import Link
from edgekernel.mqtt.transport import Outbound, Published


class Delivery:
    """Becomes done when the broker has acknowledged a message, or refused it for good."""

    def __init__(
        self,
        message: Outbound,
        clock: Clock,
        on_done: Callable[[], object] | None,
        on_refused: Published | None = None,
        *,
        here: bool = False,
    ) -> None:
        self.message = message
        self.here = here
        """Whether it is for one link only."""
        self.was_sent = False
        """Whether it has been given to a link: then it may arrive, whatever becomes of the link."""
        self.refusal = ""
        """Why the broker does not take it; empty while it is not known, and if it does."""
        self._clock = clock
        self._waiting: list[EventLike] = []  # hardly anybody does
        self._finished = False
        self._on_done = on_done
        self._on_refused = on_refused

    def wait(self, timeout_s: float) -> bool:
        """Wait for the answer of the broker; False if it takes longer."""
        done = self._clock.Event()
        self._waiting.append(done)
        return self._finished or done.wait(timeout_s)

    def finish(self, refusal: str = "") -> None:
        """Say that it has been acknowledged, or why it was refused."""
        self.refusal = refusal
        self._finished = True
        for done in self._waiting:
            done.set()
        if refusal and self._on_refused is not None:
            self._on_refused(refusal)
        elif self._on_done is not None:
            self._on_done()


class Deliveries:
    """The messages without an answer, in their order. Every method is for any thread.

    What the broker has refused it has answered: it is not sent again (MQTT 5, section 4.4).

    A new link is open for what is published only when all of them have been sent on it again: none
    overtakes an older one.
    """

    def __init__(
        self,
        clock: Clock,
        refused: Callable[[str, str], object] = lambda topic, reason: None,
    ) -> None:
        """Begin; `refused` is told, in the network thread, what the broker does not take: on which
        topic, and why."""
        self._clock = clock
        self._refused = refused
        self._lock = clock.Lock()
        self._waiting: dict[Delivery, None] = {}
        self._open: Link | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a link on which messages are sent as they come."""
        return self._open is not None

    def publish(
        self,
        message: Outbound,
        on_done: Callable[[], object] | None,
        on_refused: Published | None = None,
        *,
        here: bool = False,
    ) -> Delivery:
        """Send a message, now or on the next link; or with `here` on this one and on no other."""
        delivery = Delivery(message, self._clock, on_done, on_refused, here=here)
        with self._lock:
            link = self._open
            if link is not None or not here:
                self._waiting[delivery] = None
        if link is not None:
            self._send(delivery, link)
        return delivery

    def _send(self, delivery: Delivery, link: Link) -> None:
        delivery.was_sent = True
        link.publish(delivery.message, partial(self._finish, delivery))

    def withdraw(self, delivery: Delivery) -> None:
        """Send a message on no further link."""
        with self._lock:
            self._waiting.pop(delivery, None)

    def open(self, link: Link) -> None:
        """Send again what is on its way, then let messages go over this link."""
        sent: set[Delivery] = set()
        while left := self._left(sent, link):
            for delivery in left:
                sent.add(delivery)
                self._send(delivery, link)

    def close(self) -> None:
        """Let messages wait for the next link, but for those that were for this one only."""
        with self._lock:
            self._open = None
            self._waiting = {each: None for each in self._waiting if not each.here}

    def _left(self, sent: set[Delivery], link: Link) -> list[Delivery]:
        """Return what is still to be sent on a new link; nothing opens it, in the same step."""
        with self._lock:
            left = [each for each in self._waiting if each not in sent]
            if not left and not link.is_over:
                self._open = link
            return left

    def _finish(self, delivery: Delivery, refusal: str) -> None:
        with self._lock:
            waited = delivery in self._waiting
            self._waiting.pop(delivery, None)
        if waited and refusal:
            self._refused(delivery.message.topic, refusal)
        if waited:
            delivery.finish(refusal)
