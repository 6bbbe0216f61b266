"""What is on its way: nothing is lost or overtakes, whatever happens to the links."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from random import Random

import pytest

from edgekernel.mqtt.client import MqttClient
from edgekernel.mqtt.outgoing import Outgoing, Publication
from edgekernel.mqtt.settings import Settings
from edgekernel.mqtt.sim_transport import SimTransport
from edgekernel.mqtt.transport import Inbound, Outbound
from edgekernel.sim import SimClock
from edgekernel.sim.broker import Publication as Published
from edgekernel.sim.broker import SimBroker

TOPICS = ("a", "b", "c")


class Publisher:
    """Feeds a client as the bridge does."""

    def __init__(self, clock: SimClock, broker: SimBroker, seed: int) -> None:
        self.outgoing = Outgoing(self._send, clock, max_events=100_000)
        self.client = MqttClient(
            Settings("broker", keepalive_s=10),
            self,
            client_id="c",
            clock=clock,
            transport=SimTransport.to(broker),
            random=Random(seed),
        )
        self.links = 0

    def _send(self, publication: Publication, done: Callable[[], None]) -> None:
        topic, payload, retain, _ = publication
        self.client.publish(Outbound(topic, payload, retain=retain), done)

    def connected(self) -> None:
        self.links += 1
        self.outgoing.open()

    def disconnected(self, reason: str) -> None:
        self.outgoing.close()

    def problem(self, text: str) -> None: ...

    def message(self, message: Inbound) -> None: ...

    def failed(self, where: str, error: Exception) -> None:
        raise error


class Weather:
    """What happens to a broker, by chance, a bit of it every second."""

    def __init__(self, broker: SimBroker, random: Random) -> None:
        self._broker = broker
        self._random = random

    def change(self) -> None:
        """Let something happen, or nothing."""
        broker, troubles = self._broker, self._broker.troubles
        match self._random.randrange(40):
            case 0:
                broker.stop(forget=self._random.random() < 0.5)
            case 1 | 2:
                broker.start()
            case 3 if broker.connections:
                broker.cut("c")
            case 4:
                troubles.dead_air = True
                broker.deaden()
            case 5 | 6:
                troubles.dead_air = False
            case 7:
                troubles.ack_delay_s = self._random.choice([0.0, 0.1, 3.0, 8.0])
            case 8:
                troubles.refuses = True
            case 9 | 10:
                troubles.refuses = False

    def clear(self) -> None:
        """Let all be well."""
        troubles = self._broker.troubles
        troubles.dead_air = troubles.refuses = False
        troubles.ack_delay_s = 0.0
        self._broker.start()


@pytest.mark.parametrize("seed", range(25))
def test_everything_arrives_in_order(seed: int) -> None:
    """After ten minutes of bad weather and two of good everything that was accepted is there, at
    least once and in the order of its topic, and of what is retained the last."""
    random = Random(seed)
    arrived: dict[str, list[int]] = defaultdict(list)

    def note(published: Published) -> None:
        arrived[published.topic].append(int(published.payload))

    with SimClock(seed=seed) as clock, SimBroker(clock) as broker:
        broker.watch(note)
        publisher, weather = Publisher(clock, broker, seed), Weather(broker, random)
        publisher.client.start()
        for number in range(600):
            for topic in TOPICS:
                publisher.outgoing.event(topic, b"%d" % number)
            publisher.outgoing.retain("last", b"%d" % number)
            weather.change()
            clock.advance(1)
        weather.clear()
        clock.advance(120)
        assert publisher.outgoing.waiting == 0
        assert broker.retained["last"].payload == b"599"
        assert publisher.client.close()
    assert publisher.links > 1
    for topic in TOPICS:
        assert list(dict.fromkeys(arrived[topic])) == list(range(600))
        assert len(arrived[topic]) < 700, "it is not sent again and again"
    assert arrived["last"][-1] == 599
