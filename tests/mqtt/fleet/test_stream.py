"""What nodes say, as it comes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgekernel.mqtt.fleet.connection import Connection
from edgekernel.mqtt.fleet.listening import Arrival
from edgekernel.mqtt.fleet.stream import Stream
from tests.mqtt.parts import settings
from tests.stages import SimStage


@pytest.fixture
def connection(sim_stage: SimStage) -> Iterator[Connection]:
    """Give a connection in simulated time, open."""
    made = Connection(settings(sim_stage.port), 10.0, sim_stage.clock, sim_stage.medium)
    made.open()
    yield made
    made.close()


def number(arrival: Arrival) -> int | None:
    """Read a number; what is none is left out."""
    return int(arrival.payload) if arrival.payload.isdigit() else None


def test_what_cannot_be_read_is_left_out(sim_stage: SimStage, connection: Connection) -> None:
    """Items come in order; the time to wait for one is the whole of it."""
    peer = sim_stage.peer("peer")
    with Stream(connection, ("+/tick",), number) as stream:
        for text in ("1", "x", "2", "y"):
            peer.publish("edge/n1/tick", text)
        assert (stream.get(1), stream.get(1)) == (1, 2)
        begin_s = sim_stage.clock.monotonic()
        assert stream.get(2) is None
        assert sim_stage.clock.monotonic() - begin_s == pytest.approx(2)


def test_for_a_time(sim_stage: SimStage, connection: Connection) -> None:
    """`during` ends when its time is over, also where there is always something to take out."""
    peer = sim_stage.peer("peer")
    with Stream(connection, ("+/tick",), number) as stream:
        peer.publish("edge/n1/tick", "1")
        assert list(stream.during(1)) == [1]
        for _ in range(50):
            peer.publish("edge/n1/tick", "2")
        seen = []
        for each in stream.during(1):
            seen.append(each)
            sim_stage.sim_clock.advance(0.1)
        assert 0 < len(seen) < 20


def test_a_closed_stream_is_over(sim_stage: SimStage, connection: Connection) -> None:
    """Closing twice is harmless, and then nothing comes."""
    stream = Stream(connection, ("+/tick",), number)
    stream.close()
    stream.close()
    assert list(stream) == []
    assert stream.dropped == 0
