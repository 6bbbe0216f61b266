"""Devices and a process without hardware, and a node made of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

from edgekernel import Device, Event, Message, Process, Runtime, command, output, reading
from edgekernel.core.masking import Secret
from edgekernel.core.turn import CallTurn
from edgekernel.core.turns import TurnQueue
from edgekernel.mqtt import About, MqttInterface, Settings
from edgekernel.mqtt.about import NOTHING_KNOWN
from edgekernel.node.outbox_table import OutboxPlace
from tests.brokers import HOST, LIMIT_S
from tests.stages import Stage


class Lamp(Device):
    """A switch and what it lights."""

    power = output(bool, safe=False)
    light_level = reading(float, unit="lx")

    @power.drive
    def _switch(self, on: bool) -> bool:
        self.light_level.update(100.0 if on else 0.0)
        return on


class Heater(Device):
    """A device with a range."""

    fan_speed = output(float, safe=0.0, unit="%", range=(0, 100))
    warnings = reading(int)

    @fan_speed.drive
    def _drive(self, percent: float) -> float:
        return percent


class Tick(Message):
    """A numbered message."""

    number: int


class Mode(Enum):
    """A result with a value."""

    ECO = "eco"


@dataclass
class Boosted:
    """A result with fields."""

    minutes: int
    mode: Mode


class Room(Process):
    """Has commands of every outcome."""

    name = "room_control"

    def __init__(self) -> None:
        self.lingers = threading.Event()
        self.may_leave = threading.Event()

    @command
    def linger(self) -> str:
        """Wait to be let go; return the name of the thread."""
        self.lingers.set()
        assert self.may_leave.wait(LIMIT_S)
        return threading.current_thread().name

    @command
    def boost(self, minutes: int = 10) -> Boosted:
        return Boosted(minutes, Mode.ECO)

    @command(role="operator")
    def reset(self) -> None:
        raise AssertionError("never allowed")

    @command
    def fail(self) -> None:
        raise KeyError("no such row")

    @command
    def odd(self) -> object:
        return threading.Lock()

    @command(blocking=True)
    def survey(self) -> str:
        """Wait to be let go, beside the handlers; return the name of the thread."""
        return self.linger()

    @command
    async def breathe(self) -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    @command(internal=True)
    def tune(self) -> None:
        raise AssertionError("never reachable")

    @command
    def login(self, word: Secret) -> None:
        raise ValueError(f"{word} is wrong")


class Seen:
    """The messages a runtime has emitted, to wait for."""

    def __init__(self, runtime: Runtime) -> None:
        self.messages: list[Message] = []
        self._changed = threading.Condition()
        runtime.subscribe(Message, self._note)

    def _note(self, event: Event) -> None:
        with self._changed:
            self.messages.append(event.payload)
            self._changed.notify_all()

    def of(self, name: str) -> list[dict[str, Any]]:
        """Return the fields of all messages of a name."""
        return [m.to_dict() for m in list(self.messages) if m.name == name]

    def wait(self, name: str, count: int = 1) -> dict[str, Any]:
        """Wait until there were `count` messages of a name; return the fields of the last."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.of(name)) >= count, LIMIT_S)
        found = self.of(name)
        assert len(found) >= count, f"no {name}; there were {[m.name for m in self.messages]}"
        return found[count - 1]


class Node:
    """A node under test."""

    def __init__(self, runtime: Runtime, interface: MqttInterface, seen: Seen) -> None:
        self.runtime = runtime
        self.interface = interface
        self.seen = seen
        self.lamp = Lamp("lamp")
        self.heater = Heater("heater")
        self.room = Room()


def settings(port: int, **others: Any) -> Settings:
    """Return settings that come back fast."""
    fast = {"reconnect_min_s": 0.05, "reconnect_max_s": 0.2}
    return Settings(HOST, port, **{**fast, **others})


def fill(turns: TurnQueue) -> None:
    """Queue turns for the dispatcher until the first are dropped."""
    dropped = turns.dropped_turns
    while turns.dropped_turns == dropped:
        turns.submit_elsewhere(*[CallTurn(lambda: None, "other") for _ in range(100)])


@contextmanager
def staged_node(
    stage: Stage,
    *,
    max_events: int = 1000,
    about: About = NOTHING_KNOWN,
    name: str = "n1",
    prepare: Callable[[Runtime], object] = lambda runtime: None,
    outbox: OutboxPlace | None = None,
    wait: bool = True,
    **others: Any,
) -> Iterator[Node]:
    """Run a node on a stage until the end; it is connected, if it is to wait for that."""
    runtime = Runtime(name=name, clock=stage.clock)
    to = settings(stage.port, **others)
    interface = MqttInterface(
        to, max_events=max_events, medium=stage.medium, about=about, outbox=outbox
    )
    made = Node(runtime, interface, Seen(runtime))
    for part in (made.lamp, made.heater, made.room, interface):
        runtime.register(part)
    prepare(runtime)
    with runtime:
        if wait:
            stage.until(lambda: made.seen.of("mqtt.connected"), "connected")
        yield made


@contextmanager
def node(
    port: int,
    *,
    max_events: int = 1000,
    wait: bool = True,
    authorizer: Callable[[str, str], bool] | None = None,
    **others: Any,
) -> Iterator[Node]:
    """Run a node named n1 that is connected, and shut it down at the end."""
    runtime = Runtime(name="n1", authorizer=authorizer)
    interface = MqttInterface(settings(port, **others), max_events=max_events)
    made = Node(runtime, interface, Seen(runtime))
    for part in (made.lamp, made.heater, made.room, interface):
        runtime.register(part)
    with runtime:
        if wait:
            made.seen.wait("mqtt.connected")
        yield made
