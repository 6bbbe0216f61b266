"""Faults of buses: who is hit goes BAD and offline with the reason, the others go on."""

from __future__ import annotations

import pytest

from edgekernel import Quality
from edgekernel.sim.faults import BitErrors, Fault, Hang, Nack, Slow, Stuck
from tests.sim.faults.conftest import Play


def test_nack_for_a_time(play: Play) -> None:
    """A chip that does not acknowledge is offline with its readings BAD, exactly as long as the
    fault lasts; the others on the bus go on, and the fault is told with its times."""
    node = play(Fault(Nack(), device="room", at_s=10.5, for_s=20))
    node.clock.advance(15)
    sample = node.sample("room", "temperature")
    assert sample.quality is Quality.BAD
    assert "no acknowledge" in sample.reason
    assert (node.device("room").online, node.device("air").online) == (False, True)
    assert node.sample("air", "temperature").quality is Quality.GOOD
    node.clock.advance(60)
    assert node.sample("room", "temperature").quality is Quality.GOOD
    began = {"fault": "1", "kind": "nack", "target": "device room", "settings": ""}
    assert node.told("fault.began") == [(0, began)]
    ended = {"fault": "1", "kind": "nack", "target": "device room"}
    assert node.told("fault.ended") == [(20, ended)]
    (offline,) = node.told("device.offline")
    assert 0 <= offline[0] < 1
    assert offline[1]["device"] == "room"


def test_nth_and_count(play: Play) -> None:
    """Of a counted fault so many transactions are hit, whenever the fault is healed."""
    node = play(Fault(Nack(nth=3, count=1), device="air", at_s=5.5))
    node.clock.advance(60)
    assert len(node.told("device.offline")) == 1
    assert node.device("air").online


def test_whole_bus(play: Play) -> None:
    """A fault of a bus hits every chip on it, and nothing on another."""
    node = play(Fault(Nack(), bus="i2c1", at_s=5, for_s=10))
    node.clock.advance(10)
    assert not any(node.device(id).online for id in ("room", "air", "io"))
    assert node.device("pipe").online
    node.clock.advance(130)
    assert all(node.device(id).online for id in ("room", "air", "io"))


def test_hang(play: Play) -> None:
    """Transactions with a chip that hangs run into the timeout, and after three of them its
    address is left out; the other chips are asked as before."""
    node = play(Fault(Hang(), device="room", at_s=5, for_s=60))
    node.clock.advance(40)
    assert not node.device("room").online
    assert node.device("air").online
    assert node.sample("i2c1", "left_out").value == "0x76"
    node.clock.advance(200)
    assert node.device("room").online
    assert node.sample("i2c1", "left_out").value == ""


@pytest.mark.parametrize("target", ["device", "bus"])
def test_slow(play: Play, target: str) -> None:
    """On a slow bus measurements take longer and come all the same; afterwards they are quick."""
    name = {"device": "room", "bus": "i2c1"}[target]
    node = play(Fault(Slow(takes=0.2), at_s=5, for_s=30, **{target: name}))  # type: ignore[arg-type]
    busy: list[float] = []
    for _ in range(3):
        before = node.device("i2c1").bus.health.busy_s
        node.clock.advance(5 if not busy else 30)
        busy.append(node.device("i2c1").bus.health.busy_s - before)
    assert busy[1] > 10 * busy[0]
    assert node.device("room").online
    assert len(node.told("device.offline")) == 0


@pytest.mark.parametrize("line", ["sda", "scl"])
def test_stuck(play: Play, line: str) -> None:
    """While a line of the bus is held all on it are offline, with the bus; those elsewhere go on,
    and afterwards all come back."""
    node = play(Fault(Stuck(line=line), bus="i2c1", at_s=5, for_s=10))  # type: ignore[arg-type]
    node.clock.advance(12)
    assert not any(node.device(id).online for id in ("i2c1", "room", "air"))
    assert node.device("pipe").online
    assert f"{line} is held low" in node.sample("room", "temperature").reason
    node.clock.advance(120)
    assert all(node.device(id).online for id in ("i2c1", "room", "air", "io"))


def test_bit_errors_with_a_checksum(play: Play) -> None:
    """A chip that sends a checksum is not believed while bits come wrong."""
    node = play(Fault(BitErrors(), device="air", at_s=5, for_s=10))
    node.clock.advance(12)
    sample = node.sample("air", "temperature")
    assert sample.quality is Quality.BAD
    assert "checksum" in sample.reason.lower() or "crc" in sample.reason.lower()
    assert node.device("room").online
    node.clock.advance(60)
    assert node.sample("air", "temperature").quality is Quality.GOOD


def test_bit_errors_of_a_count(play: Play) -> None:
    """So many answers are wrong, and the next is right, on 1-Wire too."""
    node = play(Fault(BitErrors(count=2), device="pipe", at_s=5))
    node.clock.advance(120)
    assert len(node.told("device.offline")) == 1
    assert node.device("pipe").online


def test_bit_errors_on_spi(play: Play) -> None:
    """A converter without a checksum is believed: its reading is wrong while the fault lasts, and
    two at once heal one after the other."""
    node = play(
        Fault(BitErrors(mask="000100"), device="adc", at_s=5, for_s=10),
        Fault(BitErrors(mask="000200"), device="adc", at_s=8, for_s=10),
    )
    seen = []
    for seconds in (4, 3, 3, 7, 3):
        node.clock.advance(seconds)
        seen.append(round(node.sample("adc", "level").value * 1023 / 3.3))
    assert seen[0] == seen[4] == 0
    assert len(set(seen)) == 4


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault(Nack(), device="pipe"), "fault.1.kind: nack: pipe is on no I²C bus"),
        (Fault(Stuck(), bus="w1"), "fault.1.kind: stuck: w1 is no I²C bus"),
        (Fault(Stuck("scl", "clocks"), bus="i2c1"), "cannot be clocked free"),
        (Fault(BitErrors(), device="heater"), "heater sends no bytes"),
        (Fault(BitErrors("xyz"), device="room"), '"xyz" is no mask'),
        (Fault(Nack(), bus="i2c9"), "fault.1.bus: no bus 'i2c9' in this node; did you mean 'i2c1'"),
    ],
)
def test_misfit(play: Play, fault: Fault, text: str) -> None:
    """A fault that cannot be there is refused before anything runs, and says why."""
    with pytest.raises(ValueError, match="fault") as refused:
        play(fault)
    assert text in str(refused.value)
