from collections.abc import Callable

import pytest
from edgekernel_devices.sht4x import SHT4x, SHT4xChip, humidity_percent, temperature_c
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Event, Quality, Runtime, message
from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import BootError
from edgekernel.hal import NackError
from edgekernel.hal.address import BusAddress
from edgekernel.sim import SimClock

BUS = BusAddress("i2c1", "/dev/i2c-1")

Boot = Callable[..., Runtime]


@pytest.fixture
def chip(backend: SimBackend) -> SHT4xChip:
    """A chip on the bus, at 0x44."""
    chip = SHT4xChip()
    backend.i2c_bus(BUS).plug(0x44, chip)
    return chip


@pytest.fixture
def room(backend: SimBackend, chip: SHT4xChip) -> SHT4x:
    """The driver of that chip, polled once a second."""
    return SHT4x("room", bus=backend.i2c_bus(BUS))


@pytest.mark.parametrize(
    ("raw", "celsius", "percent"),
    [
        (0x0000, -45.0, 0.0),
        (0xFFFF, 130.0, 100.0),
        (0x6666, 25.0, 44.0),  # two fifths of 65535
        (0x3333, -10.0, 19.0),  # a fifth
    ],
)
def test_conversion(raw: int, celsius: float, percent: float) -> None:
    """Raw values are converted as in the datasheet (section 4.5), the humidity cropped."""
    assert temperature_c(raw) == pytest.approx(celsius)
    assert humidity_percent(raw) == pytest.approx(percent)


def test_reads_what_the_chip_measures(
    clock: SimClock, boot: Boot, room: SHT4x, chip: SHT4xChip
) -> None:
    """Over the whole range the readings are what the chip measures, within its resolution."""
    boot(room)

    @given(st.floats(-40, 125), st.floats(0, 100))
    def check(temperature: float, humidity: float) -> None:
        chip.temperature_c, chip.humidity_percent = temperature, humidity
        clock.advance(1)
        assert room.temperature.sample.value == pytest.approx(temperature, abs=0.002)
        assert room.humidity.sample.value == pytest.approx(humidity, abs=0.001)
        assert room.humidity.quality is Quality.GOOD

    check()


@pytest.mark.parametrize(("humid", "reported"), [(104.0, 100.0), (-3.0, 0.0)])
def test_humidity_is_cropped(
    clock: SimClock, boot: Boot, room: SHT4x, chip: SHT4xChip, humid: float, reported: float
) -> None:
    """What the raw humidity says beyond 0 and 100 % is reported as 0 and 100 %."""
    chip.humidity_percent = humid
    boot(room)
    clock.advance(0.5)
    assert room.humidity.value == reported


@pytest.mark.parametrize(("temperature", "raw"), [(-44.0, "01 76"), (150.0, "ff ff")])
def test_out_of_range(
    clock: SimClock, boot: Boot, room: SHT4x, chip: SHT4xChip, temperature: float, raw: str
) -> None:
    """A temperature that the chip cannot measure is BAD; one above its scale saturates."""
    chip.temperature_c = temperature
    boot(room)
    clock.advance(0.5)
    assert room.temperature.quality is Quality.BAD
    chip.write(b"\xfd")
    assert chip.read(2) == bytes.fromhex(raw)


@pytest.mark.parametrize(
    ("repeatability", "command", "seconds"),
    [("high", 0xFD, 0.0083), ("medium", 0xF6, 0.0045), ("low", 0xE0, 0.0016)],
)
def test_repeatability(
    clock: SimClock,
    backend: SimBackend,
    boot: Boot,
    repeatability: str,
    command: int,
    seconds: float,
) -> None:
    """Each repeatability has its command, and is waited for as long as it may take."""
    times: list[tuple[int | None, float]] = []

    class Timed(SHT4xChip):
        def write(self, data: bytes) -> None:
            times.append((data[0], clock.monotonic()))
            super().write(data)

        def read(self, length: int) -> bytes:
            times.append((None, clock.monotonic()))
            return super().read(length)

    backend.i2c_bus(BUS).plug(0x44, Timed())
    boot(SHT4x("room", bus=backend.i2c_bus(BUS), repeatability=repeatability))  # type: ignore[arg-type]
    times.clear()
    clock.advance(0.5)
    (sent, at), (_, read_at) = times
    assert sent == command
    assert read_at - at == pytest.approx(seconds)


