from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from edgekernel_devices.ds3231 import (
    DS3231,
    DS3231Chip,
    decode_time,
    encode_time,
    temperature_c,
)
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
def chip(backend: SimBackend, clock: SimClock) -> DS3231Chip:
    """A chip on the bus, whose time goes on."""
    chip = DS3231Chip()
    chip.wire({}, clock)
    backend.i2c_bus(BUS).plug(0x68, chip)
    return chip


@pytest.fixture
def rtc(backend: SimBackend, chip: DS3231Chip) -> DS3231:
    """The driver of that chip, polled once a second."""
    rtc = DS3231("rtc", bus=backend.i2c_bus(BUS))
    rtc.every = 1.0
    return rtc


def registers(chip: DS3231Chip, first: int, count: int) -> bytes:
    """Registers, by the chip's own protocol."""
    chip.write(bytes([first]))
    return chip.read(count)


@pytest.mark.parametrize(
    ("registers", "celsius"),
    [
        ("1940", 25.25),  # the datasheet's example of the MSB and LSB of a temperature
        ("0000", 0.0),
        ("0040", 0.25),
        ("FFC0", -0.25),
        ("E6C0", -25.25),
        ("5500", 85.0),
        ("D800", -40.0),
    ],
)
def test_temperature(registers: str, celsius: float) -> None:
    """The temperature is ten bits in two's complement, in quarters."""
    assert temperature_c(bytes.fromhex(registers)) == celsius


@given(st.datetimes(datetime(2000, 1, 1), datetime(2199, 12, 31, 23, 59, 59)))  # noqa: DTZ001
def test_time_is_read_as_written(naive: datetime) -> None:
    """Every second from 2000 to 2199 is decimal in the registers and comes back."""
    time = naive.replace(microsecond=0, tzinfo=UTC)
    encoded = encode_time(time)
    assert decode_time(encoded) == time
    month = f"{encoded[5] & 0x1F:x}"
    assert f"{encoded[6]:02x}-{int(month):02}-{encoded[4]:02x}" == f"{time:%y-%m-%d}"
    assert encoded[:3].hex() == f"{time:%S%M%H}"
    assert encoded[5] >> 7 == (time.year >= 2100)
    assert encoded[3] == time.isoweekday()


@pytest.mark.parametrize(
    ("register", "hour"), [(0x52, 0), (0x41, 1), (0x51, 11), (0x72, 12), (0x61, 13), (0x71, 23)]
)
def test_hours_of_twelve(register: int, hour: int) -> None:
    """A chip that somebody has set to 12 hours is read right: bit 5 is PM (figure 1)."""
    assert decode_time(bytes((0, 0, register, 1, 1, 1, 0x26))).hour == hour


@pytest.mark.parametrize(
    "registers",
    [
        "60 00 00 01 01 01 00",
        "00 5A 00 01 01 01 00",
        "00 00 24 01 01 01 00",
        "00 00 60 01 01 01 00",
        "00 00 00 01 00 01 00",
        "00 00 00 01 31 04 26",
        "00 00 00 01 29 82 00",  # 2100 has none, whatever the chip takes it for
    ],
)
def test_no_time(registers: str) -> None:
    """Registers that hold no time are refused."""
    with pytest.raises(ValueError, match=r"."):
        decode_time(bytes.fromhex(registers))


@pytest.mark.parametrize("year", [1999, 2200])
def test_years_that_do_not_fit(year: int) -> None:
    """A year before 2000 or after 2199 is refused."""
    with pytest.raises(ValueError, match="is not from 2000 to 2199"):
        encode_time(datetime(year, 6, 1, tzinfo=UTC))


def test_registers_wrap_around(chip: DS3231Chip) -> None:
    """After register 0x12 comes register 0x00 (figure 1)."""
    chip.temperature_c = 25.25
    assert registers(chip, 0x11, 9) == bytes.fromhex("1940 00 00 00 04 01 01 26")


