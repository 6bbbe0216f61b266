from collections.abc import Callable
from typing import Any

import pytest
from edgekernel_devices.ina219 import INA219, INA219Chip, calibration, current_lsb_a
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Event, InvalidValueError, Quality, Runtime, message
from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import BootError, ClosedError
from edgekernel.hal.address import BusAddress
from edgekernel.sim import SimClock

BUS = BusAddress("i2c1", "/dev/i2c-1")

Boot = Callable[..., Runtime]


@pytest.fixture
def chip(backend: SimBackend) -> INA219Chip:
    """A chip on the bus, at 0x40."""
    chip = INA219Chip()
    backend.i2c_bus(BUS).plug(0x40, chip)
    return chip


@pytest.fixture
def load(backend: SimBackend, chip: INA219Chip) -> INA219:
    """The driver of that chip, as it comes on most boards."""
    return INA219("load", bus=backend.i2c_bus(BUS))


def word(chip: INA219Chip, register: int) -> int:
    """A register, by the chip's own protocol."""
    chip.write(bytes([register]))
    return int.from_bytes(chip.read(2))


def test_worked_example() -> None:
    """The registers of the datasheet's example (section 9.2.2.1): 10 A through 2 milliohm, 12 V
    less what the shunt takes, in steps of 1 mA."""
    chip = INA219Chip()
    chip.voltage_v, chip.current_a, chip.shunt_ohm = 11.98, 10.0, 0.002
    assert calibration(0.001, 0.002) == 20480
    assert current_lsb_a(20480, 0.002) == pytest.approx(0.001)
    chip.write(bytes.fromhex("00 019F"))
    chip.write(bytes.fromhex("05 5000"))
    assert word(chip, 1) == 0x07D0
    assert word(chip, 2) == 0x5D98 | 0x0002  # the example leaves the conversion ready bit out
    assert word(chip, 4) == 0x2710
    assert word(chip, 3) == 0x1766


@pytest.mark.parametrize(
    ("millivolts", "pg", "counts"),
    [
        (320.02, 3, 0x7D00),
        (319.99, 3, 0x7CFF),
        (160.02, 3, 0x3E82),
        (160.02, 2, 0x3E80),
        (80.02, 1, 0x1F40),
        (40.02, 0, 0x0FA0),
        (0.01, 0, 0x0001),
        (0.0, 3, 0x0000),
        (-0.01, 3, 0xFFFF),
        (-40.02, 0, 0xF060),
        (-80.02, 1, 0xE0C0),
        (-160.02, 2, 0xC180),
        (-320.02, 3, 0x8300),
    ],
)
def test_shunt_voltage_register(millivolts: float, pg: int, counts: int) -> None:
    """The shunt voltage register has the codes of table 7, and ends at those of its range."""
    chip = INA219Chip()
    chip.current_a = millivolts / 1000 / chip.shunt_ohm
    chip.write(bytes([0]) + (0x219F | pg << 11).to_bytes(2))
    assert word(chip, 1) == counts


def test_reset_values(chip: INA219Chip) -> None:
    """After a reset current and power are 0, as there is no calibration (section 8.5.4)."""
    chip.write(bytes.fromhex("05 1000"))
    assert word(chip, 4) != 0
    chip.write(bytes.fromhex("00 8000"))
    assert [word(chip, register) for register in (0, 3, 4, 5)] == [0x399F, 0, 0, 0]


def test_conversion_ready(chip: INA219Chip) -> None:
    """A conversion is ready until power is read or a mode is written; the calibration register
    has no bit 0."""
    chip.write(bytes.fromhex("00 399B"))  # triggered
    assert word(chip, 2) & 2
    word(chip, 3)
    assert not word(chip, 2) & 2
    chip.write(bytes.fromhex("05 1001"))
    assert word(chip, 5) == 0x1000


RANGES = [  # shunt, max_current, the PG bits that fit
    (0.1, 0.4, 0),
    (0.1, 0.5, 1),
    (0.1, 0.8, 1),
    (0.1, 1.6, 2),
    (0.1, 3.2, 3),
    (0.002, 15.0, 0),
    (0.01, 20.0, 3),
    (1.0, 0.001, 0),
    (100.0, 0.003, 3),
]


