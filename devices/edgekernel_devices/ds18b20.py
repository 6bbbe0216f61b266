"""Maxim DS18B20: temperature over 1-Wire.

Figures and tables are those of the datasheet, Maxim 19-7487, revision 6 (2019).
"""

import re
from typing import ClassVar

from edgekernel import ConfigError, Device, reading
from edgekernel.hal import OneWireBus

_FAMILIES = ("28", "22")  # the DS1822 is the same with another accuracy
_PER_DEGREE = 16  # table 1
_POWER_ON = 0x0550  # 85 °C: what the temperature register holds after power-on
_BEFORE_CONVERSION = 0x0C  # byte 6 after power-on (datasheet of 2008, figure 7: "reserved (0Ch)")
_ROM = re.compile(f"({'|'.join(_FAMILIES)})-[0-9a-f]{{12}}")
_NEAR = 5.0
_CONFIGURATION, _CONFIGURATION_FIXED = 4, 0x1F  # figure 10: these bits always read 1
_ATTEMPTS = 2


def crc8(data: bytes) -> int:
    """Return the CRC of 1-Wire: x^8 + x^5 + x^4 + 1, least significant bit first, from 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc


class DS18B20Chip:
    """A simulated DS18B20 with its scratchpad.

    Set `temperature_c`, `resolution_bits` (9 to 12) and `powered`: without supply a conversion
    leaves the power-on value. `spoilt` is how many of the next answers arrive with a wrong bit.
    """

    def __init__(self, rom: str = "28-0316a2795bff") -> None:
        self.rom = rom
        self.temperature_c = 20.0
        self.resolution_bits = 12
        self.powered = True
        self.spoilt = 0
        self.power_on()

    def power_on(self) -> None:
        """Begin as after a loss of supply: no conversion is known, the resolution is (EEPROM)."""
        self._raw, self._remain = _POWER_ON, _BEFORE_CONVERSION

    def convert(self) -> float:
        """Measure; it takes as long as table 2 says at most."""
        if self.powered:
            step = 1 << 12 - self.resolution_bits
            self._raw = round(self.temperature_c * _PER_DEGREE) // step * step
            self._remain = 0x10 - (self._raw & 0x0F)  # what the chips that are sold leave there
        else:
            self.power_on()
        return 0.09375 * 2.0 ** (self.resolution_bits - 9)

    def scratchpad(self) -> bytes:
        """Return the scratchpad (figure 9), with alarms as they are delivered."""
        configuration = self.resolution_bits - 9 << 5 | _CONFIGURATION_FIXED
        raw = (self._raw & 0xFFFF).to_bytes(2, "little")
        content = raw + bytes([0x4B, 0x46, configuration, 0xFF, self._remain, 0x10])
        crc = crc8(content)
        if self.spoilt > 0:
            self.spoilt -= 1
            crc ^= 0x01
        return content + bytes([crc])


class DS18B20(Device):
    """Maxim DS18B20 and DS1822: temperature from -55 to 125 °C, many on one wire.

    Wiring: VDD to 3.3 V, GND, DQ to the bus (GPIO4 on a Raspberry Pi) with one pull-up of 4.7 kΩ
    to 3.3 V for all.

    `bus` is the 1-Wire bus, `rom` the ROM code of the chip as Linux writes it, such as
    "28-0316a2795bff"; without one it is the only temperature chip on the bus.

    It is measured every 5 s unless told otherwise. That takes up to 0.75 s, depending on the
    resolution (9 to 12 bits) that is set in the chip; bits that are not measured are left out.
    An answer with a wrong CRC is asked for once more, then the device is offline.

    85 °C is also what a chip says that has lost its supply and not measured. It is BAD unless
    the chip's byte 6 differs from its power-on value of 0x0C, or the last measurement was within
    5 °C of it: there are copies of the chip whose byte 6 never changes. Datasheet: 19-7487.
    """

    simulated: ClassVar[type[DS18B20Chip]] = DS18B20Chip
    every = 5.0  # a conversion holds the bus for up to 0.75 s

    families: ClassVar[tuple[str, ...]] = _FAMILIES

    temperature = reading(
        float, unit="°C", range=(-55, 125), precision=2, device_class="temperature"
    )

    def __init__(self, id: str, *, bus: OneWireBus, rom: str | None = None) -> None:
        super().__init__(id)
        if rom is not None and not _ROM.fullmatch(rom):
            raise ConfigError(
                f'rom: "{rom}" is none of a DS18B20; that is 28 (DS1822: 22), a dash and 12 '
                'hexadecimal digits in lower case, such as "28-0316a2795bff"'
            )
        self.poll_group = bus.name
        self._bus = bus
        self._wanted = rom
        self._rom = rom or ""
        self._bus_open = False
        self._last_c: float | None = None

    def connect(self) -> None:
        """Take the bus and find the chip."""
        self._bus.open()
        self._bus_open = True
        self._find()

    def disconnect(self) -> None:
        """Give the bus back."""
        self._last_c = None
        if self._bus_open:
            self._bus_open = False
            self._bus.close()

    def poll(self) -> None:
        """Measure once."""
        if not self.online:
            self._find()  # it may be another chip
        content = self._measure()
        bits = 9 + (content[_CONFIGURATION] >> 5 & 0x03)  # table 2
        step = 1 << 12 - bits
        raw = int.from_bytes(content[:2], "little", signed=True) // step * step
        celsius = raw / _PER_DEGREE
        if raw == _POWER_ON and not self._is_plausible(content):
            self.temperature.fail("85 °C is the power-on value: the chip lost its supply")
            return
        self._last_c = celsius
        self.temperature.update(celsius)

    def _is_plausible(self, content: bytes) -> bool:
        if content[6] != _BEFORE_CONVERSION:
            return True
        return self._last_c is not None and abs(self._last_c - _POWER_ON / _PER_DEGREE) <= _NEAR

    def _find(self) -> None:
        """Look which chip is meant, if none was named."""
        if self._wanted is not None:
            return
        found = [rom for rom in self._bus.search() if rom.partition("-")[0] in _FAMILIES]
        if len(found) != 1:
            what = f"several chips ({', '.join(found)}): name one as `rom`" if found else "no chip"
            raise OSError(f"{self._bus.name}: {what}; without `rom` there has to be exactly one")
        self._rom = found[0]

    def _measure(self) -> bytes:
        """Return a scratchpad that is whole."""
        content = b""
        for _ in range(_ATTEMPTS):
            content = self._bus.measure(self._rom)
            if content[_CONFIGURATION] & _CONFIGURATION_FIXED == 0:  # zeros have a right CRC, too
                raise OSError(f"{self._where}: every bit is 0: the data line is short-circuited")
            if crc8(content[:-1]) == content[-1]:
                return content
        raise OSError(f"{self._where}: wrong CRC in {content.hex(' ')}: check wiring and pull-up")

    @property
    def _where(self) -> str:
        return f"{self._bus.name}, {self._rom}"
