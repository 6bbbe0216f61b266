"""A satellite navigation receiver that sends NMEA 0183 over a serial line."""

from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import xor
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Gt, Unit
from pynmeagps import NMEAParseError, NMEAReader, NMEATypeError

from edgekernel import Device, Reading, reading
from edgekernel.hal import LastingPort, LineReader, SerialPort, Silence

_KNOT_MPS = 1852 / 3600
_LONGEST_LINE = 256  # NMEA 0183 allows 82 characters; receivers exceed that, but not threefold
_READ_LIMIT_S = 1.0


class GPSReceiver:
    """A simulated receiver: GGA and RMC every `interval_s` seconds, from 2026-01-01T00:00:00Z on;
    in its first three seconds each second.

    Set `latitude`, `longitude` (degrees), `altitude_m`, `speed_mps`, `satellites`, `fix` and
    `interval_s` (whole seconds).
    """

    START: ClassVar = datetime(2026, 1, 1, tzinfo=UTC)
    _EAGER_S = 3  # at first each second, so that whoever opens the port a little later hears it
    _BUFFERED_S = 25  # about what 4 KiB of receive buffer hold

    def __init__(self) -> None:
        self.latitude = 47.376887
        self.longitude = 8.541694
        self.altitude_m = 408.0
        self.speed_mps = 0.0
        self.satellites = 9
        self.fix = True
        self.interval_s = 1
        self._next_s: int | None = None
        self._began_s = 0

    def received(self, data: bytes, now_s: float) -> None:
        """Ignore what the port sends: this receiver has no settings."""

    def due(self, now_s: float) -> bytes:
        """Return the sentences of the seconds that have begun since the last call."""
        now = int(now_s)
        if self._next_s is None:  # the port has just been opened: the next second is heard
            self._next_s, self._began_s = now, now + 1
        first = max(self._next_s, now - self._BUFFERED_S)
        self._next_s = max(now + 1, first)
        return b"".join(
            self._gga(second) + self._rmc(second)
            for second in range(first, now + 1)
            if (second - self._began_s) % self.interval_s == 0
            or 0 <= second - self._began_s < self._EAGER_S
        )

    def _gga(self, second: int) -> bytes:
        time = self.START + timedelta(seconds=second)
        position, height = (self._position(), f"{self.altitude_m:.1f}") if self.fix else (",,,", "")
        quality = int(self.fix)
        return _sentence(
            f"GNGGA,{time:%H%M%S}.00,{position},{quality},{self.satellites:02d},1.0,"
            f"{height},M,47.0,M,,"
        )

    def _rmc(self, second: int) -> bytes:
        time = self.START + timedelta(seconds=second)
        status, position, knots = "V", ",,,", ""
        if self.fix:
            status, position, knots = "A", self._position(), f"{self.speed_mps / _KNOT_MPS:.3f}"
        return _sentence(f"GNRMC,{time:%H%M%S}.00,{status},{position},{knots},0.0,{time:%d%m%y},,,")

    def _position(self) -> str:
        north = "N" if self.latitude >= 0 else "S"
        east = "E" if self.longitude >= 0 else "W"
        return f"{_angle(self.latitude, 2)},{north},{_angle(self.longitude, 3)},{east}"


def _angle(degrees: float, digits: int) -> str:
    """Format an angle as NMEA 0183 does: degrees, then minutes with 5 decimals."""
    whole, minutes = divmod(round(abs(degrees) * 60e5), 6_000_000)  # in 1e-5 minutes: 60 carries
    return f"{whole:0{digits}d}{minutes // 100_000:02d}.{minutes % 100_000:05d}"


def _sentence(content: str) -> bytes:
    return f"${content}*{reduce(xor, content.encode()):02X}\r\n".encode()


