"""The history of readings, on a real mosquitto and on the in-process broker."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Device, reading
from edgekernel.mqtt.history import MAX_BYTES, MAX_SAMPLES
from edgekernel.mqtt.outbox import OutboxTable
from edgekernel.node.outbox_table import OutboxPlace
from tests.brokers import LIMIT_S
from tests.mqtt.parts import Heater, Node, staged_node
from tests.stages import KINDS, Got, Peer, SimStage, Stage, staged

HEATER = "edge/n1/data/heater"


class Meter(Device):
    """What reports lines of text."""

    line = reading(str)


@pytest.fixture(params=KINDS)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Give a broker, started: mosquitto, and ours."""
    with staged(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def outbox(tmp_path: Path) -> OutboxPlace:
    """An outbox that commits soon."""
    return OutboxPlace(tmp_path / "outbox.db", OutboxTable(commit_every=0.05))


def peer_on(stage: Stage, filter: str = "edge/n1/data/#") -> Peer:
    """Connect a peer that gets the history."""
    peer = stage.peer("seer")
    peer.subscribe(filter)
    return peer


def warnings(received: list[Got]) -> list[Any]:
    """Return the samples of one reading, without their time."""
    batches = [each.document["samples"] for each in list(received) if each.topic == HEATER]
    return [sample[1:] for batch in batches for sample in batch.get("warnings", [])]


def measure(n1: Node, value: int) -> None:
    """Report a value as a turn: effects have seen it before the next one comes."""
    n1.runtime.turns.call(lambda: n1.heater.warnings.update(value), "measure", LIMIT_S)


@pytest.mark.parametrize("kept", [True, False])
def test_every_change_comes(stage: Stage, outbox: OutboxPlace, kept: bool) -> None:
    """Each change is a sample of a batch, in order, with its doubts; to measure the same again is
    none, and the last batch comes with the end."""
    peer = peer_on(stage)
    place = outbox if kept else None
    with staged_node(stage, outbox=place, history_s=0.1) as n1:
        n1.lamp.power.set(True)
        for number in range(50):
            measure(n1, number)
            measure(n1, number)
        n1.heater.warnings.fail("offline")
        stage.until(lambda: [49, "bad", "offline"] in warnings(peer.received), "the failure")
        measure(n1, 50)
    stage.until(lambda: [50] in warnings(peer.received), "the last")
    assert warnings(peer.received) == [*([n] for n in range(50)), [49, "bad", "offline"], [50]]
    lamp = [each.document for each in peer.received if each.topic == "edge/n1/data/lamp"]
    assert True in [value for each in lamp for _, value in each["samples"]["power"]]
    batch = peer.received[0].document
    assert list(batch)[:4] == ["id", "boot", "monotonic", "time"]
    ids = [each.document["id"] for each in peer.received]
    assert len(ids) == len(set(ids))


def test_a_sample_has_its_time(stage: Stage, outbox: OutboxPlace) -> None:
    """The stamp is that of the first sample, and the seconds of each count from it."""
    peer = peer_on(stage, HEATER)
    with staged_node(stage, outbox=outbox, history_s=0.5) as n1:
        before_s = stage.clock.monotonic()
        measure(n1, 1)
        begun_s = stage.clock.monotonic()
        stage.until(lambda: stage.clock.monotonic() >= begun_s + 0.1, "0.1 s")
        measure(n1, 2)
        after_s = stage.clock.monotonic()
        stage.until(lambda: len(warnings(peer.received)) == 2, "both")
    samples = [
        each.document["monotonic"] + seconds
        for each in peer.received
        for seconds, _ in each.document["samples"].get("warnings", [])
    ]
    assert before_s - 0.001 <= samples[0] <= begun_s + 0.001
    assert begun_s + 0.099 <= samples[1] <= after_s + 0.001


def test_a_full_batch_does_not_wait(stage: Stage, outbox: OutboxPlace) -> None:
    """A batch has a bound: with more it goes before its time."""
    peer = peer_on(stage, HEATER)
    with staged_node(stage, outbox=outbox, history_s=3600.0) as n1:
        for number in range(MAX_SAMPLES + 10):
            measure(n1, number)
        stage.until(lambda: warnings(peer.received), "a batch")
        (batch,) = (each.document["samples"] for each in peer.received)
        assert sum(map(len, batch.values())) == MAX_SAMPLES
    stage.until(lambda: len(warnings(peer.received)) == MAX_SAMPLES + 10, "the rest")


def test_a_batch_of_long_texts_is_not_too_large(sim_stage: SimStage) -> None:
    """However long the texts are that a device reports, no batch is larger than a message may be,
    and none is lost; a text of its own that is too large is nobody's to split."""
    texts = [
        f"{number:04d} \x01{'ä' * length}" for length in (5, 120, 5000) for number in range(300)
    ]
    peer = peer_on(sim_stage, "edge/n1/data/meter")
    meter = Meter("meter")
    with staged_node(
        sim_stage, history_s=3600.0, prepare=lambda runtime: runtime.register(meter)
    ) as n1:
        for text in texts:
            n1.runtime.turns.call(partial(meter.line.update, text), "measure", LIMIT_S)
    batches = [each.document["samples"]["line"] for each in peer.received]
    assert [text for batch in batches for _, text in batch] == texts
    assert max(len(each.payload) for each in peer.received) <= MAX_BYTES + 1000
    assert len(batches) < 60


def test_an_outage_is_filled_in(stage: Stage, outbox: OutboxPlace) -> None:
    """What was measured while the broker was away comes from the next start of the node."""
    stage.kill()
    with staged_node(stage, outbox=outbox, wait=False, history_s=0.1) as n1:
        for number in range(100):
            measure(n1, number)
    stage.start()
    peer = peer_on(stage, HEATER)
    with staged_node(stage, outbox=outbox, history_s=0.1):
        stage.until(lambda: len(warnings(peer.received)) == 100, "all")
    assert warnings(peer.received) == [[number] for number in range(100)]


def test_without_it_nothing_is_sent(stage: Stage, outbox: OutboxPlace) -> None:
    """The history is asked for, or there is none."""
    peer = peer_on(stage)
    with staged_node(stage, outbox=outbox) as n1:
        measure(n1, 1)
    peer.publish("edge/n1/data/mark", "{}")
    stage.until(lambda: peer.received, "the mark")
    assert [each.topic for each in peer.received] == ["edge/n1/data/mark"]


def test_devices_that_come_and_go(stage: Stage, outbox: OutboxPlace) -> None:
    """One that is added while the node runs has a history, one that is replaced goes on, and of one
    that was removed nothing comes but what it had measured."""
    peer = peer_on(stage)

    def samples() -> list[Any]:
        batches = [each for each in list(peer.received) if each.topic == "edge/n1/data/oven"]
        return [s[1:] for each in batches for s in each.document["samples"].get("warnings", [])]

    with staged_node(stage, outbox=outbox, history_s=0.1) as n1:
        first, second = Heater("oven"), Heater("oven")
        for number, oven in enumerate((first, second)):
            change = n1.runtime.hot_update if number else n1.runtime.hot_add
            change(oven)
            n1.runtime.turns.call(partial(oven.warnings.update, number), "measure", LIMIT_S)
        stage.until(lambda: [1] in samples(), "both")
        n1.runtime.turns.call(partial(first.warnings.update, 7), "measure", LIMIT_S)
        n1.runtime.turns.call(partial(second.warnings.update, 2), "measure", LIMIT_S)
        n1.runtime.hot_remove("oven")
        n1.runtime.turns.call(partial(second.warnings.update, 8), "measure", LIMIT_S)
        measure(n1, 99)
        stage.until(lambda: [99] in warnings(peer.received), "what came later")
    values = [value for value, *bad in samples() if not bad]
    assert values == [0, 1, 2]
