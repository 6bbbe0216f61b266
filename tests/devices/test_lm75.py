from collections.abc import Callable
from typing import Any

import pytest
from edgekernel_devices.lm75 import LM75, LM75Chip, temperature_c
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
def chip(backend: SimBackend) -> LM75Chip:
    """A chip on the bus, at 0x48."""
    chip = LM75Chip()
    backend.i2c_bus(BUS).plug(0x48, chip)
    return chip


@pytest.mark.parametrize(
    ("register", "bits", "celsius"),
    [
        (0x7FF0, 12, 127.9375),  # SBOS288, the table of temperature data
        (0x1900, 12, 25.0),
        (0x0040, 12, 0.25),
        (0xFFC0, 12, -0.25),
        (0xC900, 12, -55.0),
        (0x7FFF, 12, 127.9375),
        (0x0020, 11, 0.125),  # NXP LM75B, the table of Temp register values
        (0xFFE0, 11, -0.125),
        (0xC920, 11, -54.875),
        (0x7D00, 9, 125.0),  # SNIS153, "Temperature data format"
        (0x0080, 9, 0.5),
        (0xFF80, 9, -0.5),
        (0xFFFF, 9, -0.5),  # the lowest 7 bits are undefined there
        (0x007F, 9, 0.0),
    ],
)
def test_conversion(register: int, bits: int, celsius: float) -> None:
    """The register is two's complement; what is below the part's resolution does not count."""
    assert temperature_c(register, bits) == celsius


@pytest.mark.parametrize(("bits", "step"), [(9, 0.5), (11, 0.5), (12, 0.0625)])
def test_reads_what_the_chip_measures(
    clock: SimClock, backend: SimBackend, boot: Boot, chip: LM75Chip, bits: Any, step: float
) -> None:
    """Over the whole range the reading is what the chip measures, within the resolution that it is
    set to: a part of 11 bits has nothing to be set, so this chip stays at 9."""
    room = LM75("room", bus=backend.i2c_bus(BUS), bits=bits)
    boot(room)

    @given(st.floats(-55, 125))
    def check(temperature: float) -> None:
        chip.temperature_c = temperature
        clock.advance(1)
        assert room.temperature.sample.value == pytest.approx(temperature, abs=step / 2)
        assert room.temperature.quality is Quality.GOOD

    check()


@pytest.mark.parametrize("temperature", [-56.0, 126.0, 300.0, -300.0])
def test_out_of_range(
    clock: SimClock, backend: SimBackend, boot: Boot, chip: LM75Chip, temperature: float
) -> None:
    """A temperature that the chip is not made for is BAD."""
    chip.temperature_c = temperature
    room = LM75("room", bus=backend.i2c_bus(BUS))
    boot(room)
    clock.advance(0.5)
    assert room.temperature.quality is Quality.BAD


def test_waits_for_the_first_conversion(
    clock: SimClock, backend: SimBackend, boot: Boot, chip: LM75Chip
) -> None:
    """The first value is taken no sooner than a chip that was just switched on has one."""
    boot(LM75("room", bus=backend.i2c_bus(BUS), bits=12))
    assert clock.monotonic() >= 0.6


class ReadOnly(LM75Chip):
    """Acknowledges what is written, and keeps nothing: no LM75."""

    def write(self, data: bytes) -> None:
        super().write(data[:1])


def test_wrong_chip(boot: Boot, backend: SimBackend) -> None:
    """A chip that does not keep the limit keeps the runtime from booting."""
    backend.i2c_bus(BUS).plug(0x4F, ReadOnly())
    with pytest.raises(BootError) as raised:
        boot(LM75("room", bus=backend.i2c_bus(BUS), address=0x4F))
    assert "i2c1 address 0x4f: the chip has not kept" in str(raised.value.exceptions[0])


def test_loss_of_supply_is_no_zero(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """The 0 °C of a chip that was switched on anew is no value; it is set up and measures again."""

    class Resetting(LM75Chip):
        converted = True

        def reset(self) -> None:
            self.power_on()
            self.converted = False

        def _temperature(self) -> int:
            if self.converted:
                return super()._temperature()
            self.converted = True
            return 0

    chip = Resetting()
    backend.i2c_bus(BUS).plug(0x48, chip)
    room = LM75("room", bus=backend.i2c_bus(BUS), bits=12)
    boot(room)
    clock.advance(0.5)
    chip.reset()
    clock.advance(1)
    assert not room.online
    assert room.temperature.sample.value == 20.0
    assert "not kept its settings" in room.temperature.sample.reason
    chip.temperature_c = 21.0625
    clock.advance(2)
    assert room.temperature.value == 21.0625  # with 12 bits again


def test_unplugged_and_plugged_in_again(
    clock: SimClock, boot: Boot, chip: LM75Chip, backend: SimBackend, events: list[Event]
) -> None:
    """An unplugged chip makes the device offline until one is back, which is set up anew."""
    room = LM75("room", bus=backend.i2c_bus(BUS))
    boot(room)
    clock.advance(1.5)
    backend.i2c_bus(BUS).unplug(0x48)
    clock.advance(2)
    assert not room.online
    assert room.temperature.quality is Quality.BAD
    other = LM75Chip()
    other.temperature_c = -12.5
    backend.i2c_bus(BUS).plug(0x48, other)
    clock.advance(2)
    assert room.temperature.value == -12.5
    told = [type(e.payload) for e in events if "device" in e.payload.to_dict()]
    assert told[-3:] == [message.DeviceOnline, message.DeviceOffline, message.DeviceOnline]
