"""Plantower PMS5003: particulate matter over a serial line.

Appendices are those of the data manual, PMS5003 series, version 2.3 (2016).
"""

import struct
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from annotated_types import Gt, Unit

from edgekernel import Device, reading
from edgekernel.hal import LastingPort, SerialPort, Silence

_BAUDRATE, _READ_LIMIT_S = 9600, 1.0  # appendix I: 8 data bits, no parity, 1 stop bit
_START = b"\x42\x4d"
_DATA_LENGTH, _ANSWER_LENGTH = 28, 4  # bytes behind the length: a measurement, an acknowledgement
_DATA_FRAME, _ANSWER_FRAME = 32, 8
_READ, _MODE, _SLEEP = 0xE2, 0xE1, 0xE4  # appendix II
_WARM_UP_S = 30.0  # "stable data should be got at least 30 seconds after the sensor wakeup"


def checked(content: bytes) -> bytes:
    """Return a frame or command with its checksum, the sum of its bytes (appendix I)."""
    return content + struct.pack(">H", sum(content) & 0xFFFF)


def command(code: int, data: int) -> bytes:
    """Return a command (appendix II)."""
    return checked(_START + struct.pack(">BH", code, data))


class FrameCutter:
    """Cuts a stream into frames, however it comes in; noise and damaged frames are passed over."""

    def __init__(self) -> None:
        self._rest = b""
        self.rejected = 0
        """How many frames had a wrong checksum."""

    def clear(self) -> None:
        """Forget a frame that has begun."""
        self._rest = b""

    def feed(self, received: bytes) -> Iterator[bytes]:
        """Return what is between length and checksum, of each frame that is whole by now."""
        self._rest += received
        while True:
            start = self._rest.find(_START)
            if start < 0:
                self._rest = self._rest[-1:]  # it may be the first half of a start
                return
            self._rest = self._rest[start:]
            if len(self._rest) < 4:
                return
            length = int.from_bytes(self._rest[2:4])
            if length not in (_DATA_LENGTH, _ANSWER_LENGTH):
                self._rest = self._rest[2:]
                continue
            if len(self._rest) < 4 + length:
                return
            frame = self._rest[: 4 + length]
            if checked(frame[:-2]) != frame:
                self.rejected += 1
                self._rest = self._rest[2:]  # the frame may be one that noise has begun
                continue
            self._rest = self._rest[4 + length :]
            yield frame[4:-2]


class PMS5003Sensor:
    """A simulated PMS5003: a frame every `interval_s` seconds, or one per request when passive.

    Set `pm1_0`, `pm2_5` and `pm10` (µg/m³) and `n0_3` to `n10` (particles in 0.1 l).
    """

    def __init__(self) -> None:
        self.pm1_0, self.pm2_5, self.pm10 = 5, 8, 10
        self.n0_3, self.n0_5, self.n1_0, self.n2_5, self.n5_0, self.n10 = 900, 250, 40, 6, 2, 1
        self.interval_s = 1.0
        self.power_on()

    def power_on(self) -> None:
        """Begin as after a loss of supply: it sends by itself again."""
        self._active, self._awake = True, True
        self._pending, self._commands = b"", b""
        self._next_s: float | None = None

    def received(self, data: bytes, now_s: float) -> None:
        """Obey commands (appendix II); those with a wrong checksum are passed over."""
        self._commands += data
        while len(self._commands) >= 7:
            text, self._commands = self._commands[:7], self._commands[7:]
            if text[:2] == _START and checked(text[:5]) == text:
                self._obey(text[2], int.from_bytes(text[3:5]), now_s)

    def due(self, now_s: float) -> bytes:
        """Return what has been sent since the last call; of many frames only the last ones."""
        if self._next_s is None:
            self._next_s = now_s + self.interval_s
        count = max(0, int((now_s - self._next_s) / self.interval_s) + 1)
        self._next_s += count * self.interval_s
        sent, self._pending = self._pending, b""
        return sent + (self._frame() * min(count, 25) if self._active and self._awake else b"")

    def _obey(self, code: int, data: int, now_s: float) -> None:
        if code == _READ and self._awake:
            self._pending += self._frame()
        elif code == _MODE:
            self._active = bool(data)
            self._pending += checked(_START + bytes([0, _ANSWER_LENGTH, code, data]))
        elif code == _SLEEP:
            self._awake = bool(data)

    def _frame(self) -> bytes:
        masses = (self.pm1_0, self.pm2_5, self.pm10)
        counts = (self.n0_3, self.n0_5, self.n1_0, self.n2_5, self.n5_0, self.n10)
        words = (*masses, *masses, *counts, 0x9700)  # the last is reserved: version and error code
        return checked(_START + struct.pack(">H13H", _DATA_LENGTH, *words))


