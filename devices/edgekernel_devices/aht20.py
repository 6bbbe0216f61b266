"""Aosong (ASAIR) AHT20: temperature and humidity over I²C.

Sections are those of the AHT20 product manual, version 1.1.
"""

from typing import ClassVar, Literal

from edgekernel import Device, reading
from edgekernel.hal import I2CBus, I2CChip, NackError
from edgekernel_devices._crc8 import crc8

# The manual's command 0x71 is the address byte of a read: the status is what is read first.
_SOFT_RESET = b"\xba"  # section 5.5
_INITIALISE, _MEASURE = b"\xbe\x08\x00", b"\xac\x33\x00"  # section 5.4
_BUSY, _CALIBRATED = 0x80, 0x08  # bits of the status byte, section 5.3

_RESET_S, _INITIALISING_S, _MEASURING_S = 0.02, 0.01, 0.08  # sections 5.5 and 5.4
_ATTEMPTS = 10
_AGAIN_S = 0.01


def humidity_percent(raw: int) -> float:
    """Return the relative humidity in % of a raw value of 20 bits (section 6.1)."""
    return raw / (1 << 20) * 100


def temperature_c(raw: int) -> float:
    """Return the temperature in °C of a raw value of 20 bits (section 6.2)."""
    return raw / (1 << 20) * 200 - 50


class AHT20Chip:
    """A simulated AHT20: commands, and a status byte before the data.

    Set `temperature_c` and `humidity_percent`. It says "busy" to the first read after a
    measurement was started.
    """

    POWER_ON_STATUS = 0x18  # as chips leave the factory

    def __init__(self) -> None:
        self.temperature_c = 20.0
        self.humidity_percent = 50.0
        self.power_on()

    def power_on(self) -> None:
        """Begin as after a loss of supply: what it was told is forgotten."""
        self._status = self.POWER_ON_STATUS
        self._data = bytes(5)

    def write(self, data: bytes) -> None:
        """Take a command with its parameters; the AHT10's 0xE1 is not acknowledged."""
        if data == _SOFT_RESET:
            self.power_on()
        elif data == _INITIALISE:
            self._status |= _CALIBRATED
        elif data == _MEASURE:
            self._status |= _BUSY
            self._data = self._measure()
        else:
            raise NackError(f"unknown command {data.hex(' ')}")

    def read(self, length: int) -> bytes:
        """Answer status, data and checksum, or as much of it as is read."""
        answer = bytes([self._status]) + self._data
        self._status &= ~_BUSY
        return (answer + bytes([crc8(answer)])).ljust(length, b"\xff")[:length]

    def _measure(self) -> bytes:
        humidity = _raw(self.humidity_percent / 100)
        temperature = _raw((self.temperature_c + 50) / 200)
        return (humidity << 20 | temperature).to_bytes(5)


def _raw(part: float) -> int:
    return min(max(round(part * (1 << 20)), 0), (1 << 20) - 1)


class AHT20(Device):
    """Aosong AHT20 (and AHT21): temperature and relative humidity.

    Wiring: VDD to 3.3 V, GND, SDA, SCL with pull-ups (a breakout board has them). The address is
    0x38; two of them need two buses.

    `bus` is the I²C bus, `address` 0x38.

    Readings: `temperature` from -40 to 85 °C, `humidity` from 0 to 100 % relative. Each poll
    makes one measurement of 80 ms; between polls the chip sleeps. An answer with a wrong
    checksum, or of a chip that is busy or not calibrated, is no value: the device is offline
    until the next one is right.

    Datasheet: AHT20 product manual, version 1.1.
    """

    simulated: ClassVar[type[AHT20Chip]] = AHT20Chip

    temperature = reading(
        float, unit="°C", range=(-40, 85), precision=2, device_class="temperature"
    )
    humidity = reading(float, unit="%", range=(0, 100), precision=1, device_class="humidity")

    def __init__(self, id: str, *, bus: I2CBus, address: Literal[0x38] = 0x38) -> None:
        super().__init__(id)
        self.poll_group = bus.name
        self._chip = I2CChip(bus, address)

    def connect(self) -> None:
        """Reset the chip and check that it is calibrated."""
        self._chip.open()
        self._set_up()

    def disconnect(self) -> None:
        """Give the bus back; the chip sleeps."""
        self._chip.close()

    def poll(self) -> None:
        """Measure once."""
        if not self.online:
            self._set_up()
        self._chip.write(*_MEASURE)
        self.clock.sleep(_MEASURING_S)
        answer = self._measured()
        if crc8(answer):
            raise OSError(f"{self._chip.where}: wrong checksum in {answer.hex(' ')}: check wiring")
        self._check_calibrated(answer[0])
        data = int.from_bytes(answer[1:6])
        if data == 0:  # as after a reset; as a measurement it would be -50 °C
            raise OSError(f"{self._chip.where}: the chip has not measured: check its supply")
        self.temperature.update(temperature_c(data & 0xFFFFF))
        self.humidity.update(humidity_percent(data >> 20))

    def _measured(self) -> bytes:
        """Return status, data and checksum when the chip is no longer busy."""
        for _ in range(_ATTEMPTS):
            answer = self._chip.read(7)
            if not answer[0] & _BUSY:
                return answer
            self.clock.sleep(_AGAIN_S)
        busy_s = _MEASURING_S + _ATTEMPTS * _AGAIN_S
        raise TimeoutError(f"{self._chip.where}: the chip is busy for {busy_s:.2f} s")

    def _set_up(self) -> None:
        self._chip.write(*_SOFT_RESET)
        self.clock.sleep(_RESET_S)
        if not self._chip.read(1)[0] & _CALIBRATED:
            self._chip.write(*_INITIALISE)
            self.clock.sleep(_INITIALISING_S)
            self._check_calibrated(self._chip.read(1)[0])

    def _check_calibrated(self, status: int) -> None:
        if not status & _CALIBRATED:
            raise OSError(
                f"{self._chip.where}: the chip says that it is not calibrated (status "
                f"{status:#04x}): check that it is an AHT20, or replace it"
            )
