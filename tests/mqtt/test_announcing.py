"""What a node says of itself, the same on a real mosquitto and on the in-process broker."""

from __future__ import annotations

from typing import Any

import pytest

from edgekernel import Device, Process, Runtime, Service, command, message
from edgekernel.core.clock import EventLike
from edgekernel.core.version import VERSION
from edgekernel.mqtt import About
from edgekernel.node import schema as node_schema
from tests.brokers import LIMIT_S
from tests.mqtt.parts import Heater, staged_node
from tests.mqtt.seer import BASE, Seer
from tests.stages import SimStage, Stage


class Dial(Service):
    """A service with a command."""

    name = "dial"
    interval = 10.0

    def tick(self, ctx: object) -> None:
        """Do nothing."""

    @command
    def turn(self) -> None:
        """Do nothing."""


class LateDial(Dial):
    """A dial whose thread takes its time before its commands are there."""

    def __init__(self, may_start: EventLike) -> None:
        self._may_start = may_start

    def start(self, ctx: object) -> None:
        """Wait until it may."""
        self._may_start.wait(LIMIT_S)


class Late(Device):
    """A device with a command that answers from its second attempt on."""

    attempts = 0

    def connect(self) -> None:
        self.attempts += 1
        if self.attempts == 1:
            raise OSError("no answer")

    @command
    def reset(self) -> None:
        """Do nothing."""


class Odd(Device):
    """A device that nobody can describe."""

    @property
    def kind(self) -> str:  # type: ignore[override]
        raise RuntimeError("I am odd")


INFO = f"{BASE}/info"
SCHEMA = f"{BASE}/schema"
STATUS = f"{BASE}/status"


class Extra(Process):
    """A part that comes later."""

    name = "extra"

    @command
    def greet(self, who: str) -> str:
        return f"hello {who}"


def test_info_and_schema_are_there_before_the_status_vouches_for_them(stage: Stage) -> None:
    """Both are retained, of this boot, and came before the status."""
    early = Seer(stage)
    about = About("raspberrypi/4b", "abc", {"zone": "north"})
    with staged_node(stage, about=about):
        boot = early.sees(STATUS, lambda status: status["state"] == "online").document["boot"]
        topics = [got.topic for got in early.peer.received]
        assert max(topics.index(INFO), topics.index(SCHEMA)) < topics.index(STATUS)
        info = Seer(stage, "late").sees(INFO).document
    assert info["boot"] == boot
    assert (info["version"], info["board"], info["config"]) == (VERSION, "raspberrypi/4b", "abc")
    assert info["labels"] == {"zone": "north"}
    assert info["restart_cause"] == "unknown"
    assert info["host"]
    assert info["time_quality"] in ("simulated", "synchronised", "unsynchronised", "unknown")


def test_the_schema_follows_hot_changes(stage: Stage) -> None:
    """A part that is added is in it with its commands, one that is removed is not."""
    seer = Seer(stage)
    with staged_node(stage) as n1:
        seer.sees(SCHEMA, lambda schema: "extra" not in schema["commands"])
        n1.runtime.hot_add(Extra())
        n1.runtime.hot_add(Heater("oven"))
        found = seer.sees(SCHEMA, lambda schema: "oven" in schema["devices"]).document
        assert found["commands"]["extra"]["greet"]["arguments"]["required"] == ["who"]
        seer.forget()
        n1.runtime.hot_remove("extra")
        seer.sees(SCHEMA, lambda schema: "extra" not in schema["commands"])


def test_the_schema_follows_a_device_that_comes_late(stage: Stage) -> None:
    """The commands of an optional device that did not answer at first are there when it does."""
    seer = Seer(stage)

    def prepare(runtime: Runtime) -> None:
        runtime.attach_device(Late("late"), optional=True)

    with staged_node(stage, prepare=prepare):
        seer.sees(SCHEMA, lambda schema: "late" not in schema["commands"])
        seer.sees(SCHEMA, lambda schema: "reset" in schema["commands"].get("late", {}))


def test_the_schema_follows_a_service_that_starts_late(stage: Stage) -> None:
    """The commands of a service are there with its thread: after the message that it was added."""
    seer = Seer(stage)
    may_start = stage.clock.Event()
    with staged_node(stage) as n1:
        n1.runtime.register(LateDial(may_start))
        n1.runtime.register(Extra())
        found = seer.sees(SCHEMA, lambda schema: "extra" in schema["commands"]).document
        assert "dial" not in found["commands"]
        may_start.set()
        seer.sees(SCHEMA, lambda schema: "dial" in schema["commands"])


def test_what_has_not_changed_is_not_published_again(sim_stage: SimStage) -> None:
    """In a minute without changes info and schema come once, the health every 30 s."""
    seer = Seer(sim_stage)
    with staged_node(sim_stage):
        sim_stage.sim_clock.advance(65)
        assert len(seer.on(SCHEMA)) == len(seer.on(INFO)) == 1
        assert len(seer.on(f"{BASE}/health")) == 3


def test_the_schema_outlives_the_node(stage: Stage) -> None:
    """While a node stops its parts one by one, its schema stays what it was."""
    seer = Seer(stage)
    with staged_node(stage) as n1:
        n1.runtime.register(Dial())
        seer.sees(SCHEMA, lambda schema: "dial" in schema["commands"])
    seer.sees(STATUS, lambda status: status["state"] == "offline")
    assert "dial" in Seer(stage, "late").sees(SCHEMA).document["commands"]
    assert "dial" in seer.on(SCHEMA)[-1]["commands"]


def test_the_schema_outlives_a_description_under_way(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that had begun before the end, and sees only what is left, is not published."""
    begun, stopped, slow = stage.clock.Event(), stage.clock.Event(), stage.clock.Event()
    describe = node_schema.describe_node

    def late(runtime: Runtime) -> Any:
        if slow.is_set():
            begun.set()
            stopped.wait(LIMIT_S)
        return describe(runtime)

    def has_stopped(event: Any) -> None:
        if event.payload.service == "dial":
            stopped.set()

    monkeypatch.setattr(node_schema, "describe_node", late)
    seer = Seer(stage)
    with staged_node(stage) as n1:
        n1.runtime.register(Dial())
        seer.sees(SCHEMA, lambda schema: "dial" in schema["commands"])
        n1.runtime.subscribe(message.ServiceStopped, has_stopped)
        slow.set()
        n1.runtime.register(Extra())
        stage.until(begun.is_set, "a description")
    seer.sees(STATUS, lambda status: status["state"] == "offline")
    assert stopped.is_set()
    assert "dial" in seer.on(SCHEMA)[-1]["commands"]


def test_a_part_that_cannot_be_described(stage: Stage) -> None:
    """It is told, and keeps nothing else from being published."""
    seer = Seer(stage)
    runtime_of = staged_node(stage, prepare=lambda runtime: runtime.register(Odd("odd")))
    with runtime_of as n1:
        seer.sees(STATUS, lambda status: status["state"] == "online")
        seer.sees(f"{BASE}/state/lamp")
        stage.until(lambda: n1.seen.of("interface.error"), "an error")
        assert n1.seen.of("interface.error")[0]["event"] == "announcing"


def test_all_comes_again_after_the_broker_was_gone(stage: Stage) -> None:
    """A broker that has forgotten everything is told everything."""
    with staged_node(stage) as n1:
        stage.kill()
        stage.start()
        stage.until(lambda: len(n1.seen.of("mqtt.connected")) == 2, "a second connect")
        late = Seer(stage, "late")
        for topic in (INFO, SCHEMA, f"{BASE}/health", STATUS):
            assert late.sees(topic).document