class PMS5003(Device):
    """Plantower PMS5003: mass and number of airborne particles, by a laser.

    Wiring: VCC to 5 V, GND, TXD (pin 5) to the port's RX, RXD (pin 4) to its TX: both have 3.3 V
    levels. SET and RESET stay open.

    `port` is the serial port. In `mode` "active" the sensor sends by itself about once a second;
    in "passive" it measures when it is polled. After `silence` seconds without a frame the device
    is offline.

    Readings: `pm1_0`, `pm2_5` and `pm10` in µg/m³ under atmospheric conditions, and `n0_3` to
    `n10`, the number of particles above 0.3 to 10 µm in 0.1 l of air. For 30 s after the sensor
    has started, or has come back, they are BAD with the reason "warming up". Frames with a wrong
    checksum are passed over and counted in `rejected`. Data manual: PMS5003, version 2.3.
    """

    simulated: ClassVar[type[PMS5003Sensor]] = PMS5003Sensor

    pm1_0 = reading(int, unit="µg/m³", range=(0, 65535), device_class="pm1")
    pm2_5 = reading(int, unit="µg/m³", range=(0, 65535), device_class="pm25")
    pm10 = reading(int, unit="µg/m³", range=(0, 65535), device_class="pm10")
    n0_3 = reading(int, unit="/0.1 l", range=(0, 65535))
    n0_5 = reading(int, unit="/0.1 l", range=(0, 65535))
    n1_0 = reading(int, unit="/0.1 l", range=(0, 65535))
    n2_5 = reading(int, unit="/0.1 l", range=(0, 65535))
    n5_0 = reading(int, unit="/0.1 l", range=(0, 65535))
    n10 = reading(int, unit="/0.1 l", range=(0, 65535))

    def __init__(
        self,
        id: str,
        *,
        port: SerialPort,
        mode: Literal["active", "passive"] = "active",
        silence: Annotated[float, Unit("s"), Gt(0)] = 10.0,
    ) -> None:
        super().__init__(id)
        self._port = LastingPort(port, _BAUDRATE, _READ_LIMIT_S)
        self._active = mode == "active"
        self._silence_s = silence
        self._frames = FrameCutter()
        self._silence = Silence(self._port)
        self._warm_s: float | None = None

    @property
    def rejected(self) -> int:
        """How many frames had a wrong checksum."""
        return self._frames.rejected

    def connect(self) -> None:
        """Open the port and set the mode."""
        self._set_up()
        self._silence.ended(self.clock.monotonic())

    def disconnect(self) -> None:
        """Close the port."""
        self._port.close()

    def poll(self) -> None:
        """Take the latest frame that has been received, or ask for one."""
        if not self.online:
            self._set_up()  # it may have lost its supply, and with it the mode
        with self._port.in_use() as port:
            measured = self._hear(port) if self._active else self._ask(port)
        now_s = self.clock.monotonic()
        if measured:
            self._silence.ended(now_s)
            self._report(measured[-1], now_s)
        elif not self._active or self._silence.lasts_s(now_s) > self._silence_s:
            waited_s = _READ_LIMIT_S if not self._active else self._silence_s
            raise TimeoutError(
                f"{self._port.name}: no frame for {waited_s:g} s; check that TXD is on the port's "
                "RX, and the supply of 5 V"
            )

    def _set_up(self) -> None:
        self._frames.clear()
        self._warm_s = None
        with self._port.in_use() as port:
            port.write(command(_SLEEP, 1))
            port.write(command(_MODE, int(self._active)))

    def _hear(self, port: SerialPort) -> list[bytes]:
        """Return the measurements that have come by themselves."""
        return self._measurements(port.read_available())

    def _ask(self, port: SerialPort) -> list[bytes]:
        """Ask for a measurement; in front of it there may be the answer to a command before."""
        self._frames.clear()
        port.discard_input()
        port.write(command(_READ, 0))
        first = self._measurements(port.read(_DATA_FRAME))
        return first or self._measurements(port.read(_ANSWER_FRAME))

    def _measurements(self, received: bytes) -> list[bytes]:
        frames = self._frames.feed(received)
        return [frame for frame in frames if len(frame) == _DATA_LENGTH - 2]

    def _report(self, frame: bytes, now_s: float) -> None:
        if self._warm_s is None:
            self._warm_s = now_s + _WARM_UP_S
        readings = (
            *(self.pm1_0, self.pm2_5, self.pm10),
            *(self.n0_3, self.n0_5, self.n1_0, self.n2_5, self.n5_0, self.n10),
        )
        # The first three words are the masses of standard particles, for calibration (CF=1).
        for each, value in zip(readings, struct.unpack(">13H", frame)[3:12], strict=True):
            if now_s < self._warm_s:
                each.fail("warming up")
            else:
                each.update(value)
