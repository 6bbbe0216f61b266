"""How many messages may wait for a broker's acknowledgement: its Receive Maximum."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from edgekernel.mqtt.transport import Outbound, Published

Send = Callable[[Outbound, Published], object]


class SendWindow:
    """Sends messages at QoS 1 in their order, as many at once as a broker takes (MQTT 5, section
    4.9), and the others when answers have come. Every method is for any thread."""

    def __init__(self, size: int, send: Send) -> None:
        """Let at most `size` messages be without an answer; `send` gives one to the network."""
        self._size = size
        self._send = send
        self._lock = threading.Lock()
        self._held: deque[tuple[Outbound, Published]] = deque()
        self._on_the_way = 0

    def publish(self, message: Outbound, done: Published) -> None:
        """Send a message, now or when it is its turn; `done` when there is an answer."""
        with self._lock:
            if self._on_the_way >= self._size:
                self._held.append((message, done))
                return
            self._on_the_way += 1
        self._give(message, done)

    def _give(self, message: Outbound, done: Published) -> None:
        def answered(refusal: str) -> None:
            self._go_on()  # before what `done` publishes
            done(refusal)

        self._send(message, answered)

    def _go_on(self) -> None:
        """Let the next one take the place of one that has its answer."""
        with self._lock:
            if not self._held:
                self._on_the_way -= 1
                return
            message, done = self._held.popleft()
        self._give(message, done)
