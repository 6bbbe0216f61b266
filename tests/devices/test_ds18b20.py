from collections.abc import Callable

import pytest
from edgekernel_devices.ds18b20 import DS18B20, DS18B20Chip, crc8
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import BootError, ConfigError, Quality, Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.hal import OneWireBus
from edgekernel.hal.address import OneWireAddress
from edgekernel.sim import SimClock

Boot = Callable[..., Runtime]
ROM = "28-0316a2795bff"


class Scripted:
    """A chip that answers the scratchpads it was given, the last one for ever."""

    def __init__(self, *answers: str) -> None:
        self.rom = ROM
        self.answers = [bytes.fromhex(answer) for answer in answers]

    def convert(self) -> float:
        return 0.75

    def scratchpad(self) -> bytes:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def whole(content: str) -> str:
    """Eight bytes with their CRC."""
    return content + f"{crc8(bytes.fromhex(content)):02x}"


@pytest.fixture(autouse=True)
def every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure as often as the bus allows."""
    monkeypatch.setattr(DS18B20, "every", 1.0)


@pytest.fixture
def bus(backend: SimBackend) -> OneWireBus:
    """The 1-Wire bus w1."""
    return backend.onewire_bus(OneWireAddress("w1"))


def plugged(backend: SimBackend, boot: Boot, *answers: str) -> DS18B20:
    """A booted driver with a scripted chip."""
    backend.onewire("w1").plug(Scripted(*answers))
    sensor = DS18B20("sensor", bus=backend.onewire("w1"))
    boot(sensor)
    return sensor


@pytest.mark.parametrize(
    ("content", "crc"),
    [
        ("021cb801000000", 0xA2),  # Maxim application note 27, the worked example
        ("50054b467fff0c10", 0x1C),  # a scratchpad after power-on
        ("72014b467fff0e10", 0x57),
    ],
)
def test_crc(content: str, crc: int) -> None:
    """The CRC is that of published examples."""
    assert crc8(bytes.fromhex(content)) == crc


@pytest.mark.parametrize(
    ("raw", "celsius"),
    [
        ("d007", 125.0),
        ("9101", 25.0625),
        ("a200", 10.125),
        ("0800", 0.5),
        ("0000", 0.0),
        ("f8ff", -0.5),
        ("5eff", -10.125),
        ("6ffe", -25.0625),
        ("90fc", -55.0),
    ],
)
def test_datasheet(
    clock: SimClock, backend: SimBackend, boot: Boot, raw: str, celsius: float
) -> None:
    """The temperatures of table 1 come out as it says."""
    sensor = plugged(backend, boot, whole(f"{raw}4b467fff0510"))
    clock.advance(1)
    assert sensor.temperature.value == celsius


@pytest.mark.parametrize(
    ("configuration", "celsius"), [("7f", 25.9375), ("5f", 25.875), ("3f", 25.75), ("1f", 25.5)]
)
def test_resolution(
    clock: SimClock, backend: SimBackend, boot: Boot, configuration: str, celsius: float
) -> None:
    """Bits that the resolution leaves undefined are left out (figure 10, table 2)."""
    sensor = plugged(backend, boot, whole(f"9f014b46{configuration}ff0110"))
    clock.advance(1)
    assert sensor.temperature.value == celsius


def test_simulated_chip(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """At every temperature and resolution the reading is what the chip feels."""
    chip = DS18B20Chip()
    backend.onewire("w1").plug(chip)
    sensor = DS18B20("sensor", bus=backend.onewire("w1"))
    boot(sensor)

    @given(st.floats(-55, 125), st.integers(9, 12))
    def check(celsius: float, bits: int) -> None:
        chip.temperature_c, chip.resolution_bits = celsius, bits
        clock.advance(2)
        step = 0.5 ** (bits - 8)
        assert sensor.temperature.value == pytest.approx(celsius, abs=step + 1 / 32)
        assert sensor.temperature.value % step == 0

    check()


def test_conversion_time(clock: SimClock, backend: SimBackend, bus: OneWireBus) -> None:
    """The simulated chip takes the time of table 2."""
    chip = DS18B20Chip()
    backend.onewire("w1").plug(chip)
    bus.open()
    for bits, seconds in ((9, 0.09375), (10, 0.1875), (11, 0.375), (12, 0.75)):
        chip.resolution_bits = bits
        begun = clock.monotonic()
        bus.measure(ROM)
        assert clock.monotonic() - begun == pytest.approx(seconds)


def test_power_on_value(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """85 °C from a chip that has not measured is BAD, and the last value stays visible."""
    chip = DS18B20Chip()
    backend.onewire("w1").plug(chip)
    sensor = DS18B20("sensor", bus=backend.onewire("w1"))
    boot(sensor)
    clock.advance(2)
    assert sensor.temperature.value == 20.0
    chip.powered = False
    clock.advance(2)
    assert sensor.online
    assert sensor.temperature.quality is Quality.BAD
    assert "power-on value" in sensor.temperature.sample.reason
    assert sensor.temperature.sample.value == 20.0
    chip.powered = True
    clock.advance(2)
    assert sensor.temperature.value == 20.0


def test_real_85_degrees(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """85 °C that was measured is GOOD: byte 6 tells."""
    chip = DS18B20Chip()
    backend.onewire("w1").plug(chip)
    sensor = DS18B20("sensor", bus=backend.onewire("w1"))
    boot(sensor)
    chip.temperature_c = 85.0
    clock.advance(3)
    assert sensor.temperature.value == 85.0


@pytest.mark.parametrize(("before", "good"), [("4005", True), ("0005", True), ("ff04", False)])
def test_copies(clock: SimClock, backend: SimBackend, boot: Boot, before: str, good: bool) -> None:
    """On a copy whose byte 6 never changes, 85 °C is GOOD after 80 °C and BAD after less."""
    first, then = whole(f"{before}4b467fff0c10"), whole("50054b467fff0c10")
    sensor = plugged(backend, boot, first, then)
    clock.advance(4)
    assert (sensor.temperature.quality is Quality.GOOD) == good
    assert sensor.temperature.sample.value == (85.0 if good else 79.9375)


def test_wrong_crc(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """One wrong CRC is passed over; two in a row put the device offline until the next poll."""
    chip = DS18B20Chip()
    backend.onewire("w1").plug(chip)
    sensor = DS18B20("sensor", bus=backend.onewire("w1"))
    boot(sensor)
    clock.advance(2)
    chip.spoilt, chip.temperature_c = 1, 21.0
    clock.advance(3)
    assert sensor.temperature.value == 21.0
    chip.spoilt = 1000
    clock.advance(4)
    assert not sensor.online
    assert "wrong CRC" in sensor.temperature.sample.reason
    chip.spoilt = 0
    clock.advance(60)
    assert sensor.temperature.value == 21.0


@given(st.binary(min_size=8, max_size=8), st.integers(0, 71))
def test_every_wrong_bit_is_noticed(content: bytes, bit: int) -> None:
    """A scratchpad with one wrong bit never has a right CRC."""
    whole = int.from_bytes(content + bytes([crc8(content)]))
    wrong = (whole ^ 1 << bit).to_bytes(9)
    assert crc8(wrong[:-1]) != wrong[-1]


def test_short_circuit(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """Zeros, which have a right CRC, are a short circuit and no 0 °C."""
    sensor = plugged(backend, boot, "00" * 9)
    clock.advance(2)
    assert not sensor.online
    assert "short-circuited" in sensor.temperature.sample.reason


def test_unplugged(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """The only chip may be exchanged for another one while the node runs."""
    wire = backend.onewire("w1")
    wire.plug(DS18B20Chip())
    sensor = DS18B20("sensor", bus=wire)
    boot(sensor)
    wire.unplug(ROM)
    clock.advance(3)
    assert not sensor.online
    assert sensor.temperature.quality is Quality.BAD
    other = DS18B20Chip("28-00000521f8aa")
    other.temperature_c = 30.5
    wire.plug(other)
    clock.advance(60)
    assert sensor.temperature.value == 30.5


def test_named(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """Several chips on one bus are told apart by their ROM codes."""
    wire = backend.onewire("w1")
    sensors = []
    for number, rom in enumerate((ROM, "28-00000521f8aa", "22-0000001921e8")):
        chip = DS18B20Chip(rom)
        chip.temperature_c = 20.0 + number
        wire.plug(chip)
        sensors.append(DS18B20(f"sensor-{number}", bus=wire, rom=rom))
    boot(*sensors)
    clock.advance(5)
    assert [sensor.temperature.value for sensor in sensors] == [20.0, 21.0, 22.0]


def test_which_one(backend: SimBackend, boot: Boot) -> None:
    """Without a ROM code, no chip and several chips are errors that say what there is."""
    wire = backend.onewire("w1")
    with pytest.raises(BootError) as caught:
        boot(DS18B20("sensor", bus=wire))
    assert "w1: no chip" in "".join(map(str, caught.value.exceptions))
    wire.plug(DS18B20Chip())
    wire.plug(DS18B20Chip("28-00000521f8aa"))
    with pytest.raises(BootError) as caught:
        boot(DS18B20("sensor", bus=wire))
    assert f"28-00000521f8aa, {ROM}" in "".join(map(str, caught.value.exceptions))


def test_other_family(bus: OneWireBus) -> None:
    """A ROM code of another family is refused."""
    with pytest.raises(ConfigError, match='"3a-0000001921e8"'):
        DS18B20("sensor", bus=bus, rom="3a-0000001921e8")
