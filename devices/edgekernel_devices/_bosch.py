"""What the BME280 and the BMP280 of Bosch have in common: temperature, pressure, forced mode.

Sections and tables are those of the BMP280's datasheet, BST-BMP280-DS001, revision 1.23. The
BME280 has the same registers and formulas (BST-BME280-DS002, section 5.2).
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from typing import ClassVar

from edgekernel import Clock
from edgekernel.hal import I2CBus, I2CChip

TRIM, ID, RESET = 0x88, 0xD0, 0xE0  # table 18
STATUS, CTRL_MEAS, CONFIG, DATA = 0xF3, 0xF4, 0xF5, 0xF7

IDS = {0x58: "BMP280", 0x60: "BME280"}
SOFT_RESET = 0xB6
MEASURING, UPDATING = 0x08, 0x01  # bits of the status register, table 19
MODE, FORCED = 0x03, 0x01  # bits of ctrl_meas, table 10
OVERSAMPLING = {1: 1, 2: 2, 4: 3, 8: 4, 16: 5}  # tables 21 and 22
NO_DATA = bytes.fromhex("800000 800000 8000")  # the data registers after a reset, table 18

_START_UP_S = 0.002  # table 2
_ATTEMPTS = 10
_WORDS = "<HhhHhhhhhhhh"  # table 17


@dataclass(frozen=True, slots=True)
class Trimming:
    """A chip's trimming parameters (table 17) and what they make of raw values (3.11.3)."""

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

    @classmethod
    def decode(cls, registers: bytes) -> "Trimming":
        """Take the parameters from the registers from 0x88 on, 0x9F at least."""
        return cls(*struct.unpack_from(_WORDS, registers))

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


EXAMPLE = Trimming(  # section 3.12
    *(27504, 26435, -1000),
    *(36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000),
)


def part_at(bus: I2CBus, address: int) -> str | None:
    """Return which part the chip at an address says that it is; changes nothing."""
    return IDS.get(bus.write_read(address, bytes([ID]), 1)[0])


class BoschSensor(I2CChip):
    """A BME280 or BMP280 on its bus, as a driver uses it."""

    def __init__(self, bus: I2CBus, address: int, part: str) -> None:
        super().__init__(bus, address)
        self._part = part

    def reset(self, clock: Clock) -> None:
        """Check which chip it is, and reset it. Raises OSError if it is another one."""
        found = self.read_from(ID, 1)[0]
        if IDS.get(found) != self._part:
            what = f", a {IDS[found]}" if found in IDS else ""
            wanted = next(id for id, part in IDS.items() if part == self._part)
            raise OSError(
                f"{self.where}: the chip there has id {found:#04x}{what}, a {self._part} has "
                f"{wanted:#04x}: check the part and its address"
            )
        self.write(RESET, SOFT_RESET)
        self._await_clear(clock, UPDATING, _START_UP_S)

    def measure(
        self, clock: Clock, settings: Mapping[int, int], each_s: float, length: int
    ) -> bytes:
        """Measure once in forced mode; return the first `length` data registers.

        `settings` are values by register, in ascending order, that of ctrl_meas last and without
        its mode; `each_s` is how long a measurement takes at most. Raises OSError if the chip
        does not finish, or has lost its settings meanwhile.
        """
        pairs = [byte for pair in settings.items() for byte in pair]
        self.write(*pairs[:-1], pairs[-1] | FORCED)
        self._await_clear(clock, MEASURING, each_s)
        first = min(settings)
        *found, data = struct.unpack(
            f"{DATA - first}B{length}s", self.read_from(first, DATA - first + length)
        )
        found[CTRL_MEAS - first] &= ~MODE
        # One value of 0x80000 says "skipped" (table 21) only if it was to be skipped: it is
        # also the raw value of an ordinary measurement. So the settings are looked at.
        if any(found[register - first] != value for register, value in settings.items()):
            raise OSError(f"{self.where}: the chip lost its settings: check its supply")
        if data == NO_DATA[:length]:
            raise OSError(f"{self.where}: the chip has not measured: check its supply")
        return bytes(data)

    def _await_clear(self, clock: Clock, bit: int, each_s: float) -> None:
        """Wait until a bit of the status register is clear, asking at intervals."""
        for _ in range(_ATTEMPTS):
            clock.sleep(each_s)
            if not self.read_from(STATUS, 1)[0] & bit:
                return
        raise TimeoutError(f"{self.where}: the chip is busy for {_ATTEMPTS * each_s:.3f} s")


class BoschChip:
    """The simulated chip at register level, with forced mode; without humidity.

    A write starts a measurement at once; `status` says "measuring" (or "updating", after a
    reset) to the first read of it.
    """

    CHIP_ID: ClassVar[int]
    TRIMMING: ClassVar[Trimming] = EXAMPLE

    def __init__(self) -> None:
        self.temperature_c = 20.0
        self.pressure_hpa = 1013.25
        self._pointer = 0
        self.power_on()

    def power_on(self) -> None:
        """Begin as after a loss of supply: what it was told is forgotten."""
        self._registers = registers = bytearray(256)
        registers[ID] = self.CHIP_ID
        registers[STATUS] = UPDATING
        registers[TRIM : TRIM + 24] = struct.pack(_WORDS, *astuple(self.TRIMMING))
        registers[DATA : DATA + 6] = NO_DATA[:6]

    def write(self, data: bytes) -> None:
        """Set the register pointer, or write pairs of register and value (section 5.2.1)."""
        self._pointer = data[0]
        for register, value in zip(data[::2], data[1::2], strict=False):
            self._write(register, value)

    def read(self, length: int) -> bytes:
        """Read from the register pointer on, which counts up (section 5.2.2)."""
        answer = bytes(self._registers[(self._pointer + i) & 0xFF] for i in range(length))
        if STATUS in range(self._pointer, self._pointer + length):
            self._registers[STATUS] = 0
        self._pointer = (self._pointer + length) & 0xFF
        return answer

    def _write(self, register: int, value: int) -> None:
        if register == RESET and value == SOFT_RESET:
            self.power_on()
        elif register == CONFIG:
            self._registers[register] = value
        elif register == CTRL_MEAS:
            self._registers[register] = value & ~MODE  # back to sleep when measured
            if value & MODE:
                self._registers[STATUS] |= MEASURING
                self._measure(value >> 5, value >> 2 & 0x07)

    def _measure(self, temperature_setting: int, pressure_setting: int) -> None:
        t_fine = self.temperature_c * 5120
        temperature = invert(self._t_fine, t_fine, 20)
        pressure = invert(lambda raw: -self._pressure_pa(raw, t_fine), self.pressure_hpa * -100, 20)
        data = (
            _converted(pressure, pressure_setting) << 28
            | _converted(temperature, temperature_setting) << 4
        )
        self._registers[DATA : DATA + 6] = data.to_bytes(6)

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


def invert(rising: Callable[[int], float], value: float, bits: int) -> int:
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
    """Return what 16 bits, and one more with each doubling, leave of 20 (section 3.3)."""
    step = 1 << max(5 - setting, 0)
    return raw // step * step if setting else 0x80000
