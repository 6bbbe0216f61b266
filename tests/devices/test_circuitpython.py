"""CircuitPython drivers that others wrote, on our bus and on simulated time."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from edgekernel_devices.bme280 import BME280, BME280Chip
from edgekernel_devices.circuitpython import CircuitPython, PropertySettings

from edgekernel import ConfigError, Device, Event, Quality, Runtime, message
from edgekernel.backends.sim import SimBackend, SimI2CBus
from edgekernel.core.errors import BootError
from edgekernel.hal import I2CBus, NackError
from edgekernel.hal.address import BusAddress
from edgekernel.node import assemble, make_plan
from edgekernel.sim import SimClock

Boot = Callable[..., Runtime]
ADDRESS = BusAddress("i2c1", "/dev/i2c-1")


def crc8(word: bytes) -> int:
    """Return the checksum of a word (datasheet SHT4x, version 6, section 4.4)."""
    crc = 0xFF
    for byte in word:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x31 if crc & 0x80 else crc << 1) & 0xFF
    return crc


class SHT4xChip:
    """A SHT4x: a command, then one answer; without one there is no acknowledge."""

    def __init__(self) -> None:
        self.temperature_c, self.humidity_percent = 20.0, 50.0
        self.spoil = 0x00
        self.answer = b""

    def write(self, data: bytes) -> None:
        if data[0] == 0xFD:
            raw = (self.temperature_c + 45) * 65535 / 175, (self.humidity_percent + 6) * 65535 / 125
            words = [round(each).to_bytes(2) for each in raw]
            self.answer = b"".join(word + bytes([crc8(word) ^ self.spoil]) for word in words)

    def read(self, length: int) -> bytes:
        if not self.answer:
            raise NackError("nothing was measured")
        answer, self.answer = self.answer, b""
        return answer[:length]


class BH1750Chip:
    """A BH1750: the last measurement, in counts of 1/1.2 lx (datasheet, page 7)."""

    def __init__(self) -> None:
        self.counts = 0

    def write(self, data: bytes) -> None:
        assert len(data) == 1

    def read(self, length: int) -> bytes:
        return self.counts.to_bytes(length)


class MCP9808Chip:
    """A MCP9808: registers of 16 bits (datasheet DS25095A, section 5.1)."""

    def __init__(self) -> None:
        self.temperature_c = 0.0
        self.pointer = 0

    def write(self, data: bytes) -> None:
        self.pointer = data[0]

    def read(self, length: int) -> bytes:
        value = {5: round(self.temperature_c * 16) & 0x1FFF, 6: 0x54, 7: 0x0400}
        return value.get(self.pointer, 0).to_bytes(length)


@pytest.fixture
def bus(backend: SimBackend) -> SimI2CBus:
    """The simulated bus."""
    return backend.i2c_bus(ADDRESS)


@pytest.fixture(autouse=True)
def nothing_of_blinka() -> Iterator[None]:
    """Check that no driver has made Blinka look for a board, or left a stand-in behind."""
    names = ("busio", "digitalio", "board", "adafruit_blinka.agnostic")
    before = {name for name in names if name in sys.modules}
    yield
    assert {name for name in names if name in sys.modules} == before


def make(bus: I2CBus, use: str, **settings: Any) -> CircuitPython:
    """Return a device with such a driver; its readings are properties of their names."""
    readings = {
        name: PropertySettings() for name in settings.pop("properties", "temperature").split()
    }
    return CircuitPython("air", bus=bus, use=use, readings=readings, **settings)


def values(device: Device) -> dict[str, object]:
    """Return what a device reads."""
    return {name: reading.value for name, reading in device.readings.items()}


def test_bme280(clock: SimClock, boot: Boot, bus: SimI2CBus) -> None:
    """The BME280 driver of others and ours read the same from two chips that measure the same."""
    for address in (0x76, 0x77):
        chip = BME280Chip()
        chip.temperature_c, chip.humidity_percent, chip.pressure_hpa = 21.5, 40.0, 990.0
        bus.plug(address, chip)
    use = "adafruit_bme280.basic:Adafruit_BME280_I2C"
    air = make(bus, use, address=0x77, properties="temperature humidity pressure")
    ours = BME280("ours", bus=bus)
    boot(air, ours)
    clock.advance(2)
    assert values(air) == pytest.approx(values(ours), abs=0.05)
    assert air.readings["temperature"].value == pytest.approx(21.5, abs=0.02)


def test_sht4x(clock: SimClock, boot: Boot, bus: SimI2CBus) -> None:
    """The SHT4x driver reads what the chip measures, and waits for it on the simulated clock."""
    chip = SHT4xChip()
    chip.temperature_c, chip.humidity_percent = -12.25, 91.5
    bus.plug(0x44, chip)
    air = make(bus, "adafruit_sht4x:SHT4x", properties="temperature relative_humidity")
    boot(air)
    clock.advance(1.5)
    assert values(air) == pytest.approx(
        {"temperature": -12.25, "relative_humidity": 91.5}, abs=0.01
    )
    measured_ns = air.readings["relative_humidity"].measured_ns
    assert measured_ns % 1_000_000_000 == 20_000_000 + 1_000_000  # 10 ms each, and the reset's 1 ms


def test_bh1750(clock: SimClock, boot: Boot, bus: SimI2CBus) -> None:
    """The BH1750 driver, which imports `sleep` by name, takes simulated time to set up."""
    chip = BH1750Chip()
    chip.counts = 2400
    bus.plug(0x23, chip)
    air = make(bus, "adafruit_bh1750:BH1750", properties="lux")
    boot(air)
    assert clock.monotonic() == pytest.approx(0.36)
    clock.advance(1.5)
    assert air.readings["lux"].value == pytest.approx(1000)


def test_mcp9808(clock: SimClock, boot: Boot, bus: SimI2CBus) -> None:
    """The MCP9808 driver, which writes and reads in one transaction, reads below zero too."""
    chip = MCP9808Chip()
    bus.plug(0x1F, chip)
    air = make(bus, "adafruit_mcp9808:MCP9808", address=0x1F)
    boot(air)
    for temperature in (-40.0, -0.0625, 0.0, 25.25, 125.0):
        chip.temperature_c = temperature
        clock.advance(1)
        assert air.readings["temperature"].value == temperature


def test_from_a_node_file(clock: SimClock, backend: SimBackend, tmp_path: Path) -> None:
    """A node file names the driver and its properties, with unit, range and device class."""
    path = tmp_path / "node.toml"
    path.write_text("""
        [node]
        name = "bench"
        board = "sim"

        [devices.air]
        driver = "circuitpython"
        bus = "i2c1"
        use = "adafruit_sht4x:SHT4x"
        address = 0x44
        readings.temperature = { unit = "°C", range = [-40, 30], device_class = "temperature" }
        readings.humidity = { property = "relative_humidity", unit = "%", precision = 1 }
        readings.mode = { type = "int" }
    """)
    chip = SHT4xChip()
    backend.i2c_bus(ADDRESS).plug(0x44, chip)
    runtime = assemble(make_plan(path), backend, clock, Runtime)
    with runtime:
        clock.advance(1.5)
        air = runtime.devices["air"]
        assert list(air.readings) == ["temperature", "humidity", "mode"]
        assert air.readings["humidity"].value == pytest.approx(50, abs=0.01)
        assert (air.readings["humidity"].values.unit, air.depends) == ("%", ("i2c1",))
        assert (air.readings["mode"].value, type(air.readings["mode"].value)) == (0xFD, int)
        chip.temperature_c = 31
        clock.advance(1)
        assert "is not a number from -40 to 30 °C" in air.readings["temperature"].sample.reason


def test_settings_in_a_node_file(tmp_path: Path) -> None:
    """What is wrong with a reading in the node file is named by its key."""
    path = tmp_path / "node.toml"
    path.write_text("""
        [node]
        name = "bench"
        board = "sim"
        [devices.air]
        driver = "circuitpython"
        bus = "i2c1"
        use = "adafruit_sht4x:SHT4x"
        readings.temperature = { type = "colour", range = [1] }
    """)
    with pytest.raises(ConfigError) as caught:
        make_plan(path)
    keys = [problem.split(": ")[1] for problem in caught.value.problems]
    assert keys == [
        "devices.air.readings.temperature.range.2",
        "devices.air.readings.temperature.type",
    ]


@pytest.mark.parametrize(
    ("use", "settings", "wrong"),
    [
        ("adafruit_sht4x", {}, 'use: "adafruit_sht4x" is no class; write it as "module:Class"'),
        ("adafruit_none:X", {}, r"use: .*ModuleNotFoundError.*; install it with pip"),
        ("adafruit_sht4x:SHT", {}, 'use: adafruit_sht4x has no class "SHT"; it has .*SHT4x'),
        (
            "adafruit_sht4x:SHT4x",
            {"properties": "humidity"},
            "no property 'humidity'; it has .*rel",
        ),
        ("adafruit_sht4x:SHT4x", {"properties": ""}, "readings: name at least one of .*temperat"),
        ("adafruit_sht4x:SHT4x", {"address": 0x88}, "address: 0x88 is not allowed"),
        ("adafruit_sht4x:SHT4x", {"options": {"gain": 1}}, "options.gain: .*it takes address"),
        ("adafruit_sht4x:SHT4x", {"properties": "online"}, "no property 'online'"),
        ("adafruit_bme280.basic:Adafruit_BME280_I2C", {"properties": "mode poll"}, "'poll'"),
    ],
)
def test_mistakes(bus: SimI2CBus, use: str, settings: dict[str, Any], wrong: str) -> None:
    """A class, property, address or option that is not there is refused, with what there is."""
    with pytest.raises(ConfigError, match=wrong):
        make(bus, use, **settings)


def test_address_and_options(boot: Boot, bus: SimI2CBus) -> None:
    """The address goes to the parameter for it, if there is one, and options to theirs."""
    bus.plug(0x1A, MCP9808Chip())
    make(bus, "adafruit_ina219:INA219", address=0x41, properties="power")
    make(bus, "adafruit_ds3231:DS3231", address=0x68)
    air = make(bus, "adafruit_mcp9808:MCP9808", options={"address": 0x1A})
    boot(air)
    assert air.online


def test_no_chip(boot: Boot, bus: SimI2CBus) -> None:
    """Without a chip the runtime does not boot, and the bus is given back."""
    with pytest.raises(BootError) as caught:
        boot(make(bus, "adafruit_sht4x:SHT4x"))
    assert "0x44: no acknowledge" in str(caught.value.exceptions[0])
    bus.open()
    bus.close()


def test_unplugged_and_plugged_in_again(
    clock: SimClock, boot: Boot, bus: SimI2CBus, events: list[Event]
) -> None:
    """A chip that is gone makes the device offline; the driver is made anew when it is back."""
    chip = BH1750Chip()
    bus.plug(0x23, chip)
    air = make(bus, "adafruit_bh1750:BH1750", properties="lux")
    boot(air)
    clock.advance(2)
    bus.unplug(0x23)
    clock.advance(2)
    assert air.readings["lux"].quality is Quality.BAD
    chip.counts = 240
    bus.plug(0x23, chip)
    assert clock.run_until(lambda: air.online, 120)
    assert air.readings["lux"].value == pytest.approx(100)
    told = [type(e.payload) for e in events if "device" in e.payload.to_dict()]
    assert told[-2:] == [message.DeviceOffline, message.DeviceOnline]


def test_what_a_driver_raises(clock: SimClock, boot: Boot, bus: SimI2CBus) -> None:
    """A checksum that a driver finds wrong is no value, and says who found it."""
    chip = SHT4xChip()
    bus.plug(0x44, chip)
    air = make(bus, "adafruit_sht4x:SHT4x")
    boot(air)
    clock.advance(1.5)
    chip.spoil = 0x01
    clock.advance(1)
    reason = air.readings["temperature"].sample.reason
    assert "i2c1, adafruit_sht4x:SHT4x: air.temperature: RuntimeError: Invalid CRC" in reason
    chip.spoil = 0x00
    assert clock.run_until(lambda: air.online, 120)
    assert air.readings["temperature"].quality is Quality.GOOD


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Callable[[type], str]:
    """Give a function that makes a class importable; it returns what to `use`."""

    def publish(cls: type) -> str:
        module = ModuleType("odd_driver")
        vars(module)[cls.__name__] = cls
        monkeypatch.setitem(sys.modules, "odd_driver", module)
        return f"odd_driver:{cls.__name__}"

    return publish


def test_kinds_of_values(
    clock: SimClock, boot: Boot, bus: SimI2CBus, driver: Callable[[type], str]
) -> None:
    """Values become what the reading is of; what cannot, such as None, is BAD and says so."""

    class Odd:
        count = property(lambda self: 3.0)
        level = property(lambda self: 3)
        alarm = property(lambda self: True)
        text = property(lambda self: "dry")
        nothing = property(lambda self: None)
        nested = property(lambda self: self)

        def __init__(self, i2c: object) -> None:
            pass

    kinds = {"count": "int", "level": "float", "alarm": "bool", "text": "str", "nothing": "float"}
    readings = {name: PropertySettings(type=kind) for name, kind in kinds.items()}  # type: ignore[arg-type]
    readings["inside"] = PropertySettings(property="nested.level")
    odd = CircuitPython("odd", bus=bus, use=driver(Odd), readings=readings)
    boot(odd)
    clock.advance(1.5)
    samples = {name: reading.sample for name, reading in odd.readings.items()}
    assert samples.pop("nothing").reason == "None is not a number"
    assert {name: repr(sample.value) for name, sample in samples.items()} == {
        "count": "3",
        "level": "3.0",
        "alarm": "True",
        "text": "'dry'",
        "inside": "3.0",
    }


def test_a_driver_that_keeps_the_lock(
    clock: SimClock, boot: Boot, bus: SimI2CBus, driver: Callable[[type], str]
) -> None:
    """A driver that fails with the bus locked does not keep others from it."""

    class Odd:
        def __init__(self, i2c: Any) -> None:
            self.i2c = i2c

        @property
        def level(self) -> float:
            assert self.i2c.try_lock()
            raise ValueError("the driver is wrong")

    bus.plug(0x23, BH1750Chip())
    odd = make(bus, driver(Odd), properties="level")
    boot(odd)
    clock.advance(1.5)
    assert "the driver is wrong" in odd.readings["level"].sample.reason
    other = clock.Thread(lambda: bus.read(0x23, 1), "other")
    other.start()
    clock.advance(1)
    assert not other.is_alive()


def test_busio(bus: SimI2CBus, boot: Boot, driver: Callable[[type], str]) -> None:
    """The bus that a driver is given has the methods of busio.I2C, with their parts of buffers."""

    class Echo:
        def write(self, data: bytes) -> None:
            self.data = data

        def read(self, length: int) -> bytes:
            return self.data.ljust(length, b"-")[:length]

    class Odd:
        level = 1.0

        def __init__(self, i2c: Any) -> None:
            assert i2c.scan() == []
            bus.plug(0x50, Echo())
            buffer = bytearray(b"......")
            assert i2c.try_lock()
            assert i2c.try_lock()
            i2c.writeto(0x50, b"abcdef", start=1, end=3)
            i2c.readfrom_into(0x50, buffer, start=1, end=4)
            assert buffer == b".bc-.."
            i2c.writeto_then_readfrom(
                0x50, memoryview(b"abcdef"), buffer, out_start=3, out_end=5, in_start=4
            )
            assert buffer == b".bc-de"
            i2c.writeto(0x50, b"")
            i2c.readfrom_into(0x50, bytearray())
            i2c.readfrom_into(0x50, buffer)
            assert buffer == b"de----"
            i2c.unlock()
            i2c.unlock()

    bus.plug(0x50, Echo())
    bus.unplug(0x50)
    boot(make(bus, driver(Odd), properties="level"))
