"""Events on their way through the outbox, on a real mosquitto and on the in-process broker."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Message
from edgekernel.mqtt.outbox import OutboxTable
from edgekernel.node.outbox_table import OutboxPlace
from tests.mqtt.outbox.recording_vfs import FULL, recording
from tests.mqtt.parts import Node, Tick, staged_node
from tests.stages import KINDS, Got, Peer, SimStage, Stage, staged

BASE = "edge/n1"
TICK, TOCK = f"{BASE}/event/tick", f"{BASE}/event/tock"
DAY_S, EVERY_S = 86_400, 60


class Tock(Message):
    """Another numbered message."""

    number: int


@pytest.fixture(params=KINDS)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Give a broker, started: mosquitto, and ours."""
    with staged(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def outbox(tmp_path: Path) -> OutboxPlace:
    """An outbox that commits soon, and drains fast."""
    table = OutboxTable(commit_every=0.05, drain_messages=0, drain_size=0)
    return OutboxPlace(tmp_path / "kept" / "outbox.db", table)


def peer_on(stage: Stage, filter: str = f"{BASE}/event/#") -> Peer:
    """Connect a peer that gets events."""
    peer = stage.peer("seer")
    peer.subscribe(filter)
    return peer


def numbers(received: list[Got], topic: str = TICK) -> list[int]:
    """Return the numbers of the messages of a topic, in the order in which they came."""
    return [each.document["fields"]["number"] for each in list(received) if each.topic == topic]


def counters(node: Node) -> dict[str, Any]:
    """Return what the outbox of a node has counted."""
    found: dict[str, Any] = node.interface.status()["outbox"]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_broker_refuses_is_dropped_and_told(
    kind: str, tmp_path: Path, outbox: OutboxPlace
) -> None:
    """A topic that its access rules forbid holds up nothing and is not sent again: each message is
    counted, and the topic is told once. The messages that tell it are events themselves."""
    with staged(kind, tmp_path, denied=TICK) as stage:
        peer = peer_on(stage)
        with staged_node(stage, outbox=outbox) as n1:
            for number in range(3):
                n1.runtime.emit(Tick(number))
            n1.runtime.emit(Tock(1))
            stage.until(lambda: numbers(peer.received, TOCK), "a tock")
            stage.until(lambda: counters(n1)["dropped"] == {"refused": 3}, "the drops")
            stage.until(lambda: not counters(n1)["in_flight"], "the rest")
            (problem,) = n1.seen.of("mqtt.problem")
            assert f"does not take what is published on {TICK}: not authorized" in problem["error"]
            stage.until(lambda: n1.seen.of("outbox.refused"), "what was refused")
            (refused,) = n1.seen.of("outbox.refused")
            assert refused == {"topic": TICK, "error": "not authorized"}
            assert n1.interface.status()["refused_by_broker"] == 3
    assert numbers(peer.received) == []


def test_what_goes_beside_an_event(stage: Stage, outbox: OutboxPlace) -> None:
    """A client of MQTT 5 finds the id without reading the payload, and the broker when to let the
    event go."""
    peer = stage.peer("seer", mqtt5=True)
    peer.subscribe(TICK)
    with staged_node(stage, outbox=outbox) as n1:
        n1.runtime.emit(Tick(1))
        stage.until(lambda: peer.received, "a tick")
    (tick,) = peer.received
    assert tick.beside.user == (("id", tick.document["id"]),)
    assert tick.beside.expiry_s is not None
    assert 7 * DAY_S - 30 < tick.beside.expiry_s <= 7 * DAY_S


def test_an_event_has_its_stamp_and_its_place(stage: Stage, outbox: OutboxPlace) -> None:
    """It begins with id, boot, monotonic and time, whichever way it goes; the rest is the same."""
    peer = peer_on(stage, TICK)
    for place in (outbox, None):
        with staged_node(stage, outbox=place) as n1:
            n1.runtime.emit(Tick(1), source="me")
            stage.until(lambda: peer.received, "a tick")
        (tick,) = (each.document for each in peer.received)
        status = n1.interface.status()
        assert ("outbox" in status) is False  # it has ended
        assert tick["id"].startswith(f"{tick['boot']}-")
        assert list(tick)[:4] == ["id", "boot", "monotonic", "time"]
        assert tick["time"] is not None or tick["time_quality"] == "unsynchronised"
        kept = {key: tick[key] for key in ("source", "name", "severity", "fields")}
        fields = {"number": 1}
        assert kept == {"source": "me", "name": "tick", "severity": "info", "fields": fields}
        assert isinstance(tick["seq"], int)
        peer.received.clear()


def test_with_a_link_nothing_is_written(stage: Stage, tmp_path: Path) -> None:
    """What the broker has acknowledged before the commit was due never touches the disk."""
    place = OutboxPlace(tmp_path / "outbox.db", OutboxTable(commit_every=60.0))
    peer = peer_on(stage, TICK)
    with staged_node(stage, outbox=place) as n1:
        stage.until(lambda: counters(n1)["delivered"] >= 3, "the events of the start")
        written = counters(n1)["written"]
        for number in range(200):
            n1.runtime.emit(Tick(number))
        stage.until(lambda: len(peer.received) == 200, "200 ticks")
        assert counters(n1)["written"] == written
    assert numbers(peer.received) == list(range(200))


def test_what_waited_comes_after_a_restart_of_the_broker(stage: Stage, outbox: OutboxPlace) -> None:
    """3,000 events of an outage, more than memory takes, come all, in the order of their topic,
    and none twice but with the same id."""
    with staged_node(stage, outbox=outbox) as n1:
        stage.kill()
        stage.until(lambda: n1.seen.of("mqtt.problem"), "a problem")
        for number in range(1500):
            n1.runtime.emit(Tick(number))
            n1.runtime.emit(Tock(number))
        stage.start()
        peer = peer_on(stage)  # a moment after the node, perhaps: what it misses is counted below
        stage.until(lambda: counters(n1)["behind"] == 0, "all sent")
        n1.runtime.emit(Tick(1500))
        n1.runtime.emit(Tock(1500))
        stage.until(lambda: {1500} <= set(numbers(peer.received, TOCK)), "the last")
        stage.until(lambda: {1500} <= set(numbers(peer.received)), "the last")
        found = counters(n1)
    assert (found["dropped"], found["problem"]) == ({}, "")
    for topic in (TICK, TOCK):
        came = numbers(peer.received, topic)
        assert came == sorted(set(came)), topic
        assert came == list(range(came[0], 1501))


def test_what_waited_comes_after_a_restart_of_the_node(stage: Stage, outbox: OutboxPlace) -> None:
    """Events of a node that ended without a broker come from the next one, before its own of the
    topic, with the boot of the first."""
    stage.kill()
    with staged_node(stage, outbox=outbox, wait=False) as n1:
        for number in range(1200):
            n1.runtime.emit(Tick(number))
    stage.start()
    peer = peer_on(stage, TICK)
    with staged_node(stage, outbox=outbox) as n1:
        n1.runtime.emit(Tick(1200))
        stage.until(lambda: len(peer.received) >= 1201, "all")
    assert numbers(peer.received) == list(range(1201))
    boots = [each.document["boot"] for each in peer.received]
    assert len(set(boots[:-1])) == 1
    assert boots[-1] != boots[0]


def test_a_shutdown_leaves_nothing_to_send_again(stage: Stage, outbox: OutboxPlace) -> None:
    """The answers to the last events are waited for: the next start sends none of them twice."""
    peer = peer_on(stage)
    for _ in range(2):
        with staged_node(stage, outbox=outbox) as n1:
            for number in range(100):
                n1.runtime.emit(Tick(number))
        stage.until(lambda: numbers(peer.received)[-1:] == [99], "the last")
    ids = [each.document["id"] for each in peer.received]
    assert len(ids) == len(set(ids))
    assert numbers(peer.received) == [*range(100)] * 2
    assert f"{BASE}/event/runtime-shutting-down" in {each.topic for each in peer.received}


def test_a_full_disk_is_told_and_nothing_is_lost(stage: Stage, outbox: OutboxPlace) -> None:
    """It is told once that the disk is full and once that it is not; meanwhile memory holds."""
    with recording() as made, staged_node(stage, outbox=outbox) as n1:
        stage.kill()
        stage.until(lambda: n1.seen.of("mqtt.problem"), "a problem")
        made.failing = lambda step: FULL
        for number in range(500):
            n1.runtime.emit(Tick(number))
        stage.until(lambda: n1.seen.of("outbox.failed"), "told")
        assert "full" in counters(n1)["problem"]
        made.failing = lambda step: None
        stage.until(lambda: n1.seen.of("outbox.recovered"), "told")
        stage.start()
        peer = peer_on(stage, TICK)
        n1.runtime.emit(Tick(500))
        stage.until(lambda: numbers(peer.received)[-1:] == [500], "the last")
        assert len(n1.seen.of("outbox.failed")) == 1
        assert counters(n1)["dropped"] == {}
    came = numbers(peer.received)
    assert came == list(range(came[0], 501))


def away_for_a_day(folder: Path) -> list[tuple[str, bytes]]:
    """Run a node whose broker is away for a day; return all that came afterwards, in order."""
    with ExitStack() as stack:
        stage = SimStage(stack)
        place = OutboxPlace(folder / "outbox.db", OutboxTable())
        n1 = stack.enter_context(staged_node(stage, outbox=place))
        stage.kill()
        for number in range(DAY_S // EVERY_S):
            n1.runtime.emit(Tick(number))
            stage.sim_clock.advance(EVERY_S)
        assert counters(n1)["behind"] >= DAY_S // EVERY_S
        stage.start()
        peer = peer_on(stage, "#")
        stage.until(lambda: len(n1.seen.of("mqtt.connected")) == 2, "the link")
        for number in range(5):
            n1.runtime.emit(Tock(number))
            stage.sim_clock.advance(1)
        stage.sim_clock.advance(30)  # the backlog takes 3 s
        assert (counters(n1)["dropped"], counters(n1)["behind"]) == ({}, 0)
        return [(each.topic, each.payload) for each in peer.received]


def test_a_day_without_a_broker(tmp_path: Path) -> None:
    """Everything of the day comes, in order; what happens meanwhile comes first; and two runs give
    the same bytes."""
    gc.collect()  # messages of other tests, which the schema has while they are there
    came = away_for_a_day(tmp_path / "one")
    topics = [topic for topic, _ in came]
    seen = defaultdict(list)
    for topic, payload in came:
        seen[topic].append(Got(topic, payload, 1, False, False).document)
    ticks = [each["fields"]["number"] for each in seen[TICK]]
    assert ticks == list(range(DAY_S // EVERY_S))
    assert topics.index(TOCK) < len(topics) // 10
    times = [each["time"] for each in seen[TICK]]
    assert all(one < two for one, two in pairwise(times))
    assert came == away_for_a_day(tmp_path / "two")


def test_an_overload_is_told_from_time_to_time(sim_stage: SimStage) -> None:
    """While more is emitted than the broker acknowledges, the loss is told at once, and again after
    1, 2 and 4 minutes: once a minute at most, and what was lost once."""
    with staged_node(sim_stage, max_events=50) as node:
        sim_stage.broker.troubles.ack_delay_s = 5.0  # with 20 on their way it takes 4 in a second
        for number in range(8 * 60 * 8):
            node.runtime.emit(Tick(number))
            sim_stage.sim_clock.advance(0.125)
        told = [each["dropped"] for each in node.seen.of("mqtt.events.dropped")]
        lost = node.interface.status()["dropped_events"]
    assert len(told) == 4
    assert lost / 2 < sum(told) <= lost
