"""NXP PCA9685: 16 PWM outputs over I²C.

Sections, tables and equations are those of the datasheet PCA9685, revision 4 (16 April 2015).
"""

from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Literal

from annotated_types import Interval

from edgekernel import Device, output
from edgekernel.hal import I2CBus, I2CChip

_MODE1, _MODE2, _CHANNELS, _PRE_SCALE = 0x00, 0x01, 0x06, 0xFE  # table 4
_RESTART, _AUTO_INCREMENT, _SLEEP = 0x80, 0x20, 0x10  # of MODE1, table 5
_INVERT, _PUSH_PULL = 0x10, 0x04  # of MODE2, table 6
_FULL = 0x1000  # full on in LEDn_ON, full off in LEDn_OFF, section 7.3.3
_OFF = bytes((0, 0, 0, 0x10))
_RESET = bytes((0x11, 0x04, 0xE2, 0xE4, 0xE8, 0xE0)) + 16 * _OFF

_COUNTS = 4096
_OSCILLATOR_HZ = 25e6
_WAKE_UP_S = 0.0005  # section 7.3.1.1
_LOWEST, _HIGHEST = 3, 255  # of PRE_SCALE, section 7.3.5

_Address = Annotated[int, Interval(ge=0x40, le=0x6F)] | Annotated[int, Interval(ge=0x71, le=0x77)]
_Share = Annotated[float, Interval(ge=0, le=1)]
_Channel = Literal[
    "channel0", "channel1", "channel2", "channel3", "channel4", "channel5", "channel6", "channel7",
    "channel8", "channel9", "channel10", "channel11", "channel12", "channel13", "channel14",
    "channel15",
]  # fmt: skip


def prescale(frequency_hz: float, oscillator_hz: float = _OSCILLATOR_HZ) -> int:
    """Return the PRE_SCALE register for a frequency (equation 1), from 3 to 255."""
    return min(max(round(oscillator_hz / (_COUNTS * frequency_hz)) - 1, _LOWEST), _HIGHEST)


def encode_share(share: float) -> bytes:
    """Return the four registers of a channel that is on for a share of each period, 0 to 1."""
    counts = round(share * _COUNTS)
    on = _FULL if counts == _COUNTS else 0
    off = _FULL if counts == 0 else counts % _COUNTS
    return on.to_bytes(2, "little") + off.to_bytes(2, "little")


def decode_share(registers: bytes) -> float:
    """Return the share of each period that the four registers of a channel say (section 7.3.3)."""
    on, off = int.from_bytes(registers[:2], "little"), int.from_bytes(registers[2:4], "little")
    if off & _FULL:
        return 0.0
    return 1.0 if on & _FULL else (off - on) % _COUNTS / _COUNTS


class PCA9685Chip:
    """A simulated PCA9685 at register level, with sleep and restart.

    `share` and `frequency_hz` are what its outputs show.
    """

    def __init__(self) -> None:
        self.power_on()

    def power_on(self) -> None:
        """Begin as after a loss of supply: asleep, every channel off (tables 4 to 7)."""
        self._registers = bytearray(256)
        self._registers[: len(_RESET)] = _RESET
        self._registers[_PRE_SCALE] = 0x1E
        self._pointer = 0
        self._running = False

    @property
    def frequency_hz(self) -> float:
        """The frequency of all channels."""
        return _OSCILLATOR_HZ / _COUNTS / (self._registers[_PRE_SCALE] + 1)

    def share(self, channel: int) -> float:
        """Return the share of each period in which a channel is on; 0 while the chip sleeps."""
        at = _CHANNELS + 4 * channel
        return decode_share(bytes(self._registers[at : at + 4])) if self._running else 0.0

    def write(self, data: bytes) -> None:
        """Set the control register, then write from there on (section 7.2)."""
        self._pointer = data[0]
        for value in data[1:]:
            self._write(self._pointer, value)
            self._count()

    def read(self, length: int) -> bytes:
        """Read from the control register on."""
        answer = bytearray()
        for _ in range(length):
            answer.append(self._registers[self._pointer])
            self._count()
        return bytes(answer)

    def _count(self) -> None:
        if self._registers[_MODE1] & _AUTO_INCREMENT:
            last = self._pointer in (len(_RESET) - 1, _PRE_SCALE)
            self._pointer = 0 if last else (self._pointer + 1) & 0xFF

    def _write(self, register: int, value: int) -> None:
        if register == _MODE1:
            self._write_mode1(value)
        elif register == _PRE_SCALE:
            if self._registers[_MODE1] & _SLEEP:  # blocked otherwise, table 4
                self._registers[_PRE_SCALE] = max(value, _LOWEST)
        elif register < len(_RESET):
            high = register >= _CHANNELS and register & 1
            self._registers[register] = value & (0x1F if high else 0xFF)
            if register >= _CHANNELS:  # new values need no restart, section 7.3.1.1
                self._registers[_MODE1] &= ~_RESTART
                self._running = not self._registers[_MODE1] & _SLEEP

    def _write_mode1(self, value: int) -> None:
        before = self._registers[_MODE1]
        restart = before & _RESTART
        if value & _SLEEP and self._running:
            restart = _RESTART  # the channels were active
        if value & _SLEEP:
            self._running = False
        elif value & _RESTART or not restart:
            self._running, restart = True, 0
        self._registers[_MODE1] = value & ~_RESTART | restart