class GPS(Device):
    """A GNSS receiver (u-blox NEO, MTK, Quectel, ...) that sends GGA and RMC sentences.

    Wiring: the receiver's TX to the port's RX, ground to ground, and its supply by its own
    datasheet; or a USB receiver, with the port's path as `port`.

    `port` is the serial port, `baudrate` its speed (most receivers start at 9600; the datasheet
    says). After `silence` seconds without a valid sentence the device is offline; what one kind of
    sentence says is BAD when that kind stays away for so long.

    Readings: `latitude` and `longitude` in degrees (WGS 84, north and east positive), `altitude`
    in metres above mean sea level, `speed` over ground in m/s, `satellites` in use, `fix`.
    Without a fix position, altitude and speed are BAD with the reason "no fix".

    Sentences with a wrong checksum are ignored and counted in `rejected`. Formats: NMEA 0183
    version 4.11, sentences GGA and RMC.
    """

    simulated: ClassVar[type[GPSReceiver]] = GPSReceiver

    latitude = reading(float, unit="°", range=(-90, 90), precision=6)
    longitude = reading(float, unit="°", range=(-180, 180), precision=6)
    altitude = reading(
        float, unit="m", range=(-1000, 100_000), precision=1, device_class="distance"
    )
    speed = reading(float, unit="m/s", range=(0, 1000), precision=2, device_class="speed")
    satellites = reading(int, range=(0, 99))
    fix = reading(bool)

    def __init__(
        self,
        id: str,
        *,
        port: SerialPort,
        baudrate: Literal[4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800] = 9600,
        silence: Annotated[float, Unit("s"), Gt(0)] = 10.0,
    ) -> None:
        super().__init__(id)
        self._port = LastingPort(port, baudrate, _READ_LIMIT_S)
        self._lines = LineReader(self._port, _LONGEST_LINE, checked=True)
        self._silence = Silence(self._port)
        self._silence_s = silence
        self.rejected = 0

    def connect(self) -> None:
        """Open the port and wait for sentences."""
        self._port.open()
        for each in self.readings.values():  # one kind of sentence may stay away alone
            each.stale_s = each.stale_s or max(self._silence_s, 3 * self.every)
        self._silence.ended(self.clock.monotonic())

    def disconnect(self) -> None:
        """Close the port."""
        self._port.close()

    def poll(self) -> None:
        """Take in what has been received; the port is opened anew if it was lost."""
        for line in self._lines.poll():
            self._take(line)
        if self._silence.lasts_s(self.clock.monotonic()) > self._silence_s:
            raise TimeoutError(f"{self._port.name}: no sentence for {self._silence_s:g} s")

    def _take(self, line: bytes) -> None:
        """Parse the sentence a line ends with; a line may begin with garbage."""
        start = line.rfind(b"$")
        if start < 0:
            return
        try:
            sentence: Any = NMEAReader.parse(line[start:])  # None if it has no checksum
        except (NMEAParseError, NMEATypeError):
            sentence = None
        if sentence is None:
            self.rejected += 1
            return
        self._silence.ended(self.clock.monotonic())
        if sentence.msgID == "GGA":
            self._take_gga(sentence)
        elif sentence.msgID == "RMC":
            _report(
                self.speed,
                _field(sentence, "spd"),
                getattr(sentence, "status", "") == "A",
                _KNOT_MPS,
            )

    def _take_gga(self, gga: Any) -> None:
        fix = _field(gga, "quality") in range(1, 7)  # 7 is manual input, 8 a simulator mode
        self.fix.update(fix)
        satellites = _field(gga, "numSV")
        self.satellites.update(int(satellites or 0))
        for name, position in (
            ("lat", self.latitude),
            ("lon", self.longitude),
            ("alt", self.altitude),
        ):
            _report(position, _field(gga, name), fix)


def _field(sentence: Any, name: str) -> float | None:
    """Return a numeric field; None if it is empty or the sentence ends before it."""
    value = getattr(sentence, name, None)
    return value if isinstance(value, int | float) else None


def _report(to: Reading[float], value: float | None, fix: bool, factor: float = 1.0) -> None:
    if fix and value is not None:
        to.update(value * factor)
    else:
        to.fail("no fix")
