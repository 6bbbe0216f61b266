from collections.abc import Callable

import pytest
from edgekernel_devices.aht20 import AHT20, AHT20Chip
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
def chip(backend: SimBackend) -> AHT20Chip:
    """A chip on the bus, at 0x38."""
    chip = AHT20Chip()
    backend.i2c_bus(BUS).plug(0x38, chip)
    return chip


@pytest.fixture
def room(backend: SimBackend, chip: AHT20Chip) -> AHT20:
    """The driver of that chip, polled once a second."""
    return AHT20("room", bus=backend.i2c_bus(BUS))


@pytest.mark.parametrize(
    ("answer", "humidity", "temperature"),
    [
        ("1c 3b 5e 86 88 b2 d2", 23.191071, 31.674576),  # github.com/bilbobg/aht20, README.md
        ("1c 26 9a 76 42 e7 76", 15.0794, 28.2667),  # github.com/elixir-sensors/aht20, wiki
    ],
)
def test_recorded_answers(
    clock: SimClock,
    backend: SimBackend,
    boot: Boot,
    answer: str,
    humidity: float,
    temperature: float,
) -> None:
    """Answers that others recorded from real chips have a right checksum, and say what they
    made of them."""

    class Recorded(AHT20Chip):
        def read(self, length: int) -> bytes:
            super().read(length)
            return bytes.fromhex(answer)[:length]

    backend.i2c_bus(BUS).plug(0x38, Recorded())
    room = AHT20("room", bus=backend.i2c_bus(BUS))
    boot(room)
    clock.advance(0.5)
    assert room.humidity.value == pytest.approx(humidity, abs=0.0005)
    assert room.temperature.value == pytest.approx(temperature, abs=0.0005)


def test_reads_what_the_chip_measures(
    clock: SimClock, boot: Boot, room: AHT20, chip: AHT20Chip
) -> None:
    """Over the whole range the readings are what the chip measures, within its resolution."""
    boot(room)

    @given(st.floats(-40, 85), st.floats(0, 100))
    def check(temperature: float, humidity: float) -> None:
        chip.temperature_c, chip.humidity_percent = temperature, humidity
        clock.advance(1)
        assert room.temperature.sample.value == pytest.approx(temperature, abs=0.0002)
        assert room.humidity.sample.value == pytest.approx(humidity, abs=0.0001)
        assert room.humidity.quality is Quality.GOOD

    check()


def test_out_of_range(clock: SimClock, boot: Boot, room: AHT20, chip: AHT20Chip) -> None:
    """A temperature that the chip cannot measure is BAD; the humidity stays GOOD."""
    chip.temperature_c = 200.0
    boot(room)
    clock.advance(0.5)
    assert room.temperature.quality is Quality.BAD
    assert room.humidity.quality is Quality.GOOD


class Uncalibrated(AHT20Chip):
    """Has to be initialised after power on."""

    POWER_ON_STATUS = 0x10


def test_uncalibrated_chip_is_initialised(clock: SimClock, boot: Boot, backend: SimBackend) -> None:
    """A chip that is not calibrated when it is reset is initialised, and then measures."""
    backend.i2c_bus(BUS).plug(0x38, Uncalibrated())
    room = AHT20("room", bus=backend.i2c_bus(BUS))
    boot(room)
    clock.advance(0.5)
    assert room.temperature.value == pytest.approx(20.0, abs=0.001)


class Dead(Uncalibrated):
    """Stays uncalibrated whatever is sent."""

    def write(self, data: bytes) -> None:
        pass


class Expander:
    """A PCF8574A, which may have the same address: it answers with the levels of its lines."""

    def __init__(self, levels: int) -> None:
        self._levels = levels

    def write(self, data: bytes) -> None:
        pass

    def read(self, length: int) -> bytes:
        return bytes([self._levels] * length)


@pytest.mark.parametrize("other", [Dead(), Expander(0x00)])
def test_wrong_chip(boot: Boot, backend: SimBackend, other: AHT20Chip | Expander) -> None:
    """A chip that is never calibrated keeps the runtime from booting, with the place named."""
    backend.i2c_bus(BUS).plug(0x38, other)
    with pytest.raises(BootError) as raised:
        boot(AHT20("room", bus=backend.i2c_bus(BUS)))
    text = str(raised.value.exceptions[0])
    assert "i2c1 address 0x38: the chip says that it is not calibrated" in text


class Noisy(AHT20Chip):
    """One bit of its data arrives wrong."""

    def read(self, length: int) -> bytes:
        answer = super().read(length)
        return bytes([*answer[:3], answer[3] ^ 0x10, *answer[4:]]) if length == 7 else answer


class Busy(AHT20Chip):
    """Never finishes a measurement."""

    def read(self, length: int) -> bytes:
        return b"\x98" + super().read(length)[1:]


class Resetting(AHT20Chip):
    """Loses its supply for a moment whenever it measures."""

    def _measure(self) -> bytes:
        self.power_on()
        return self._data


class Forgetful(Resetting):
    """Loses its calibration as well."""

    def _measure(self) -> bytes:
        data = super()._measure()
        self._status = 0x10
        return data


@pytest.mark.parametrize(
    ("faulty", "says"),
    [
        (Noisy(), "wrong checksum"),
        (Busy(), "busy for 0.18 s"),
        (Resetting(), "not measured"),
        (Forgetful(), "not calibrated"),
        (Expander(0xFF), "busy"),
        (Expander(0x3F), "wrong checksum"),
    ],
)
def test_glitch_is_no_value(
    clock: SimClock,
    boot: Boot,
    room: AHT20,
    chip: AHT20Chip,
    backend: SimBackend,
    faulty: AHT20Chip | Expander,
    says: str,
) -> None:
    """What is no measurement makes the readings BAD and says why; the next right measurement
    counts again."""
    boot(room)
    clock.advance(0.5)
    backend.i2c_bus(BUS).unplug(0x38)
    backend.i2c_bus(BUS).plug(0x38, faulty)
    clock.advance(1)
    assert not room.online
    for reading in room.readings.values():
        assert reading.quality is Quality.BAD
        assert says in reading.sample.reason
        assert "i2c1" in reading.sample.reason
    backend.i2c_bus(BUS).unplug(0x38)
    backend.i2c_bus(BUS).plug(0x38, chip)
    clock.advance(1)
    assert room.temperature.value == pytest.approx(20.0, abs=0.001)


def test_unplugged_and_plugged_in_again(
    clock: SimClock, boot: Boot, room: AHT20, backend: SimBackend, events: list[Event]
) -> None:
    """An unplugged chip makes the device offline until one is back, which is set up anew."""
    boot(room)
    clock.advance(1.5)
    backend.i2c_bus(BUS).unplug(0x38)
    clock.advance(2)
    assert not room.online
    assert room.humidity.quality is Quality.BAD
    other = Uncalibrated()
    other.humidity_percent = 80.0
    backend.i2c_bus(BUS).plug(0x38, other)
    assert clock.run_until(lambda: room.online, 60)
    assert room.humidity.value == pytest.approx(80.0, abs=0.001)
    told = [type(e.payload) for e in events if "device" in e.payload.to_dict()]
    assert told[-3:] == [message.DeviceOnline, message.DeviceOffline, message.DeviceOnline]
