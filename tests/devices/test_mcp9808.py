from collections.abc import Callable

import pytest
from edgekernel_devices.mcp9808 import MCP9808, MCP9808Chip, temperature_c
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Event, Quality, Runtime, message
from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import BootError
from edgekernel.hal.address import BusAddress
from edgekernel.sim import SimClock

BUS = BusAddress("i2c1", "/dev/i2c-1")

Boot = Callable[..., Runtime]


@pytest.fixture
def chip(backend: SimBackend) -> MCP9808Chip:
    """A chip on the bus, at 0x18."""
    chip = MCP9808Chip()
    backend.i2c_bus(BUS).plug(0x18, chip)
    return chip


@pytest.fixture
def room(backend: SimBackend, chip: MCP9808Chip) -> MCP9808:
    """The driver of that chip, polled once a second."""
    return MCP9808("room", bus=backend.i2c_bus(BUS))


@pytest.mark.parametrize(
    ("register", "celsius"),
    [
        (0xC194, 25.25),  # the timing diagram in the datasheet, a read of +25.25 °C
        (0x0194, 25.25),
        (0x0000, 0.0),
        (0x0001, 0.0625),
        (0x1FFF, -0.0625),
        (0x1E70, -25.0),
        (0xE7D0, 125.0),
        (0x3D80, -40.0),
    ],
)
def test_conversion(register: int, celsius: float) -> None:
    """The ambient register is 13 bits in two's complement; its flags say nothing about it."""
    assert temperature_c(register) == celsius


@pytest.mark.parametrize(
    ("conversion_ms", "step"), [(30, 0.5), (65, 0.25), (130, 0.125), (250, 0.0625)]
)
def test_reads_what_the_chip_measures(
    clock: SimClock, backend: SimBackend, boot: Boot, conversion_ms: int, step: float
) -> None:
    """Over the whole range the reading is what the chip measures, within its resolution, on both
    sides of zero and of the limits that set its flags."""
    chip = MCP9808Chip()
    backend.i2c_bus(BUS).plug(0x18, chip)
    room = MCP9808("room", bus=backend.i2c_bus(BUS), conversion_ms=conversion_ms)  # type: ignore[arg-type]
    boot(room)

    @given(st.floats(-40, 125))
    def check(temperature: float) -> None:
        chip.temperature_c = temperature
        clock.advance(1)
        assert room.temperature.sample.value == pytest.approx(temperature, abs=step / 2)
        assert room.temperature.quality is Quality.GOOD

    check()


def test_flags(chip: MCP9808Chip) -> None:
    """The chip flags a temperature at or above the critical limit, above the upper one and below
    the lower one (section 5.4), beside the temperature."""
    for register, limit in ((2, 300), (3, -80), (4, 400)):  # in sixteenths
        chip.write(bytes([register]) + (limit & 0x1FFF).to_bytes(2))
    found = {}
    for celsius in (18.75, 18.8125, 25.0, -5.0, -5.0625):
        chip.temperature_c = celsius
        chip.write(b"\x05")
        word = int.from_bytes(chip.read(2))
        assert temperature_c(word) == celsius
        found[celsius] = word >> 13
    assert found == {18.75: 0b000, 18.8125: 0b010, 25.0: 0b110, -5.0: 0b000, -5.0625: 0b001}


@pytest.mark.parametrize("temperature", [-41.0, 126.0, 300.0, -300.0])
def test_out_of_range(
    clock: SimClock, boot: Boot, room: MCP9808, chip: MCP9808Chip, temperature: float
) -> None:
    """A temperature that the chip is not made for is BAD."""
    chip.temperature_c = temperature
    boot(room)
    clock.advance(0.5)
    assert room.temperature.quality is Quality.BAD


def test_waits_for_the_first_conversion(clock: SimClock, boot: Boot, room: MCP9808) -> None:
    """The first value is taken no sooner than a chip that was just switched on has one."""
    boot(room)
    assert clock.monotonic() >= 0.5


@pytest.mark.parametrize(("register", "value"), [(6, 0x0055), (7, 0x0200)])
def test_wrong_chip(boot: Boot, backend: SimBackend, register: int, value: int) -> None:
    """Another chip at the address (an MCP9804 has the id 0x02) keeps the runtime from booting."""
    other = MCP9808Chip()
    other._registers[register] = value
    backend.i2c_bus(BUS).plug(0x1F, other)
    with pytest.raises(BootError) as raised:
        boot(MCP9808("room", bus=backend.i2c_bus(BUS), address=0x1F))
    text = str(raised.value.exceptions[0])
    assert "i2c1 address 0x1f: the chip there has the ids" in text
    assert "an MCP9808 has 0x0054 and 0x04" in text


def test_later_revision(clock: SimClock, boot: Boot, room: MCP9808, chip: MCP9808Chip) -> None:
    """The low byte of the device id is a revision, and any will do."""
    chip._registers[7] = 0x0403
    boot(room)
    clock.advance(0.5)
    assert room.temperature.value == 20.0


class Resetting(MCP9808Chip):
    """Can lose its supply, and then has no conversion for a read."""

    converted = True

    def reset(self) -> None:
        self.power_on()
        self.converted = False

    def _ambient(self) -> int:
        if self.converted:
            return super()._ambient()
        self.converted = True
        return 0


def test_loss_of_supply_is_no_zero(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """The 0 °C of a chip that was switched on anew is no value; it is set up and measures again."""
    chip = Resetting()
    backend.i2c_bus(BUS).plug(0x18, chip)
    room = MCP9808("room", bus=backend.i2c_bus(BUS), conversion_ms=30)
    boot(room)
    clock.advance(0.5)
    chip.reset()
    clock.advance(1)
    assert not room.online
    assert room.temperature.sample.value == 20.0
    assert "lost its settings" in room.temperature.sample.reason
    chip.temperature_c = 21.3
    clock.advance(2)
    assert room.temperature.value == 21.5  # in steps of 0.5 °C, as it is set


def test_unplugged_and_plugged_in_again(
    clock: SimClock, boot: Boot, room: MCP9808, backend: SimBackend, events: list[Event]
) -> None:
    """An unplugged chip makes the device offline until one is back, which is set up anew."""
    boot(room)
    clock.advance(1.5)
    backend.i2c_bus(BUS).unplug(0x18)
    clock.advance(2)
    assert not room.online
    assert room.temperature.quality is Quality.BAD
    other = MCP9808Chip()
    other.temperature_c = -12.5
    backend.i2c_bus(BUS).plug(0x18, other)
    clock.advance(2)
    assert room.temperature.value == -12.5
    told = [type(e.payload) for e in events if "device" in e.payload.to_dict()]
    assert told[-3:] == [message.DeviceOnline, message.DeviceOffline, message.DeviceOnline]
