"""Bosch BME280: temperature, humidity and pressure over I²C.

Sections and tables are those of the datasheet, BST-BME280-DS002, revision 1.6.
"""

import struct
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import ClassVar, Literal

from edgekernel import Device, reading
from edgekernel.hal import I2CBus

_TRIM_1, _ID, _RESET, _TRIM_2 = 0x88, 0xD0, 0xE0, 0xE1  # table 18
_CTRL_HUM, _STATUS, _CTRL_MEAS, _DATA = 0xF2, 0xF3, 0xF4, 0xF7

_BME280_ID, _BMP280_ID = 0x60, 0x58
_SOFT_RESET = 0xB6
_MEASURING, _UPDATING = 0x08, 0x01  # bits of the status register, section 5.4.4
_MODE, _FORCED = 0x03, 0x01  # bits of ctrl_meas, table 25
_OVERSAMPLING = {1: 1, 2: 2, 4: 3, 8: 4, 16: 5}  # tables 20, 23 and 24
_NO_DATA = bytes.fromhex("800000 800000 8000")  # the data registers after a reset

_START_UP_S = 0.002  # table 1
_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Trimming:
    """A chip's trimming parameters (table 16) and what they make of raw values (section 4.2.3)."""

    t1: int
    t2: int
    t3: int
    p1: int
    p2: int
    p3: int
    p4: int
    p5: int
    p6: int
    p7: int
    p8: int
    p9: int
    h1: int
    h2: int
    h3: int
    h4: int
    h5: int
    h6: int

    @classmethod
    def decode(cls, first: bytes, second: bytes) -> "Trimming":
        """Take the parameters from the registers 0x88 to 0xA1 and 0xE1 to 0xE7."""
        h2, h3, h4_high, nibbles, h5_high, h6 = struct.unpack("<hBbBbb", second)
        h4, h5 = h4_high << 4 | nibbles & 0x0F, h5_high << 4 | nibbles >> 4
        return cls(*(*struct.unpack("<HhhHhhhhhhhhxB", first), h2, h3, h4, h5, h6))

    def t_fine(self, raw: int) -> int:
        """Return the fine temperature, in 1/5120 °C, of a raw temperature."""
        difference = (raw >> 4) - self.t1
        linear = (((raw >> 3) - (self.t1 << 1)) * self.t2) >> 11
        return linear + ((((difference * difference) >> 12) * self.t3) >> 14)

    def temperature_c(self, t_fine: int) -> float:
        """Return the temperature in °C, in steps of 0.01."""
        return ((t_fine * 5 + 128) >> 8) / 100

    def pressure_hpa(self, raw: int, t_fine: int) -> float:
        """Return the pressure in hPa, in steps of 1/25600."""
        a = t_fine - 128000
        b = a * a * self.p6 + ((a * self.p5) << 17) + (self.p4 << 35)
        a = ((a * a * self.p3) >> 8) + ((a * self.p2) << 12)
        a = (((1 << 47) + a) * self.p1) >> 33
        if a == 0:  # only with trimming parameters that no chip has
            return 0.0
        p = (((1048576 - raw) << 31) - b) * 3125 // a
        a = (self.p9 * (p >> 13) * (p >> 13)) >> 25
        b = (self.p8 * p) >> 19
        return (((p + a + b) >> 8) + (self.p7 << 4)) / 256 / 100

    def humidity_percent(self, raw: int, t_fine: int) -> float:
        """Return the relative humidity in %, in steps of 1/1024, from 0 to 100."""
        v = t_fine - 76800
        slope = ((((v * self.h6) >> 10) * (((v * self.h3) >> 11) + 32768)) >> 10) + 2097152
        v = (((raw << 14) - (self.h4 << 20) - self.h5 * v + 16384) >> 15) * (
            (slope * self.h2 + 8192) >> 14
        )
        v -= ((((v >> 15) * (v >> 15)) >> 7) * self.h1) >> 4
        return (min(max(v, 0), 419430400) >> 12) / 1024


