"""The agents that are compared: how each is started, asked and heard."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.mosquitto import HOST, no_delay

LIMIT_S = 20.0


@dataclass(frozen=True)
class Peer:
    """An agent with a lamp that is set and a button that is told of."""

    name: str
    module: str
    arguments: tuple[str, ...]
    ready: str
    command: str
    """The topic of a command for the lamp."""
    reply: str
    """Where its end is told."""
    state: str
    """Where the state of the button is told."""
    body: Callable[[int], str]
    """The payload of a command, by its number."""
    has_button: bool = True


def request(prefix: str) -> Callable[[int], str]:
    """Return how edgekernel is asked; each request has an id of its own, or it would be a repeat
    of an earlier one."""
    reply_to = f"{prefix}/n1/reply/me"
    return lambda n: json.dumps({"value": bool(n % 2), "id": n, "reply_to": reply_to})


def of_ours(name: str, prefix: str, module: str, *arguments: str, button: bool = True) -> Peer:
    """Return an agent that has the topics of edgekernel."""
    base = f"{prefix}/n1"
    return Peer(
        name=name,
        module=f"benchmarks.round_trip.{module}",
        arguments=arguments,
        ready=f"{base}/status",
        command=f"{base}/set/lamp/power",
        reply=f"{base}/reply/me",
        state=f"{base}/state/button",
        body=request(prefix),
        has_button=button,
    )


def peers(nodelay: bool) -> list[Peer]:
    """Return all agents; of mqtt-io one whose sockets have TCP_NODELAY or not."""
    return [
        of_ours("edgekernel", "edgekernel", "edgekernel_agent"),
        of_ours("raw paho", "paho", "paho_agent", "paho"),
        of_ours("raw paho, answers only", "answers", "paho_agent", "answers", button=False),
        Peer(
            name="mqtt-io",
            module="benchmarks.round_trip.mqtt_io_agent",
            arguments=("nodelay" if nodelay else "default",),
            ready="mqtt-io/status",
            command="mqtt-io/output/lamp/set",
            reply="mqtt-io/output/lamp",
            state="mqtt-io/input/button",
            body=lambda n: str(n % 2),
        ),
    ]


class Asker:
    """Asks one agent, one request after the other, and moves its button."""

    def __init__(self, peer: Peer, port: int, stdout: int = subprocess.DEVNULL) -> None:
        """Start the agent and wait until it is online."""
        self.peer = peer
        self._number = 0
        self._awaited = peer.ready
        self._arrived = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_socket_open = no_delay
        self._client.on_message = self._on_message
        self._client.connect(HOST, port)
        topics = (peer.ready, peer.reply, peer.state)
        self._client.subscribe([(topic, 1) for topic in topics])
        self._client.loop_start()
        self._process = subprocess.Popen(
            [sys.executable, "-m", peer.module, str(port), *peer.arguments],
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
        )
        self._wait()
        time.sleep(0.5)  # what is retained at its start has passed by then

    def set(self) -> float:
        """Return how long a command took until its end was told, in microseconds."""
        self._number += 1
        self._expect(self.peer.reply)
        body = self.peer.body(self._number)
        begin = time.perf_counter()
        self._client.publish(self.peer.command, body, 1)
        self._wait()
        return (time.perf_counter() - begin) * 1e6

    def press(self) -> float:
        """Return how long a change of the button took until its state was here, in
        microseconds."""
        self._number += 1
        self._expect(self.peer.state)
        assert self._process.stdin is not None
        begin = time.perf_counter()
        self._process.stdin.write(b"%d\n" % (self._number % 2))
        self._process.stdin.flush()
        self._wait()
        return (time.perf_counter() - begin) * 1e6

    def cpu_us(self) -> float:
        """Return the processor time that the agent has taken so far, in microseconds."""
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(each.read_text().split()[0]) for each in tasks) / 1e3

    def close(self) -> str:
        """End both; return what the agent has printed, if that was to be kept."""
        self._client.disconnect()
        self._client.loop_stop()
        self._process.terminate()
        printed, _ = self._process.communicate(timeout=LIMIT_S)
        return printed.decode() if printed else ""

    def _expect(self, topic: str) -> None:
        self._awaited = topic
        self._arrived.clear()

    def _wait(self) -> None:
        if not self._arrived.wait(LIMIT_S):
            sys.exit(f"{self.peer.name}: nothing came on {self._awaited}")

    def _on_message(self, client: object, userdata: object, message: paho.MQTTMessage) -> None:
        if message.topic == self._awaited:
            self._arrived.set()


@contextmanager
def asked(port: int, nodelay: bool) -> Iterator[list[Asker]]:
    """Give an asker for each agent; all agents run side by side."""
    askers: list[Asker] = []
    try:
        for peer in peers(nodelay):
            askers.append(Asker(peer, port))  # noqa: PERF401 (what was started must be ended)
        yield askers
    finally:
        for asker in askers:
            asker.close()
