"""One chip's side of a shared bus, and what every sensor on it keeps."""

from collections.abc import Callable
from typing import Any

import pytest
from edgekernel_devices.aht20 import AHT20
from edgekernel_devices.bh1750 import BH1750
from edgekernel_devices.bme280 import BME280
from edgekernel_devices.bmp280 import BMP280
from edgekernel_devices.lm75 import LM75
from edgekernel_devices.mcp9808 import MCP9808
from edgekernel_devices.sht4x import SHT4x
from edgekernel_devices.veml7700 import VEML7700

from edgekernel import Device, Event, Quality, Runtime, message
from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import BootError, ClosedError
from edgekernel.hal import I2CChip, I2CTarget, NackError
from edgekernel.hal.address import BusAddress
from edgekernel.sim import SimClock

BUS = BusAddress("i2c1", "/dev/i2c-1")
SENSORS: dict[Any, int] = {
    AHT20: 0x38,
    BH1750: 0x23,
    BME280: 0x76,
    BMP280: 0x76,
    LM75: 0x48,
    MCP9808: 0x18,
    SHT4x: 0x44,
    VEML7700: 0x10,
}
QUANTITIES = {"temperature": 20.0, "humidity": 50.0, "pressure": 1013.25, "illuminance": 200.0}

Boot = Callable[..., Runtime]


class Glitching:
    """A chip whose n-th access from now on is not acknowledged."""

    def __init__(self, chip: I2CTarget) -> None:
        self._chip = chip
        self.left = -1

    def write(self, data: bytes) -> None:
        self._count()
        self._chip.write(data)

    def read(self, length: int) -> bytes:
        self._count()
        return self._chip.read(length)

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise NackError("a glitch")


@pytest.mark.parametrize("nth", range(1, 9))
@pytest.mark.parametrize("driver", SENSORS)
def test_one_glitch(
    clock: SimClock, backend: SimBackend, boot: Boot, events: list[Event], driver: Any, nth: int
) -> None:
    """Whichever access is not acknowledged, the device is offline with that reason until the
    next poll, and no value is reported that the chip has not measured."""
    chip = Glitching(driver.simulated())
    backend.i2c_bus(BUS).plug(SENSORS[driver], chip)
    sensor = driver("sensor", bus=backend.i2c_bus(BUS))
    boot(sensor)
    clock.advance(3.5)
    del events[:]
    chip.left = nth
    for _ in range(100):
        clock.advance(0.1)
        for name, reading in sensor.readings.items():
            assert reading.sample.value == pytest.approx(QUANTITIES[name], rel=0.003)
    told = [e.payload for e in events if isinstance(e.payload, message.DeviceOffline)]
    assert ["a glitch" in each.error for each in told] == [True]
    assert [r.quality for r in sensor.readings.values()] == [Quality.GOOD] * len(sensor.readings)


@pytest.mark.parametrize("driver", [each for each in SENSORS if each is not BH1750])
@pytest.mark.parametrize("level", [0x00, 0xFF])
def test_dead_line(
    clock: SimClock, backend: SimBackend, boot: Boot, driver: Any, level: int
) -> None:
    """A data line that stays low or high is no value: the device is offline."""

    class DeadLine:
        def write(self, data: bytes) -> None:
            pass

        def read(self, length: int) -> bytes:
            return bytes([level] * length)

    backend.i2c_bus(BUS).plug(SENSORS[driver], driver.simulated())
    sensor = driver("sensor", bus=backend.i2c_bus(BUS))
    boot(sensor)
    clock.advance(1.5)
    backend.i2c_bus(BUS).unplug(SENSORS[driver])
    backend.i2c_bus(BUS).plug(SENSORS[driver], DeadLine())
    clock.advance(3)
    assert not sensor.online
    for name, reading in sensor.readings.items():
        assert reading.quality is Quality.BAD
        assert reading.sample.value == pytest.approx(QUANTITIES[name], rel=0.003)


@pytest.mark.parametrize("driver", SENSORS)
def test_no_chip(boot: Boot, backend: SimBackend, driver: type[Device]) -> None:
    """With no chip at the address the runtime does not boot, and the bus is given back."""
    with pytest.raises(BootError) as raised:
        boot(driver("sensor", bus=backend.i2c_bus(BUS)))  # type: ignore[call-arg]
    assert "i2c1" in str(raised.value.exceptions[0])
    with pytest.raises(ClosedError):
        backend.i2c_bus(BUS).read(0x08, 1)


@pytest.mark.parametrize("driver", SENSORS)
def test_bus_is_given_back(clock: SimClock, backend: SimBackend, boot: Boot, driver: Any) -> None:
    """After the shutdown nobody has the bus open, also after the chip was away."""
    bus = backend.i2c_bus(BUS)
    bus.plug(SENSORS[driver], driver.simulated())
    runtime = boot(driver("sensor", bus=bus))
    bus.unplug(SENSORS[driver])
    clock.advance(2)
    runtime.shutdown()
    with pytest.raises(ClosedError):
        bus.read(0x08, 1)


def test_closing_twice_takes_nothing_from_others(backend: SimBackend) -> None:
    """Closing what is not open leaves the bus to those that have it open."""
    bus = backend.i2c_bus(BUS)
    bus.plug(0x44, SHT4x.simulated())
    mine, other = I2CChip(bus, 0x44), I2CChip(bus, 0x44)
    other.open()
    mine.close()
    mine.open()
    mine.close()
    mine.close()
    other.write(0xFD)
    assert len(other.read(6)) == 6
    other.close()
