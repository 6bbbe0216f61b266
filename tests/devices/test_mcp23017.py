from collections.abc import Callable

import pytest
from edgekernel_devices.mcp23017 import MCP23017, MCP23017Chip

from edgekernel import Event, InvalidValueError, Runtime, message
from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import BootError
from edgekernel.hal import Edge, LineProvider, Pull
from edgekernel.hal.address import BusAddress, LineAddress
from edgekernel.sim import SimClock

BUS = BusAddress("i2c1", "/dev/i2c-1")
INT = LineAddress("GPIO4", "sim", 4)
IODIR, IPOL, GPINTEN, IOCON, GPPU, GPIO, OLAT = 0x00, 0x02, 0x04, 0x0A, 0x0C, 0x12, 0x14

Boot = Callable[..., Runtime]


@pytest.fixture
def chip(backend: SimBackend) -> MCP23017Chip:
    """A chip on the bus, at 0x20."""
    chip = MCP23017Chip()
    backend.i2c_bus(BUS).plug(0x20, chip)
    return chip


@pytest.fixture
def io(backend: SimBackend, chip: MCP23017Chip) -> MCP23017:
    """The driver of that chip, without an interrupt line."""
    return MCP23017("io", bus=backend.i2c_bus(BUS))


@pytest.fixture
def quick(backend: SimBackend, chip: MCP23017Chip, clock: SimClock) -> MCP23017:
    """The driver of that chip, with INTA wired to GPIO4."""
    chip.wire({"interrupt": backend.line("GPIO4")}, clock)
    return MCP23017("io", bus=backend.i2c_bus(BUS), interrupt=backend.digital_input(INT))


def registers(chip: MCP23017Chip, first: int, count: int = 2) -> bytes:
    """What registers hold, by the chip's own protocol."""
    chip.write(bytes([first]))
    return chip.read(count)


def test_is_a_line_provider(io: MCP23017) -> None:
    """It is what a node file needs for "io:GPA3", with 16 lines named as in the datasheet."""
    assert isinstance(io, LineProvider)
    assert io.line_names[3] == "GPA3"
    assert io.line_names[15] == "GPB7"
    assert len(set(io.line_names)) == 16
    assert io.digital_output("GPA3").name == io.digital_input("GPA3").name == "io:GPA3"


@pytest.mark.parametrize("line", ["GPA7", "GPB7"])
def test_lines_that_are_no_inputs(io: MCP23017, line: str) -> None:
    """The last line of each port is an output only (DS20001952D), and as an input refused."""
    assert io.digital_output(line).name == f"io:{line}"
    with pytest.raises(InvalidValueError, match=f"io:{line} is no input: .*DS20001952D"):
        io.digital_input(line)


def test_reset_values(chip: MCP23017Chip) -> None:
    """After a reset every line is an input and all other registers are 0 (table 3-5)."""
    chip.write(b"\x00")
    assert chip.read(22) == b"\xff\xff" + bytes(20)


def test_banked_addresses(chip: MCP23017Chip) -> None:
    """With IOCON.BANK the registers of a port follow each other, port B from 0x10 (table 3-4)."""
    chip.write(bytes([GPPU, 0x0F, 0xF0]))
    chip.write(bytes([IOCON, 0x80]))
    chip.write(b"\x06")
    assert chip.read(1) == b"\x0f"
    chip.write(b"\x16")
    assert chip.read(1) == b"\xf0"
    chip.write(b"\x05\x00")
    assert registers(chip, GPPU) == b"\x0f\xf0"


def test_byte_mode_toggles_the_ports(chip: MCP23017Chip) -> None:
    """With IOCON.SEQOP a read goes to and fro between the two ports (section 3.2.1)."""
    chip.write(bytes([GPPU, 0x0F, 0xF0]))
    chip.write(bytes([IOCON, 0x20]))
    assert registers(chip, GPPU, 4) == b"\x0f\xf0\x0f\xf0"