def test_flags_can_only_be_cleared(chip: DS3231Chip) -> None:
    """Writing 1 to the oscillator stop flag does not set it, 0 clears it."""
    chip.write(b"\x0f\x88")
    assert not chip.stopped
    chip.power_on()
    chip.write(b"\x0f\x88")
    assert chip.stopped
    chip.write(b"\x0f\x08")
    assert not chip.stopped


def test_follows_the_chip(clock: SimClock, boot: Boot, rtc: DS3231, chip: DS3231Chip) -> None:
    """The readings are the chip's time and temperature, over the end of a century too."""
    chip.time = datetime(2099, 12, 31, 23, 59, 58, tzinfo=UTC)
    chip.temperature_c = -11.6
    boot(rtc)
    clock.advance(1.5)
    assert rtc.time.value == "2099-12-31T23:59:59Z"
    assert rtc.temperature.value == -11.5
    clock.advance(2)
    assert rtc.time.value == "2100-01-01T00:00:01Z"


def test_stopped_clock(
    clock: SimClock, boot: Boot, rtc: DS3231, chip: DS3231Chip, events: list[Event]
) -> None:
    """The time of a clock that has stopped is BAD and says so; the temperature is good, and so is
    the time once it is set, while the chip's other settings stay."""
    boot(rtc)
    clock.advance(0.5)
    good = rtc.time.sample
    assert good.quality is Quality.GOOD
    chip.power_on()
    chip.write(b"\x0e\x9c")  # not to run on battery, as somebody has left it
    clock.advance(2)
    assert rtc.time.quality is Quality.BAD
    assert "has stopped since it was set: check its battery" in rtc.time.sample.reason
    assert rtc.temperature.quality is Quality.GOOD
    chip._registers[0x0F] |= 0x02  # alarm 2 has come
    rtc.set_time("2026-07-01T12:00:00+02:00")
    assert registers(chip, 0x0E, 2) == b"\x1c\x0a"
    clock.advance(1.6)
    assert rtc.time.value == "2026-07-01T10:00:01Z"


class Alarming(DS3231Chip):
    """Its first alarm comes right after a look at its flags."""

    def read(self, length: int) -> bytes:
        answer = super().read(length)
        self._registers[0x0F] |= 0x01
        return answer


def test_setting_keeps_an_alarm(backend: SimBackend, boot: Boot) -> None:
    """An alarm that comes while the time is set is not lost."""
    chip = Alarming()
    backend.i2c_bus(BUS).plug(0x68, chip)
    rtc = DS3231("rtc", bus=backend.i2c_bus(BUS))
    boot(rtc)
    chip.write(b"\x0f\x08")
    rtc.set_time("2026-07-01T12:00:00Z")
    assert registers(chip, 0x0F, 1) == b"\x09"


def test_illegal_time(clock: SimClock, boot: Boot, rtc: DS3231, chip: DS3231Chip) -> None:
    """Registers that hold no date make the time BAD, and setting it heals that."""
    chip.write(bytes.fromhex("00 00 00 00 01 00 00 00"))
    boot(rtc)
    clock.advance(0.5)
    assert rtc.time.quality is Quality.BAD
    assert "the chip has no time" in rtc.time.sample.reason
    assert rtc.online
    rtc.set_time("2026-07-01T12:00:00Z")
    clock.advance(0.1)
    assert rtc.time.value == "2026-07-01T12:00:00Z"


def test_set_to_the_nodes_time(clock: SimClock, boot: Boot, rtc: DS3231, chip: DS3231Chip) -> None:
    """Without an argument the command sets the node's own time, at the turn of a second, and
    returns it."""
    runtime = boot(rtc)
    clock.advance(0.3)
    result = runtime.invoke("rtc.set_time", {}, principal="test")
    seconds = clock.time_ns() / 1e9
    assert seconds % 1 < 0.001
    assert chip.time.timestamp() == pytest.approx(seconds, abs=0.001)
    assert result == f"{chip.time:%Y-%m-%dT%H:%M:%SZ}"
    clock.advance(0.9)
    assert chip.time - datetime.fromtimestamp(clock.time_ns() / 1e9, UTC) < timedelta(seconds=1)


