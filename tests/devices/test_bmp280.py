from collections.abc import Callable
from dataclasses import replace

import pytest
from edgekernel_devices._bosch import Trimming
from edgekernel_devices.bmp280 import BMP280, BMP280Chip
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
def chip(backend: SimBackend) -> BMP280Chip:
    """A chip on the bus, at 0x76."""
    chip = BMP280Chip()
    backend.i2c_bus(BUS).plug(0x76, chip)
    return chip


@pytest.fixture
def room(backend: SimBackend, chip: BMP280Chip) -> BMP280:
    """The driver of that chip, polled once a second."""
    return BMP280("room", bus=backend.i2c_bus(BUS))


class Example(BMP280Chip):
    """Measures the raw values of the datasheet's worked example (section 3.12)."""

    def _measure(self, temperature_setting: int, pressure_setting: int) -> None:
        self._registers[0xF7:0xFD] = (415148 << 28 | 519888 << 4).to_bytes(6)


def test_worked_example(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """The datasheet's worked example (section 3.12) comes out: 25.08 °C and 100653.27 Pa.

    That pressure is of the floating-point formula; the integer one gives 0.02 Pa less.
    """
    backend.i2c_bus(BUS).plug(0x77, Example())
    room = BMP280("room", bus=backend.i2c_bus(BUS), address=0x77)
    boot(room)
    clock.advance(0.5)
    assert room.temperature.value == 25.08
    assert room.pressure.value == pytest.approx(1006.5327, abs=0.0002)


words = st.integers(-32768, 32767)


@given(
    st.tuples(st.integers(0, 65535), words, words),
    st.tuples(st.integers(0, 65535), *[words] * 8),
)
def test_trimming_parameters_are_read_as_stored(t: tuple[int, ...], p: tuple[int, ...]) -> None:
    """All trimming parameters are read with their signs, from the registers of table 17."""
    registers = b"".join((value & 0xFFFF).to_bytes(2, "little") for value in (*t, *p))
    assert Trimming.decode(registers) == Trimming(*(*t, *p))


def test_reads_what_the_chip_measures(
    clock: SimClock, boot: Boot, room: BMP280, chip: BMP280Chip
) -> None:
    """Over the whole range the readings are what the chip measures, within its resolution."""
    boot(room)

    @given(st.floats(-40, 85), st.floats(300, 1100))
    def check(temperature: float, pressure: float) -> None:
        chip.temperature_c, chip.pressure_hpa = temperature, pressure
        clock.advance(1)
        assert room.temperature.sample.value == pytest.approx(temperature, abs=0.02)
        assert room.pressure.sample.value == pytest.approx(pressure, abs=0.05)

    check()


def test_out_of_range(clock: SimClock, boot: Boot, room: BMP280, chip: BMP280Chip) -> None:
    """A pressure outside of what the chip can measure is BAD; the temperature stays GOOD."""
    boot(room)
    chip.pressure_hpa = 290.0
    clock.advance(1.5)
    assert room.pressure.quality is Quality.BAD
    assert room.temperature.quality is Quality.GOOD


@pytest.mark.parametrize(("found", "says"), [(0x60, "0x60, a BME280,"), (0xFF, "id 0xff,")])
def test_wrong_chip(boot: Boot, backend: SimBackend, found: int, says: str) -> None:
    """Another chip at the address keeps the runtime from booting and is named."""

    class Other(BMP280Chip):
        CHIP_ID = found

    backend.i2c_bus(BUS).plug(0x76, Other())
    with pytest.raises(BootError) as raised:
        boot(BMP280("room", bus=backend.i2c_bus(BUS)))
    assert says in str(raised.value.exceptions[0])
    assert "i2c1 address 0x76" in str(raised.value.exceptions[0])


class Recalibrated(BMP280Chip):
    """Another chip, with trimming parameters of its own."""

    TRIMMING = replace(BMP280Chip.TRIMMING, t1=28000, t2=26000, p1=37000)


def test_unplugged_and_plugged_in_again(
    clock: SimClock, boot: Boot, room: BMP280, backend: SimBackend, events: list[Event]
) -> None:
    """An unplugged chip makes the device offline and its readings BAD, until one is back; that
    may be another one."""
    boot(room)
    clock.advance(1.5)
    backend.i2c_bus(BUS).unplug(0x76)
    clock.advance(2)
    assert not room.online
    assert room.pressure.quality is Quality.BAD
    other = Recalibrated()
    other.temperature_c, other.pressure_hpa = 4.0, 950.0
    backend.i2c_bus(BUS).plug(0x76, other)
    assert clock.run_until(lambda: room.online, 60)
    assert room.temperature.value == pytest.approx(4.0, abs=0.02)
    assert room.pressure.value == pytest.approx(950.0, abs=0.05)
    told = [type(e.payload) for e in events if "device" in e.payload.to_dict()]
    assert told[-3:] == [message.DeviceOnline, message.DeviceOffline, message.DeviceOnline]


class Resetting(BMP280Chip):
    """Loses its supply for a moment whenever it measures."""

    def _measure(self, temperature_setting: int, pressure_setting: int) -> None:
        self.power_on()


class Lazy(BMP280Chip):
    """Never measures."""

    def _measure(self, temperature_setting: int, pressure_setting: int) -> None:
        pass


class Busy(BMP280Chip):
    """Says for ever that it measures."""

    def read(self, length: int) -> bytes:
        answer = super().read(length)
        self._registers[0xF3] |= answer[0] & 0x08 if length == 1 else 0
        return answer


@pytest.mark.parametrize(
    ("faulty", "says"), [(Resetting, "settings"), (Lazy, "not measured"), (Busy, "busy")]
)
def test_failed_measurement(
    clock: SimClock,
    boot: Boot,
    room: BMP280,
    backend: SimBackend,
    faulty: type[BMP280Chip],
    says: str,
) -> None:
    """What a chip leaves of a failed measurement is never taken for a value."""
    boot(room)
    clock.advance(1.5)
    backend.i2c_bus(BUS).unplug(0x76)
    backend.i2c_bus(BUS).plug(0x76, faulty())
    clock.advance(1)
    assert not room.online
    for reading in room.readings.values():
        assert reading.quality is Quality.BAD
        assert says in reading.sample.reason


@pytest.mark.parametrize("oversampling", [1, 2, 4, 8, 16])
def test_oversampling_refines(
    clock: SimClock, backend: SimBackend, boot: Boot, chip: BMP280Chip, oversampling: int
) -> None:
    """Each doubling of the oversampling halves the steps of the pressure (table 4), down to the
    few thousandths by which the integer formulas differ from those in floating point."""
    room = BMP280("room", bus=backend.i2c_bus(BUS), oversampling=oversampling)  # type: ignore[arg-type]
    boot(room)
    chip.pressure_hpa = 1000.001
    clock.advance(1)
    assert room.pressure.value == pytest.approx(1000.001, abs=0.0262 / oversampling + 0.003)