@pytest.mark.parametrize(("shunt", "max_current", "pg"), RANGES)
def test_measures_both_ways(
    clock: SimClock,
    backend: SimBackend,
    boot: Boot,
    chip: INA219Chip,
    shunt: float,
    max_current: float,
    pg: int,
) -> None:
    """Up to the greatest current, either way, the readings are what the load takes, within the
    steps of the chip; the amplifier has the smallest range that this fits in."""
    load = INA219("load", bus=backend.i2c_bus(BUS), shunt=shunt, max_current=max_current)
    chip.shunt_ohm = shunt
    boot(load)
    lsb = current_lsb_a(word(chip, 5) or 1, shunt)
    step = 10e-6 / shunt + lsb

    @given(st.floats(-0.999, 0.999), st.floats(0, 25.9))
    def check(share: float, voltage: float) -> None:
        chip.current_a, chip.voltage_v = share * max_current, voltage
        clock.advance(1)
        assert load.voltage.value == pytest.approx(voltage, abs=0.0021)
        assert load.current.value == pytest.approx(chip.current_a, abs=step)
        assert load.power.value == pytest.approx(load.voltage.value * load.current.value)
        assert word(chip, 0) >> 11 & 3 == pg

    check()


@pytest.mark.parametrize("sign", [1, -1])
def test_saturated_amplifier(
    clock: SimClock, boot: Boot, load: INA219, chip: INA219Chip, sign: int
) -> None:
    """A current beyond the range is BAD and says which; voltage stays good, power goes with it."""
    chip.current_a = 3.3 * sign
    boot(load)
    clock.advance(0.5)
    assert load.voltage.value == 5.0
    for reading in (load.current, load.power):
        assert reading.quality is Quality.BAD
        assert reading.sample.reason == "saturated: 3.2 A or more; check max_current"
    chip.current_a = 3.1 * sign
    clock.advance(1)
    assert load.current.value == pytest.approx(3.1 * sign, abs=0.0003)


def test_overflow(clock: SimClock, backend: SimBackend, boot: Boot, chip: INA219Chip) -> None:
    """Within the amplifier's range, but beyond what the current register holds, the chip sets
    its overflow flag: BAD."""
    load = INA219("load", bus=backend.i2c_bus(BUS), max_current=1.0)
    boot(load)
    chip.current_a = 1.2
    clock.advance(1)
    assert word(chip, 2) & 1
    assert load.current.quality is Quality.BAD
    assert load.power.quality is Quality.BAD
    assert load.current.sample.reason.startswith("overflow: ")
    assert load.voltage.quality is Quality.GOOD


@pytest.mark.parametrize(("limit", "voltage", "says"), [(16, 16.5, "16 V or more"), (32, 27, "26")])
def test_voltage_beyond_the_range(
    clock: SimClock,
    backend: SimBackend,
    boot: Boot,
    chip: INA219Chip,
    limit: Any,
    voltage: float,
    says: str,
) -> None:
    """A voltage beyond the chosen range, or beyond what the chip stands, is BAD."""
    load = INA219("load", bus=backend.i2c_bus(BUS), max_voltage=limit)
    chip.voltage_v = voltage
    boot(load)
    clock.advance(0.5)
    assert load.voltage.quality is Quality.BAD
    assert says in load.voltage.sample.reason


def test_impossible_current(backend: SimBackend) -> None:
    """A greatest current that the shunt makes too great a voltage of is refused, with the limit."""
    with pytest.raises(InvalidValueError, match=r"max_current: 4 A .* 0\.4 V.* at most 3\.2 A"):
        INA219("load", bus=backend.i2c_bus(BUS), max_current=4.0)


@pytest.mark.parametrize("samples", [1, 128])
def test_averaging_takes_its_time(
    clock: SimClock, backend: SimBackend, boot: Boot, chip: INA219Chip, samples: Any
) -> None:
    """A measurement waits for all samples of both conversions, and asks the chip for them."""
    load = INA219("load", bus=backend.i2c_bus(BUS), samples=samples)
    boot(load)
    clock.advance(2 * samples * 0.000586 - 1e-4)
    assert load.current.quality is Quality.BAD
    clock.advance(2e-4)
    assert load.current.value == pytest.approx(0.1, abs=1e-4)
    assert word(chip, 0) >> 3 & 0xF == word(chip, 0) >> 7 & 0xF == {1: 3, 128: 15}[samples]


