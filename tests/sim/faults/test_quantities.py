"""Faults of sensors: the driver reads over the bus what the chip believes to measure."""

from __future__ import annotations

from statistics import fmean, pstdev

import pytest

from edgekernel.sim.faults import Drift, Fault, FaultKind, Frozen, Noise, Offset, Set, Spike
from tests.sim.faults.conftest import Play, Played


def temperatures(node: Played, seconds: int) -> list[float]:
    """Return the readings of the room's temperature, one a second."""
    found = []
    for _ in range(seconds):
        node.clock.advance(1)
        found.append(node.sample("room", "temperature").value)
    return found


def test_frozen(play: Play) -> None:
    """A frozen sensor goes on to show what was, while the world moves on; then it is right."""
    node = play(Fault(Frozen(), device="room", at_s=10, for_s=30))
    node.clock.advance(15)
    before = node.sample("room", "temperature").value
    node.device("heater").power.set(True)
    assert temperatures(node, 20) == [before] * 20
    assert node.bench.worlds["house"].temperature_c > before + 0.3
    node.clock.advance(20)
    true = node.bench.worlds["house"].temperature_c
    assert node.sample("room", "temperature").value == pytest.approx(true, abs=0.05)
    assert node.sample("room", "humidity").value == pytest.approx(50, abs=0.1)


def test_drift(play: Play) -> None:
    """A drifting sensor is off by the time that has passed, and its other quantities are right."""
    drift = Drift(per_hour=6, quantity="temperature_c")
    node = play(Fault(drift, device="room", at_s=600, for_s=1800))
    node.clock.advance(600 + 600)
    assert node.sample("room", "temperature").value == pytest.approx(21, abs=0.03)
    node.clock.advance(1100)
    assert node.sample("room", "temperature").value == pytest.approx(22.83, abs=0.03)
    assert node.sample("room", "pressure").value == pytest.approx(1013.25, abs=0.1)
    node.clock.advance(200)
    assert node.sample("room", "temperature").value == pytest.approx(20, abs=0.03)


def test_they_add_up(play: Play) -> None:
    """Several faults of one quantity all count, and each is healed for itself."""
    node = play(
        Fault(Offset(by=3, quantity="temperature_c"), device="room", at_s=10, for_s=20),
        Fault(Offset(by=-1, quantity="temperature_c"), device="room", at_s=20, for_s=20),
    )
    seen = [round(temperatures(node, 10)[-2], 1) for _ in range(5)]
    assert seen == [20.0, 23.0, 22.0, 19.0, 20.0]


def test_spike(play: Play) -> None:
    """About the share of the measurements is off, by exactly so much."""
    spike = Spike(by=15, share=0.2, quantity="temperature_c")
    node = play(Fault(spike, device="room", at_s=0))
    node.clock.advance(1)
    seen = temperatures(node, 500)
    assert {round(value) for value in seen} == {20, 35}
    assert 60 < sum(round(value) == 35 for value in seen) < 140


def test_noise(play: Play) -> None:
    """Measurements scatter around the truth with the deviation that was asked for."""
    node = play(Fault(Noise(deviation=0.5, quantity="temperature_c"), device="room", at_s=0))
    node.clock.advance(1)
    seen = temperatures(node, 600)
    assert fmean(seen) == pytest.approx(20, abs=0.1)
    assert pstdev(seen) == pytest.approx(0.5, abs=0.06)


def test_whole_numbers_stay_whole(play: Play) -> None:
    """A quantity that counts is off by whole numbers."""
    node = play(Fault(Offset(by=-2.4, quantity="satellites"), device="position", at_s=0))
    node.clock.advance(10)
    assert node.sample("position", "satellites").value == 7


def test_set(play: Play) -> None:
    """A receiver loses its fix, and a door of the world is jammed, as long as the faults last."""
    node = play(
        Fault(Set("fix", False), device="position", at_s=10, for_s=20),
        Fault(Set("jammed", True), world="gate", at_s=10, for_s=20),
    )
    node.device("heater").power.set(True)
    node.clock.advance(25)
    assert node.sample("position", "latitude").reason == "no fix"
    assert node.bench.worlds["gate"].position == pytest.approx(0.1, abs=0.01)
    node.clock.advance(20)
    assert node.sample("position", "fix").value is True
    assert node.bench.worlds["gate"].position == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(
    ("kind", "device", "text"),
    [
        (Drift(1), "room", "name its quantity: humidity_percent, pressure_hpa, temperature_c"),
        (Offset(1, "temperature"), "room", "did you mean 'temperature_c'?"),
        (Frozen("temperature"), "room", "did you mean 'temperature_c'?"),
        (Frozen(), "door", "door measures nothing"),
        (Spike(1), "io", "io measures nothing"),
        (Set("fix", 0.0), "position", "fix of position is true or false"),
        (Set("altitude_m", True), "position", "altitude_m of position is a number"),
        (Set("nix", True), "position", "did you mean 'fix'?"),
        (Set("on", True), "heater", "heater has no simulated chip"),
    ],
)
def test_misfit(play: Play, kind: FaultKind, device: str, text: str) -> None:
    """A quantity that is not there, or of another type, is refused with what there is."""
    with pytest.raises(ValueError, match=kind.word) as refused:
        play(Fault(kind, device=device))
    assert text in str(refused.value)
