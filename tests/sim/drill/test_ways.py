"""Each fault that can be drilled, between the drivers and a board that knows nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from edgekernel import ConfigError, Message, Quality, Runtime
from edgekernel.node import make_plan
from edgekernel.node.drill import NodeDrill
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import SimClock
from edgekernel.sim.drill import WAYS
from edgekernel.sim.faults import (
    KINDS,
    BitErrors,
    BrokerAway,
    ClockStep,
    Drift,
    Fault,
    Frozen,
    Garbage,
    Hang,
    LostBytes,
    Nack,
    Noise,
    Offset,
    Slow,
    Spike,
    Stuck,
    StuckLine,
    Unplug,
    Welded,
)
from tests.sim.faults.conftest import NODE, Played

Drilled = Callable[..., Played]


@pytest.fixture
def drilled(tmp_path: Path) -> Iterator[Drilled]:
    """Give a function that starts the node with a drill."""
    with ExitStack() as stack:

        def start(*faults: Fault, node: str = NODE) -> Played:
            path = tmp_path / "node.toml"
            path.write_text(node)
            plan, clock = make_plan(path), stack.enter_context(SimClock())
            drill = NodeDrill(plan, faults)
            runtime, bench = assemble_simulated(
                plan, clock, Runtime, around=lambda backend: drill.around(backend, clock)
            )
            drill.join(runtime)
            played = Played(clock, runtime, bench)
            runtime.subscribe(Message, played.events.append)
            stack.enter_context(runtime)
            return played

        yield start


def lost_and_back(node: Played, device: str) -> tuple[bool, bool, bool]:
    """Say whether a device is online before the drill of 10 to 40 s, in it and after it."""
    node.clock.advance(9)
    before = node.device(device).online
    node.clock.advance(30)
    during = node.device(device).online
    node.clock.advance(120)
    return before, during, node.device(device).online


@pytest.mark.parametrize(
    ("what", "target", "device"),
    [
        (Nack(), {"device": "room"}, "room"),
        (Nack(), {"bus": "i2c1"}, "air"),
        (Hang(), {"device": "room"}, "room"),
        (BitErrors(mask="0000ff"), {"device": "air"}, "air"),
        (Stuck(), {"bus": "i2c1"}, "room"),
        (Unplug(), {"device": "room"}, "room"),
        (Unplug(), {"bus": "i2c1"}, "room"),
        (Unplug(), {"device": "pipe"}, "pipe"),
        (Unplug(), {"device": "position"}, "position"),
        (LostBytes(), {"device": "position"}, "position"),
        (BitErrors(), {"port": "uart0"}, "position"),
    ],
)
def test_device_is_lost_and_back(
    drilled: Drilled, what: Any, target: dict[str, Any], device: str
) -> None:
    """The device is offline while the fault is there, and back when it has ended; the board below
    has seen nothing."""
    node = drilled(Fault(what, **target, at_s=10, for_s=30))
    assert lost_and_back(node, device) == (True, False, True)
    began, ended = node.told("fault.began"), node.told("fault.ended")
    assert (len(began), [at_s for at_s, _ in ended]) == (1, [30])


def test_others_are_spared(drilled: Drilled) -> None:
    """A fault of one device is none of its neighbours on the bus."""
    node = drilled(Fault(Nack(), device="room", at_s=10, for_s=30))
    node.clock.advance(35)
    assert not node.device("room").online
    assert node.device("air").online
    assert node.device("io").online


def test_count(drilled: Drilled) -> None:
    """A fault of so many transactions is over after them."""
    node = drilled(Fault(Nack(count=1), device="room", at_s=10, for_s=30))
    node.clock.advance(39)
    assert node.device("room").online


def test_slow(drilled: Drilled) -> None:
    """A slow chip takes its time in each transaction, and still answers: it is polled less often
    than once a second."""
    node = drilled(Fault(Slow(takes=2), device="room", at_s=10, for_s=40))
    counts = []
    for _ in range(3):
        polled: set[int] = set()
        for _ in range(20):
            node.clock.advance(1)
            polled.add(node.device("room").temperature.measured_ns)
        counts.append(len(polled))
        assert node.device("room").online
        node.clock.advance(5)
    assert counts[1] <= 11
    assert counts[2] >= 19


@pytest.mark.parametrize("quantity", ["temperature_c", "temperature"])
def test_offset(drilled: Drilled, quantity: str) -> None:
    """A reading is off by so much, named as the quantity of a chip or as the reading."""
    node = drilled(Fault(Offset(5, quantity), device="room", at_s=10, for_s=30))
    node.clock.advance(9)
    assert node.sample("room", "temperature").value == pytest.approx(20, abs=0.1)
    node.clock.advance(10)
    assert node.sample("room", "temperature").value == pytest.approx(25, abs=0.1)
    node.clock.advance(30)
    assert node.sample("room", "temperature").value == pytest.approx(20, abs=0.1)


def test_before_the_filters(drilled: Drilled) -> None:
    """It comes before the filters of the node file, which do with it what they do with what is
    measured, and which are all there when it has ended."""
    text = NODE.replace(
        "[devices.air]", "readings.temperature.filters = [{ range_check = [0, 22] }]\n[devices.air]"
    )
    node = drilled(Fault(Offset(5, "temperature_c"), device="room", at_s=10, for_s=30), node=text)
    node.clock.advance(20)
    assert node.sample("room", "temperature").quality is Quality.BAD
    node.clock.advance(30)
    assert node.sample("room", "temperature").quality is Quality.GOOD
    assert len(node.device("room").temperature.filters) == 1


def test_drift_and_offset_add_up(drilled: Drilled) -> None:
    """Several faults of one reading add up, and each ends for itself."""
    node = drilled(
        Fault(Drift(360, "temperature_c"), device="room", at_s=10, for_s=30),
        Fault(Offset(5, "temperature_c"), device="room", at_s=20, for_s=60),
    )
    node.clock.advance(30.5)
    assert node.sample("room", "temperature").value == pytest.approx(27, abs=0.3)
    node.clock.advance(20)
    assert node.sample("room", "temperature").value == pytest.approx(25, abs=0.1)


def test_frozen(drilled: Drilled) -> None:
    """Every reading of the device stays what it was."""
    node = drilled(Fault(Frozen(), device="air", at_s=10, for_s=30))
    node.clock.advance(11)
    node.bench.chip("air").temperature_c = 30.0
    before = node.sample("air", "temperature").value
    node.clock.advance(20)
    assert node.sample("air", "temperature").value == before
    node.clock.advance(20)
    assert node.sample("air", "temperature").value == pytest.approx(30, abs=0.1)


@pytest.mark.parametrize("what", [Spike(10, 0.3, "temperature_c"), Noise(2, "temperature_c")])
def test_chance(drilled: Drilled, what: Any) -> None:
    """Spikes and noise come by chance, the same for the same seed, and end."""
    seen = []
    for _ in range(2):
        node = drilled(Fault(what, device="room", at_s=10, for_s=60))
        node.clock.advance(9)
        values = []
        for _ in range(60):
            node.clock.advance(1)
            values.append(round(node.sample("room", "temperature").value, 3))
        node.clock.advance(10)
        assert node.sample("room", "temperature").value == pytest.approx(20, abs=0.1)
        seen.append(values)
    assert seen[0] == seen[1]
    assert len(set(seen[0])) > 1


def test_stuck_line(drilled: Drilled) -> None:
    """A button is held whatever the line does: the driver is told of the change, hears no edge
    meanwhile, and of the level that is there when it is let go."""
    node = drilled(Fault(StuckLine("low"), device="door", at_s=10, for_s=30))
    node.clock.advance(9)
    assert node.sample("door", "pressed").value is False
    node.clock.advance(2)
    assert node.sample("door", "pressed").value is True
    node.bench.press("door")
    node.clock.advance(10)
    assert node.sample("door", "pressed").value is True
    node.clock.advance(30)
    assert node.sample("door", "pressed").value is False
    pressed = [each for each in node.events if each.payload.name == "button.pressed"]
    assert len(pressed) == 1


def test_the_end_of_the_node_ends_it(drilled: Drilled) -> None:
    """A shutdown ends every fault and says so; the health says what is broken until then."""
    node = drilled(Fault(Nack(), device="room", at_s=10), Fault(Frozen(), device="air", at_s=10))
    assert node.runtime.health()["parts"]["drill"]["healthy"]
    node.clock.advance(20)
    health = node.runtime.health()["parts"]["drill"]
    assert not health["healthy"]
    assert "a drill is under way: nack device room, frozen device air" in str(health)
    node.runtime.shutdown("done")
    names = [each.payload.name for each in node.events]
    assert names.count("drill.began") == names.count("drill.ended") == 1
    assert len(node.told("fault.ended")) == 2
    assert node.device("air").temperature.filters == ()


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault(Welded(), device="heater"), "kind: welded: only a simulation can do this"),
        (Fault(ClockStep(by=5)), "kind: clock_step: only a simulation can do this"),
        (Fault(Garbage(), port="uart0"), "kind: garbage: only a simulation can do this"),
        (Fault(BrokerAway(keeps=True)), "kind: broker_away: the node has no link to a broker"),
        (Fault(Nack(), device="rom"), "device: no device 'rom' in this node; did you mean 'room'"),
        (Fault(Nack(), device="position"), "kind: nack: position is on no I²C bus"),
        (Fault(Stuck(until="clocks"), bus="i2c1"), 'kind: stuck: until: "clocks" is seen by a'),
        (Fault(StuckLine("low"), device="gate"), "kind: stuck: gate is no single input line of"),
        (Fault(StuckLine("low"), device="heater"), "kind: stuck: heater is no single input line"),
        (Fault(Offset(1), device="room"), "kind: offset: name its quantity: humidity, pressure"),
        (Fault(Offset(1, "wind"), device="room"), "kind: offset: room has no reading 'wind'"),
        (Fault(LostBytes(count=3), port="uart0"), "kind: lost_bytes: count: a drill loses all"),
        (Fault(BitErrors(mask="x"), device="room"), 'kind: bit_errors: "x" is no mask'),
        (Fault(Unplug(), device="heater"), "kind: unplug: heater has no plug"),
    ],
)
def test_what_cannot_be_drilled(drilled: Drilled, fault: Fault, text: str) -> None:
    """What only a simulation can do, or does not fit the node, is refused before it starts."""
    with pytest.raises(ConfigError, match=r"^fault\.1\.") as refused:
        drilled(fault)
    assert str(refused.value).startswith(f"fault.1.{text}")


def test_ways_are_of_the_vocabulary() -> None:
    """Whatever can be drilled is a kind of the vocabulary: one plan serves all."""
    assert set(WAYS) <= set(KINDS)
