"""The same node and the same clients on three NATS servers with their MQTT gateways."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edgekernel.core.errors import UnknownTargetError
from edgekernel.mqtt import Fleet
from edgekernel.mqtt.fleet import NoAnswerError, NodeEvent, NodeStatus, RequestRefusedError
from edgekernel.mqtt.settings import Settings
from tests.brokers import HOST, LIMIT_S
from tests.cluster.nats import Balancer, Cluster

ROOT = Path(__file__).parents[2]

NODE = """
[node]
name = "n1"
board = "sim"
app = "counting"
data = "data"

[devices.fan]
driver = "relay"
pin = "GPIO17"

[mqtt.outbox]
commit_every = 0.05
drain_messages = 0
"""

APP = '''
from edgekernel import Message, Process, Service, command


class Counted(Message):
    """One more, on one of two topics."""

    number: int


class Even(Counted):
    """The other topic."""


class Counter(Service):
    """Counts, 50 times a second, from the first call of `count` on."""

    name = "counter"
    interval = 0.02
    number = 0
    counts = False

    def tick(self, ctx):
        if self.counts:
            self.number += 1
            ctx.emit((Counted if self.number % 2 else Even)(self.number))


class Desk(Process):
    name = "desk"

    def __init__(self, counter):
        self.counter = counter

    @command
    def count(self, on: bool) -> int:
        """Begin or end to count; return how far it is."""
        self.counter.counts = on
        return self.counter.number


def setup(runtime):
    counter = runtime.register(Counter())
    runtime.register(Desk(counter))
'''


COUNTED = ("counted", "even")


class Running:
    """A process with the node above, whose events go to a file."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        (folder / "counting.py").write_text(APP)
        node = folder / "node.toml"
        brokers = [f'[[mqtt.brokers]]\nhost = "{HOST}"\nport = {port}\n' for port in ports]
        node.write_text("\n".join([NODE, *brokers]))
        self._said = folder / "events.jsonl"
        with self._said.open("ab") as said:
            program = [sys.executable, "-m", "tests.cluster.node", str(node)]
            self._process = subprocess.Popen(program, cwd=ROOT, stdout=said, stderr=said)

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Return what it has emitted under these names so far."""
        lines = self._said.read_text().splitlines(keepends=True)
        told = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}\n")]
        return [event for event in told if event["name"] in names]

    def brokers(self, name: str) -> list[str]:
        """Return of which brokers it has told this, in order."""
        return [event["fields"]["broker"] for event in self.events(name)]

    def kill(self) -> None:
        """End it without any goodbye."""
        self._process.kill()
        self._process.wait(LIMIT_S)


@contextmanager
def running(folder: Path, ports: list[int], cluster: Cluster) -> Iterator[Running]:
    """Run the node until the end; it is connected."""
    node = Running(folder, ports)
    try:
        cluster.until(lambda: node.events("mqtt.connected"), "the node is connected")
        yield node
    finally:
        node.kill()


class Consumer:
    """A client that is none of ours, with a kept session: it gets everything, some twice."""

    def __init__(self, port: int) -> None:
        self.got: dict[str, list[dict[str, Any]]] = defaultdict(list)
        """What has come, by topic, in order."""
        self._subscribed = threading.Event()
        client = paho.Client(CallbackAPIVersion.VERSION2, "consumer", clean_session=False)
        client.on_connect = lambda c, *_: c.subscribe("edge/n1/event/+", 1) and None
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.on_message = lambda c, u, m: self.got[m.topic].append(json.loads(m.payload))
        client.connect(HOST, port)
        client.loop_start()
        self._client = client
        assert self._subscribed.wait(LIMIT_S), "the consumer could not subscribe"

    def numbers(self) -> set[int]:
        """Return the numbers of what has been counted."""
        return {each["fields"]["number"] for name in COUNTED for each in self.of(name)}

    def of(self, name: str) -> list[dict[str, Any]]:
        """Return the events of a name, in order."""
        return list(self.got[f"edge/n1/event/{name}"])

    def close(self) -> None:
        """Disconnect and end the thread."""
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_connect = self._client.on_subscribe = None
        self._client.on_message = None


@contextmanager
def consuming(port: int) -> Iterator[Consumer]:
    """Give a consumer that is closed at the end."""
    consumer = Consumer(port)
    try:
        yield consumer
    finally:
        consumer.close()


def fleet_on(port: int) -> Fleet:
    """Return a fleet on one server."""
    return Fleet(Settings(HOST, port), timeout_s=10)


def answer(ask: Callable[[], Any]) -> Any:
    """Return what a question brings; None while there is no answer, or nobody knows the node."""
    with suppress(NoAnswerError, UnknownTargetError):
        return ask()
    return None


def is_online(fleet: Fleet, cause: str) -> bool:
    """Say whether the retained status of the node is that one."""
    statuses = [node.status for node in fleet.nodes()]
    return [(each.node, each.state, each.cause) for each in statuses] == [("n1", "online", cause)]


def test_everything_works(cluster: Cluster, balancer: Balancer, tmp_path: Path) -> None:
    """Status, info, states, set, call, events and the last will of a node on one server, seen and
    asked through another."""
    with running(tmp_path, [balancer.port], cluster) as node, fleet_on(cluster.ports[1]) as fleet:
        cluster.until(lambda: is_online(fleet, "started"), "the status on the other server")
        assert [each.name for each in fleet.nodes({"board": "sim"})] == ["n1"]
        with fleet.events("n1", name="counted") as events, fleet.watch("n1") as watched:
            fleet.set("n1", "fan/power", True)
            cluster.until(
                lambda: fleet.get("n1", "fan")["fan"].signals["power"].value is True,
                "the state on the other server",
            )
            assert fleet.call("n1", "desk.count", {"on": True}) == 0
            first = events.get(LIMIT_S)
            assert isinstance(first, NodeEvent)
            assert first.fields == {"number": 1}
            with pytest.raises(RequestRefusedError, match="no command"):
                fleet.call("n1", "desk.dance", check=False)
            assert fleet.call("n1", "desk.count", {"on": False}) > 0
            node.kill()
            seen = (each for each in watched.during(LIMIT_S) if isinstance(each, NodeStatus))
            gone = next(each for each in seen if not each.online)
            assert gone.cause == "connection lost"
        cluster.until(lambda: not fleet.nodes()[0].online, "the last will is retained")


@pytest.mark.parametrize("way", ["one address", "a list"])
def test_a_server_is_killed(cluster: Cluster, balancer: Balancer, tmp_path: Path, way: str) -> None:
    """Behind one address, or by its own list of brokers, the node moves to the next server that
    takes it. Every event it has emitted comes to a consumer at least once: those of a topic in
    order, what is sent again with the id it had. Then requests work, and the retained status is
    right on every server."""
    ports = [balancer.port] if way == "one address" else cluster.ports
    with (
        running(tmp_path, ports, cluster) as node,
        consuming(cluster.ports[2]) as consumer,
        fleet_on(cluster.ports[1]) as fleet,
    ):
        cluster.until(lambda: is_online(fleet, "started"), "the status on the other server")
        fleet.call("n1", "desk.count", {"on": True})
        cluster.until(lambda: len(consumer.numbers()) > 50, "events come")
        cluster.servers[0].kill()
        cluster.until(lambda: len(node.brokers("mqtt.connected")) >= 2, "the node is back")
        first, *others = [f"{HOST}:{port}" for port in cluster.ports]
        if way == "one address":
            assert [f"{HOST}:{balancer.chosen[at]}" for at in (0, -1)] == [first, others[0]]
        else:
            before, after = node.brokers("mqtt.connected")[:2]
            assert (before, after in others) == (first, True)
            # While they elect, the servers end what comes, each for as long as it takes.
            assert set(others[: others.index(after)]) <= set(node.brokers("mqtt.problem"))
        cluster.until(
            lambda: answer(lambda: fleet.call("n1", "desk.count", {"on": False}, timeout_s=2)),
            "requests work",
        )
        assert (tmp_path / "data" / "outbox.db").exists()
        emitted = {each["fields"]["number"] for each in node.events(*COUNTED)}
        assert emitted == set(range(1, max(emitted) + 1))
        cluster.until(
            lambda: emitted <= consumer.numbers(),
            lambda: f"events {sorted(emitted - consumer.numbers())} of {len(emitted)}",
        )
        for name in COUNTED:
            got = consumer.of(name)
            ids = {each["id"]: each["fields"]["number"] for each in got}
            assert list(ids.values()) == sorted(ids.values())
            assert len(ids) == len(set(ids.values()))
        for port in cluster.ports[1:]:
            with fleet_on(port) as other:
                cluster.until(lambda f=other: is_online(f, "reconnected"), "the status")  # type: ignore[misc]
