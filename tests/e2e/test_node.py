"""The main job on real input: an agent process, a real mosquitto, and a foreign MQTT client."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.brokers import LIMIT_S, Mosquitto, Watcher, watching
from tests.greenhouse import greenhouse_on

BASE = "edge/greenhouse-1"


class Agent:
    """`edgekernel run` on the simulated board, as a process of its own."""

    def __init__(self, node: Path) -> None:
        command = [sys.executable, "-c", "from edgekernel.cli import main; main()"]
        self.process = subprocess.Popen(
            [*command, "run", str(node), "--sim"], stdout=subprocess.PIPE, text=True
        )

    def end(self, how: signal.Signals) -> tuple[int, str]:
        """Send a signal, wait for the end; return exit code and output."""
        self.process.send_signal(how)
        out, _ = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, out


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """Give a real mosquitto, started."""
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def client(broker: Mosquitto) -> Iterator[Watcher]:
    """Give a foreign client that receives everything."""
    with watching(broker.port) as watcher:
        yield watcher


@pytest.fixture
def agent(broker: Mosquitto, tmp_path: Path) -> Iterator[Agent]:
    """Give the greenhouse on the simulated board, talking to that broker."""
    agent = Agent(greenhouse_on(broker.port, tmp_path))
    yield agent
    if agent.process.poll() is None:
        agent.end(signal.SIGKILL)
    if agent.process.stdout is not None:
        agent.process.stdout.close()


def ask(client: Watcher, topic: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send a request and return the node's reply to it."""
    id = f"request-{len(client.received)}-{topic}"
    client.publish(f"{BASE}/{topic}", {**body, "id": id, "reply_to": f"{BASE}/reply/tester"})
    reply: dict[str, Any] = client.on(f"{BASE}/reply/tester", id=id).document
    return reply


def level(client: Watcher, line: str) -> bool:
    """Return the electrical level of a line of the simulated board, not the driver's word."""
    reply = ask(client, "call/sim/level", {"args": {"line": line}})
    assert reply["ok"], reply
    result: bool = reply["result"]
    return result


def state(device: str, fits: Callable[[dict[str, Any]], bool]) -> Callable[[Any], bool]:
    """Match the retained state of a device."""
    topic = f"{BASE}/state/{device}"
    return lambda received: received.topic == topic and fits(json.loads(received.payload))


def test_the_main_job(agent: Agent, broker: Mosquitto, client: Watcher) -> None:
    """A node on a real broker switches, reports, answers, outlives the broker and ends safe."""
    client.on(f"{BASE}/status", state="online")

    # An output is set: the pin has the level, the retained state says so.
    assert level(client, "GPIO27") is True  # the vent's relay board is active low: off
    assert ask(client, "set/vent/power", {"value": True})["ok"]
    assert level(client, "GPIO27") is False
    client.wait_for(state("vent", lambda s: s["power"]["value"] is True), "vent is on")
    client.publish(f"{BASE}/set/vent/power", "off")  # a plain value does as well
    client.wait_for(state("vent", lambda s: s["power"]["setpoint"] is False), "vent is off")
    assert level(client, "GPIO27") is True

    # Temperature and position are read, with unit and quality.
    measured = state("room", lambda s: s["temperature"]["quality"] == "good")
    room = client.wait_for(measured, "room").document
    assert room["temperature"]["unit"] == "°C"
    assert 10 < room["temperature"]["value"] < 30
    good = state("position", lambda s: s["fix"].get("value") is True)
    position = client.wait_for(good, "position").document
    assert 47 < position["latitude"]["value"] < 48

    # The button is pressed: the event comes, and the application reacts.
    client.forget()
    assert ask(client, "call/sim/hold", {"args": {"device": "airing"}})["ok"]
    client.wait_for(lambda r: r.topic == f"{BASE}/event/button-pressed", "button pressed")
    client.wait_for(state("airing", lambda s: s["pressed"]["value"] is True), "pressed")
    client.wait_for(state("vent", lambda s: s["power"]["value"] is True), "airing opens the vent")

    # The broker dies and comes back: the node is there again and its state is right.
    broker.kill()
    client.forget()
    broker.start()
    with watching(broker.port) as newcomer:
        newcomer.on(f"{BASE}/status", state="online")
        newcomer.wait_for(state("vent", lambda s: s["power"]["value"] is True), "vent is still on")
        assert ask(newcomer, "set/lamp/light", {"value": True})["ok"]
        assert level(newcomer, "GPIO22") is True

        # SIGTERM: the outputs are safe, the status is offline, the exit code is 0.
        newcomer.forget()
        code, out = agent.end(signal.SIGTERM)
        assert code == 0, out
        final = newcomer.on(f"{BASE}/status", state="offline").document
        assert final["cause"] == "SIGTERM"
        for device, output in (("heater", "power"), ("vent", "power"), ("lamp", "light")):
            last = [r for r in newcomer.received if r.topic == f"{BASE}/state/{device}"][-1]
            assert last.document[output]["value"] is False, device
    with watching(broker.port) as later:
        assert later.on(f"{BASE}/status", state="offline").retained


