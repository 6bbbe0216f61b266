"""Telemetry at QoS 1 over mosquitto: through the outbox, from memory, and by raw paho-mqtt.

The three are interleaved, each over a link that is up. A rate is that of messages that the broker
has acknowledged.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.mosquitto import HOST, no_delay, start_broker
from edgekernel import SystemClock
from edgekernel.mqtt import Settings
from edgekernel.mqtt.client import MqttClient
from edgekernel.mqtt.events import OverClient
from edgekernel.mqtt.outbox import Outbox, OutboxTable
from edgekernel.mqtt.outgoing import Outgoing, Publication
from edgekernel.mqtt.transport import Inbound, Outbound

TOPIC = "edge/node/data/room"
LIMIT_S = 120.0
AGENTS_SWITCH_INTERVAL_S = 0.0005
"""What `edgekernel run` sets (docs/decisions/0004): three threads pass each message on."""
Measured = tuple[float, float]
"""Messages a second, and microseconds of CPU for each."""


class Observer:
    """Waits for the link."""

    def __init__(self) -> None:
        self.up = threading.Event()

    def connected(self) -> None:
        """The link is up."""
        self.up.set()

    def disconnected(self, reason: str) -> None:
        """The link must not go."""
        raise AssertionError(reason)

    def problem(self, text: str) -> None:
        """There must be none."""
        raise AssertionError(text)

    def message(self, message: Inbound) -> None:
        """Nothing was subscribed to."""

    def failed(self, where: str, error: Exception) -> None:
        """Nothing must fail."""
        raise error


class Count:
    """Counts acknowledgements up to the last."""

    def __init__(self, count: int) -> None:
        self._left = count
        self.done = threading.Event()

    def __call__(self, *_: Any) -> None:
        """Count one."""
        self._left -= 1
        if self._left == 0:
            self.done.set()


@contextmanager
def linked(port: int, name: str) -> Iterator[MqttClient]:
    """Give a client of ours whose link is up."""
    observer = Observer()
    client = MqttClient(Settings(HOST, port), observer, client_id=name)
    client.start()
    if not observer.up.wait(LIMIT_S):
        raise SystemExit(f"{name}: no link")
    yield client
    client.close()


def measured(count: int, give: Callable[[], object], done: Callable[[], bool]) -> Measured:
    """Give messages until all are acknowledged."""
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        give()
    while not done():
        if time.perf_counter() - began > LIMIT_S:
            raise SystemExit("not everything was acknowledged")
        time.sleep(0.001)
    took = time.perf_counter() - began
    return count / took, (time.process_time() - cpu) / count * 1e6


def by_paho(port: int, payload: bytes, count: int) -> Measured:
    """Publish with nothing but paho, in its own window of 20."""
    counted, up = Count(count), threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_socket_open = no_delay
    client.on_connect = lambda *_: up.set()
    client.on_publish = counted
    client.connect(HOST, port)
    client.loop_start()
    up.wait(LIMIT_S)
    try:
        return measured(count, lambda: client.publish(TOPIC, payload, 1), counted.done.is_set)
    finally:
        client.disconnect()
        client.loop_stop()


def from_memory(port: int, payload: bytes, count: int) -> Measured:
    """Publish without an outbox, as events of a node that has no folder."""
    with linked(port, "memory") as client:

        def send(publication: Publication, on_done: Callable[[], None]) -> None:
            topic, data, retain, _ = publication
            client.publish(Outbound(topic, data, retain=retain), on_done)

        outgoing = Outgoing(send, SystemClock(), max_events=count)
        outgoing.open()
        return measured(
            count, lambda: outgoing.event(TOPIC, payload), lambda: outgoing.waiting == 0
        )


def through_outbox(port: int, payload: bytes, count: int, file: Path) -> Measured:
    """Publish through an outbox with its defaults, but for room for all that comes at once."""
    table = OutboxTable(queue_rows=count * 2, queue_size=10**9, drain_messages=0, drain_size=0)
    with linked(port, "outbox") as client:
        outbox = Outbox(file, SystemClock(), boot=f"b{time.monotonic_ns()}", table=table)
        outbox.start()
        with closing(outbox):
            outbox.flush(LIMIT_S)
            outbox.up(OverClient(client))
            return measured(
                count, lambda: outbox.accept(TOPIC, payload), lambda: outbox.waiting == 0
            )


def telemetry(folder: Path, payload: bytes, count: int, rounds: int) -> dict[str, list[Measured]]:
    """Measure the three ways, one after the other, so often."""
    broker, port = start_broker(str(folder), nodelay=True)
    before = sys.getswitchinterval()
    sys.setswitchinterval(AGENTS_SWITCH_INTERVAL_S)
    found: dict[str, list[Measured]] = {}
    try:
        for number in range(rounds):
            file = folder / f"{number}.db"
            found.setdefault("raw paho", []).append(by_paho(port, payload, count))
            found.setdefault("from memory", []).append(from_memory(port, payload, count))
            outbox = through_outbox(port, payload, count, file)
            found.setdefault("through the outbox", []).append(outbox)
    finally:
        sys.setswitchinterval(before)
        broker.terminate()
        broker.wait(10)
    return found
