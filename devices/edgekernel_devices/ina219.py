"""Texas Instruments INA219: voltage, current and power over I²C.

Sections, tables and equations are those of the datasheet SBOS448G (December 2015). Registers have
16 bits, the high byte first.
"""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Interval, Le

from edgekernel import Device, InvalidValueError, Reading, reading
from edgekernel.hal import I2CBus, I2CChip

_CONFIG, _SHUNT, _BUS, _POWER, _CURRENT, _CALIBRATION = range(6)  # table 2
_RESET_CONFIG = 0x399F  # section 8.6.2.1
_RESET, _BUS_32V, _TRIGGERED, _MODE = 0x8000, 0x2000, 0x0003, 0x0007
_READY, _OVERFLOW = 0x0002, 0x0001  # of the bus voltage register, section 8.6.3.2
_UNUSED_BIT = 0xFFFE  # bit 0 of the calibration register is always 0, section 8.6.4.1

_SHUNT_LSB_V, _BUS_LSB_V = 10e-6, 4e-3  # sections 8.6.3.1 and 8.6.3.2
_SHUNT_RANGES_V = (0.04, 0.08, 0.16, 0.32)  # by the PG bits, table 4
_SCALE = 0.04096  # equation 1
_SAMPLES = {1: 0x3, 2: 0x9, 4: 0xA, 8: 0xB, 16: 0xC, 32: 0xD, 64: 0xE, 128: 0xF}  # table 5
_CONVERSION_S = 586e-6  # of 12 bits at most, section 7.5
_ATTEMPTS = 10


def calibration(current_lsb_a: float, shunt_ohm: float) -> int:
    """Return the calibration register for a step of the current in A (equation 1)."""
    exact = _SCALE / (current_lsb_a * shunt_ohm)
    return int(exact + 1e-9) & _UNUSED_BIT  # truncated, but not for what floats are off


def current_lsb_a(calibration: int, shunt_ohm: float) -> float:
    """Return the step of the current register in A that a calibration register gives."""
    return _SCALE / (calibration * shunt_ohm)


def _signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word


class INA219Chip:
    """A simulated INA219 at register level, with triggered and continuous conversions.

    Set `voltage_v` (of the load, at IN- against ground), `current_a` and, if it is another one
    than on most boards, `shunt_ohm`. A conversion is ready for the next read.
    """

    def __init__(self) -> None:
        self.voltage_v = 5.0
        self.current_a = 0.1
        self.shunt_ohm = 0.1
        self.power_on()

    def power_on(self) -> None:
        """Begin as after a loss of supply or a reset (table 2)."""
        self._pointer = 0
        self._registers = dict.fromkeys(range(6), 0) | {_CONFIG: _RESET_CONFIG}

    def write(self, data: bytes) -> None:
        """Set the register pointer, and the register if there is more."""
        self._pointer = data[0]
        if len(data) < 3:
            return
        word = int.from_bytes(data[1:3])
        if self._pointer == _CONFIG and word & _RESET:
            self.power_on()
        elif self._pointer == _CONFIG:
            self._registers[_CONFIG] = word
            self._registers[_BUS] &= ~_READY
            if word & _MODE in (1, 2, 3):
                self._convert(word & _MODE)
        elif self._pointer == _CALIBRATION:
            self._registers[_CALIBRATION] = word & _UNUSED_BIT
            self._calculate()

    def read(self, length: int) -> bytes:
        """Read the register at the pointer, which stays where it is."""
        mode = self._registers[_CONFIG] & _MODE
        if mode > 4:
            self._convert(mode - 4)
        word = self._registers.get(self._pointer, 0)
        if self._pointer == _POWER:
            self._registers[_BUS] &= ~_READY
        return word.to_bytes(2).ljust(length, b"\xff")[:length]

    def _convert(self, what: int) -> None:
        """Convert the shunt voltage (bit 0), the bus voltage (bit 1) or both."""
        config = self._registers[_CONFIG]
        if what & 1:
            limit = round(_SHUNT_RANGES_V[config >> 11 & 3] / _SHUNT_LSB_V)
            counts = round(self.current_a * self.shunt_ohm / _SHUNT_LSB_V)
            self._registers[_SHUNT] = min(max(counts, -limit), limit) & 0xFFFF  # table 7
        if what & 2:
            limit = round((32 if config & _BUS_32V else 16) / _BUS_LSB_V)
            counts = min(max(round(self.voltage_v / _BUS_LSB_V), 0), limit)
            self._registers[_BUS] = counts << 3 | _READY
        self._registers[_BUS] |= _READY
        self._calculate()

    def _calculate(self) -> None:
        """Calculate current and power (equations 4 and 5), and whether they fit."""
        registers = self._registers
        current = int(_signed(registers[_SHUNT]) * registers[_CALIBRATION] / 4096)
        power = abs(current) * (registers[_BUS] >> 3) // 5000
        overflow = not -0x8000 <= current <= 0x7FFF or power > 0xFFFF
        registers[_CURRENT], registers[_POWER] = current & 0xFFFF, power & 0xFFFF
        registers[_BUS] = registers[_BUS] & ~_OVERFLOW | overflow


