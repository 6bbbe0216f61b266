from collections.abc import Callable
from dataclasses import replace

import pytest
from edgekernel_devices._bosch import Trimming
from edgekernel_devices.bme280 import BME280, BME280Chip, HumidityTrimming
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Event, Quality, Runtime, message
from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import BootError, ClosedError
from edgekernel.hal.address import BusAddress
from edgekernel.sim import SimClock

BUS = BusAddress("i2c1", "/dev/i2c-1")

Boot = Callable[..., Runtime]


@pytest.fixture
def chip(backend: SimBackend) -> BME280Chip:
    """A chip on the bus, at 0x76."""
    chip = BME280Chip()
    backend.i2c_bus(BUS).plug(0x76, chip)
    return chip


@pytest.fixture
def room(backend: SimBackend, chip: BME280Chip) -> BME280:
    """The driver of that chip, polled once a second."""
    return BME280("room", bus=backend.i2c_bus(BUS))


def test_worked_example() -> None:
    """The example of the BMP280's datasheet (BST-BMP280-DS001, section 3.12) comes out.

    Its 100653.27 Pa are of the floating-point formula; the integer one gives 0.02 Pa less.
    """
    trimming = BME280Chip.TRIMMING
    t_fine = trimming.t_fine(519888)
    assert t_fine == 128422
    assert trimming.temperature_c(t_fine) == 25.08
    assert trimming.pressure_hpa(415148, t_fine) == pytest.approx(1006.5327, abs=0.0002)


words = st.integers(-32768, 32767)
nibbles = st.integers(-2048, 2047)


@given(
    st.tuples(st.integers(0, 65535), words, words),
    st.tuples(st.integers(0, 65535), *[words] * 8),
    st.tuples(
        st.integers(0, 255), words, st.integers(0, 255), nibbles, nibbles, st.integers(-128, 127)
    ),
)
def test_trimming_parameters_are_read_as_stored(
    t: tuple[int, ...], p: tuple[int, ...], h: tuple[int, ...]
) -> None:
    """All trimming parameters, with their signs and packed nibbles, are read as the chip has
    them."""

    class Chip(BME280Chip):
        TRIMMING = Trimming(*(*t, *p))
        HUMIDITY = HumidityTrimming(*h)

    chip = Chip()
    chip.write(b"\x88")
    first = chip.read(26)
    chip.write(b"\xe1")
    assert Trimming.decode(first) == Chip.TRIMMING
    assert HumidityTrimming.decode(first[25], chip.read(7)) == Chip.HUMIDITY


def test_reads_what_the_chip_measures(
    clock: SimClock, boot: Boot, room: BME280, chip: BME280Chip
) -> None:
    """Over the whole range the readings are what the chip measures, within its resolution."""
    boot(room)

    @given(st.floats(-40, 85), st.floats(0, 100), st.floats(300, 1100))
    def check(temperature: float, humidity: float, pressure: float) -> None:
        chip.temperature_c, chip.humidity_percent, chip.pressure_hpa = (
            temperature,
            humidity,
            pressure,
        )
        clock.advance(1)
        assert room.temperature.sample.value == pytest.approx(temperature, abs=0.02)
        assert room.humidity.sample.value == pytest.approx(humidity, abs=0.05)
        assert room.pressure.sample.value == pytest.approx(pressure, abs=0.05)

    check()


def test_half_range_value_is_no_skip(
    clock: SimClock, boot: Boot, room: BME280, chip: BME280Chip
) -> None:
    """A raw temperature of 0x80000 is a temperature, as long as the chip was told to measure."""
    chip.temperature_c = chip.TRIMMING.t_fine(0x80008) / 5120
    boot(room)
    clock.advance(0.5)
    chip.write(b"\xfa")
    assert chip.read(3) == bytes.fromhex("800000")
    assert room.temperature.value == pytest.approx(chip.temperature_c, abs=0.01)


@pytest.mark.parametrize(("found", "says"), [(0x58, "0x58, a BMP280"), (0xFF, "id 0xff,")])
def test_wrong_chip(boot: Boot, room: BME280, backend: SimBackend, found: int, says: str) -> None:
    """Another chip at the address keeps the runtime from booting and is named."""

    class Other(BME280Chip):
        def read(self, length: int) -> bytes:
            return bytes([found] * length)

    backend.i2c_bus(BUS).unplug(0x76)
    backend.i2c_bus(BUS).plug(0x76, Other())
    with pytest.raises(BootError) as raised:
        boot(room)
    assert says in str(raised.value.exceptions[0])
    assert "i2c1 address 0x76" in str(raised.value.exceptions[0])


