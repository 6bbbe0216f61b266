"""Maxim DS3231: a real-time clock over I²C, with a thermometer.

Sections and figures are those of the datasheet 19-5170, revision 10 (March 2015).
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal

from edgekernel import Clock, Device, InvalidValueError, Quality, command, reading
from edgekernel.hal import I2CBus, I2CChip, LineOutside

# Figure 1.
_TIME, _CONTROL, _STATUS, _TEMPERATURE, _ALL = 0x00, 0x0E, 0x0F, 0x11, 0x13
_ALWAYS_ZERO = bytes((0x80, 0x80, 0x80, 0xF8, 0xC0, 0x60))  # bits of the first registers

_OSCILLATOR_OFF, _CONVERT = 0x80, 0x20  # of the control register; off means on battery only
_STOPPED, _BUSY, _ALARMS = 0x80, 0x04, 0x03  # of the status register
_CENTURY, _MONTH = 0x80, 0x1F
_HOURS_OF_12, _PM = 0x40, 0x20

_EPOCH = 2000  # the year of a century bit of 0; the chip leaves that to its user
_CONVERSION_S = 0.2  # at most, "Electrical Characteristics"
_ATTEMPTS = 3
_RESET = bytes.fromhex("0000 0001 0101 00 00000000 000000 1C88 00 0000")


def decode_time(registers: bytes) -> datetime:
    """Return the time of the first seven registers, in 24 or 12 hours, taken for UTC.

    Raises ValueError if they hold none.
    """
    second, minute, hour, _, day, month, year = registers
    return datetime(
        _EPOCH + 100 * bool(month & _CENTURY) + _number(year),
        _number(month & _MONTH),
        _number(day),
        _hour(hour),
        _number(minute),
        _number(second),
        tzinfo=UTC,
    )


def encode_time(time: datetime) -> bytes:
    """Return the first seven registers for a time from 2000 to 2199, in 24 hours; Monday is 1."""
    time = time.astimezone(UTC)
    century, year = divmod(time.year - _EPOCH, 100)
    if century not in (0, 1):
        raise ValueError(f"{time:%Y-%m-%d} is not from 2000 to 2199")
    values = (time.second, time.minute, time.hour, time.isoweekday(), time.day, time.month, year)
    registers = bytearray(value // 10 << 4 | value % 10 for value in values)
    registers[5] |= _CENTURY * century
    return bytes(registers)


def temperature_c(registers: bytes) -> float:
    """Return the temperature of the registers 0x11 and 0x12, in steps of 0.25 °C."""
    return (int.from_bytes(registers, signed=True) >> 6) / 4


def _number(bcd: int) -> int:
    tens, ones = bcd >> 4, bcd & 0x0F
    if tens > 9 or ones > 9:
        raise ValueError(f"{bcd:#04x} is not decimal")
    return tens * 10 + ones


def _hour(register: int) -> int:
    if not register & _HOURS_OF_12:
        return _number(register)
    hour = _number(register & 0x1F)
    if not 1 <= hour <= 12:
        raise ValueError(f"{hour} is not an hour of 12")
    return hour % 12 + 12 * bool(register & _PM)


class DS3231Chip:
    """A simulated DS3231 at register level.

    Set `temperature_c` and `time` (it begins with 2026-01-01 00:00:00 UTC). The time goes on with
    the clock that `wire` is given; without one it stands.
    """

    def __init__(self) -> None:
        self.temperature_c = 25.0
        self._clock: Clock | None = None
        self._since_ns = 0
        self._pointer = 0
        self._registers = bytearray(_RESET)
        self._registers[_STATUS] &= ~_STOPPED
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def power_on(self) -> None:
        """Begin as after supply and battery were gone (figure 1 and "Status Register")."""
        self._registers = bytearray(_RESET)
        self._set(_RESET[:7])

    def wire(self, lines: Mapping[str, LineOutside], clock: Clock) -> None:
        """Let the time go on with a clock."""
        self._clock = clock
        self._since_ns = clock.monotonic_ns()

    @property
    def time(self) -> datetime:
        """What the chip's time is now."""
        return self._time + timedelta(seconds=self._passed_s())

    @time.setter
    def time(self, time: datetime) -> None:
        self._set(encode_time(time))

    @property
    def stopped(self) -> bool:
        """Whether the oscillator stop flag is set."""
        return bool(self._registers[_STATUS] & _STOPPED)

    def write(self, data: bytes) -> None:
        """Set the register pointer, then write from there on; it wraps around after 0x12."""
        self._pointer = data[0] % _ALL
        time = bytearray(self._time_registers())
        for value in data[1:]:
            if self._pointer < 7:
                time[self._pointer] = value
            else:
                self._write(self._pointer, value)
            self._pointer = (self._pointer + 1) % _ALL
        if data[1:] and data[0] < 7:
            self._set(bytes(time))

    def read(self, length: int) -> bytes:
        """Read from the register pointer on; it wraps around after 0x12."""
        temperature = min(max(round(self.temperature_c * 4), -512), 511) << 6
        self._registers[:7] = self._time_registers()
        self._registers[_TEMPERATURE:] = temperature.to_bytes(2, signed=True)
        answer = bytes(self._registers[(self._pointer + i) % _ALL] for i in range(length))
        self._pointer = (self._pointer + length) % _ALL
        return answer

    def _write(self, register: int, value: int) -> None:
        if register == _STATUS:  # flags can be cleared and not set, "Status Register"
            flags = self._registers[_STATUS] & (_STOPPED | _ALARMS)
            value = value & 0x08 | value & flags | self._registers[_STATUS] & _BUSY
        elif register == _CONTROL:
            value &= ~_CONVERT  # has been done at once
        if register < _TEMPERATURE:
            self._registers[register] = value

    def _set(self, registers: bytes) -> None:
        self._illegal = b""
        try:
            self._time = decode_time(registers)
        except ValueError:  # such dates "result in undefined operation": here they stand
            self._illegal = registers
        if self._clock is not None:
            self._since_ns = self._clock.monotonic_ns()

    def _time_registers(self) -> bytes:
        return self._illegal or encode_time(self.time)

    def _passed_s(self) -> int:
        now_ns = self._since_ns if self._clock is None else self._clock.monotonic_ns()
        return (now_ns - self._since_ns) // 1_000_000_000


