"""What is retained on a real mosquitto is right after node and broker were killed, in any order."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.brokers import Mosquitto, watching
from tests.cli.conftest import Agent

BASE = "edge/shed"
DISCOVERY = "homeassistant/device/shed/config"
NODE = """
[node]
name = "shed"
board = "sim"

[devices.fan]
driver = "relay"
pin = "GPIO17"

[devices.door]
driver = "contact"
pin = "GPIO24"
"""
LAMP = """
[devices.lamp]
driver = "led"
pin = "GPIO22"
"""
OF_NODE = {
    f"{BASE}/{each}" for each in ("status", "info", "schema", "health", "reported", "busy")
} | {DISCOVERY}
TOGETHER = {f"{BASE}/state/{each}" for each in ("fan", "door")}
PLAIN = TOGETHER | {
    f"{BASE}/{kind}/{signal}"
    for kind in ("state", "quality")
    for signal in ("fan/power", "door/open")
}

Run = Callable[..., Agent]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """Give a real mosquitto that keeps nothing on the disk, started."""
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def run(broker: Mosquitto, tmp_path: Path) -> Iterator[Run]:
    """Give a function that runs a node file as an agent of its own, until it is online."""
    agents: list[Agent] = []

    def run(devices: str, link: str = "") -> Agent:
        path = tmp_path / "node.toml"
        mqtt = f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n{link}\n[mqtt.home_assistant]\n'
        path.write_text(f"{devices}\n{mqtt}")
        with watching(broker.port, f"{BASE}/#") as watcher:
            agents.append(Agent("run", path, "--sim", "--json"))
            watcher.wait_for(is_new("status", b'"online"'), "online")
            watcher.wait_for(is_new("health", b'"running"'), "its health")
        return agents[-1]

    yield run
    for agent in agents:
        agent.close()


def is_new(topic: str, word: bytes) -> Callable[[Any], bool]:
    """Match what is published now on a topic of the node."""
    return lambda got: got.topic == f"{BASE}/{topic}" and not got.retained and word in got.payload


def retained(broker: Mosquitto) -> dict[str, bytes]:
    """Return what a client that comes now finds."""
    with watching(broker.port) as late:
        late.publish("mark", "1")  # it comes after all that is retained
        late.wait_for(lambda got: got.topic == "mark")
        return {got.topic: got.payload for got in late.received if got.retained}


def settled(broker: Mosquitto, topics: set[str]) -> dict[str, bytes]:
    """Return what is retained when it is on these topics and no others."""
    with watching(broker.port) as watcher:

        def there(_: object) -> bool:
            found: dict[str, bytes] = {got.topic: got.payload for got in watcher.received}
            return {topic for topic, payload in found.items() if payload} >= topics and all(
                topic in topics or not payload or "/event/" in topic
                for topic, payload in found.items()
            )

        watcher.wait_for(there, f"just {sorted(topics)}")
    found = retained(broker)
    assert found.keys() == topics
    return found


def test_a_killed_node_comes_back_with_another_file(run: Run, broker: Mosquitto) -> None:
    """After SIGKILL it is offline, and its last states stay. With a device less and plain values
    nothing of the start before is left, in Home Assistant's topics neither; and the other way
    round."""
    agent = run(NODE + LAMP)
    before = settled(broker, OF_NODE | TOGETHER | {f"{BASE}/state/lamp"})
    agent.end(signal.SIGKILL)
    with watching(broker.port, f"{BASE}/status") as late:
        gone = late.wait_for(lambda got: b'"offline"' in got.payload, "offline").document
    boot = json.loads(before[f"{BASE}/status"])["boot"]
    assert (gone["boot"], gone["since"]) == (boot, None)
    assert retained(broker).keys() == before.keys()
    agent = run(NODE, 'payloads = "plain"')
    after = settled(broker, OF_NODE | PLAIN)
    assert json.loads(after[f"{BASE}/status"])["boot"] != boot
    assert (after[f"{BASE}/state/fan"], after[f"{BASE}/state/fan/power"]) == (b"online", b"OFF")
    components = [json.loads(each[DISCOVERY])["components"].keys() for each in (before, after)]
    assert components[0] - components[1] == {"lamp_set_light"}
    agent.end(signal.SIGKILL)
    run(NODE)
    found = settled(broker, OF_NODE | TOGETHER)
    assert json.loads(found[f"{BASE}/state/fan"])["power"]["value"] is False


@pytest.mark.parametrize("form", ["json", "plain"])
def test_a_killed_broker_is_told_everything(run: Run, broker: Mosquitto, form: str) -> None:
    """The broker has forgotten all and is back: it has what it had, of a node that stayed, and of
    one that was killed as well and came back with a device less."""
    topics = OF_NODE | (TOGETHER if form == "json" else PLAIN)
    link = f'payloads = "{form}"'
    agent = run(NODE, link)
    settled(broker, topics)
    broker.kill()
    broker.start()
    found = settled(broker, topics)
    assert json.loads(found[f"{BASE}/status"])["cause"] == "reconnected"
    if form == "json":
        broker.kill()
        agent.end(signal.SIGKILL)
        broker.start()
        assert retained(broker) == {}
        run(NODE.partition("[devices.door]")[0])
        found = settled(broker, OF_NODE | {f"{BASE}/state/fan"})
        assert json.loads(found[f"{BASE}/status"])["cause"] == "started"
