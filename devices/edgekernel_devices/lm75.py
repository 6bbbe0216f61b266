"""LM75 and the many parts with its registers: temperature over I²C.

Sections are those of TI's datasheets: SNIS153 (LM75B, LM75C), SBOS288 (TMP75, TMP175), SBOS397
(TMP102), SLLS648 (TMP105); and NXP's of the LM75B. Registers have 16 bits, the high byte first, but
for the configuration, which has 8.
"""

from typing import ClassVar, Literal

from edgekernel import Device, reading
from edgekernel.hal import I2CBus, I2CChip

_TEMPERATURE, _CONFIG, _HYSTERESIS, _LIMIT = range(4)  # SNIS153, "Pointer register"

# SBOS288, "Configuration register": R1 and R0 give 12 bits. The TMP102 has them always, and R1, R0
# to be read only (SBOS397). All other bits 0: converting all the time, as a comparator.
_TWELVE_BITS = 0x60

# Two conversions of the slowest: one may be under way that began with the settings of before. 12
# bits take 220 ms typically (SBOS288), a TMP102 begins one every 250 ms (SBOS397).
_SET_UP_S = 0.6

_MARK = 125 << 8  # °C: the limit of a chip that is set up; after its power came it has 80 °C


def temperature_c(register: int, bits: int) -> float:
    """Return the temperature in °C of the highest bits of the register, in two's complement; those
    below are undefined."""
    value = register >> 16 - bits
    return (value - (1 << bits) if register & 0x8000 else value) / (1 << bits - 8)


class LM75Chip:
    """A simulated chip of this family at register level, with the resolution of a TMP75.

    Set `temperature_c`. A conversion is ready for the next read.
    """

    def __init__(self) -> None:
        self.temperature_c = 20.0
        self.power_on()

    def power_on(self) -> None:
        """Begin as after a loss of supply: what it was told is forgotten."""
        self._pointer = 0
        self._config = 0
        self._limits = {_HYSTERESIS: 75 << 8, _LIMIT: 80 << 8}

    def write(self, data: bytes) -> None:
        """Set the register pointer, and the register if there is more."""
        self._pointer = data[0] & 0x03
        if self._pointer == _CONFIG and len(data) == 2:
            self._config = data[1]
        elif self._pointer in self._limits and len(data) == 3:
            self._limits[self._pointer] = int.from_bytes(data[1:]) & 0xFFF0

    def read(self, length: int) -> bytes:
        """Read the register at the pointer, which stays where it is."""
        if self._pointer == _CONFIG:
            answer = bytes([self._config])
        elif self._pointer == _TEMPERATURE:
            answer = self._temperature().to_bytes(2)
        else:
            answer = self._limits[self._pointer].to_bytes(2)
        return answer.ljust(length, b"\xff")[:length]

    def _temperature(self) -> int:
        step = 1 << 7 - (self._config >> 5 & 0x03)  # of 1/256 °C
        value = round(self.temperature_c * 256 / step) * step
        return min(max(value, -128 * 256), 128 * 256 - step) & 0xFFFF


class LM75(Device):
    """LM75, LM75A, LM75B, TMP75, TMP102, TMP105 and others with their registers: temperature.

    Wiring: supply to 3.3 V, GND, SDA, SCL with pull-ups (a breakout board has them). A2, A1 and A0
    to GND or the supply give the address 0x48 and up to 7 more; a TMP102 has one pin, for 0x48 to
    0x4B. The pin OS or ALERT is not to be used: the driver keeps a mark in its limit.

    `bus` is the I²C bus, `address` 0x48 to 0x4F. `bits` is the resolution: 12 bits, steps of
    0.0625 °C, for TMP75, TMP102, TMP105, TMP175 and TMP275; 11 bits, steps of 0.125 °C, for NXP's
    LM75A and LM75B; 9 bits, steps of 0.5 °C, for TI's LM75B and LM75C, and for a part of which
    nothing is known: every one has them.

    Readings: `temperature` from -55 to 125 °C. The chip converts all the time; a poll takes the
    latest conversion. A chip that lost its supply meanwhile says 0 °C until its first conversion:
    the driver knows by its mark, and sets the chip up anew. The chip has no identity, so another
    one at its address that takes the mark is not found out.

    Datasheets: TI SNIS153, SBOS288, SBOS397, SLLS648; NXP LM75B.
    """

    simulated: ClassVar[type[LM75Chip]] = LM75Chip

    temperature = reading(
        float, unit="°C", range=(-55, 125), precision=2, device_class="temperature"
    )

    def __init__(
        self,
        id: str,
        *,
        bus: I2CBus,
        address: Literal[0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F] = 0x48,
        bits: Literal[9, 11, 12] = 9,
    ) -> None:
        super().__init__(id)
        self.poll_group = bus.name
        self._chip = I2CChip(bus, address)
        self._bits = bits

    def connect(self) -> None:
        """Set the chip up and wait for its first conversion."""
        self._chip.open()
        self._set_up()

    def disconnect(self) -> None:
        """Give the bus back; the chip goes on converting, at some 0.1 mA."""
        self._chip.close()

    def poll(self) -> None:
        """Take the latest conversion."""
        if not self.online:
            self._set_up()
        temperature = self._word(_TEMPERATURE)
        self._check_mark()  # afterwards: until then the chip has been the same
        self.temperature.update(temperature_c(temperature, self._bits))

    def _set_up(self) -> None:
        self._chip.write(_CONFIG, _TWELVE_BITS if self._bits == 12 else 0)
        self._chip.write(_LIMIT, *_MARK.to_bytes(2))
        self.clock.sleep(_SET_UP_S)
        self._check_mark()

    def _check_mark(self) -> None:
        if self._word(_LIMIT) & 0xFF80 != _MARK:  # bits 0 to 6 are undefined in a part of 9 bits
            raise OSError(
                f"{self._chip.where}: the chip has not kept its settings: check its supply, and "
                "whether an LM75 is at this address"
            )

    def _word(self, register: int) -> int:
        return int.from_bytes(self._chip.read_from(register, 2))