class DS3231(Device):
    """Maxim DS3231 (also DS3231M, DS3232): a real-time clock that keeps time without the node.

    Wiring: VCC to 3.3 V, GND, SDA, SCL with pull-ups (a breakout board has them), a battery at
    VBAT. Boards that charge the battery want a rechargeable one. If Linux uses the chip itself
    (`dtoverlay=i2c-rtc`) it holds the address: then this driver cannot have it.

    `bus` is the I²C bus; the address is 0x68.

    Readings: `time` in UTC as text, such as "2026-01-01T00:00:00Z", to the second, from 2000 to
    2199 (the chip takes 2100 for a leap year); `temperature` of the chip from -40 to 85 °C in
    steps of 0.25, renewed by it every 64 s. If the oscillator was stopped since the time was set
    (a flat battery, a new chip) `time` is BAD and says so, until it is set.

    Command `set_time` sets it, to the node's own time or another.

    Datasheet: 19-5170, revision 10.
    """

    simulated: ClassVar[type[DS3231Chip]] = DS3231Chip

    every = 10.0

    time = reading(str, device_class="timestamp")
    temperature = reading(
        float, unit="°C", range=(-40, 85), precision=2, device_class="temperature"
    )

    def __init__(self, id: str, *, bus: I2CBus, address: Literal[0x68] = 0x68) -> None:
        super().__init__(id)
        self.poll_group = bus.name
        self._chip = I2CChip(bus, address)

    def connect(self) -> None:
        """Check that it looks like a DS3231, and wait for a temperature."""
        self._chip.open()
        self._set_up()

    def disconnect(self) -> None:
        """Give the bus back; the time goes on."""
        self._chip.close()

    def poll(self) -> None:
        """Read time and temperature."""
        if not self.online:
            self._set_up()
        registers = self._registers()
        self.temperature.update(temperature_c(registers[_TEMPERATURE:]))
        self._report_time(registers)

    @command(blocking=True)
    def set_time(self, time: str = "") -> str:
        """Set the clock, and return what it was set to.

        `time` is ISO 8601 with its offset from UTC, such as "2026-01-01T12:00:00+01:00"; "" is the
        node's own time. Raises InvalidValueError for any other text, and OSError if the chip does
        not answer.
        """
        to = _parse(time) if time else self._next_second()
        self._chip.write(_TIME, *encode_time(to))
        control, status = self._chip.read_from(_CONTROL, 2)
        # An alarm flag is left alone by a 1, "Status Register".
        self._chip.write(_CONTROL, control & ~_OSCILLATOR_OFF, status & ~_STOPPED | _ALARMS)
        self.poll_at(0)
        return _text(to)

    def _next_second(self) -> datetime:
        """Wait for a new second of the node's time, as writing begins one of the chip's."""
        now_ns = self.clock.time_ns()
        second = now_ns // 1_000_000_000 + 1
        self.clock.sleep(second - now_ns / 1_000_000_000)
        return datetime.fromtimestamp(second, UTC)

    def _report_time(self, registers: bytes) -> None:
        try:
            text = _text(decode_time(registers[:7]))
        except ValueError as error:
            self.time.fail(f"the chip has no time ({error}): set it with set_time")
            return
        if registers[_STATUS] & _STOPPED:
            self.time.update(
                text,
                Quality.BAD,
                "the clock has stopped since it was set: check its battery, set it with set_time",
            )
        else:
            self.time.update(text)

    def _set_up(self) -> None:
        for _ in range(_ATTEMPTS):
            if not self._registers()[_STATUS] & _BUSY:
                return
            self.clock.sleep(_CONVERSION_S)
        raise TimeoutError(
            f"{self._chip.where}: no temperature within {_ATTEMPTS * _CONVERSION_S:g} s"
        )

    def _registers(self) -> bytes:
        """Read all registers, in one transaction, so that the time is of one moment."""
        registers = self._chip.read_from(_TIME, _ALL)
        zeros = zip(registers, _ALWAYS_ZERO, strict=False)
        if any(each & mask for each, mask in zeros) or registers[_TEMPERATURE + 1] & 0x3F:
            raise OSError(
                f"{self._chip.where}: bits are set that a DS3231 has not "
                f"({registers.hex(' ')}): check the part and its address"
            )
        return registers


def _parse(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            raise ValueError("it has no offset from UTC")
        encode_time(time)
    except ValueError as error:
        raise InvalidValueError(
            f"time: {text!r} cannot be set: {error}; write it as 2026-01-01T12:00:00+01:00"
        ) from None
    return time


def _text(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
