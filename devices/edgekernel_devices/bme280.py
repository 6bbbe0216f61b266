"""Bosch BME280: temperature, humidity and pressure over I²C.

Sections and tables are those of the datasheet, BST-BME280-DS002, revision 1.6.
"""

import struct
from dataclasses import dataclass
from typing import ClassVar, Literal

from edgekernel import Device, reading
from edgekernel.hal import I2CBus
from edgekernel_devices import _bosch
from edgekernel_devices._bosch import (
    CTRL_MEAS,
    DATA,
    NO_DATA,
    OVERSAMPLING,
    BoschChip,
    BoschSensor,
    Trimming,
)

_TRIM_H1, _TRIM_2, _CTRL_HUM, _HUMIDITY = 0xA1, 0xE1, 0xF2, 0xFD  # table 18


@dataclass(frozen=True, slots=True)
class HumidityTrimming:
    """A chip's trimming parameters of humidity (table 16), and its formula (section 4.2.3)."""

    h1: int
    h2: int
    h3: int
    h4: int
    h5: int
    h6: int

    @classmethod
    def decode(cls, h1: int, registers: bytes) -> "HumidityTrimming":
        """Take the parameters from the registers 0xA1, and 0xE1 to 0xE7."""
        h2, h3, h4_high, nibbles, h5_high, h6 = struct.unpack("<hBbBbb", registers)
        return cls(h1, h2, h3, h4_high << 4 | nibbles & 0x0F, h5_high << 4 | nibbles >> 4, h6)

    def humidity_percent(self, raw: int, t_fine: int) -> float:
        """Return the relative humidity in %, in steps of 1/1024, from 0 to 100."""
        v = t_fine - 76800
        slope = ((((v * self.h6) >> 10) * (((v * self.h3) >> 11) + 32768)) >> 10) + 2097152
        v = (((raw << 14) - (self.h4 << 20) - self.h5 * v + 16384) >> 15) * (
            (slope * self.h2 + 8192) >> 14
        )
        v -= ((((v >> 15) * (v >> 15)) >> 7) * self.h1) >> 4
        return (min(max(v, 0), 419430400) >> 12) / 1024


class BME280Chip(BoschChip):
    """A simulated BME280 at register level, with forced mode.

    Set `temperature_c`, `humidity_percent` and `pressure_hpa`. A write starts a measurement at
    once; `status` says "measuring" (or "updating", after a reset) to the first read of it.
    """

    CHIP_ID = 0x60
    HUMIDITY = HumidityTrimming(75, 370, 0, 313, 50, 30)  # as on a typical chip

    def __init__(self) -> None:
        self.humidity_percent = 50.0
        super().__init__()

    def power_on(self) -> None:
        """Begin as after a loss of supply: what it was told is forgotten."""
        super().power_on()
        trim, registers = self.HUMIDITY, self._registers
        registers[_TRIM_H1] = trim.h1
        registers[_TRIM_2 : _TRIM_2 + 3] = struct.pack("<hB", trim.h2, trim.h3)
        registers[0xE4] = trim.h4 >> 4 & 0xFF
        registers[0xE5] = (trim.h5 & 0x0F) << 4 | trim.h4 & 0x0F
        registers[0xE6] = trim.h5 >> 4 & 0xFF
        registers[0xE7] = trim.h6 & 0xFF
        registers[DATA : DATA + 8] = NO_DATA

    def _write(self, register: int, value: int) -> None:
        if register == _CTRL_HUM:  # takes effect with the next write to ctrl_meas, section 5.4.3
            self._registers[register] = value
        super()._write(register, value)

    def _measure(self, temperature_setting: int, pressure_setting: int) -> None:
        super()._measure(temperature_setting, pressure_setting)
        t_fine = self.temperature_c * 5120
        raw = _bosch.invert(lambda raw: self._humidity(raw, t_fine), self.humidity_percent, 16)
        humidity = raw if self._registers[_CTRL_HUM] & 0x07 else 0x8000
        self._registers[_HUMIDITY : _HUMIDITY + 2] = humidity.to_bytes(2)

    def _humidity(self, raw: int, t_fine: float) -> float:
        """The formula in floating point (section 8.1), where the driver has that in integers."""
        trim = self.HUMIDITY
        t = t_fine - 76800
        slope = 1 + trim.h6 / 67108864 * t * (1 + trim.h3 / 67108864 * t)
        h = (raw - (trim.h4 * 64 + trim.h5 / 16384 * t)) * trim.h2 / 65536 * slope
        return h * (1 - trim.h1 * h / 524288)