class BME280Chip:
    """A simulated BME280 at register level, with forced mode.

    Set `temperature_c`, `humidity_percent` and `pressure_hpa`. A write starts a measurement at
    once; `status` says "measuring" (or "updating", after a reset) to the first read of it.
    """

    TRIMMING = Trimming(
        *(27504, 26435, -1000),  # the worked example in the datasheet of the BMP280, section 3.12
        *(36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000),
        *(75, 370, 0, 313, 50, 30),  # as on a typical chip
    )

    def __init__(self) -> None:
        self.temperature_c = 20.0
        self.humidity_percent = 50.0
        self.pressure_hpa = 1013.25
        self._pointer = 0
        self._power_on()

    def _power_on(self) -> None:
        trim = self.TRIMMING
        self._registers = registers = bytearray(256)
        registers[_ID] = _BME280_ID
        registers[_STATUS] = _UPDATING
        registers[_TRIM_1 : _TRIM_1 + 26] = struct.pack("<HhhHhhhhhhhhxB", *astuple(trim)[:13])
        registers[_TRIM_2 : _TRIM_2 + 3] = struct.pack("<hB", trim.h2, trim.h3)
        registers[0xE4] = trim.h4 >> 4 & 0xFF
        registers[0xE5] = (trim.h5 & 0x0F) << 4 | trim.h4 & 0x0F
        registers[0xE6] = trim.h5 >> 4 & 0xFF
        registers[0xE7] = trim.h6 & 0xFF
        registers[_DATA : _DATA + 8] = _NO_DATA
        self._humidity_setting = 0  # ctrl_hum takes effect with the next write to ctrl_meas

    def write(self, data: bytes) -> None:
        """Set the register pointer, or write pairs of register and value (section 6.2.1)."""
        self._pointer = data[0]
        for register, value in zip(data[::2], data[1::2], strict=False):
            self._write(register, value)

    def read(self, length: int) -> bytes:
        """Read from the register pointer on, which counts up (section 6.2.2)."""
        answer = bytes(self._registers[(self._pointer + i) & 0xFF] for i in range(length))
        if _STATUS in range(self._pointer, self._pointer + length):
            self._registers[_STATUS] = 0
        self._pointer = (self._pointer + length) & 0xFF
        return answer

    def _write(self, register: int, value: int) -> None:
        if register == _RESET and value == _SOFT_RESET:
            self._power_on()
        elif register in (_CTRL_HUM, 0xF5):
            self._registers[register] = value
        elif register == _CTRL_MEAS:
            self._humidity_setting = self._registers[_CTRL_HUM] & 0x07
            self._registers[register] = value & ~_MODE  # back to sleep when measured
            if value & _MODE:
                self._registers[_STATUS] |= _MEASURING
                self._measure(value >> 5, value >> 2 & 0x07)

    def _measure(self, temperature_setting: int, pressure_setting: int) -> None:
        t_fine = self.temperature_c * 5120
        temperature = _invert(self._t_fine, t_fine, 20)
        pressure = _invert(
            lambda raw: -self._pressure_pa(raw, t_fine), self.pressure_hpa * -100, 20
        )
        humidity = _invert(lambda raw: self._humidity(raw, t_fine), self.humidity_percent, 16)
        data = (
            _converted(pressure, pressure_setting) << 44
            | _converted(temperature, temperature_setting) << 20
            | (humidity if self._humidity_setting else 0x8000)
        )
        self._registers[_DATA : _DATA + 8] = data.to_bytes(8)

    # The formulas in floating point (section 8.1), where the driver has those in integers.

    def _t_fine(self, raw: int) -> float:
        trim = self.TRIMMING
        linear = (raw / 16384 - trim.t1 / 1024) * trim.t2
        return linear + (raw / 131072 - trim.t1 / 8192) ** 2 * trim.t3

    def _pressure_pa(self, raw: int, t_fine: float) -> float:
        trim = self.TRIMMING
        t = t_fine / 2 - 64000
        offset = (t * t * trim.p6 / 32768 + t * trim.p5 * 2) / 4 + trim.p4 * 65536
        slope = (trim.p3 * t * t / 524288 + trim.p2 * t) / 524288
        p = (1048576 - raw - offset / 4096) * 6250 / ((1 + slope / 32768) * trim.p1)
        return p + (trim.p9 * p * p / 2147483648 + p * trim.p8 / 32768 + trim.p7) / 16

    def _humidity(self, raw: int, t_fine: float) -> float:
        trim = self.TRIMMING
        t = t_fine - 76800
        slope = 1 + trim.h6 / 67108864 * t * (1 + trim.h3 / 67108864 * t)
        h = (raw - (trim.h4 * 64 + trim.h5 / 16384 * t)) * trim.h2 / 65536 * slope
        return h * (1 - trim.h1 * h / 524288)


