"""Drivers that others wrote measure, set and drive what our simulated chips say they do."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from time import struct_time
from typing import Any

import pytest
from edgekernel_devices.ads1115 import ADS1115Chip
from edgekernel_devices.ds3231 import DS3231Chip
from edgekernel_devices.ina219 import INA219Chip
from edgekernel_devices.mcp23017 import MCP23017Chip
from edgekernel_devices.pca9685 import PCA9685Chip
from edgekernel_devices.pcf8574 import PCF8574Chip

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


@pytest.mark.parametrize(
    ("set_up", "current"),
    [
        ("set_calibration_32V_2A", 1.9),
        ("set_calibration_32V_2A", -2.5),
        ("set_calibration_32V_1A", -0.9),
        ("set_calibration_16V_400mA", 0.3),
        ("set_calibration_16V_5A", 4.5),
    ],
)
def test_ina219(plug: Plug, set_up: str, current: float) -> None:
    """adafruit_ina219 measures voltage, current, power and shunt voltage at our INA219, with each
    of its calibrations."""
    chip = INA219Chip()
    sensor = foreign("adafruit_ina219").INA219(plug(0x40, chip))
    chip.shunt_ohm = 0.02 if "5A" in set_up else 0.1
    chip.voltage_v, chip.current_a = 12.0, current
    getattr(sensor, set_up)()
    assert sensor.bus_voltage == pytest.approx(12.0)
    assert sensor.shunt_voltage == pytest.approx(current * chip.shunt_ohm)
    assert sensor.current == pytest.approx(current * 1000, abs=0.7)
    assert sensor.power == pytest.approx(12.0 * abs(current), abs=0.02)
    assert sensor.conversion_ready
    assert not sensor.overflow


def test_ina219_overflow(plug: Plug) -> None:
    """adafruit_ina219 sees the overflow flag of our INA219."""
    chip = INA219Chip()
    sensor = foreign("adafruit_ina219").INA219(plug(0x40, chip))
    sensor.calibration = 8192
    chip.current_a = 2.0
    assert sensor.raw_current == 40_000 - 0x10000
    assert sensor.overflow


@pytest.mark.parametrize("gain", [2 / 3, 1, 2, 4, 8, 16])
def test_ads1115(plug: Plug, gain: float) -> None:
    """adafruit_ads1x15 reads every input and every pair of our ADS1115, in each gain; a voltage
    beyond the full scale is the last code."""
    chip = ADS1115Chip()
    i2c = plug(0x48, chip)
    adc = foreign("adafruit_ads1x15.ads1115").ADS1115(i2c, gain=gain)
    analog_in = foreign("adafruit_ads1x15.analog_in").AnalogIn
    full_scale = {2 / 3: 6.144}.get(gain, 4.096 / gain)
    volts = [share * full_scale for share in (0.1, -0.2, 0.3, 1.1)]
    chip.a0_v, chip.a1_v, chip.a2_v, chip.a3_v = volts
    for number in range(3):
        assert analog_in(adc, number).voltage == pytest.approx(volts[number], rel=0.001)
    assert analog_in(adc, 3).value == 0x7FFF
    chip.a3_v = volts[3] = 0.5 * full_scale
    for plus, minus in ((0, 1), (0, 3), (1, 3), (2, 3)):
        expected = volts[plus] - volts[minus]
        assert analog_in(adc, plus, minus).voltage == pytest.approx(expected, rel=0.001)


def test_ads1115_continuous(plug: Plug) -> None:
    """adafruit_ads1x15 follows a changing input of our ADS1115 in continuous mode."""
    chip = ADS1115Chip()
    adc = foreign("adafruit_ads1x15.ads1115").ADS1115(plug(0x48, chip), gain=1, data_rate=860)
    chip.a2_v = 1.0
    assert adc.read(6) == 8000  # selects the input, in steps of 125 µV
    adc.mode = foreign("adafruit_ads1x15.ads1x15").Mode.CONTINUOUS
    for volts in (2.0, 3.0):
        chip.a2_v = volts
        assert adc.get_last_result() == volts * 8000


def test_ds3231(plug: Plug) -> None:
    """adafruit_ds3231 reads temperature and time from our DS3231, sets it, and sees and clears its
    oscillator stop flag."""
    chip = DS3231Chip()
    rtc = foreign("adafruit_ds3231").DS3231(plug(0x68, chip))
    chip.temperature_c = -11.25
    chip.time = datetime(2026, 7, 1, 23, 59, 58, tzinfo=UTC)
    assert rtc.temperature == rtc.force_temperature_conversion() == -11.25
    assert tuple(rtc.datetime)[:6] == (2026, 7, 1, 23, 59, 58)
    chip.power_on()
    assert rtc.lost_power
    rtc.datetime = struct_time((2031, 12, 24, 18, 30, 15, 2, -1, -1))
    assert not rtc.lost_power
    assert chip.time == datetime(2031, 12, 24, 18, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize("frequency", [24, 50, 200, 1526])
def test_pca9685(plug: Plug, frequency: float) -> None:
    """adafruit_pca9685 sets frequency and channels of our PCA9685, full on and off included, and
    reads them back."""
    chip = PCA9685Chip()
    pwm = foreign("adafruit_pca9685").PCA9685(plug(0x40, chip))
    pwm.frequency = frequency
    assert pwm.frequency == pytest.approx(frequency, rel=0.02)
    assert chip.frequency_hz == pytest.approx(frequency, rel=0.02)
    for number, duty in ((0, 0x8000), (7, 0xFFFF), (8, 0), (15, 0x1230)):
        pwm.channels[number].duty_cycle = duty
        assert pwm.channels[number].duty_cycle == duty
        assert chip.share(number) == pytest.approx(duty / 0xFFFF, abs=0.0003)
    pwm.frequency = 100
    assert chip.share(7) == 1


def test_mcp23017(plug: Plug) -> None:
    """adafruit_mcp230xx drives and reads single lines of our MCP23017, with pull-ups and inverted
    inputs."""
    chip = MCP23017Chip()
    expander = foreign("adafruit_mcp230xx.mcp23017").MCP23017(plug(0x20, chip))
    pull = foreign("digitalio").Pull
    lamp, door, window = (expander.get_pin(number) for number in (3, 8, 15))
    lamp.switch_to_output(value=True)
    assert chip.line("GPA3").level is True
    lamp.value = False
    assert chip.line("GPA3").level is False
    door.switch_to_input(pull=pull.UP)
    window.switch_to_input(pull=pull.UP, invert_polarity=True)
    assert (door.value, window.value) == (True, False)
    chip.line("GPB0").drive(False)
    chip.line("GPB7").drive(False)
    assert (door.value, window.value) == (False, True)


def test_mcp23017_interrupts(plug: Plug) -> None:
    """adafruit_mcp230xx finds in our MCP23017 which line has interrupted, and what the levels
    were, and clears it."""
    chip = MCP23017Chip()
    expander = foreign("adafruit_mcp230xx.mcp23017").MCP23017(plug(0x20, chip))
    expander.gppu = 0xFFFF
    expander.interrupt_configuration = 0x0000
    expander.interrupt_enable = 0xFFFF
    expander.io_control = 0x44
    expander.clear_ints()
    chip.line("GPB2").drive(False)
    assert not chip.inta
    assert expander.int_flag == [10]
    assert expander.int_flagb == [10]
    assert expander.int_capb == [1, 1, 0, 1, 1, 1, 1, 1]
    assert chip.inta


def test_pcf8574(plug: Plug) -> None:
    """adafruit_pcf8574 drives and reads single lines of our PCF8574."""
    chip = PCF8574Chip()
    expander = foreign("adafruit_pcf8574").PCF8574(plug(0x20, chip))
    expander.write_gpio(0xFF)
    lamp, door = expander.get_pin(0), expander.get_pin(7)
    lamp.switch_to_output(value=False)
    door.switch_to_input(pull=foreign("digitalio").Pull.UP)
    assert chip.line("P0").level is False
    assert (lamp.value, door.value) == (False, True)
    chip.line("P7").drive(False)
    lamp.value = True
    assert (lamp.value, door.value) == (True, False)
    assert chip.line("P0").level is True