class BME280(Device):
    """Bosch BME280: temperature, relative humidity and air pressure.

    Wiring: VDD and VDDIO to 3.3 V, GND, SDA, SCL with pull-ups (a breakout board has them); CSB
    to VDDIO selects I²C; SDO to GND gives address 0x76, to VDDIO 0x77.

    `bus` is the I²C bus, `address` 0x76 or 0x77. `oversampling` (1, 2, 4, 8 or 16) is how many
    conversions make one value: 1 takes 9 ms and suits weather, 16 takes 113 ms and has less than
    half of the noise.

    Readings: `temperature` from -40 to 85 °C, `humidity` from 0 to 100 % relative, `pressure`
    from 300 to 1100 hPa, unreduced (not at sea level). Each poll makes one measurement in forced
    mode; between polls the chip sleeps and does not warm itself.

    A chip that was unplugged is set up anew when it answers again. Datasheet:
    BST-BME280-DS002.
    """

    simulated: ClassVar[type[BME280Chip]] = BME280Chip

    temperature = reading(
        float, unit="°C", range=(-40, 85), precision=2, device_class="temperature"
    )
    humidity = reading(float, unit="%", range=(0, 100), precision=1, device_class="humidity")
    pressure = reading(
        float, unit="hPa", range=(300, 1100), precision=2, device_class="atmospheric_pressure"
    )

    def __init__(
        self,
        id: str,
        *,
        bus: I2CBus,
        address: Literal[0x76, 0x77] = 0x76,
        oversampling: Literal[1, 2, 4, 8, 16] = 1,
    ) -> None:
        super().__init__(id)
        self.poll_group = bus.name
        self._sensor = BoschSensor(bus, address, "BME280")
        setting = OVERSAMPLING[oversampling]
        self._settings = {_CTRL_HUM: setting, CTRL_MEAS: setting << 5 | setting << 2}
        self._measuring_s = (1.25 + 3 * 2.3 * oversampling + 2 * 0.575) / 1000  # section 9.1

    @staticmethod
    def identify(bus: I2CBus, address: int) -> bool:
        """Say whether the chip at an address says that it is a BME280; changes nothing."""
        return _bosch.part_at(bus, address) == "BME280"

    def connect(self) -> None:
        """Check that it is a BME280, reset it and read its trimming parameters."""
        self._sensor.open()
        self._set_up()

    def disconnect(self) -> None:
        """Give the bus back; the chip sleeps."""
        self._sensor.close()

    def poll(self) -> None:
        """Measure once."""
        if not self.online:
            self._set_up()  # it may be another chip, and has lost its settings
        data = int.from_bytes(
            self._sensor.measure(self.clock, self._settings, self._measuring_s, 8)
        )
        t_fine = self._trimming.t_fine(data >> 20 & 0xFFFFF)
        self.temperature.update(self._trimming.temperature_c(t_fine))
        self.pressure.update(self._trimming.pressure_hpa(data >> 44, t_fine))
        self.humidity.update(self._humidity_trimming.humidity_percent(data & 0xFFFF, t_fine))

    def _set_up(self) -> None:
        self._sensor.reset(self.clock)
        first = self._sensor.read_from(_bosch.TRIM, _TRIM_H1 - _bosch.TRIM + 1)
        second = self._sensor.read_from(_TRIM_2, 7)
        self._trimming = Trimming.decode(first)
        self._humidity_trimming = HumidityTrimming.decode(first[-1], second)
