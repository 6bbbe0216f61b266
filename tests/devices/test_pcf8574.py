from collections.abc import Callable

import pytest
from edgekernel_devices.pcf8574 import PCF8574, PCF8574Chip

from edgekernel import Event, Runtime, message
from edgekernel.backends.sim import SimBackend
from edgekernel.hal import Edge, Pull
from edgekernel.hal.address import BusAddress, LineAddress
from edgekernel.sim import SimClock

BUS = BusAddress("i2c1", "/dev/i2c-1")
INT = LineAddress("GPIO4", "sim", 4)

Boot = Callable[..., Runtime]


@pytest.fixture
def chip(backend: SimBackend) -> PCF8574Chip:
    """A PCF8574A on the bus, at 0x38."""
    chip = PCF8574Chip()
    backend.i2c_bus(BUS).plug(0x38, chip)
    return chip


@pytest.fixture
def io(backend: SimBackend, chip: PCF8574Chip) -> PCF8574:
    """The driver of that chip, without an interrupt line."""
    return PCF8574("io", bus=backend.i2c_bus(BUS), address=0x38)


def test_power_on(chip: PCF8574Chip) -> None:
    """After power-on every line is high, and the outside can pull it down (section 8.1)."""
    assert chip.read(1) == b"\xff"
    chip.line("P2").drive(False)
    assert chip.read(2) == b"\xfb\xfb"


def test_port(chip: PCF8574Chip) -> None:
    """The last byte that is written is the port (section 8.2); a read gives the levels."""
    chip.write(b"\x00\xa5")
    assert chip.read(1) == b"\xa5"
    chip.line("P0").drive(False)
    assert chip.read(1) == b"\xa4"


def test_interrupt(chip: PCF8574Chip) -> None:
    """A change pulls INT low until the port is read or written, or the level is back (8.5)."""
    assert chip.int_level
    for end in (lambda: chip.read(1), lambda: chip.write(b"\xff"), chip.line("P7").release):
        chip.line("P7").drive(False)
        assert not chip.int_level
        end()
        assert chip.int_level
        chip.line("P7").release()
        chip.read(1)


def test_input_is_written_high(boot: Boot, io: PCF8574, chip: PCF8574Chip) -> None:
    """A line that was an output at low is written high before it is read as an input."""
    boot(io)
    pin = io.digital_output("P3")
    pin.open(False)
    pin.close()
    door = io.digital_input("P3")
    door.open(Pull.NONE)
    assert door.read() is True
    chip.line("P3").drive(False)
    assert door.read() is False


def test_one_write_is_one_byte(boot: Boot, io: PCF8574, chip: PCF8574Chip) -> None:
    """A write to a line is one byte to the port, in which inputs and free lines are high."""
    boot(io)
    lamp, fan = io.digital_output("P0"), io.digital_output("P1")
    lamp.open(False)
    fan.open(True)
    io.digital_input("P7").open(Pull.UP)
    chip.line("P7").drive(False)
    written = list[bytes]()

    class Listening(PCF8574Chip):
        def write(self, data: bytes) -> None:
            written.append(data)
            super().write(data)

    chip.__class__ = Listening
    fan.write(False)
    lamp.write(True)
    assert written == [b"\xfc", b"\xfd"]


class Opening(PCF8574):
    """Has two of its lines opened at the start, as the devices on them would."""

    def connect(self) -> None:
        super().connect()
        valve, lamp = self.digital_output("P0"), self.digital_output("P1")
        lamp.open(False)
        valve.open(None)


def test_found_as_it_is(
    clock: SimClock, boot: Boot, chip: PCF8574Chip, backend: SimBackend
) -> None:
    """What a program before has left low stays so until it is claimed, which may keep it; what
    nobody claims by the first poll is let go."""
    chip.write(b"\xf8")
    seen: list[bool] = []
    for name in ("P0", "P1"):
        chip.line(name).watch(seen.append)
    boot(Opening("io", bus=backend.i2c_bus(BUS), address=0x38))
    clock.advance(1)
    assert seen == []
    assert chip.read(1) == b"\xfc"


def test_nothing_is_written_unasked(
    clock: SimClock, boot: Boot, io: PCF8574, chip: PCF8574Chip
) -> None:
    """As long as nobody has a line the chip is only read: it may be another one."""
    chip.write(b"\xf0")
    boot(io)
    clock.advance(1)
    assert io.online
    assert chip.read(1) == b"\xf0"


def test_loss_of_supply(
    clock: SimClock, boot: Boot, io: PCF8574, chip: PCF8574Chip, events: list[Event]
) -> None:
    """A port that was reset is noticed by a line that is driven low and is high; it is set again
    at once, and the device is offline for a poll."""
    boot(io)
    lamp, fan = io.digital_output("P0"), io.digital_output("P1")
    lamp.open(False)
    fan.open(True)
    clock.advance(1)
    chip.power_on()
    assert chip.line("P0").level is True
    clock.advance(0.06)
    assert chip.line("P0").level is False
    assert chip.line("P1").level is True
    clock.advance(1)
    assert io.online
    told = [e.payload for e in events if isinstance(e.payload, message.DeviceOffline)]
    assert len(told) == 1
    assert "driven low was high" in told[0].error


def test_short_circuit_is_no_loss(
    clock: SimClock, boot: Boot, io: PCF8574, chip: PCF8574Chip, events: list[Event]
) -> None:
    """A line that is held high against the chip reads high; that is told once, not for ever."""
    boot(io)
    lamp = io.digital_output("P0")
    lamp.open(True)
    chip.line("P0").drive(True)
    lamp.write(False)
    assert lamp.read() is True
    clock.advance(2)
    assert io.online
    told = [e.payload for e in events if isinstance(e.payload, message.DeviceOffline)]
    assert len(told) == 1
    assert "check the chip's supply, and for a short circuit" in told[0].error


def test_short_pulse_is_not_seen(
    clock: SimClock, boot: Boot, chip: PCF8574Chip, backend: SimBackend
) -> None:
    """The chip captures nothing: a pulse that is over when the port is read leaves no edge, and
    a longer one has the time of its interrupt."""
    chip.wire({"interrupt": backend.line("GPIO4")}, clock)
    io = PCF8574("io", bus=backend.i2c_bus(BUS), address=0x38, interrupt=backend.digital_input(INT))
    boot(io)
    edges: list[Edge] = []
    io.digital_input("P5").open(Pull.UP, edges.append)
    clock.advance(0.5)
    chip.line("P5").drive(False)
    chip.line("P5").release()
    clock.advance(2)
    assert edges == []
    chip.line("P5").drive(False)
    now_ns = clock.monotonic_ns()
    clock.advance(2)
    assert edges == [Edge(False, now_ns)]
