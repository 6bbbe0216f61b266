"""A node that is killed: its commands leave a line in a file for each time they are carried out."""

from __future__ import annotations

import sys
from pathlib import Path

from edgekernel import Message, Process, Runtime, SystemClock, command
from edgekernel.mqtt import MqttInterface
from edgekernel.node.memory import FileMemory
from tests.mqtt.parts import Lamp, settings


class Fed(Message):
    """The fish have been fed."""

    what: str


class Feeder(Process):
    """Feeds the fish, which must not happen twice."""

    name = "feeder"

    def __init__(self, book: Path) -> None:
        self._book = book

    def _feed(self, what: str) -> None:
        with self._book.open("a", encoding="utf-8") as book:
            book.write(f"{what}\n")
        self.ctx.emit(Fed(what))

    @command
    def feed(self, what: str) -> str:
        """Feed, and answer."""
        self._feed(what)
        return what

    @command(blocking=True)
    def feed_slowly(self, what: str) -> None:
        """Feed, and never get to the answer."""
        self._feed(what)
        self.ctx.clock.Event().wait()


if __name__ == "__main__":
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    keepalive_s = int(sys.argv[3])
    clock = SystemClock()
    runtime = Runtime(name="n1", clock=clock, memory=FileMemory(folder / "data", clock))
    for part in (
        Lamp("lamp"),
        Feeder(folder / "book"),
        MqttInterface(settings(port, keepalive_s=keepalive_s)),
    ):
        runtime.register(part)
    runtime.run()
