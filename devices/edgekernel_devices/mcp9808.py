"""Microchip MCP9808: temperature over I²C.

Sections and tables are those of the datasheet DS20005095 as Microchip has it online. Registers
have 16 bits, the high byte first, but for the resolution.
"""

from typing import ClassVar, Literal

from edgekernel import Device, reading
from edgekernel.hal import I2CBus, I2CChip

_CONFIG, _UPPER, _LOWER, _CRITICAL = 0x01, 0x02, 0x03, 0x04  # section 5.1
_AMBIENT, _MAKER, _DEVICE, _RESOLUTION = 0x05, 0x06, 0x07, 0x08

_MAKER_ID, _DEVICE_ID = 0x0054, 0x04  # sections 5.5 and 5.6; the low byte is the revision
_AT_CRITICAL, _ABOVE_UPPER, _BELOW_LOWER, _SIGN = 0x8000, 0x4000, 0x2000, 0x1000  # section 5.4
_SIXTEENTHS = 0x0FFF

_RESOLUTIONS = {30: 0, 65: 1, 130: 2, 250: 3}  # by the conversion time in ms, tables 5-8 and 5-9
_POWER_ON_MS = 250  # the conversion time of a chip that nobody set up, table 5-9
_MARGIN = 1.2  # those times are typical ones

_MARK = 125 << 4  # °C in sixteenths: the critical limit of a chip that is set up


def temperature_c(register: int) -> float:
    """Return the temperature in °C of the ambient register: its flags say nothing about it.

    In two's complement, by the register's description (table 5-5): equation 5-1 has the sign of
    negative temperatures the wrong way round.
    """
    value = register & _SIXTEENTHS
    return (value - 4096 if register & _SIGN else value) / 16


class MCP9808Chip:
    """A simulated MCP9808 at register level.

    Set `temperature_c`. A conversion is ready for the next read.
    """

    def __init__(self) -> None:
        self.temperature_c = 20.0
        self.power_on()

    def power_on(self) -> None:
        """Begin as after a loss of supply: what it was told is forgotten."""
        self._pointer = 0
        self._registers = {
            **dict.fromkeys((_CONFIG, _UPPER, _LOWER, _CRITICAL), 0),
            _MAKER: _MAKER_ID,
            _DEVICE: _DEVICE_ID << 8,
            _RESOLUTION: 3,
        }

    def write(self, data: bytes) -> None:
        """Set the register pointer, and the register if there is more."""
        self._pointer = data[0] & 0x0F
        if self._pointer in (_CONFIG, _UPPER, _LOWER, _CRITICAL) and len(data) == 3:
            self._registers[self._pointer] = int.from_bytes(data[1:])
        elif self._pointer == _RESOLUTION and len(data) == 2:
            self._registers[_RESOLUTION] = data[1] & 0x03

    def read(self, length: int) -> bytes:
        """Read the register at the pointer, which stays where it is."""
        if self._pointer == _RESOLUTION:
            answer = bytes([self._registers[_RESOLUTION]])
        elif self._pointer == _AMBIENT:
            answer = self._ambient().to_bytes(2)
        else:
            answer = self._registers.get(self._pointer, 0).to_bytes(2)
        return answer.ljust(length, b"\xff")[:length]

    def _ambient(self) -> int:
        step = 8 >> self._registers[_RESOLUTION]  # in sixteenths
        value = min(max(round(self.temperature_c * 16 / step) * step, -4096), 4095)
        flags = (
            (value >= self._limit(_CRITICAL)) * _AT_CRITICAL
            | (value > self._limit(_UPPER)) * _ABOVE_UPPER
            | (value < self._limit(_LOWER)) * _BELOW_LOWER
        )
        return flags | value & (_SIGN | _SIXTEENTHS)

    def _limit(self, register: int) -> int:
        value = self._registers[register]
        return (value & _SIXTEENTHS) - (4096 if value & _SIGN else 0)


class MCP9808(Device):
    """Microchip MCP9808: temperature, to 0.25 °C typically.

    Wiring: VDD to 3.3 V, GND, SDA, SCL with pull-ups (a breakout board has them); A2, A1 and A0
    to GND or VDD give the address 0x18 and up to 7 more. The Alert pin is not used.

    `bus` is the I²C bus, `address` 0x18 to 0x1F. `conversion_ms` is how long a conversion takes:
    30, 65, 130 or 250 ms, with steps of 0.5, 0.25, 0.125 or 0.0625 °C.

    Readings: `temperature` from -40 to 125 °C. The chip converts all the time; a poll takes the
    latest conversion. A chip that lost its supply meanwhile says 0 °C until its first conversion:
    the driver knows by a mark that it leaves in the critical limit, and sets the chip up anew.

    Datasheet: DS20005095.
    """

    simulated: ClassVar[type[MCP9808Chip]] = MCP9808Chip

    temperature = reading(
        float, unit="°C", range=(-40, 125), precision=2, device_class="temperature"
    )

    def __init__(
        self,
        id: str,
        *,
        bus: I2CBus,
        address: Literal[0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F] = 0x18,
        conversion_ms: Literal[30, 65, 130, 250] = 250,
    ) -> None:
        super().__init__(id)
        self.poll_group = bus.name
        self._chip = I2CChip(bus, address)
        self._conversion_ms = conversion_ms

    @staticmethod
    def identify(bus: I2CBus, address: int) -> bool:
        """Say whether the chip at an address says that it is an MCP9808; changes nothing."""
        maker = int.from_bytes(bus.write_read(address, bytes([_MAKER]), 2))
        return maker == _MAKER_ID

    def connect(self) -> None:
        """Check that it is an MCP9808, set it up and wait for its first conversion."""
        self._chip.open()
        self._set_up()

    def disconnect(self) -> None:
        """Give the bus back; the chip goes on converting, at 0.2 mA."""
        self._chip.close()

    def poll(self) -> None:
        """Take the latest conversion."""
        if not self.online:
            self._set_up()
        ambient = self._word(_AMBIENT)
        if self._word(_CRITICAL) != _MARK:  # looked at last: until then the chip has been the same
            raise OSError(f"{self._chip.where}: the chip lost its settings: check its supply")
        self.temperature.update(temperature_c(ambient))

    def _set_up(self) -> None:
        maker, device = self._word(_MAKER), self._word(_DEVICE) >> 8
        if (maker, device) != (_MAKER_ID, _DEVICE_ID):
            raise OSError(
                f"{self._chip.where}: the chip there has the ids {maker:#06x} and {device:#04x}, "
                f"an MCP9808 has {_MAKER_ID:#06x} and {_DEVICE_ID:#04x}: check the part and its "
                "address"
            )
        self._chip.write(_CONFIG, 0, 0)  # converting, limits not locked, no Alert (table 5-2)
        self._chip.write(_RESOLUTION, _RESOLUTIONS[self._conversion_ms])
        self._chip.write(_CRITICAL, *_MARK.to_bytes(2))
        # A conversion may be under way that began with the resolution of before.
        self.clock.sleep(_MARGIN * (_POWER_ON_MS + self._conversion_ms) / 1000)

    def _word(self, register: int) -> int:
        return int.from_bytes(self._chip.read_from(register, 2))
