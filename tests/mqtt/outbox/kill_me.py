"""An agent with an outbox that says what it accepts, commits and delivers; killed by a test.

It prints "C position" for what is committed and "D id topic value" for what has reached the broker.
"""

from __future__ import annotations

import json
import os
import queue
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edgekernel import SystemClock
from edgekernel.mqtt.outbox import Outbox, OutboxTable
from edgekernel.mqtt.transport import Properties
from tests.mqtt.outbox.links import Got

TABLE = OutboxTable(drain_messages=0, commit_every=0.01)


class Printing:
    """A link whose broker is the standard output; acknowledges from another thread, a bit later."""

    def __init__(self) -> None:
        self.open: queue.SimpleQueue[Callable[..., object]] = queue.SimpleQueue()
        self.gone = False

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool,
        properties: Properties,
        on_done: Callable[..., object],
    ) -> None:
        """Print a message."""
        if not self.gone:
            got = Got(topic, payload, qos, retain, properties, on_done)
            say(f"D {got.id} {topic} {got.fields['value']}")
            self.open.put(on_done)

    def acknowledge(self, chance: random.Random) -> None:
        """Acknowledge, one by one, until the link is gone."""
        while not self.gone:
            done = self.open.get()
            time.sleep(chance.choice([0, 0, 0.001]))
            done()


def say(line: str) -> None:
    """Print a line at once, whole."""
    os.write(1, f"{line}\n".encode())


def main(file: str, seed: str) -> None:
    """Work until killed; with the seed "last", deliver everything and end."""
    outbox = Outbox(Path(file), SystemClock(), boot=f"boot{seed}", table=TABLE)
    outbox.start()
    if seed == "last":
        finish(outbox)
        return
    chance = random.Random(seed)
    link = Printing()
    while True:
        for _ in range(chance.randrange(30)):
            topic = f"t/{chance.randrange(3)}"
            outbox.accept(topic, json.dumps({"value": chance.randrange(1_000_000)}).encode())
        time.sleep(chance.choice([0.0, 0.002, 0.01]))
        say(f"C {outbox.committed}")
        if chance.random() < 0.1:
            link.gone = True
            outbox.down(forgets=True)
        elif chance.random() < 0.2:
            link = Printing()
            threading.Thread(target=link.acknowledge, args=[chance], daemon=True).start()
            outbox.up(link)


def finish(outbox: Outbox) -> None:
    """Deliver everything and end."""
    link = Printing()
    threading.Thread(target=link.acknowledge, args=[random.Random(0)], daemon=True).start()
    outbox.up(link)
    while not outbox.flush(10) or outbox.waiting:
        time.sleep(0.01)
    outbox.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