def test_no_chip(boot: Boot, room: BME280, backend: SimBackend) -> None:
    """With no chip at the address the runtime does not boot, and the bus is given back."""
    backend.i2c_bus(BUS).unplug(0x76)
    with pytest.raises(BootError):
        boot(room)
    with pytest.raises(ClosedError):
        backend.i2c_bus(BUS).read(0x76, 1)


class Recalibrated(BME280Chip):
    """Another chip, with trimming parameters of its own."""

    TRIMMING = replace(BME280Chip.TRIMMING, t1=28000, t2=26000)
    HUMIDITY = replace(BME280Chip.HUMIDITY, h2=350)


def test_unplugged_and_plugged_in_again(
    clock: SimClock,
    boot: Boot,
    room: BME280,
    chip: BME280Chip,
    backend: SimBackend,
    events: list[Event],
) -> None:
    """An unplugged chip makes the device offline and its readings BAD, until one is back; that
    may be another one."""
    boot(room)
    clock.advance(2)
    assert room.temperature.value == pytest.approx(20.0, abs=0.02)
    backend.i2c_bus(BUS).unplug(0x76)
    clock.advance(3)
    assert not room.online
    assert room.pressure.quality is Quality.BAD
    other = Recalibrated()
    other.temperature_c = 4.0
    backend.i2c_bus(BUS).plug(0x76, other)
    assert clock.run_until(lambda: room.online, 10)
    assert room.temperature.value == pytest.approx(4.0, abs=0.02)
    told = [type(e.payload) for e in events if "device" in e.payload.to_dict()]
    assert told[-3:] == [message.DeviceOnline, message.DeviceOffline, message.DeviceOnline]


def test_reset_between_polls(
    clock: SimClock, boot: Boot, room: BME280, chip: BME280Chip, events: list[Event]
) -> None:
    """A chip that lost its settings between two polls is measured as before."""
    boot(room)
    clock.advance(1.5)
    chip.write(bytes([0xE0, 0xB6]))
    clock.advance(1)
    assert room.humidity.value == pytest.approx(50, abs=0.05)
    assert not any(isinstance(e.payload, message.DeviceOffline) for e in events)


class Resetting(BME280Chip):
    """Loses its supply for a moment whenever it measures."""

    def read(self, length: int) -> bytes:
        answer = super().read(length)
        if length == 1 and answer[0] & 0x08:
            self.write(bytes([0xE0, 0xB6]))
        return answer


class Lazy(BME280Chip):
    """Never measures: it ignores the mode."""

    def write(self, data: bytes) -> None:
        super().write(data[:3] + bytes(b & 0xFC for b in data[3:]) if len(data) == 4 else data)


class Busy(BME280Chip):
    """Never becomes ready once it measures."""

    def read(self, length: int) -> bytes:
        answer = super().read(length)
        return b"\x08" if length == 1 and answer != b"\x60" else answer


@pytest.mark.parametrize(
    ("faulty", "says"), [(Resetting, "settings"), (Lazy, "not measured"), (Busy, "busy")]
)
def test_failed_measurement(
    clock: SimClock,
    boot: Boot,
    room: BME280,
    backend: SimBackend,
    faulty: type[BME280Chip],
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
    clock: SimClock, backend: SimBackend, boot: Boot, chip: BME280Chip, oversampling: int
) -> None:
    """Each doubling of the oversampling halves the steps of the pressure, down to the few
    thousandths by which the integer formulas differ from those in floating point."""
    room = BME280("room", bus=backend.i2c_bus(BUS), oversampling=oversampling)  # type: ignore[arg-type]
    boot(room)
    chip.pressure_hpa = 1000.001
    clock.advance(1)
    assert room.pressure.value == pytest.approx(1000.001, abs=0.026 / oversampling + 0.003)


def test_two_on_one_bus(clock: SimClock, backend: SimBackend, boot: Boot, room: BME280) -> None:
    """Two chips on one bus have one poller, and each its own values."""
    other = BME280Chip()
    other.temperature_c = -5.0
    backend.i2c_bus(BUS).plug(0x77, other)
    outside = BME280("outside", bus=backend.i2c_bus(BUS), address=0x77)
    runtime = boot(room, outside)
    clock.advance(1)
    assert list(runtime.services) == ["poll:i2c1"]
    assert room.temperature.value == pytest.approx(20.0, abs=0.02)
    assert outside.temperature.value == pytest.approx(-5.0, abs=0.02)