def test_killed_agent_is_reported_by_the_broker(agent: Agent, client: Watcher) -> None:
    """After a SIGKILL of the agent the last will says that it is offline."""
    client.on(f"{BASE}/status", state="online")
    agent.end(signal.SIGKILL)
    client.on(f"{BASE}/status", state="offline")


@pytest.mark.parametrize(
    ("topic", "payload", "code", "says"),
    [
        ("set/vent/power", "{not json", "invalid", "JSON"),
        ("set/vent/power", {"value": "sideways"}, "invalid", "on or off"),
        ("set/vent/power", {"value": 7}, "invalid", "on or off"),
        ("set/vnet/power", {"value": True}, "unknown", "'vent'"),
        ("set/vent/powr", {"value": True}, "unknown", "'power'"),
        ("call/climate/set-targt", {}, "unknown", "set-target"),
        ("call/climate/set-target", {"args": {"celsius": 99}}, "invalid", "at most 35"),
        ("call/climate/set-target", {"args": {"celsius": "warm"}}, "invalid", "a number"),
        ("call/climate/set-target", {"args": {}}, "invalid", "celsius: is missing"),
        ("call/climate/set-target", {"args": [21]}, "invalid", "object"),
        ("call/climate/set-target", {"argz": {}}, "invalid", "args"),
    ],
)
def test_bad_requests_are_refused_with_the_reason(
    agent: Agent, client: Watcher, topic: str, payload: object, code: str, says: str
) -> None:
    """A bad request is told as command.refused, answered if it says where, and switches nothing."""
    client.on(f"{BASE}/status", state="online")
    if isinstance(payload, dict):
        reply = ask(client, topic, payload)
        assert reply["ok"] is False
        assert reply["error"]["code"] == code
        assert says in reply["error"]["message"]
    else:
        client.publish(f"{BASE}/{topic}", str(payload))
    event = client.wait_for(lambda r: r.topic == f"{BASE}/event/command-refused", "refused")
    assert event.document["fields"]["code"] == code
    assert says in event.document["fields"]["error"]
    assert level(client, "GPIO27") is True, "the vent was not switched"


def test_a_retained_set_is_refused(broker: Mosquitto, client: Watcher, tmp_path: Path) -> None:
    """A set that waits retained on the broker when the node comes switches nothing."""
    client.publish(f"{BASE}/set/vent/power", {"value": True}, retain=True)
    agent = Agent(greenhouse_on(broker.port, tmp_path, without=("app =", "world =")))
    try:
        client.on(f"{BASE}/status", state="online")
        event = client.wait_for(lambda r: r.topic == f"{BASE}/event/command-refused", "refused")
        assert "retained" in event.document["fields"]["error"]
        assert level(client, "GPIO27") is True
    finally:
        code, _ = agent.end(signal.SIGINT)
    assert code == 0