class Surging(INA219Chip):
    """Loses its supply while it measures, as often as it is told."""

    surges = 0

    def write(self, data: bytes) -> None:
        super().write(data)
        if data[0] == 0 and len(data) == 3 and not data[1] & 0x80 and self.surges:
            self.surges -= 1
            self.power_on()


def test_surge(clock: SimClock, backend: SimBackend, boot: Boot, events: list[Event]) -> None:
    """A chip that was reset within a measurement says 0 A, which is no value; the next poll is
    good again. Between measurements a reset does no harm."""
    chip = Surging()
    backend.i2c_bus(BUS).plug(0x40, chip)
    load = INA219("load", bus=backend.i2c_bus(BUS))
    boot(load)
    clock.advance(0.5)
    chip.power_on()
    clock.advance(1)
    assert load.current.value == pytest.approx(0.1, abs=1e-4)
    chip.surges = 1
    clock.advance(1)
    assert not load.online
    assert "lost its settings" in load.current.sample.reason
    assert load.current.sample.value == pytest.approx(0.1, abs=1e-4)
    clock.advance(2)
    assert load.current.value == pytest.approx(0.1, abs=1e-4)


class Idle(INA219Chip):
    """Never converts."""

    def _convert(self, what: int) -> None: ...


def test_no_conversion(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """A chip that never has a conversion ready makes the device offline."""
    backend.i2c_bus(BUS).plug(0x40, Idle())
    load = INA219("load", bus=backend.i2c_bus(BUS))
    boot(load)
    clock.advance(0.5)
    assert not load.online
    assert "no conversion within" in load.current.sample.reason


@pytest.mark.parametrize("found", [0x4127, 0xFFFF])
def test_wrong_chip(boot: Boot, backend: SimBackend, found: int) -> None:
    """Another chip at the address (an INA226 has 0x4127) keeps the runtime from booting, and the
    bus is given back."""

    class Other(INA219Chip):
        def read(self, length: int) -> bytes:
            return found.to_bytes(2)

    backend.i2c_bus(BUS).plug(0x45, Other())
    with pytest.raises(BootError) as raised:
        boot(INA219("load", bus=backend.i2c_bus(BUS), address=0x45))
    text = str(raised.value.exceptions[0])
    assert f"i2c1 address 0x45: after a reset the chip there has {found:#06x}" in text
    with pytest.raises(ClosedError):
        backend.i2c_bus(BUS).read(0x45, 1)


def test_unplugged_and_plugged_in_again(
    clock: SimClock, boot: Boot, load: INA219, backend: SimBackend, events: list[Event]
) -> None:
    """An unplugged chip makes the device offline until one is back, which is set up anew."""
    boot(load)
    clock.advance(1.5)
    backend.i2c_bus(BUS).unplug(0x40)
    clock.advance(2)
    assert not load.online
    assert load.power.quality is Quality.BAD
    other = INA219Chip()
    other.current_a = -0.25
    backend.i2c_bus(BUS).plug(0x40, other)
    clock.advance(4)
    assert load.current.value == pytest.approx(-0.25, abs=1e-4)
    assert load.power.value == pytest.approx(-1.25, abs=1e-3)
    told = [type(e.payload) for e in events if "device" in e.payload.to_dict()]
    assert told[-3:] == [message.DeviceOnline, message.DeviceOffline, message.DeviceOnline]


class INA226(INA219Chip):
    """A relative, with other contents after a reset."""

    def read(self, length: int) -> bytes:
        return b"\x41\x27"


def test_replaced_by_another_chip(
    clock: SimClock, boot: Boot, load: INA219, backend: SimBackend
) -> None:
    """What is plugged in again is looked at as at the start."""
    boot(load)
    clock.advance(0.5)
    backend.i2c_bus(BUS).unplug(0x40)
    clock.advance(1)
    backend.i2c_bus(BUS).plug(0x40, INA226())
    clock.advance(5)
    assert not load.online
    assert "an INA219 has 0x399f" in load.current.sample.reason
