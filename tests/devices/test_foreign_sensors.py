"""Drivers that others wrote read from our simulated chips what those measure."""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from edgekernel_devices.aht20 import AHT20Chip
from edgekernel_devices.bh1750 import BH1750Chip
from edgekernel_devices.bme280 import BME280Chip
from edgekernel_devices.bmp280 import BMP280Chip
from edgekernel_devices.mcp9808 import MCP9808Chip
from edgekernel_devices.sht4x import SHT4xChip
from edgekernel_devices.veml7700 import VEML7700Chip

from edgekernel.backends.sim import SimBackend
from edgekernel.hal import I2CTarget
from edgekernel.hal.address import BusAddress
from tests.devices.foreign import CircuitPythonI2C

Plug = Callable[[int, I2CTarget], CircuitPythonI2C]


@pytest.fixture
def plug(backend: SimBackend) -> Iterator[Plug]:
    """Plug a chip into a simulated bus, and give that bus as CircuitPython's drivers use it."""
    bus = backend.i2c_bus(BusAddress("i2c1", "/dev/i2c-1"))
    bus.open()

    def plug(address: int, chip: I2CTarget) -> CircuitPythonI2C:
        bus.plug(address, chip)
        return CircuitPythonI2C(bus, {address})

    yield plug
    bus.close()


def foreign(module: str) -> Any:
    """Import a driver of others; it has no types to check."""
    return import_module(module)


WEATHER = [(20.0, 50.0), (-12.3, 97.5), (41.7, 3.25)]


@pytest.mark.parametrize(("temperature", "humidity"), WEATHER)
def test_bme280(plug: Plug, temperature: float, humidity: float) -> None:
    """adafruit_bme280 reads temperature, humidity and pressure from our BME280."""
    chip = BME280Chip()
    i2c = plug(0x76, chip)
    sensor = foreign("adafruit_bme280.basic").Adafruit_BME280_I2C(i2c, 0x76)
    chip.temperature_c, chip.humidity_percent, chip.pressure_hpa = temperature, humidity, 987.65
    assert sensor.temperature == pytest.approx(temperature, abs=0.02)
    assert sensor.relative_humidity == pytest.approx(humidity, abs=0.05)
    assert sensor.pressure == pytest.approx(987.65, abs=0.02)


class Relabelled(BMP280Chip):
    """A BMP280 that says it is a BME280, whose registers contain those of the BMP280."""

    CHIP_ID = 0x60


@pytest.mark.parametrize(("temperature", "pressure"), [(20.0, 1013.25), (-30.0, 312.5)])
def test_bmp280(plug: Plug, temperature: float, pressure: float) -> None:
    """adafruit_bme280 reads temperature and pressure from our BMP280, but for its id."""
    chip = Relabelled()
    sensor = foreign("adafruit_bme280.basic").Adafruit_BME280_I2C(plug(0x77, chip))
    chip.temperature_c, chip.pressure_hpa = temperature, pressure
    assert sensor.temperature == pytest.approx(temperature, abs=0.02)
    assert sensor.pressure == pytest.approx(pressure, abs=0.02)


@pytest.mark.parametrize(("temperature", "humidity"), WEATHER)
@pytest.mark.parametrize("mode", ["HIGH", "MED", "LOW"])
def test_sht4x(plug: Plug, mode: str, temperature: float, humidity: float) -> None:
    """adafruit_sht4x reads the serial number and, in each mode without heater, temperature and
    humidity from our SHT4x, with checksums that it accepts."""
    chip = SHT4xChip()
    module = foreign("adafruit_sht4x")
    sensor = module.SHT4x(plug(0x44, chip))
    assert sensor.serial_number == chip.SERIAL_NUMBER
    chip.temperature_c, chip.humidity_percent = temperature, humidity
    sensor.mode = getattr(module.Mode, f"NOHEAT_{mode}PRECISION")
    assert sensor.measurements == pytest.approx((temperature, humidity), abs=0.002)


