"""Sensirion SHT40, SHT41, SHT43 and SHT45: temperature and humidity over I²C.

Sections are those of the datasheet SHT4x, version 6 (February 2023).
"""

from typing import ClassVar, Literal

from edgekernel import Device, reading
from edgekernel.hal import I2CBus, I2CChip, NackError
from edgekernel_devices._crc8 import crc8

_SERIAL, _SOFT_RESET = 0x89, 0x94  # section 4.4
_MEASURE = {"high": 0xFD, "medium": 0xF6, "low": 0xE0}  # without heater, section 4.4
_MEASURING_S = {"high": 0.0083, "medium": 0.0045, "low": 0.0016}  # maxima, section 3.2
_RESET_S = 0.001  # maximum, section 3.2


def temperature_c(raw: int) -> float:
    """Return the temperature in °C of a raw value (section 4.5)."""
    return -45 + 175 * raw / 65535


def humidity_percent(raw: int) -> float:
    """Return the relative humidity in % of a raw value, cropped to 0 and 100 (section 4.5)."""
    return min(max(-6 + 125 * raw / 65535, 0.0), 100.0)


class SHT4xChip:
    """A simulated SHT4x: commands of one byte, answers of two words with a checksum each.

    Set `temperature_c` and `humidity_percent`. A measurement is ready for the next read.
    """

    SERIAL_NUMBER = 0x12345678

    def __init__(self) -> None:
        self.temperature_c = 20.0
        self.humidity_percent = 50.0
        self.power_on()

    def power_on(self) -> None:
        """Begin as after a loss of supply: no command is known."""
        self._answer = b""

    def write(self, data: bytes) -> None:
        """Take a command."""
        if data[0] in _MEASURE.values():
            temperature = (self.temperature_c + 45) * 65535 / 175
            humidity = (self.humidity_percent + 6) * 65535 / 125
            self._answer = _word(temperature) + _word(humidity)
        elif data[0] == _SERIAL:
            high, low = divmod(self.SERIAL_NUMBER, 1 << 16)
            self._answer = _word(high) + _word(low)
        elif data[0] == _SOFT_RESET:
            self.power_on()
        else:
            raise NackError(f"unknown command {data[0]:#04x}")

    def read(self, length: int) -> bytes:
        """Answer the command, once; without an answer there is no acknowledge (section 4.1)."""
        if not self._answer:
            raise NackError("nothing to read: no command came before")
        answer, self._answer = self._answer, b""
        return answer.ljust(length, b"\xff")[:length]


def _word(value: float) -> bytes:
    word = min(max(round(value), 0), 0xFFFF).to_bytes(2)
    return word + bytes([crc8(word)])


class SHT4x(Device):
    """Sensirion SHT40, SHT41, SHT43 or SHT45: temperature and relative humidity.

    Wiring: VDD to 3.3 V, GND, SDA, SCL with pull-ups (a breakout board has them). The address is
    fixed by the part number: 0x44 (…-AD1B), 0x45 (…-BD1B) or 0x46 (…-CD1B).

    `bus` is the I²C bus, `address` 0x44, 0x45 or 0x46. `repeatability` "high", "medium" or "low"
    trades noise for time: a measurement takes 8.3, 4.5 or 1.6 ms. The heater is not used.

    Readings: `temperature` from -40 to 125 °C, `humidity` from 0 to 100 % relative. Each poll
    makes one measurement; between polls the chip sleeps. An answer with a wrong checksum is no
    value: the device is offline until the next one is right.

    Datasheet: SHT4x, version 6.
    """

    simulated: ClassVar[type[SHT4xChip]] = SHT4xChip

    temperature = reading(
        float, unit="°C", range=(-40, 125), precision=2, device_class="temperature"
    )
    humidity = reading(float, unit="%", range=(0, 100), precision=1, device_class="humidity")

    def __init__(
        self,
        id: str,
        *,
        bus: I2CBus,
        address: Literal[0x44, 0x45, 0x46] = 0x44,
        repeatability: Literal["high", "medium", "low"] = "high",
    ) -> None:
        super().__init__(id)
        self.poll_group = bus.name
        self._chip = I2CChip(bus, address)
        self._command = _MEASURE[repeatability]
        self._measuring_s = _MEASURING_S[repeatability]

    def connect(self) -> None:
        """Reset the chip and check that it answers as an SHT4x does."""
        self._chip.open()
        self._set_up()

    def disconnect(self) -> None:
        """Give the bus back; the chip sleeps."""
        self._chip.close()

    def poll(self) -> None:
        """Measure once."""
        if not self.online:
            self._set_up()
        temperature, humidity = self._ask(self._command, self._measuring_s)
        self.temperature.update(temperature_c(temperature))
        self.humidity.update(humidity_percent(humidity))

    def _set_up(self) -> None:
        self._chip.write(_SOFT_RESET)
        self.clock.sleep(_RESET_S)
        self._ask(_SERIAL, _RESET_S)  # the checksums of the serial number tell an SHT4x

    def _ask(self, command: int, seconds: float) -> tuple[int, int]:
        """Return the two words that a command is answered with after a time."""
        self._chip.write(command)
        self.clock.sleep(seconds)
        answer = self._chip.read(6)
        if crc8(answer[:3]) or crc8(answer[3:]):
            raise OSError(
                f"{self._chip.where}: wrong checksum in {answer.hex(' ')}: check the wiring, and "
                "that the chip is an SHT4x"
            )
        return int.from_bytes(answer[:2]), int.from_bytes(answer[3:5])
