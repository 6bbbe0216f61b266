"""A node on a real mosquitto behind a bad network, with counts: every event that was accepted is
delivered, a request is carried out once, and what is retained is right."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from edgekernel import Process, Runtime, command
from edgekernel.mqtt import MqttInterface
from edgekernel.mqtt.outbox import OutboxTable
from edgekernel.node.outbox_table import OutboxPlace
from tests.brokers import LIMIT_S, Mosquitto, Watcher, watching
from tests.mqtt.parts import Lamp, Seen, Tick, settings
from tests.mqtt.proxy import BOTH, Direction, Proxy

KEEPALIVE_S = 1
SLOWNESS_S = 5.0
"""What a machine that does other things may add to a bound; it is exact in simulated time."""
AGAIN_S = 1.0
"""After how long a fault that has ended no link happens again."""
AT_ONCE = 5
"""Requests that wait for their answers at the same time."""
REPLY = "edge/n1/reply/me"
CALL = "edge/n1/call/tally/add"
STATUS = "edge/n1/status"
TICK = "edge/n1/event/tick"

Fault = Callable[[Proxy], object]


class Tally(Process):
    """Counts what it was asked for."""

    name = "tally"

    def __init__(self) -> None:
        self.done: Counter[int] = Counter()

    @command
    def add(self, number: int) -> int:
        self.done[number] += 1
        return number


class Came:
    """What has come to a client on the other side of the broker; each message is read once."""

    def __init__(self, watcher: Watcher) -> None:
        self.numbers: dict[str, int] = {}
        self.duplicates = 0
        self.answered: set[str] = set()
        self.watcher = watcher
        self._read = 0
        self._lock = threading.Lock()

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Read until a condition holds."""
        end = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < end, f"never came: {what}"
            self.look()
            threading.Event().wait(0.005)  # the other side is another process

    def more(self) -> None:
        """Read until a newer event and a newer answer have come."""
        events, answers = len(self.numbers), len(self.answered)
        self.until(
            lambda: len(self.numbers) > events and len(self.answered) > answers, "more traffic"
        )

    def look(self) -> None:
        """Read what has come."""
        with self._lock:
            received = self.watcher.received[self._read :]
            self._read += len(received)
            for each in received:
                if each.topic == TICK:
                    self._count(each.document)
                elif each.topic == REPLY:
                    self.answered.add(each.document["id"])

    def _count(self, tick: Any) -> None:
        number = tick["fields"]["number"]
        self.duplicates += tick["id"] in self.numbers
        assert self.numbers.setdefault(tick["id"], number) == number


class Traffic:
    """Events and requests all the time, each request until it is answered."""

    def __init__(self, bench: Bench) -> None:
        self.events = 0
        self.requests = 0
        self._bench = bench
        self._over = threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._emit, self._ask)]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(LIMIT_S)

    def _emit(self) -> None:
        while not self._over.wait(0.005):
            self._bench.runtime.emit(Tick(self.events))
            self._bench.lamp.power.set(self.events % 2 == 0)
            self.events += 1

    def _ask(self) -> None:
        came = self._bench.came
        while not self._over.is_set():
            batch = range(self.requests, self.requests + AT_ONCE)
            self.requests = batch.stop
            end = time.monotonic() + LIMIT_S
            while time.monotonic() < end and (
                left := [each for each in batch if f"r{each}" not in came.answered]
            ):
                for number in left:
                    body = {"args": {"number": number}, "id": f"r{number}", "reply_to": REPLY}
                    came.watcher.publish(CALL, body)
                threading.Event().wait(0.02)  # the answers take another way
                came.look()


class Bench:
    """A node that reaches its broker through a proxy."""

    def __init__(self, proxy: Proxy, watcher: Watcher, runtime: Runtime) -> None:
        self.proxy = proxy
        self.came = Came(watcher)
        self.runtime = runtime
        self.seen = Seen(runtime)
        self.lamp = Lamp("lamp")
        self.tally = Tally()

    def suffers(self, fault: Fault) -> dict[str, object]:
        """Let a fault happen; return what the node says of the end of its link, when it is back.

        The link of a loaded machine may end by itself: the fault waits for one that is up, and
        happens again each second until a link has ended.
        """
        lost, up = self.until_up()
        end = time.monotonic() + LIMIT_S
        while self._counts()[0] == lost:
            found = f"{lost} ends of {up} links before the fault, now {self._counts()}"
            assert time.monotonic() < end, f"no link has ended: {found}"
            fault(self.proxy)
            self._wait(lambda: self._counts()[0] > lost, AGAIN_S)
        self.seen.wait("mqtt.connected", up + 1)
        return self.seen.of("mqtt.disconnected")[lost]

    def until_up(self) -> tuple[int, int]:
        """Wait until the link is up; return how many have ended, and how many there were."""
        self._wait(lambda: self._counts()[1] > self._counts()[0], LIMIT_S)
        lost, up = self._counts()
        assert up > lost, f"no link is up: {lost} ends of {up} links"
        return lost, up

    def _counts(self) -> tuple[int, int]:
        names = [each.name for each in list(self.seen.messages)]
        return names.count("mqtt.disconnected"), names.count("mqtt.connected")

    @staticmethod
    def _wait(condition: Callable[[], bool], limit_s: float) -> None:
        end = time.monotonic() + limit_s
        while not condition() and time.monotonic() < end:
            threading.Event().wait(0.005)  # it happens in other threads

    @contextmanager
    def traffic(self, broker: Mosquitto) -> Iterator[None]:
        """Have traffic before, while and after something happens, and check the counts then."""
        with Traffic(self) as traffic:
            self.came.more()
            yield
            self.came.more()
        self.came.until(lambda: len(self.came.numbers) >= traffic.events, "all events")
        self.came.until(lambda: len(self.came.answered) >= traffic.requests, "all answers")
        assert list(self.came.numbers.values()) == list(range(traffic.events))
        assert self.tally.done == Counter(range(traffic.requests))
        self._check_retained(broker)
        print(  # noqa: T201 (the counts are part of the result)
            f"{traffic.events} events accepted and delivered in order, {self.came.duplicates} more "
            f"with the same id; {traffic.requests} requests, each done once; "
            f"{self.proxy.connections} connections"
        )

    def _check_retained(self, broker: Mosquitto) -> None:
        """See as who comes now: the status, and the last state."""
        wanted = ("online", bool(self.lamp.power.value))
        end = time.monotonic() + LIMIT_S
        found = None
        while found != wanted and time.monotonic() < end:
            with watching(broker.port, "edge/n1/#") as late:
                status = late.on("edge/n1/status").document["state"]
                state = late.on("edge/n1/state/lamp").document["power"]["value"]
            found = (status, state)
        assert found == wanted