class Uncalibrated(AHT20Chip):
    """Has to be initialised after power on."""

    POWER_ON_STATUS = 0x10


@pytest.mark.parametrize("kind", [AHT20Chip, Uncalibrated])
@pytest.mark.parametrize(("temperature", "humidity"), WEATHER)
def test_aht20(plug: Plug, kind: type[AHT20Chip], temperature: float, humidity: float) -> None:
    """adafruit_ahtx0 initialises our AHT20, waits while it is busy, and reads temperature and
    humidity."""
    chip = kind()
    sensor = foreign("adafruit_ahtx0").AHTx0(plug(0x38, chip))
    chip.temperature_c, chip.humidity_percent = temperature, humidity
    assert sensor.temperature == pytest.approx(temperature, abs=0.001)
    assert sensor.relative_humidity == pytest.approx(humidity, abs=0.001)


def test_bh1750(plug: Plug) -> None:
    """adafruit_bh1750 reads the illuminance from our BH1750 in each of its resolutions."""
    chip = BH1750Chip()
    module = foreign("adafruit_bh1750")
    sensor = module.BH1750(plug(0x23, chip))
    for resolution, step in (("HIGH", 0.5), ("MID", 1.0), ("LOW", 4.0)):
        sensor.resolution = getattr(module.Resolution, resolution)
        for light in (0.0, 12.3, 25_000.0):
            chip.illuminance_lx = light
            assert sensor.lux == pytest.approx(light, abs=step)


@pytest.mark.parametrize("light", [0.8, 30.0, 90.0])
def test_veml7700(plug: Plug, light: float) -> None:
    """adafruit_veml7700 reads little light from our VEML7700 with the high gains, whatever the
    integration time, as long as the counts suffice."""
    chip = VEML7700Chip()
    sensor = foreign("adafruit_veml7700").VEML7700(plug(0x10, chip))
    chip.illuminance_lx = light
    for gain in (sensor.ALS_GAIN_1, sensor.ALS_GAIN_2):
        sensor.light_gain = gain
        for time in sensor.integration_time_settings:
            sensor.light_integration_time = time
            assert sensor.lux == pytest.approx(light, abs=sensor.resolution())


@pytest.mark.parametrize("light", [30.0, 500.0, 20_000.0, 100_000.0])
def test_veml7700_corrected(plug: Plug, light: float) -> None:
    """adafruit_veml7700 reads any light from our VEML7700 with the low gains and its correction,
    as long as the counts suffice."""
    chip = VEML7700Chip()
    sensor = foreign("adafruit_veml7700").VEML7700(plug(0x10, chip))
    chip.illuminance_lx = light
    for gain in (sensor.ALS_GAIN_1_8, sensor.ALS_GAIN_1_4):
        sensor.light_gain = gain
        for time in sensor.integration_time_settings:
            sensor.light_integration_time = time
            if sensor.light < 65535:
                read = sensor.compute_lux(sensor.light, True)
                assert read == pytest.approx(light, rel=0.001, abs=sensor.resolution())


@pytest.mark.parametrize("temperature", [-40.0, -0.0625, 0.0, 0.0625, 25.25, 125.0])
@pytest.mark.parametrize("resolution", range(4))
def test_mcp9808(plug: Plug, temperature: float, resolution: int) -> None:
    """adafruit_mcp9808 reads temperatures of both signs from our MCP9808, in each resolution,
    and its limits."""
    chip = MCP9808Chip()
    sensor = foreign("adafruit_mcp9808").MCP9808(plug(0x18, chip))
    sensor.resolution = resolution
    sensor.upper_temperature, sensor.critical_temperature = 25, 125
    chip.temperature_c = temperature
    assert sensor.temperature == pytest.approx(temperature, abs=0.25 / 2**resolution)
    assert sensor.resolution == resolution
    assert sensor.above_upper == (sensor.temperature > 25)
    assert sensor.above_critical == (sensor.temperature >= 125)
