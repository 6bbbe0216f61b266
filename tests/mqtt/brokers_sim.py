"""Several in-process brokers, a client that knows them in order, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from random import Random
from typing import Any

from edgekernel.mqtt.client import MqttClient
from edgekernel.mqtt.settings import Settings
from edgekernel.mqtt.sim_transport import SimTransport
from edgekernel.mqtt.transport import Inbound, MakeTransport, Outbound, Server, Will
from edgekernel.sim import SimClock
from edgekernel.sim.broker import Publication, SimBroker

HOSTS = ("a", "b", "c")
KEEPALIVE_S = 30


class Said:
    """Notes what the link says, when, and of which broker."""

    def __init__(self, clock: SimClock) -> None:
        self.all: list[tuple[float, str]] = []
        self.messages: list[Inbound] = []
        self.client: MqttClient
        self._clock = clock

    def connected(self) -> None:
        self._say(f"connected {self.client.broker}")

    def disconnected(self, reason: str) -> None:
        self._say(f"disconnected {self.client.broker}: {reason}")

    def problem(self, text: str) -> None:
        self._say(f"problem {text}")

    def message(self, message: Inbound) -> None:
        self.messages.append(message)

    def failed(self, where: str, error: Exception) -> None:
        raise error

    def texts(self, begin: str = "") -> list[str]:
        """Return what was said that begins so."""
        return [text for _, text in self.all if text.startswith(begin)]

    def when(self, begin: str, count: int = 1) -> float:
        """Return when something that begins so was said for the `count`-th time."""
        return [at_s for at_s, text in self.all if text.startswith(begin)][count - 1]

    def _say(self, text: str) -> None:
        self.all.append((self._clock.monotonic(), text))


class Several:
    """Three brokers, in simulated time."""

    def __init__(self, stack: ExitStack) -> None:
        self.clock = stack.enter_context(SimClock())
        self.brokers = {host: stack.enter_context(SimBroker(self.clock)) for host in HOSTS}
        self.came: list[tuple[str, Publication]] = []
        for host, broker in self.brokers.items():
            broker.watch(lambda each, host=host: self.came.append((host, each)))  # type: ignore[misc]
        self._stack = stack

    @property
    def transport(self) -> MakeTransport:
        """What makes connections to them."""
        return SimTransport.among(self.brokers, self.clock)

    def settings(self, hosts: str = "ab", **options: Any) -> Settings:
        """Return settings with some of them, in order."""
        fallbacks = tuple(Server(host, 1883) for host in hosts[1:])
        return Settings(hosts[0], fallbacks=fallbacks, keepalive_s=KEEPALIVE_S, **options)

    def start(
        self,
        hosts: str = "ab",
        leaving: Callable[[str], object] | None = None,
        seed: int = 1,
        **options: Any,
    ) -> tuple[MqttClient, Said]:
        """Start a client that knows some of them; it is closed at the end."""
        said = Said(self.clock)
        client = said.client = MqttClient(
            self.settings(hosts, **options),
            said,
            client_id=f"c{seed}",
            subscriptions=("in/#",),
            will=Will("will", b"gone"),
            clock=self.clock,
            transport=self.transport,
            random=Random(seed),
            leaving=leaving,
        )
        client.start()
        self._stack.callback(client.close)
        return client, said

    def payloads(self, host: str, topic: str) -> list[bytes]:
        """Return what has come to a broker on a topic."""
        return [each.payload for on, each in self.came if (on, each.topic) == (host, topic)]


def message(number: int) -> Outbound:
    """Return a numbered message."""
    return Outbound("out", b"%d" % number)