@pytest.fixture
def bench(broker: Mosquitto, tmp_path: Path) -> Iterator[Bench]:
    """Give a node that is connected through a proxy, with an outbox."""
    table = OutboxTable(commit_every=0.02, drain_messages=0, drain_size=0)
    outbox = OutboxPlace(tmp_path / "kept/outbox.db", table)
    runtime = Runtime(name="n1")
    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy(broker.port))
        watcher = stack.enter_context(watching(broker.port))
        to = settings(proxy.port, keepalive_s=KEEPALIVE_S)
        made = Bench(proxy, watcher, runtime)
        for part in (made.lamp, made.tally, MqttInterface(to, outbox=outbox)):
            runtime.register(part)
        stack.enter_context(runtime)
        made.seen.wait("mqtt.connected")
        yield made


CUTS: dict[str, Fault] = {
    "rst": lambda proxy: proxy.cut(reset=True),
    "fin": lambda proxy: proxy.cut(reset=False),
    "within-a-packet-up": lambda proxy: proxy.cut_within("up", 777),
    "within-a-packet-down": lambda proxy: proxy.cut_within("down", 33),
}
HALF_OPEN: dict[str, tuple[Direction, ...]] = {"both": BOTH, "up": ("up",), "down": ("down",)}


@pytest.mark.parametrize("fault", CUTS)
def test_cut(broker: Mosquitto, bench: Bench, fault: str) -> None:
    """Three times in a row, in the middle of traffic; the node is back each time."""
    with bench.traffic(broker):
        for _ in range(3):
            bench.suffers(CUTS[fault])


@pytest.mark.parametrize("directions", HALF_OPEN)
def test_half_open(broker: Mosquitto, bench: Bench, directions: str) -> None:
    """A connection on which nothing comes through, one way or both, is found within its bound,
    one keep-alive with traffic, and given up; the broker, which still holds the old one open,
    publishes the will before the node is online again."""
    with bench.traffic(broker):
        bench.until_up()
        begun_s = time.monotonic()
        told = bench.suffers(lambda proxy: proxy.deaden(*HALF_OPEN[directions]))
        took_s = time.monotonic() - begun_s
    assert told["reason"] == "no answer for 0.5 s"
    assert KEEPALIVE_S / 2 <= took_s <= KEEPALIVE_S + SLOWNESS_S
    said = [each.document for each in bench.came.watcher.received if each.topic == STATUS]
    causes = [each["cause"] for each in said]
    assert causes[0] == "started"
    assert causes[-2:] == ["connection lost", "reconnected"]  # before it, ends by themselves


def test_one_after_the_other(broker: Mosquitto, bench: Bench) -> None:
    """All of it, again and again in an order of chance, on one node."""
    faults: list[Fault] = [*CUTS.values()] * 4
    faults += [lambda proxy, way=way: proxy.deaden(*way) for way in HALF_OPEN.values()]  # type: ignore[misc]
    Random(1).shuffle(faults)
    with bench.traffic(broker):
        for fault in faults:
            bench.suffers(fault)
            bench.came.more()


def test_half_open_without_traffic(bench: Bench) -> None:
    """Within 1.5 keep-alives."""
    bench.until_up()
    begun_s = time.monotonic()
    told = bench.suffers(lambda proxy: proxy.deaden(*BOTH))
    assert told["reason"] == "no answer for 0.5 s"
    assert time.monotonic() - begun_s <= 1.5 * KEEPALIVE_S + SLOWNESS_S


def test_slow(broker: Mosquitto, bench: Bench) -> None:
    """A network that is late and narrow costs time, and no link as long as answers come."""
    with bench.traffic(broker):
        bench.proxy.delay_s = 0.05
        bench.came.more()
        bench.proxy.delay_s, bench.proxy.bytes_per_s = 0.0, 20_000
        bench.came.more()
        bench.proxy.bytes_per_s = 0
    assert bench.seen.of("mqtt.disconnected") == []
