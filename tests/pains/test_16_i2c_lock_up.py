"""Pain 16: one chip locks the I²C bus up, every sensor is gone, and only a power cycle helps.

raspberrypi/linux#6057, PR#6071; kizniche/Mycodo#1350; adafruit/Adafruit_CircuitPython_BusDevice#38,
Adafruit_CircuitPython_TCA9548A#8; fivdi/i2c-bus#36; Ribbit-Network/ribbit-network-frog-hardware#61.
"""

from __future__ import annotations

from edgekernel_devices.button import ButtonPressed

from edgekernel import Quality, Service
from edgekernel.sim import SimClock
from tests.pains.conftest import MakeNode, Node
from tests.pains.parts import HEATED_ROOM, Thermostat

NODE = (
    HEATED_ROOM
    + """
[devices.attic]
driver = "sht4x"
bus = "i2c1"

[devices.desk]
driver = "bh1750"
bus = "i2c1"

[devices.bell]
driver = "button"
pin = "GPIO22"
"""
)
EXPANDER = """
[devices.io]
driver = "mcp23017"
bus = "i2c1"
"""
ROOM, ATTIC = 0x76, 0x44
MINUTE_S = 60


class Beat(Service):
    """Something else that the node does, each second."""

    name = "beat"

    def __init__(self) -> None:
        self.beats = 0

    def tick(self, ctx: object) -> None:
        """Count."""
        self.beats += 1


def cold_node(make_node: MakeNode) -> tuple[Node, Beat]:
    """A node that heats, with three chips on one bus."""
    node, beat = make_node(NODE), Beat()
    node.runtime.register(Thermostat())
    node.runtime.register_service(beat)
    node.bench.chip("room").temperature_c = 15.0
    return node, beat


def qualities(node: Node) -> list[Quality]:
    """What the three chips have to say."""
    labels = ("room.temperature", "attic.temperature", "desk.illuminance")
    return [node.reading(label).quality for label in labels]


def ring(node: Node, clock: SimClock) -> None:
    """Press the bell for a moment; it has to be heard at once."""
    before = len(node.told(ButtonPressed))
    node.bench.line("GPIO22").drive(False)
    clock.advance(0.05)
    assert len(node.told(ButtonPressed)) == before + 1
    node.bench.line("GPIO22").drive(True)


def test_comes_back_without_a_restart(make_node: MakeNode, clock: SimClock) -> None:
    """The bus hangs for five minutes and nothing but a restart brings it back: here every reading
    is BAD within seconds, the heater is safe, the node works on, and when the line is free again
    all are back within a minute and a half, heater included."""
    node, beat = cold_node(make_node)
    with node.runtime:
        clock.advance(10)
        assert node.bench.is_on("heater")
        node.bus().stick("sda")
        clock.advance(6)
        assert qualities(node) == [Quality.BAD] * 3
        beats = beat.beats
        for _ in range(5 * MINUTE_S):
            clock.advance(1)
            assert not node.bench.is_on("heater")
        assert beat.beats - beats == 5 * MINUTE_S
        ring(node, clock)
        assert "sda is held low" in node.reading("room.temperature").sample.reason
        node.bus().release()
        clock.advance(90)
        assert qualities(node) == [Quality.GOOD] * 3
        assert node.bench.is_on("heater")


def test_one_bad_chip(make_node: MakeNode, clock: SimClock) -> None:
    """One chip hangs in each transaction and takes the others with it: it alone is left out, the
    others are measured on, and it is back by itself once it answers."""
    node, _ = cold_node(make_node)
    with node.runtime:
        clock.advance(10)
        node.bus().hang(ATTIC)
        clock.advance(2 * MINUTE_S)
        assert node.reading("i2c1.left_out").value == "0x44"
        for _ in range(10 * MINUTE_S):
            clock.advance(1)
            assert qualities(node) == [Quality.GOOD, Quality.BAD, Quality.GOOD]
            assert node.bench.is_on("heater")
        node.bus().heal()
        clock.advance(2 * MINUTE_S)
        assert qualities(node) == [Quality.GOOD] * 3
        assert node.reading("i2c1.left_out").value == ""


def test_good_ones_come_back_beside_a_dead_one(make_node: MakeNode, clock: SimClock) -> None:
    """After the lock-up one chip is dead: the two that are sound come back all the same, and
    what the dead one drove stays safe."""
    node, _ = cold_node(make_node)
    with node.runtime:
        clock.advance(10)
        node.bus().stick("scl")
        clock.advance(3 * MINUTE_S)
        node.bus().release()
        node.bus().hang(ROOM)
        clock.advance(3 * MINUTE_S)
        assert qualities(node) == [Quality.BAD, Quality.GOOD, Quality.GOOD]
        assert not node.bench.is_on("heater")
        ring(node, clock)


def test_clocked_free(make_node: MakeNode, clock: SimClock) -> None:
    """A chip that was cut off within a byte holds the data line until it is clocked: where the
    kernel's driver does that, seconds later everything is measured again."""
    node, _ = cold_node(make_node)
    node.bus().kernel_clocks = True
    with node.runtime:
        clock.advance(10)
        node.bus().stick("sda", until="clocks")
        clock.advance(5)
        assert node.bus().stuck is None
        assert qualities(node) == [Quality.GOOD] * 3
        assert node.bench.is_on("heater")


def test_power_cut_by_the_node(make_node: MakeNode, clock: SimClock) -> None:
    """Only a power cycle helps, and somebody has to drive there: here the node cuts the power
    itself, through the line that its file names, and seconds later everything is measured."""
    node = make_node(NODE + '[buses.i2c1.recovery]\npower = "GPIO13"\n')
    node.runtime.register(Thermostat())
    node.bench.chip("room").temperature_c = 15.0
    with node.runtime:
        clock.advance(10)
        node.bus().stick("sda", until="power")
        clock.advance(15)
        assert node.bus().stuck is None
        assert node.reading("i2c1.power_cycles").value == 1
        assert qualities(node) == [Quality.GOOD] * 3
        assert node.bench.is_on("heater")


def test_output_on_the_locked_bus(make_node: MakeNode, clock: SimClock) -> None:
    """The heater itself hangs on the bus that locks up, and cannot be switched off meanwhile: as
    soon as the bus is back it is, if its sensor is not."""
    node = make_node(NODE.replace("GPIO17", "io:GPA0") + EXPANDER)
    node.runtime.register(Thermostat())
    node.bench.chip("room").temperature_c = 15.0
    with node.runtime:
        clock.advance(10)
        assert node.bench.is_on("heater")
        node.bus().stick("sda")
        clock.advance(2 * MINUTE_S)
        node.bus().refuse(ROOM, times=None)
        node.bus().release()
        assert clock.run_until(lambda: not node.bench.is_on("heater"), limit_s=90)
        clock.advance(2 * MINUTE_S)
        assert not node.bench.is_on("heater")