def test_interrupt_is_kept_until_it_is_read(chip: MCP23017Chip) -> None:
    """The first change is captured, later ones wait; reading INTCAP or GPIO ends it (3.6.4)."""
    chip.write(bytes([IOCON, 0x44]))
    chip.write(bytes([GPPU, 0xFF, 0xFF]))
    chip.write(bytes([GPINTEN, 0x03, 0x00]))
    assert chip.inta
    chip.line("GPA1").drive(False)
    chip.line("GPA0").drive(False)
    assert not chip.inta
    assert registers(chip, 0x0E) == b"\x02\x00"  # INTF
    chip.line("GPA1").drive(True)
    assert registers(chip, 0x10) == b"\xfd\x00"  # INTCAP
    assert chip.inta
    chip.line("GPA1").drive(False)
    assert not chip.inta
    assert registers(chip, GPIO) == b"\xfc\xff"
    assert chip.inta


def test_interrupt_against_a_value(chip: MCP23017Chip) -> None:
    """With INTCON a line interrupts as long as it differs from DEFVAL, read or not (3.6.5)."""
    chip.write(bytes([0x06, 0x01]))  # DEFVAL
    chip.write(bytes([0x08, 0x01]))  # INTCON
    chip.line("GPA0").drive(True)
    chip.write(bytes([GPINTEN, 0x01]))
    assert chip.inta
    chip.line("GPA0").drive(False)
    registers(chip, GPIO)
    assert not chip.inta
    chip.line("GPA0").drive(True)
    registers(chip, GPIO)
    assert chip.inta


def test_level_before_direction(boot: Boot, io: MCP23017, chip: MCP23017Chip) -> None:
    """A line goes from input straight to the level it is opened with."""
    boot(io)
    seen: list[bool] = []
    chip.line("GPA3").drive(True)
    chip.line("GPA3").release()
    chip.line("GPA3").watch(seen.append)
    pin = io.digital_output("GPA3")
    pin.open(True)
    assert seen == []
    assert pin.read() is True
    pin.write(False)
    assert seen == [False]


def test_one_write_is_one_register(boot: Boot, io: MCP23017, chip: MCP23017Chip) -> None:
    """Writing to a line writes the output latch of its port, and nothing else."""
    boot(io)
    low, high = io.digital_output("GPA0"), io.digital_output("GPB7")
    low.open(False)
    high.open(False)
    written = list[bytes]()

    class Listening(MCP23017Chip):
        def write(self, data: bytes) -> None:
            written.append(data)
            super().write(data)

    chip.__class__ = Listening
    low.write(True)
    high.write(True)
    assert written == [b"\x14\x01", b"\x15\x80"]


def test_open_as_it_is(boot: Boot, io: MCP23017, chip: MCP23017Chip) -> None:
    """Connecting changes no line that a program before has left driven, and an output that is
    opened without a level keeps it; so does one that an input had."""
    chip.write(bytes([GPPU, 0x10]))
    chip.write(bytes([OLAT, 0x04]))
    chip.write(bytes([IODIR, 0xF3]))  # GPA2 high, GPA3 low
    chip.line("GPB1").drive(True)
    seen: list[bool] = []
    for name in ("GPA2", "GPA3", "GPB1"):
        chip.line(name).watch(seen.append)
    boot(io)
    assert (registers(chip, IODIR), registers(chip, GPPU)) == (b"\xf3\xff", b"\x10\x00")
    for name, level in (("GPA2", True), ("GPA3", False), ("GPB1", True)):
        pin = io.digital_output(name)
        pin.open(None)
        assert pin.read() is level
    chip.line("GPB1").release()
    assert seen == []


def test_short_pulse_is_captured(clock: SimClock, boot: Boot, io: MCP23017) -> None:
    """A pulse that is over before the next look is told with both edges."""
    chip: MCP23017Chip = MCP23017Chip()
    backend = SimBackend(clock)
    backend.i2c_bus(BUS).plug(0x20, chip)
    io = MCP23017("io", bus=backend.i2c_bus(BUS))
    boot(io)
    edges: list[Edge] = []
    io.digital_input("GPA0").open(Pull.UP, edges.append)
    clock.advance(0.01)
    chip.line("GPA0").drive(False)
    chip.line("GPA0").release()
    clock.advance(0.1)
    assert [edge.level for edge in edges] == [False, True]
    backend.close()


