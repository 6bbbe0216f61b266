"""The thread that sends: one message after the other, at the speed of the acknowledgements."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from edgekernel.core.clock import Clock, ThreadLike
from edgekernel.core.errors import describe
from edgekernel.core.messages import Message
from edgekernel.mqtt.outbox.item import Item
from edgekernel.mqtt.outbox.ledger import Ledger, Taken
from edgekernel.mqtt.outbox.link import Link
from edgekernel.mqtt.outbox.messages import OutboxRefused, OutboxUnsent
from edgekernel.mqtt.transport import Properties

_PAUSE_S = 1.0
"""How long nothing is sent after the link has failed to take a message."""

_MOST_REFUSED = 50
"""Topics of which it is told that they are refused. What is told goes through an outbox itself:
without an end one would follow the other."""


class Sender:
    """Gives the link what is next by the ledger."""

    def __init__(self, ledger: Ledger, clock: Clock, tell: Callable[[Message], object]) -> None:
        """Prepare; `start` starts the thread."""
        self._ledger = ledger
        self._clock = clock
        self._tell = tell
        self._closing = clock.Event()
        self._told = False  # of the present trouble
        self._told_refused: set[str] = set()
        self._thread: ThreadLike | None = None

    def start(self) -> None:
        """Begin to send, as soon as the link is up."""
        self._thread = self._clock.Thread(self._run, "edgekernel:outbox:sender")
        self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """Send nothing more; say whether that was done in time."""
        self._closing.set()
        self._ledger.sender_wakes.set()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        ledger = self._ledger
        while not self._closing.is_set():
            taken = ledger.take()
            if not isinstance(taken, Taken):
                ledger.sender_wakes.clear()  # before it is asked again: nothing is missed
                taken = ledger.take()
            if isinstance(taken, Taken):
                self._send(*taken)
            elif taken:
                self._clock.wait_until(ledger.sender_wakes, self._clock.monotonic_ns() + taken)
            elif not self._closing.is_set():
                ledger.sender_wakes.wait()

    def _send(self, item: Item, link: Link) -> None:
        try:
            link.publish(
                item.topic,
                item.as_sent(),
                qos=item.qos,
                retain=item.retain,
                properties=Properties(self._ledger.left_s(item), user=(("id", item.id),)),
                on_done=partial(self._done, item),
            )
        except ValueError as error:
            self._done(item, str(error))
        except Exception as error:  # the link's trouble, not the message's
            self._ledger.put_back(item)
            if not self._told:
                self._told = True
                self._tell(OutboxUnsent(item.topic, describe(error)[0]))
            self._closing.wait(_PAUSE_S)
        else:
            self._told = False

    def _done(self, item: Item, refused: str = "") -> None:
        if refused:
            self._ledger.unsendable(item)
            if item.topic not in self._told_refused and len(self._told_refused) < _MOST_REFUSED:
                self._told_refused.add(item.topic)
                self._tell(OutboxRefused(item.topic, refused))
        else:
            self._ledger.acknowledged(item)
