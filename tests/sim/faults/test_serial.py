"""Faults of serial lines: noise is dropped, silence is noticed, and both pass."""

from __future__ import annotations

import pytest

from edgekernel.sim.faults import BitErrors, Fault, FaultKind, Garbage, LostBytes
from tests.sim.faults.conftest import Play


def test_garbage(play: Play) -> None:
    """Noise between the sentences of a receiver costs it nothing, again and again."""
    node = play(Fault(Garbage(count=200), port="uart0", at_s=10, every_s=7, times=5))
    node.clock.advance(120)
    assert node.device("position").online
    assert [at_s for at_s, _ in node.told("fault.began")] == [0, 7, 14, 21, 28]
    assert not node.told("fault.ended")
    assert not node.told("device.offline")


@pytest.mark.parametrize("kind", [LostBytes(), BitErrors()])
def test_nothing_gets_through(play: Play, kind: FaultKind) -> None:
    """While all bytes are lost or wrong the receiver is offline by its silence, and comes back."""
    node = play(Fault(kind, device="position", at_s=10, for_s=30))
    node.clock.advance(30)
    assert not node.device("position").online
    node.clock.advance(90)
    assert node.device("position").online


@pytest.mark.parametrize("kind", [LostBytes(count=300), BitErrors(count=300)])
def test_some_bytes(play: Play, kind: FaultKind) -> None:
    """Of a counted fault some sentences are lost, and the device stays online."""
    node = play(Fault(kind, port="uart0", at_s=10))
    node.clock.advance(60)
    assert node.device("position").online
    assert not node.told("device.offline")


@pytest.mark.parametrize("kind", [LostBytes(count=100_000), BitErrors(count=100_000)])
def test_healed_before_the_count(play: Play, kind: FaultKind) -> None:
    """A counted fault that is healed hits no byte after that, and another one goes on."""
    node = play(
        Fault(kind, device="position", at_s=10, for_s=30),
        Fault(LostBytes(count=300), device="position", at_s=100),
    )
    node.clock.advance(30)
    assert not node.device("position").online
    node.clock.advance(40)
    assert node.device("position").online
    offline = len(node.told("device.offline"))
    node.clock.advance(90)
    assert node.device("position").online
    assert len(node.told("device.offline")) == offline


def test_misfit(play: Play) -> None:
    """What is on no port has no serial line."""
    with pytest.raises(ValueError, match="garbage: room is on no serial port"):
        play(Fault(Garbage(), device="room"))