def _invert(rising: Callable[[int], float], value: float, bits: int) -> int:
    """Return the first raw value at which a function reaches a value, or the last there is.

    By chords (the Illinois method), as the formulas are nearly straight.
    """
    low, high = 0, (1 << bits) - 1
    below, above = rising(low) - value, rising(high) - value
    if below >= 0 or above < 0:
        return low if below >= 0 else high
    side = 0  # which end stayed where it was; one that stays twice is made to move
    while high - low > 1:
        chord = low + int(below / (below - above) * (high - low))
        middle = min(max(chord, low + 1), high - 1)
        off = rising(middle) - value
        if off < 0:
            low, below, above, side = middle, off, above / (1 + (side < 0)), -1
        else:
            high, above, below, side = middle, off, below / (1 + (side > 0)), 1
    return high


def _converted(raw: int, setting: int) -> int:
    """Return what 16 bits, and one more with each doubling, leave of 20 (section 3.4)."""
    step = 1 << max(5 - setting, 0)
    return raw // step * step if setting else 0x80000


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
        self._bus = bus
        self._address = address
        self._where = f"{bus.name} address {address:#04x}"
        setting = _OVERSAMPLING[oversampling]
        self._ctrl_hum, self._ctrl_meas = setting, setting << 5 | setting << 2
        self._measuring_s = (1.25 + 3 * 2.3 * oversampling + 2 * 0.575) / 1000  # section 9.1
        self._bus_open = False

    @staticmethod
    def identify(bus: I2CBus, address: int) -> bool:
        """Say whether the chip at an address says that it is a BME280; changes nothing."""
        return bus.write_read(address, bytes([_ID]), 1)[0] == _BME280_ID

    def connect(self) -> None:
        """Check that it is a BME280, reset it and read its trimming parameters."""
        self._bus.open()
        self._bus_open = True
        self._set_up()

    def disconnect(self) -> None:
        """Give the bus back; the chip sleeps."""
        if self._bus_open:
            self._bus_open = False
            self._bus.close()

    def poll(self) -> None:
        """Measure once."""
        if not self.online:
            self._set_up()  # it may be another chip, and has lost its settings
        self._write(_CTRL_HUM, self._ctrl_hum, _CTRL_MEAS, self._ctrl_meas | _FORCED)
        self._await_clear(_MEASURING, self._measuring_s)
        ctrl_hum, _, ctrl_meas, _, _, *data = self._read(_CTRL_HUM, 13)
        # One value of 0x80000 says "skipped" (section 5.4) only if it was to be skipped: it is
        # also the raw value of an ordinary measurement. So the settings are looked at.
        if (ctrl_hum, ctrl_meas & ~_MODE) != (self._ctrl_hum, self._ctrl_meas):
            raise OSError(f"{self._where}: the chip lost its settings: check its supply")
        if bytes(data) == _NO_DATA:
            raise OSError(f"{self._where}: the chip has not measured: check its supply")
        self._report(int.from_bytes(data))

    def _report(self, data: int) -> None:
        t_fine = self._trimming.t_fine(data >> 20 & 0xFFFFF)
        self.temperature.update(self._trimming.temperature_c(t_fine))
        self.pressure.update(self._trimming.pressure_hpa(data >> 44, t_fine))
        self.humidity.update(self._trimming.humidity_percent(data & 0xFFFF, t_fine))

    def _set_up(self) -> None:
        found = self._read(_ID, 1)[0]
        if found != _BME280_ID:
            what = ", a BMP280 (no humidity)" if found == _BMP280_ID else ""
            raise OSError(
                f"{self._where}: the chip there has id {found:#04x}{what}, a BME280 has 0x60: "
                "check the part and its address"
            )
        self._write(_RESET, _SOFT_RESET)
        self._await_clear(_UPDATING, _START_UP_S)
        self._trimming = Trimming.decode(self._read(_TRIM_1, 26), self._read(_TRIM_2, 7))

    def _await_clear(self, bit: int, each_s: float) -> None:
        """Wait until a bit of the status register is clear, asking at intervals."""
        for _ in range(_ATTEMPTS):
            self.clock.sleep(each_s)
            if not self._read(_STATUS, 1)[0] & bit:
                return
        raise TimeoutError(f"{self._where}: the chip is busy for {_ATTEMPTS * each_s:.3f} s")

    def _read(self, register: int, length: int) -> bytes:
        return self._bus.write_read(self._address, bytes([register]), length)

    def _write(self, *pairs: int) -> None:
        """Write pairs of register and value, in one transaction (section 6.2.1)."""
        self._bus.write(self._address, bytes(pairs))