class INA219(Device):
    """Texas Instruments INA219: voltage, current and power of a load.

    Wiring: VS to 3.3 V, GND to the load's ground, SDA, SCL with pull-ups (a breakout board has
    them). The load's supply (up to 26 V) goes to IN+ and comes from IN-, through the shunt that
    lies between them. A1 and A0 give the address 0x40 and up to 15 more.

    `bus` is the I²C bus, `address` 0x40 to 0x4F. `shunt` is the resistance of the shunt in ohm:
    0.1 on most boards (printed R100), from 0.0001 to 100. `max_current` is the greatest current
    that is to be measured, in A, either way; its voltage at the shunt is at most 0.32 V, and the
    less it is the finer are the steps. `max_voltage` is 16 or 32 (of which the chip stands 26).
    `samples` (1 to 128, a power of two) are averaged; each takes 1.2 ms.

    Readings: `voltage` in V at the load, `current` in A and `power` in W, negative when they flow
    back. Power is the product of the two, as the chip's own has no sign. What exceeds the range
    of the chip's amplifier or arithmetic is BAD with the reason. Each poll makes one measurement;
    between polls the chip is idle. One that lost its supply, as a surge of the load can cause,
    has no calibration: the poll notices, the next one sets it anew.

    Datasheet: SBOS448G.
    """

    simulated: ClassVar[type[INA219Chip]] = INA219Chip

    voltage = reading(float, unit="V", range=(0, 26), precision=3, device_class="voltage")
    current = reading(float, unit="A", range=(-3200, 3200), precision=4, device_class="current")
    power = reading(float, unit="W", range=(-83_200, 83_200), precision=3, device_class="power")

    def __init__(
        self,
        id: str,
        *,
        bus: I2CBus,
        address: Annotated[int, Interval(ge=0x40, le=0x4F)] = 0x40,
        shunt: Annotated[float, Ge(0.0001), Le(100)] = 0.1,
        max_current: Annotated[float, Gt(0)] = 3.2,
        max_voltage: Literal[16, 32] = 32,
        samples: Literal[1, 2, 4, 8, 16, 32, 64, 128] = 1,
    ) -> None:
        super().__init__(id)
        self.poll_group = bus.name
        self._chip = I2CChip(bus, address)
        pg, self._shunt_limit = _range(max_current * shunt, max_current, shunt)
        adc = _SAMPLES[samples]
        bus_32v = _BUS_32V if max_voltage == 32 else 0
        self._config = bus_32v | pg << 11 | adc << 7 | adc << 3 | _TRIGGERED
        # Equation 2, as fine as the register goes.
        finest = max(max_current / 2**15, current_lsb_a(_UNUSED_BIT, shunt))
        self._calibration = calibration(finest, shunt)
        self._current_lsb_a = current_lsb_a(self._calibration, shunt)
        self._shunt_ohm = shunt
        self._max_voltage = max_voltage
        self._measuring_s = 2 * samples * _CONVERSION_S  # the shunt's, then the bus's, section 8.1

    def connect(self) -> None:
        """Check that it is an INA219."""
        self._chip.open()
        self._set_up()

    def disconnect(self) -> None:
        """Give the bus back; the chip is idle."""
        self._chip.close()

    def poll(self) -> None:
        """Measure once."""
        if not self.online:
            self._set_up()
        self._write(_CALIBRATION, self._calibration)
        self._write(_CONFIG, self._config)  # also triggers, section 8.6.2.1
        bus = self._await_conversion()
        shunt, current = _signed(self._read(_SHUNT)), _signed(self._read(_CURRENT))
        if (self._read(_CONFIG), self._read(_CALIBRATION)) != (self._config, self._calibration):
            raise OSError(f"{self._chip.where}: the chip lost its settings: check its supply")
        self._report(bus, shunt, current)

    def _report(self, bus: int, shunt: int, current: int) -> None:
        volts, amperes = (bus >> 3) * _BUS_LSB_V, current * self._current_lsb_a
        wrong_voltage = wrong_current = ""
        if volts >= self._max_voltage:
            wrong_voltage = f"saturated: {self._max_voltage} V or more"
        if abs(shunt) >= self._shunt_limit:
            limit = self._shunt_limit * _SHUNT_LSB_V / self._shunt_ohm
            wrong_current = f"saturated: {limit:.3g} A or more; check max_current"
        elif bus & _OVERFLOW:
            wrong_current = "overflow: more than the chip can calculate with; check max_current"
        _report(self.voltage, volts, wrong_voltage)
        _report(self.current, amperes, wrong_current)
        _report(self.power, volts * amperes, wrong_current or wrong_voltage)

    def _set_up(self) -> None:
        self._write(_CONFIG, _RESET)
        found = self._read(_CONFIG)
        if found != _RESET_CONFIG:
            raise OSError(
                f"{self._chip.where}: after a reset the chip there has {found:#06x} in register "
                f"0, an INA219 has {_RESET_CONFIG:#06x}: check the part and its address"
            )

    def _await_conversion(self) -> int:
        """Return the bus voltage register when the conversion is ready."""
        self.clock.sleep(self._measuring_s)
        for _ in range(_ATTEMPTS):
            bus = self._read(_BUS)
            if bus & _READY:
                return bus
            self.clock.sleep(self._measuring_s / _ATTEMPTS)
        raise TimeoutError(
            f"{self._chip.where}: no conversion within {2 * self._measuring_s:.3f} s"
        )

    def _read(self, register: int) -> int:
        return int.from_bytes(self._chip.read_from(register, 2))

    def _write(self, register: int, word: int) -> None:
        self._chip.write(register, *word.to_bytes(2))


def _report(to: Reading[float], value: float, wrong: str) -> None:
    if wrong:
        to.fail(wrong)
    else:
        to.update(value)


def _range(volts: float, max_current: float, shunt: float) -> tuple[int, int]:
    """Return the PG bits for a voltage at the shunt, and the counts of its end (table 4)."""
    for pg, limit in enumerate(_SHUNT_RANGES_V):
        if volts <= limit * (1 + 1e-9):
            return pg, round(limit / _SHUNT_LSB_V)
    raise InvalidValueError(
        f"max_current: {max_current:g} A at a shunt of {shunt:g} ohm are {volts:.3g} V, and the "
        f"chip measures 0.32 V: at most {0.32 / shunt:.3g} A with this shunt"
    )