@pytest.mark.parametrize(
    "text", ["noon", "2026-01-01T12:00:00", "1999-12-31T23:59:59Z", "2199-12-31T23:00:00-02:00"]
)
def test_refused_times(boot: Boot, rtc: DS3231, chip: DS3231Chip, text: str) -> None:
    """A text that is no time, has no offset, or does not fit is refused, and nothing is set."""
    boot(rtc)
    with pytest.raises(InvalidValueError, match="cannot be set"):
        rtc.set_time(text)
    assert chip.time.year == 2026


class Converting(DS3231Chip):
    """Was switched on just now: it is at its first conversion for some looks."""

    looks = 2

    def read(self, length: int) -> bytes:
        answer = bytearray(super().read(length))
        if length == 0x13 and self.looks:
            self.looks -= 1
            answer[0x0F] |= 0x04
            answer[0x11:] = bytes(2)
        return bytes(answer)


@pytest.mark.parametrize("looks", [2, 99])
def test_first_conversion(clock: SimClock, backend: SimBackend, boot: Boot, looks: int) -> None:
    """The 0 °C of a chip at its first conversion is no value: that is waited for, not for ever."""
    chip = Converting()
    chip.looks = looks
    backend.i2c_bus(BUS).plug(0x68, chip)
    rtc = DS3231("rtc", bus=backend.i2c_bus(BUS))
    if looks > 2:
        with pytest.raises(BootError) as raised:
            boot(rtc)
        assert "no temperature within 0.6 s" in str(raised.value.exceptions[0])
        return
    boot(rtc)
    clock.advance(0.1)
    assert rtc.temperature.value == 25.0


def test_first_conversion_after_a_replacement(
    clock: SimClock, boot: Boot, rtc: DS3231, backend: SimBackend
) -> None:
    """A chip that is plugged in later has its first conversion waited for as well."""
    boot(rtc)
    clock.advance(0.5)
    backend.i2c_bus(BUS).unplug(0x68)
    clock.advance(1)
    backend.i2c_bus(BUS).plug(0x68, Converting())
    seen = set[float | None]()
    for _ in range(80):
        clock.advance(0.05)
        seen.add(rtc.temperature.sample.value)
    assert rtc.online
    assert seen == {25.0}


@pytest.mark.parametrize("content", [b"\xff", b"\x40\x80", bytes(18) + b"\x01"])
def test_wrong_chip(boot: Boot, backend: SimBackend, rtc: DS3231, content: bytes) -> None:
    """Another chip at the address keeps the runtime from booting, and the bus is given back."""

    class Other(DS3231Chip):
        def read(self, length: int) -> bytes:
            return (content * length)[:length]

    backend.i2c_bus(BUS).unplug(0x68)
    backend.i2c_bus(BUS).plug(0x68, Other())
    with pytest.raises(BootError) as raised:
        boot(rtc)
    assert "i2c1 address 0x68: bits are set that a DS3231 has not" in str(
        raised.value.exceptions[0]
    )
    with pytest.raises(ClosedError):
        backend.i2c_bus(BUS).read(0x68, 1)


def test_unplugged_and_plugged_in_again(
    clock: SimClock,
    boot: Boot,
    rtc: DS3231,
    chip: DS3231Chip,
    backend: SimBackend,
    events: list[Event],
) -> None:
    """An unplugged chip makes the device offline until it is back; its time has gone on."""
    boot(rtc)
    clock.advance(1.5)
    backend.i2c_bus(BUS).unplug(0x68)
    clock.advance(2)
    assert not rtc.online
    assert rtc.time.quality is Quality.BAD
    with pytest.raises(OSError, match="0x68"):
        rtc.set_time("2026-01-01T00:00:00Z")
    backend.i2c_bus(BUS).plug(0x68, chip)
    clock.advance(4)
    assert rtc.online
    assert rtc.time.value == f"{chip.time:%Y-%m-%dT%H:%M:%SZ}"
    told = [type(e.payload) for e in events if "device" in e.payload.to_dict()]
    assert told[-3:] == [message.DeviceOnline, message.DeviceOffline, message.DeviceOnline]