class Noisy(SHT4xChip):
    """Its answers arrive with one bit wrong."""

    BIT = 0

    def read(self, length: int) -> bytes:
        wrong = int.from_bytes(super().read(length)) ^ 1 << self.BIT
        return wrong.to_bytes(length)


class Slow(SHT4xChip):
    """Does not acknowledge a read after a measurement command: it still measures."""

    def read(self, length: int) -> bytes:
        raise NackError("measuring")


@pytest.mark.parametrize(
    ("faulty", "says"), [(Noisy, "wrong checksum"), (Slow, "no acknowledge from the chip")]
)
def test_glitch_is_no_value(
    clock: SimClock,
    boot: Boot,
    room: SHT4x,
    chip: SHT4xChip,
    backend: SimBackend,
    faulty: type[SHT4xChip],
    says: str,
) -> None:
    """A wrong bit or a missing answer makes the readings BAD and says why; the next right
    measurement counts again."""
    boot(room)
    clock.advance(0.5)
    backend.i2c_bus(BUS).unplug(0x44)
    backend.i2c_bus(BUS).plug(0x44, faulty())
    clock.advance(1)
    assert not room.online
    for reading in room.readings.values():
        assert reading.quality is Quality.BAD
        assert says in reading.sample.reason
        assert "i2c1" in reading.sample.reason
    backend.i2c_bus(BUS).unplug(0x44)
    backend.i2c_bus(BUS).plug(0x44, chip)
    clock.advance(1)
    assert room.temperature.value == pytest.approx(20.0, abs=0.002)


@pytest.mark.parametrize("bit", range(48))
def test_every_wrong_bit_is_noticed(
    clock: SimClock, backend: SimBackend, boot: Boot, bit: int
) -> None:
    """Whichever bit of the serial number arrives wrong, the chip is not taken for an SHT4x."""

    class Chip(Noisy):
        BIT = bit

    backend.i2c_bus(BUS).plug(0x44, Chip())
    with pytest.raises(BootError):
        boot(SHT4x("room", bus=backend.i2c_bus(BUS)))


class Other:
    """A chip that acknowledges everything and answers zeros."""

    def write(self, data: bytes) -> None:
        pass

    def read(self, length: int) -> bytes:
        return bytes(length)


def test_wrong_chip(boot: Boot, backend: SimBackend) -> None:
    """Another chip at the address keeps the runtime from booting, with the place named."""
    backend.i2c_bus(BUS).plug(0x45, Other())
    with pytest.raises(BootError) as raised:
        boot(SHT4x("room", bus=backend.i2c_bus(BUS), address=0x45))
    assert "i2c1 address 0x45: wrong checksum in 00 00" in str(raised.value.exceptions[0])


def test_unplugged_and_plugged_in_again(
    clock: SimClock, boot: Boot, room: SHT4x, backend: SimBackend, events: list[Event]
) -> None:
    """An unplugged chip makes the device offline until one is back, which is reset first."""
    boot(room)
    clock.advance(1.5)
    backend.i2c_bus(BUS).unplug(0x44)
    clock.advance(2)
    assert not room.online
    assert room.humidity.quality is Quality.BAD
    sent = []

    class Recorded(SHT4xChip):
        def write(self, data: bytes) -> None:
            sent.append(data[0])
            super().write(data)

    backend.i2c_bus(BUS).plug(0x44, Recorded())
    assert clock.run_until(lambda: room.online, 60)
    assert room.online
    assert sent == [0x94, 0x89, 0xFD]
    told = [type(e.payload) for e in events if "device" in e.payload.to_dict()]
    assert told[-3:] == [message.DeviceOnline, message.DeviceOffline, message.DeviceOnline]
