"""The player: exact times, chance by the seed, one order in every run, all healed at the end."""

from __future__ import annotations

import pytest

from edgekernel.sim.faults import (
    AgentKilled,
    ClockStep,
    DiskFull,
    Fault,
    FaultKind,
    Nack,
    Noise,
    StuckLine,
    Unplug,
)
from edgekernel.sim.faults.broker import BrokerAway
from tests.sim.faults.conftest import Play, Played


def test_again_and_again(play: Play) -> None:
    """A fault that comes again begins and ends at exact times, as often as it is to."""
    node = play(Fault(Nack(), device="air", at_s=12.25, every_s=30, for_s=4.5, times=3))
    node.clock.advance(200)
    assert [at_s for at_s, _ in node.told("fault.began")] == [0, 30, 60]
    assert [at_s for at_s, _ in node.told("fault.ended")] == [4.5, 34.5, 64.5]
    assert len(node.told("device.offline")) == 3
    started = next(e for e in node.events if e.payload.to_dict() == {"process": "faults"})
    began = next(e for e in node.events if e.payload.name == "fault.began")
    assert began.monotonic - started.monotonic == pytest.approx(12.25)


def chance(play: Play, seed: int) -> tuple[list[float], Played]:
    """Play something that chance decides for 20 minutes; return when it began."""
    fault = Fault(Nack(), device="air", every_s=20, for_s=5, probability=0.3)
    node = play(fault, Fault(Noise(1, "temperature_c"), device="room", at_s=0), seed=seed)
    node.clock.advance(1201)
    return [at_s for at_s, said in node.told("fault.began") if said["kind"] == "nack"], node


def test_probability(play: Play) -> None:
    """Chance lets about the share of the occasions be, at the occasions only."""
    begun, _ = chance(play, 1)
    assert 8 < len(begun) < 28
    assert all(at_s % 20 == pytest.approx(0, abs=1e-6) for at_s in begun)


def test_same_seed_same_run(play: Play) -> None:
    """Two runs with one seed have the same events, at the same times; another seed has others."""

    def log(seed: int) -> list[str]:
        _, node = chance(play, seed)
        return [f"{e.seq} {e.time_ns} {e.source} {e.cause} {e.payload}" for e in node.events]

    first, second, other = log(7), log(7), log(8)
    assert len(first) > 50
    assert first == second
    assert first != other


def test_healed_in_any_state(play: Play) -> None:
    """However a node ends, what was wrong around it is healed, last begun first."""
    node = play(
        Fault(Unplug(), device="room", at_s=5),
        Fault(StuckLine("low"), device="door", at_s=6),
        Fault(Noise(1, "temperature_c"), device="air", at_s=7),
    )
    node.clock.advance(10)
    player = node.runtime.processes["faults"]
    assert len(player.running) == 3  # type: ignore[attr-defined]
    node.runtime.shutdown()
    assert [said["fault"] for _, said in node.told("fault.ended")] == ["3", "2", "1"]
    assert not player.running  # type: ignore[attr-defined]
    assert node.bench.level("GPIO27") is True
    assert "temperature_c" not in vars(type(node.bench.chip("air")))


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault(Nack()), "fault.1.kind: nack is with one device or bus; name it"),
        (Fault(Nack(), device="air", bus="i2c1"), "fault.1.kind: nack is with one device or bus"),
        (Fault(Nack(), port="uart0"), "fault.1.port: nack is with a device or bus"),
        (Fault(Nack(), device="iar"), "fault.1.device: no device 'iar' in this node; did you mean"),
        (Fault(Nack(), device="air", every_s=5), "fault.1.for: is missing"),
        (Fault(Nack(), device="air", every_s=5, for_s=5), "fault.1.for: 5 s is not shorter than"),
        (Fault(Nack(), device="air", times=5), "fault.1.times: needs `every`"),
        (Fault(BrokerAway(), device="air"), "fault.1.device: broker_away is with no part of the"),
        (Fault(ClockStep(by=1), for_s=5), "fault.1.for: clock_step is over at once"),
    ],
)
def test_mistakes(play: Play, fault: Fault, text: str) -> None:
    """What cannot be is refused before the node starts, with the fault's number and the key."""
    with pytest.raises(ValueError, match=r"fault\.1") as refused:
        play(fault)
    assert text in str(refused.value)


@pytest.mark.parametrize("kind", [BrokerAway(), DiskFull(), AgentKilled()])
def test_nobody_plays_it(play: Play, kind: FaultKind) -> None:
    """What nobody in the run can play is refused, never silently left out."""
    with pytest.raises(ValueError, match=f"{kind.word}: not possible in this run: ") as refused:
        play(Fault(Nack(), device="air"), Fault(kind))
    assert str(refused.value).startswith("fault.2.kind: ")
