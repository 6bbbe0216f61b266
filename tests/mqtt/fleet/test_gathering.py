"""All that is retained is there, on links of any speed, or it is said that it may not be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from edgekernel.core.errors import InvalidValueError
from edgekernel.mqtt import Fleet, NoAnswerError
from edgekernel.mqtt.fleet.connection import Connection
from edgekernel.mqtt.fleet.gathering import QUIET_S, Gathering
from edgekernel.mqtt.fleet.listening import Answer, Arrival, LinkChange, Listener
from edgekernel.sim import SimClock
from tests.brokers import Mosquitto, Watcher
from tests.mqtt.parts import node, settings
from tests.mqtt.proxy import Proxy

PATIENCE_S = 5.0


class Line:
    """What comes to a listener, each after so many seconds; "ask" is the answer to a question, and
    the questions are counted."""

    def __init__(self, clock: SimClock, *coming: tuple[float, str]) -> None:
        self.questions = self._retained = 0
        self._clock = clock
        self._coming = coming
        self._listener = Listener(clock, ("+/status",), 100)

    def gather(self, *exact: str) -> list[str]:
        """Return the topics that are gathered."""
        thread = self._clock.Thread(self._come, "line")
        thread.start()
        try:
            gathering = Gathering(self._listener, self._asked, self._clock, PATIENCE_S)
            return list(gathering.run(set(exact)))
        finally:
            thread.join()

    def _asked(self) -> int:
        self.questions += 1
        return self._retained

    def _come(self) -> None:
        for after_s, what in self._coming:
            self._clock.sleep(after_s)
            if what == "answer":
                self._listener.put(Answer(self._retained))
                continue
            arrival = Arrival(what.removeprefix("live "), b"{}", not what.startswith("live "))
            self._retained += arrival.retained
            if what != "another's":
                self._listener.put(arrival)


@pytest.mark.parametrize(
    ("coming", "found", "questions"),
    [
        (((1.0, "answer"),), "", 1),
        (((1.0, "a"), (1.0, "answer"), (1.0, "answer")), "a", 2),
        (((4.0, "a"), (4.0, "b"), (4.0, "answer"), (4.0, "answer")), "ab", 2),
        (((0.0, "answer"), (QUIET_S / 2, "a"), (2.0, "answer")), "a", 2),
        (((0.0, "a"), (0.0, "answer"), (0.0, "b"), (2.0, "answer"), (1.0, "answer")), "ab", 3),
        (((1.0, "live a"), (1.0, "answer")), "a", 1),
        (((1.0, "a"), (1.0, "answer"), (1.0, "a"), (1.0, "answer"), (1.0, "answer")), "a", 3),
        (
            ((1.0, "another's"), (1.0, "answer"), (1.0, "a"), (1.0, "answer"), (1.0, "answer")),
            "a",
            3,
        ),
    ],
)
def test_the_end_is_certain(
    coming: tuple[tuple[float, str], ...], found: str, questions: int
) -> None:
    """It is the end when nothing new was retained between a question and its answer, and for a
    moment after; what only happens meanwhile does not count."""
    with SimClock() as clock:
        line = Line(clock, *coming)
        assert line.gather() == list(found)
        assert line.questions == questions


def test_exact_topics_end_it() -> None:
    """When they are all there nobody waits for an answer."""
    with SimClock() as clock:
        line = Line(clock, (1.0, "a"), (1.0, "b"))
        assert line.gather("a", "b") == ["a", "b"]
        assert clock.monotonic() == 2.0


def test_an_answer_that_never_comes() -> None:
    """A broker that drops what it cannot send, as mosquitto does, drops answers too: then it is not
    certain that this was all, and that is an error."""
    with SimClock() as clock:
        line = Line(clock, (4.0, "a"), (4.0, "b"))
        with pytest.raises(NoAnswerError, match="within 5 s that 2 retained messages are all"):
            line.gather()
        assert clock.monotonic() == 13.0


def test_a_link_that_breaks() -> None:
    """What was gathered before is not all."""
    with SimClock() as clock:
        listener = Listener(clock, ("+/status",), 100)
        listener.put(Arrival("a", b"{}", True))
        listener.put(LinkChange(False, "reset"))
        with pytest.raises(NoAnswerError, match="the link broke: reset"):
            Gathering(listener, lambda: 0, clock, PATIENCE_S).run()


@contextmanager
def far_fleet(broker: Mosquitto) -> Iterator[Fleet]:
    """Give a fleet on the far end of a slow link."""
    with Proxy(broker.port) as proxy, Fleet(settings(proxy.port), timeout_s=20.0) as fleet:
        proxy.delay_s, proxy.bytes_per_s = 0.1, 4000
        yield fleet


def test_a_schema_that_takes_long(broker: Mosquitto) -> None:
    """What is asked for is checked by the schema of the node, however long that takes to come."""
    with (
        node(broker.port),
        far_fleet(broker) as fleet,
        pytest.raises(InvalidValueError, match="101 is not allowed"),
    ):
        fleet.set("n1", "heater/fan_speed", 101)


def test_messages_that_take_long(broker: Mosquitto, watcher: Watcher) -> None:
    """Where a message takes longer than a moment none is missing."""
    labels = {"note": "x" * 2000}
    for number in range(5):
        for kind, document in (("status", {"state": "online"}), ("info", {"labels": labels})):
            watcher.publish(f"edge/n{number}/{kind}", json.dumps(document), retain=True)
    with far_fleet(broker) as fleet:
        found = fleet.nodes({"note": "x" * 2000})
    assert [each.name for each in found] == [f"n{number}" for number in range(5)]


def test_what_the_broker_keeps_back(broker: Mosquitto, watcher: Watcher) -> None:
    """Where the socket has no room for what somebody else reads, mosquitto says that there is a
    subscription and keeps what is retained for it back; it is there nevertheless."""
    watcher.publish("edge/n1/info", {"version": "1"}, retain=True)
    for number in range(100):
        watcher.publish(f"edge/n{number}/status", "x" * 100_000, retain=True)
    with Proxy(broker.port) as proxy:
        connection = Connection(settings(proxy.port), 10.0, None, None)
        connection.open()
        proxy.delay_s = 0.02  # for each piece
        with closing(connection), connection.listening("+/status"):
            assert list(connection.retained("n1/info")) == ["n1/info"]