def _driver(channel: int) -> "Callable[[PCA9685, float], float]":
    """Return the method that drives a channel."""

    def drive(device: "PCA9685", share: float) -> float:
        return device.drive_channel(channel, share)

    drive.__name__ = f"drive{channel}"
    drive.__doc__ = f"Drive channel {channel}; return what the chip has then."
    return drive


class PCA9685(Device):
    """NXP PCA9685: 16 PWM outputs of one frequency, for LEDs and servos.

    Wiring: VDD to 3.3 V, GND, SDA, SCL with pull-ups (a breakout board has them); A5 to A0 to GND
    or VDD give the address 0x40 and more. A channel sinks 25 mA and sources 10 mA. Servos have
    their own supply. OE to GND enables the outputs (boards pull it down); wired to a line of
    the board with a pull-up to VDD instead, a relay driver on that line switches all channels at
    once, and they are off whenever nothing drives the line.

    `bus` is the I²C bus, `address` 0x40 to 0x6F or 0x71 to 0x77. `frequency` is from 24 to 1526
    Hz: 50 for servos; the chip makes the nearest that its prescaler can. Its oscillator is a few %
    off: `oscillator` in Hz corrects that (25e6, times the frequency that was measured, by the one
    that was asked for). `inverted` makes "on" low, `open_drain` lets a channel only sink. `safe`
    are the values at start, stop and failure, by channel; 0 for those that are not named.

    Outputs `channel0` to `channel15`: the share of each period in which it is on, 0 to 1, in
    steps of 1/4096. Before the chip wakes up every channel has its safe value. The readback is what
    the chip's registers say.

    Every poll checks the chip's registers. A chip that was away or lost its supply is set up
    anew, each channel as it was driven last, and the device is offline for that poll. After
    a write that failed that is the safe value.

    Datasheet: PCA9685, revision 4.
    """

    simulated: ClassVar[type[PCA9685Chip]] = PCA9685Chip

    channel0 = output(float, safe=0.0, range=(0, 1), precision=4)
    channel1 = output(float, safe=0.0, range=(0, 1), precision=4)
    channel2 = output(float, safe=0.0, range=(0, 1), precision=4)
    channel3 = output(float, safe=0.0, range=(0, 1), precision=4)
    channel4 = output(float, safe=0.0, range=(0, 1), precision=4)
    channel5 = output(float, safe=0.0, range=(0, 1), precision=4)
    channel6 = output(float, safe=0.0, range=(0, 1), precision=4)
    channel7 = output(float, safe=0.0, range=(0, 1), precision=4)
    channel8 = output(float, safe=0.0, range=(0, 1), precision=4)
    channel9 = output(float, safe=0.0, range=(0, 1), precision=4)
    channel10 = output(float, safe=0.0, range=(0, 1), precision=4)
    channel11 = output(float, safe=0.0, range=(0, 1), precision=4)
    channel12 = output(float, safe=0.0, range=(0, 1), precision=4)
    channel13 = output(float, safe=0.0, range=(0, 1), precision=4)
    channel14 = output(float, safe=0.0, range=(0, 1), precision=4)
    channel15 = output(float, safe=0.0, range=(0, 1), precision=4)

    drive0 = channel0.drive(_driver(0))
    drive1 = channel1.drive(_driver(1))
    drive2 = channel2.drive(_driver(2))
    drive3 = channel3.drive(_driver(3))
    drive4 = channel4.drive(_driver(4))
    drive5 = channel5.drive(_driver(5))
    drive6 = channel6.drive(_driver(6))
    drive7 = channel7.drive(_driver(7))
    drive8 = channel8.drive(_driver(8))
    drive9 = channel9.drive(_driver(9))
    drive10 = channel10.drive(_driver(10))
    drive11 = channel11.drive(_driver(11))
    drive12 = channel12.drive(_driver(12))
    drive13 = channel13.drive(_driver(13))
    drive14 = channel14.drive(_driver(14))
    drive15 = channel15.drive(_driver(15))

    def __init__(
        self,
        id: str,
        *,
        bus: I2CBus,
        address: _Address = 0x40,
        frequency: Annotated[float, Interval(ge=24, le=1526)] = 200.0,
        oscillator: Annotated[float, Interval(ge=20e6, le=30e6)] = _OSCILLATOR_HZ,
        inverted: bool = False,
        open_drain: bool = False,
        safe: Mapping[_Channel, _Share] | None = None,
    ) -> None:
        super().__init__(id)
        self.poll_group = bus.name
        self._chip = I2CChip(bus, address)
        self._prescale = prescale(frequency, oscillator)
        self._mode2 = inverted * _INVERT | (not open_drain) * _PUSH_PULL
        safe_values = dict.fromkeys((f"channel{n}" for n in range(16)), 0.0) | dict(safe or {})
        for name, value in safe_values.items():
            getattr(self, name).safe = float(value)
        self._safe = tuple(map(encode_share, safe_values.values()))
        self._channels = list(self._safe)
        self._ready = False  # the chip is set up, as far as we know

    def connect(self) -> None:
        """Set the chip up, every channel at its safe value."""
        self._lock = self.clock.Lock()  # around the chip and what it is to have
        self._channels = list(self._safe)
        self._chip.open()
        with self._lock:
            self._set_up()

    def disconnect(self) -> None:
        """Give the bus back; the channels stay as they are."""
        self._ready = False
        self._chip.close()

    def poll(self) -> None:
        """Check that the chip has what it was given; give it again if not."""
        with self._lock:
            if not self._ready:
                self._set_up()
            elif self._lost():
                self._set_up()
                raise OSError(f"{self._chip.where}: the chip lost its settings: check its supply")

    def drive_channel(self, channel: int, share: float) -> float:
        """Drive a channel (0 to 15) to a share of each period; return what the chip has then."""
        at, registers = _CHANNELS + 4 * channel, encode_share(share)
        with self._lock:
            self._channels[channel] = registers
            try:
                if not self._ready:
                    self._set_up()
                self._chip.write(at, *registers)
                found = self._chip.read_from(at, 4)
            except BaseException:
                self._ready = False
                self._channels[channel] = self._safe[channel]
                raise
        return share if found == registers else decode_share(found)

    def _set_up(self) -> None:
        """Give the chip all it is to have. One that goes on as it was set is not stopped."""
        self._ready = False
        mode1, mode2 = self._chip.read_from(_MODE1, 1)[0], self._chip.read_from(_MODE2, 1)[0]
        running = not mode1 & (_SLEEP | _RESTART) and mode2 == self._mode2
        if not running or self._chip.read_from(_PRE_SCALE, 1)[0] != self._prescale:
            self._chip.write(_MODE1, _SLEEP | _AUTO_INCREMENT)  # or the prescaler is locked
            self._chip.write(_PRE_SCALE, self._prescale)
            self._chip.write(_MODE2, self._mode2)
        else:
            self._chip.write(_MODE1, _AUTO_INCREMENT)
        self._chip.write(_CHANNELS, *b"".join(self._channels))  # takes off RESTART as well
        self._chip.write(_MODE1, _AUTO_INCREMENT)
        self.clock.sleep(_WAKE_UP_S)
        if self._lost():
            raise OSError(
                f"{self._chip.where}: the chip does not keep its settings: check that it is a "
                "PCA9685, its address and its supply"
            )
        self._ready = True

    def _lost(self) -> bool:
        """Say whether the chip has other registers than it was given."""
        found = self._chip.read_from(_MODE1, len(_RESET))
        modes = bytes((_AUTO_INCREMENT, self._mode2))
        if (found[:2], found[_CHANNELS:]) != (modes, b"".join(self._channels)):
            return True
        return self._chip.read_from(_PRE_SCALE, 1)[0] != self._prescale