def test_loss_of_supply(
    clock: SimClock, boot: Boot, io: MCP23017, chip: MCP23017Chip, events: list[Event]
) -> None:
    """A chip that lost its supply gets its outputs back within a poll, level before direction,
    and the device is offline for a moment, so that it does not pass unseen."""
    boot(io)
    lamp, fan, door = (
        io.digital_output("GPA3"),
        io.digital_output("GPB0"),
        io.digital_input("GPA0"),
    )
    lamp.open(False)
    fan.open(False)
    edges: list[Edge] = []
    door.open(Pull.UP, edges.append)
    lamp.write(True)
    clock.advance(1)
    chip.power_on()
    assert registers(chip, IODIR) == b"\xff\xff"
    chip.line("GPB0").drive(True)
    chip.line("GPB0").release()
    seen: list[bool] = []
    chip.line("GPB0").watch(seen.append)
    clock.advance(0.06)
    assert chip.line("GPA3").level is True
    assert seen == [False]
    assert registers(chip, IODIR) == b"\xf7\xfe"
    assert registers(chip, GPPU) == b"\x01\x00"
    clock.advance(1)
    assert io.online
    assert edges == []
    told = [e.payload for e in events if isinstance(e.payload, message.DeviceOffline)]
    assert len(told) == 1
    assert "lost its settings" in told[0].error


def test_chip_left_banked(boot: Boot, io: MCP23017, chip: MCP23017Chip) -> None:
    """A chip that a program before has left in another mode is set up all the same."""
    chip.write(bytes([IPOL, 0xFF, 0xFF]))
    chip.write(bytes([0x08, 0xFF, 0xFF]))  # INTCON
    chip.write(bytes([IOCON, 0xA2]))
    boot(io)
    pin = io.digital_output("GPB3")
    pin.open(True)
    assert pin.read() is True
    assert registers(chip, IOCON) == b"\x44\x44"
    assert registers(chip, 0x08) == b"\x00\x00"


def test_read_finds_a_lost_output(boot: Boot, io: MCP23017, chip: MCP23017Chip) -> None:
    """Reading an output right after a loss of supply gives it back and returns what it has."""
    boot(io)
    pin = io.digital_output("GPA3")
    pin.open(False)
    pin.write(True)
    chip.power_on()
    assert pin.read() is True
    assert chip.line("GPA3").level is True


def test_input_becomes_an_output(
    clock: SimClock, boot: Boot, io: MCP23017, chip: MCP23017Chip
) -> None:
    """A line that was a watched input with a pull-up is neither watched nor pulled as an output."""
    boot(io)
    door = io.digital_input("GPA0")
    door.open(Pull.UP)
    assert (registers(chip, GPINTEN), registers(chip, GPPU)) == (b"\x01\x00", b"\x01\x00")
    door.close()
    clock.advance(0.1)
    assert registers(chip, GPINTEN) == b"\x00\x00"
    io.digital_output("GPA0").open(True)
    assert (registers(chip, GPINTEN), registers(chip, GPPU)) == (bytes(2), bytes(2))


class Other:
    """Another chip: one port, which answers every read with what was written last."""

    def __init__(self) -> None:
        self.port = 0xFF

    def write(self, data: bytes) -> None:
        self.port = data[-1]

    def read(self, length: int) -> bytes:
        return bytes([self.port] * length)


def test_wrong_chip(boot: Boot, io: MCP23017, backend: SimBackend) -> None:
    """Another chip at the address (here a PCF8574) keeps the runtime from booting."""
    backend.i2c_bus(BUS).unplug(0x20)
    backend.i2c_bus(BUS).plug(0x20, Other())
    with pytest.raises(BootError) as raised:
        boot(io)
    assert "i2c1 address 0x20: the chip does not keep its settings: check that it is a " in str(
        raised.value.exceptions[0]
    )
