"""Texas Instruments ADS1115: four voltages over I²C, with 16 bits.

Sections and tables are those of the datasheet SBAS444E (December 2024). Registers have 16 bits,
the high byte first.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from annotated_types import Gt, MinLen

from edgekernel import Device, InvalidValueError, Reading, reading
from edgekernel.hal import I2CBus, I2CChip

_CONVERSION, _CONFIG = 0, 1  # section 8.1
_RESET = {_CONVERSION: 0x0000, _CONFIG: 0x8583, 2: 0x8000, 3: 0x7FFF}
_START = _READY = 0x8000  # the OS bit, section 8.1.3
_SINGLE_SHOT, _NO_COMPARATOR = 0x0100, 0x0003
_MUX = {"a01": 0, "a03": 1, "a13": 2, "a23": 3, "a0": 4, "a1": 5, "a2": 6, "a3": 7}
_PGA = {6144: 0, 4096: 1, 2048: 2, 1024: 3, 512: 4, 256: 5}  # by the full scale in mV
_RATES = {8: 0, 16: 1, 32: 2, 64: 3, 128: 4, 250: 5, 475: 6, 860: 7}  # by samples per second

_HIGHEST, _LOWEST = 0x7FFF, -0x8000  # where the output clips, section 7.5.4
_RATE_TOLERANCE, _WAKE_UP_S = 0.1, 50e-6  # sections 5.5 and 7.4.2.1 (25 µs), with a margin
_ATTEMPTS = 10

_Input = Literal["a0", "a1", "a2", "a3", "a01", "a03", "a13", "a23"]
_SINGLE_ENDED: tuple[_Input, ...] = ("a0", "a1", "a2", "a3")


def volts(code: int, full_scale_mv: int) -> float:
    """Return the voltage of a conversion register (table 7-1 and section 7.5.4)."""
    return _signed(code) * full_scale_mv / 1000 / 2**15


def _signed(code: int) -> int:
    return code - 0x10000 if code & 0x8000 else code


class ADS1115Chip:
    """A simulated ADS1115 at register level, with single-shot and continuous conversions.

    Set `a0_v` to `a3_v`, the voltages at its inputs. A conversion is busy to the first look.
    """

    def __init__(self) -> None:
        self.a0_v = 0.0
        self.a1_v = 0.5
        self.a2_v = 1.0
        self.a3_v = 1.5
        self.power_on()

    def power_on(self) -> None:
        """Begin as after a loss of supply (section 7.4.1)."""
        self._pointer = 0
        self._busy = False
        self._registers = dict(_RESET)

    def write(self, data: bytes) -> None:
        """Set the address pointer, and the register if there is more."""
        self._pointer = data[0] & 3
        if len(data) < 3 or self._pointer == _CONVERSION:
            return
        word = int.from_bytes(data[1:3])
        if self._pointer == _CONFIG:
            self._busy = bool(word & _START and word & _SINGLE_SHOT)
            word |= _READY
        self._registers[self._pointer] = word
        if self._busy:
            self._convert()

    def read(self, length: int) -> bytes:
        """Read the register at the pointer, which stays where it is."""
        if not self._registers[_CONFIG] & _SINGLE_SHOT:
            self._convert()
        word = self._registers[self._pointer]
        if self._pointer == _CONFIG and self._busy:
            word &= ~_READY
            self._busy = False
        return word.to_bytes(2).ljust(length, b"\xff")[:length]

    def _convert(self) -> None:
        config = self._registers[_CONFIG]
        inputs = (self.a0_v, self.a1_v, self.a2_v, self.a3_v)
        mux = config >> 12 & 7
        plus, minus = ((0, 1), (0, 3), (1, 3), (2, 3))[mux] if mux < 4 else (mux - 4, None)
        voltage = inputs[plus] - (0.0 if minus is None else inputs[minus])
        full_scale_mv = (6144, 4096, 2048, 1024, 512, 256, 256, 256)[config >> 9 & 7]
        code = round(voltage * 2**15 * 1000 / full_scale_mv)
        self._registers[_CONVERSION] = min(max(code, _LOWEST), _HIGHEST) & 0xFFFF


class ADS1115(Device):
    """Texas Instruments ADS1115: four voltages, or differences of them, with 16 bits.

    Wiring: VDD to 3.3 V, GND, SDA, SCL with pull-ups (a breakout board has them); ADDR to GND
    gives address 0x48, to VDD 0x49, to SDA 0x4A, to SCL 0x4B. No input may be below GND or above
    VDD, whatever `full_scale` says: higher voltages need a divider. ALERT is not used.

    `bus` is the I²C bus, `address` 0x48 to 0x4B. `measure` are the readings that there are to be:
    "a0" to "a3" against ground (all four by default), "a01", "a03", "a13" and "a23" the first input
    against the second. `full_scale` in mV (6144, 4096, 2048, 1024, 512 or 256) is the greatest
    voltage at an input, either way; a step is 1/32768 of it. `rate` (8, 16, 32, 64, 128, 250, 475
    or 860 samples per second) trades noise for time: at 128 each reading takes 9 ms. `divider` says
    by which number the voltage of a reading was divided before the input: { a0 = 11 } for 10
    kilohm above 1 kilohm.

    Readings in V, before the divider. One at the end of the full scale is BAD with the reason
    "saturated". Each poll makes one conversion of each in single-shot mode; between polls the
    chip sleeps.

    Datasheet: SBAS444E.
    """

    simulated: ClassVar[type[ADS1115Chip]] = ADS1115Chip

    a0 = reading(float, unit="V", precision=4, device_class="voltage")
    a1 = reading(float, unit="V", precision=4, device_class="voltage")
    a2 = reading(float, unit="V", precision=4, device_class="voltage")
    a3 = reading(float, unit="V", precision=4, device_class="voltage")
    a01 = reading(float, unit="V", precision=4, device_class="voltage")
    a03 = reading(float, unit="V", precision=4, device_class="voltage")
    a13 = reading(float, unit="V", precision=4, device_class="voltage")
    a23 = reading(float, unit="V", precision=4, device_class="voltage")

    def __init__(
        self,
        id: str,
        *,
        bus: I2CBus,
        address: Literal[0x48, 0x49, 0x4A, 0x4B] = 0x48,
        measure: Annotated[Sequence[_Input], MinLen(1)] = _SINGLE_ENDED,
        full_scale: Literal[6144, 4096, 2048, 1024, 512, 256] = 4096,
        rate: Literal[8, 16, 32, 64, 128, 250, 475, 860] = 128,
        divider: Mapping[_Input, Annotated[float, Gt(0)]] | None = None,
    ) -> None:
        super().__init__(id)
        self.poll_group = bus.name
        self._chip = I2CChip(bus, address)
        self._measure = tuple(dict.fromkeys(measure))
        self._full_scale_mv = full_scale
        self._config = _PGA[full_scale] << 9 | _SINGLE_SHOT | _RATES[rate] << 5 | _NO_COMPARATOR
        self._measuring_s = (1 + _RATE_TOLERANCE) / rate + _WAKE_UP_S
        self._divider = dict(divider or {})
        for name in self._divider:
            if name not in self._measure:
                raise InvalidValueError(
                    f"divider: {name} is not among the readings: {', '.join(self._measure)}"
                )

    @property
    def readings(self) -> dict[str, Reading[bool] | Reading[int] | Reading[float] | Reading[str]]:
        """The readings by name, without those that are not measured."""
        named = super().readings.items()
        return {name: each for name, each in named if name not in _MUX or name in self._measure}

    def connect(self) -> None:
        """Check that the chip there takes its settings."""
        self._chip.open()
        self._set_up()

    def disconnect(self) -> None:
        """Give the bus back; the chip sleeps."""
        self._chip.close()

    def poll(self) -> None:
        """Convert each input once."""
        if not self.online:
            self._set_up()
        for name in self._measure:
            self._report(getattr(self, name), name, self._convert(_MUX[name] << 12))

    def _report(self, to: Reading[float], name: _Input, code: int) -> None:
        divider = self._divider.get(name, 1.0)
        if _signed(code) in (_LOWEST, _HIGHEST):
            limit = self._full_scale_mv / 1000 * divider * (1 if _signed(code) > 0 else -1)
            to.fail(f"saturated: {limit:g} V or {'more' if limit > 0 else 'less'}")
        else:
            to.update(volts(code, self._full_scale_mv) * divider)

    def _convert(self, mux: int) -> int:
        config = mux | self._config
        self._write(_CONFIG, _START | config)
        self.clock.sleep(self._measuring_s)
        self._await_ready()
        code = self._read(_CONVERSION)
        if self._read(_CONFIG) & ~_READY != config:  # looked at last: it was the same chip so far
            raise OSError(f"{self._chip.where}: the chip lost its settings: check its supply")
        return code

    def _await_ready(self) -> None:
        for _ in range(_ATTEMPTS):
            if self._read(_CONFIG) & _READY:
                return
            self.clock.sleep(self._measuring_s / _ATTEMPTS)
        raise TimeoutError(
            f"{self._chip.where}: no conversion within {2 * self._measuring_s:.3f} s"
        )

    def _set_up(self) -> None:
        self._write(_CONFIG, self._config)  # without a start
        found = self._read(_CONFIG)
        if found != self._config | _READY:
            raise OSError(
                f"{self._chip.where}: the chip there has {found:#06x} in register 1 and not the "
                f"{self._config | _READY:#06x} of an ADS1115: check the part and its address"
            )

    def _read(self, register: int) -> int:
        return int.from_bytes(self._chip.read_from(register, 2))

    def _write(self, register: int, word: int) -> None:
        self._chip.write(register, *word.to_bytes(2))
