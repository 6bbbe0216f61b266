"""Vishay VEML7700: illuminance over I²C.

"Datasheet" is Vishay's document 84286, "application note" its document 84323, "Designing the
VEML7700 Into an Application". Registers have 16 bits, the low byte first.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from edgekernel import Device, reading
from edgekernel.hal import I2CBus, I2CChip

_CONFIG, _POWER_SAVING, _ALS = 0x00, 0x03, 0x04  # datasheet, command register format
_SHUT_DOWN = 0x0001  # bits of the configuration, datasheet, table 1
_PERSISTENCE = 0x0010  # says something to interrupts only, and tells every setting from 0x0000
_GAINS = {1: 0b00, 2: 0b01, 1 / 8: 0b10, 1 / 4: 0b11}  # bits 12 and 11
_INTEGRATION_MS = {25: 0xC, 50: 0x8, 100: 0x0, 200: 0x1, 400: 0x2, 800: 0x3}  # bits 9 to 6

_FINEST_LUX = 0.0042  # one count at gain 2 and 800 ms, datasheet, table of resolutions
_FULL_SCALE = 0xFFFF
_FEW, _MANY = 100, 10_000  # counts that ask for another range, application note, figure 24
_HIGH_GAIN_LUX = 100  # gains 1 and 2 are for less, application note
_CORRECTION = (6.0135e-13, -9.3924e-9, 8.1488e-5, 1.0023, 0.0)  # application note

_START_UP_S = 0.0025  # datasheet, power on after shut down


@dataclass(frozen=True, slots=True)
class Range:
    """A gain and an integration time, which together say what one count means."""

    gain: float
    integration_ms: int

    @property
    def config(self) -> int:
        """The value of the configuration register."""
        bits = _GAINS[self.gain] << 11 | _INTEGRATION_MS[self.integration_ms] << 6
        return bits | _PERSISTENCE

    @property
    def lux_per_count(self) -> float:
        """What one count means before the correction: twice as much for half the gain or time."""
        return _FINEST_LUX * (2 / self.gain) * (800 / self.integration_ms)

    @property
    def is_linear(self) -> bool:
        """Whether it is one for little light, in which counts need no correction."""
        return self.gain >= 1

    @property
    def most_counts(self) -> float:
        """Up to how many counts it is the right range."""
        return min(_MANY, _HIGH_GAIN_LUX / self.lux_per_count) if self.is_linear else _MANY

    def lux(self, counts: int) -> float:
        """Return the illuminance, corrected at the gains 1/4 and 1/8."""
        lux = counts * self.lux_per_count
        return lux if self.is_linear else corrected(lux)

    def fitting(self, counts: int) -> "Range":
        """Return the range to measure in after `counts` in this one, which may be this one."""
        if counts == _FULL_SCALE:
            return RANGES[0]
        if _FEW < counts <= self.most_counts:
            return self
        lux = counts * self.lux_per_count
        fits = (
            each for each in reversed(RANGES) if 2 * lux <= each.most_counts * each.lux_per_count
        )
        return next(fits, RANGES[0])


# From the least to the most sensitive, in the order of the application note's figure 24.
RANGES = tuple(
    Range(gain, integration_ms)
    for gain, integration_ms in (
        *((1 / 8, 25), (1 / 8, 50), (1 / 8, 100), (1 / 4, 100)),
        *((1, 100), (2, 100), (2, 200), (2, 400), (2, 800)),
    )
)
_FIRST = Range(1 / 8, 100)


def corrected(lux: float) -> float:
    """Return what an illuminance measured at the gains 1/4 and 1/8 really is."""
    result = 0.0
    for coefficient in _CORRECTION:
        result = result * lux + coefficient
    return result


class VEML7700Chip:
    """A simulated VEML7700 at register level.

    Set `illuminance_lx`. A measurement with the present settings is ready for the next read.
    """

    def __init__(self) -> None:
        self.illuminance_lx = 200.0
        self.power_on()

    def power_on(self) -> None:
        """Begin as after a loss of supply: what it was told is forgotten."""
        self._pointer = 0
        self._registers = [_SHUT_DOWN, 0, 0, 0, 0, 0, 0, 0xC481]  # datasheet, table of registers

    def write(self, data: bytes) -> None:
        """Set the register pointer, and the register if there is more and it can be written."""
        self._pointer = data[0] & 0x07
        if len(data) == 3 and self._pointer < _ALS:
            self._registers[self._pointer] = int.from_bytes(data[1:], "little")

    def read(self, length: int) -> bytes:
        """Read the register at the pointer."""
        if not self._registers[_CONFIG] & _SHUT_DOWN:
            self._registers[_ALS] = self._counts(self._registers[_CONFIG])
        answer = self._registers[self._pointer].to_bytes(2, "little")
        return answer.ljust(length, b"\xff")[:length]

    def _counts(self, config: int) -> int:
        gain = next(gain for gain, bits in _GAINS.items() if bits == config >> 11 & 0x3)
        time = next(ms for ms, bits in _INTEGRATION_MS.items() if bits == config >> 6 & 0xF)
        range = Range(gain, time)
        lux = self.illuminance_lx if range.is_linear else _uncorrected(self.illuminance_lx)
        return min(max(round(lux / range.lux_per_count), 0), _FULL_SCALE)


def _uncorrected(lux: float) -> float:
    """Return the illuminance whose correction is `lux`, by halving."""
    low, high = 0.0, lux
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if corrected(middle) < lux else (low, middle)
    return high


class VEML7700(Device):
    """Vishay VEML7700: illuminance, from moonlight to sunlight.

    Wiring: VDD to 3.3 V, GND, SDA, SCL with pull-ups (a breakout board has them). The address is
    0x10; two of them need two buses.

    `bus` is the I²C bus, `address` 0x10.

    Readings: `illuminance` from 0 to 140,000 lx. The chip measures all the time; a poll takes the
    latest measurement. Gain and integration time follow the light: if a measurement lies outside
    of its range, another range is chosen and its measurement taken as soon as there is one (0.2 s
    by day, up to 1.6 s in the dark); until then the reading keeps its last value. More light than
    the chip can measure is BAD.

    A chip that was unplugged or lost its settings is set up anew. Datasheet: Vishay 84286.
    """

    simulated: ClassVar[type[VEML7700Chip]] = VEML7700Chip

    illuminance = reading(
        float, unit="lx", range=(0, 140_000), precision=2, device_class="illuminance"
    )

    def __init__(self, id: str, *, bus: I2CBus, address: Literal[0x10] = 0x10) -> None:
        super().__init__(id)
        self.poll_group = bus.name
        self._chip = I2CChip(bus, address)

    def connect(self) -> None:
        """Set the chip up and check that it keeps its settings."""
        self._chip.open()
        self._set_up()

    def disconnect(self) -> None:
        """Give the bus back; the chip goes on measuring, at 45 µA."""
        self._chip.close()

    def poll(self) -> None:
        """Take the latest measurement, unless the range was changed too short a time ago."""
        if not self.online:
            self._set_up()
            self.illuminance.fail("no measurement yet since the chip was set up")
        if self.clock.monotonic_ns() < self._settled_ns:
            self.poll_at(self._settled_ns)
            return
        counts = self._word(_ALS)
        self._check_settings()  # behind the data: until then the chip has been the same
        self._take(counts)

    def _take(self, counts: int) -> None:
        if counts <= self._range.most_counts or (
            counts < _FULL_SCALE and not self._range.is_linear
        ):
            self.illuminance.update(self._range.lux(counts))
        elif self._range == RANGES[0]:
            self.illuminance.fail("saturated: more light than the chip can measure")
        fitting = self._range.fitting(counts)
        if fitting != self._range:
            self._change_to(fitting)
            self.poll_at(self._settled_ns)

    def _set_up(self) -> None:
        self._chip.write(_POWER_SAVING, 0, 0)
        self._change_to(_FIRST)
        self._check_settings()

    def _change_to(self, range: Range) -> None:
        self._range = range
        for config in (range.config | _SHUT_DOWN, range.config):
            self._chip.write(_CONFIG, *config.to_bytes(2, "little"))
        # Twice the integration time: one may be under way, and nothing says when it is done.
        settle_s = _START_UP_S + 2 * range.integration_ms / 1000
        self._settled_ns = self.clock.monotonic_ns() + round(settle_s * 1e9)

    def _check_settings(self) -> None:
        found = self._word(_CONFIG)
        if found != self._range.config:
            raise OSError(
                f"{self._chip.where}: the chip has the configuration {found:#06x} instead of "
                f"{self._range.config:#06x}: check its supply, and that it is a VEML7700"
            )

    def _word(self, register: int) -> int:
        return int.from_bytes(self._chip.read_from(register, 2), "little")
