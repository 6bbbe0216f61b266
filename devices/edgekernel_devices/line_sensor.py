"""A sensor that sends lines of text over a serial line, such as "T=23.5 H=41"."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Gt, Unit

from edgekernel import ConfigError, Device, Reading, ReadingSettings
from edgekernel.hal import LastingPort, LineReader, Parity, SerialPort, Silence

_LONGEST_LINE = 1024
_READ_LIMIT_S = 1.0
_TYPES: dict[str, type[float] | type[str]] = {"float": float, "int": int, "bool": bool, "str": str}
_WORDS = {
    **dict.fromkeys(("1", "on", "true", "yes", "high", "open"), True),
    **dict.fromkeys(("0", "off", "false", "no", "low", "closed"), False),
}


@dataclass(frozen=True)
class LineReading(ReadingSettings):
    """A reading from the group of its name: a number times `scale` plus `offset`, or a word."""

    type: Literal["float", "int", "bool", "str"] = "float"
    scale: float = 1.0
    offset: float = 0.0

    def parse(self, text: str) -> float | str:
        """Turn what the group has matched into a value. Raises ValueError that says why not."""
        if self.type == "str":
            return text
        if self.type == "bool":
            if text.lower() not in _WORDS:
                raise ValueError(f"{text!r} is neither on nor off")
            return _WORDS[text.lower()]
        try:
            value = float(text.replace(",", ".")) * self.scale + self.offset
            return round(value) if self.type == "int" else value
        except (ValueError, OverflowError):
            raise ValueError(f"{text!r} is no number") from None


class TalkingSensor:
    """A simulated sensor that sends `line` and a line end every `interval_s` seconds.

    Without a `line` it is silent.
    """

    _BUFFERED = 25  # lines of them: about what 4 KiB of receive buffer hold

    def __init__(self) -> None:
        self.line = ""
        self.end = "\r\n"
        self.interval_s = 1.0
        self._next_s: float | None = None

    def received(self, data: bytes, now_s: float) -> None:
        """Ignore what the port sends: this sensor only talks."""

    def due(self, now_s: float) -> bytes:
        """Return the lines whose time has come since the last call."""
        if self._next_s is None:
            self._next_s = now_s + self.interval_s  # the port has just been opened
        count = 0
        while self._next_s <= now_s:
            self._next_s += self.interval_s
            count += 1
        return f"{self.line}{self.end}".encode() * min(count, self._BUFFERED) if self.line else b""


class LineSensor(Device):
    """Any sensor that sends lines of text: an Arduino sketch, a scale, an anemometer, a meter.

    Wiring: the sensor's TX to the port's RX and ground to ground, at the same level (3.3 V, or an
    adapter for RS-232); or USB, with the port's path as `port`.

    `port` is the serial port, `baudrate`, `data_bits`, `parity` and `stop_bits` its framing as
    the sensor's manual says. `pattern` is a regular expression with named groups (Python, module
    re), looked for in each line; each group is a reading of that name in `readings`:

        pattern = 'T=(?P<temperature>[-0-9.]+)'
        readings = { temperature = { unit = "°C", range = [-40, 85] } }

    A reading is a `type` "float" (unless said otherwise), "int", "bool" (on or off, 1 or 0, ...)
    or "str"; numbers are multiplied by `scale`, `offset` is added. A group that takes no part in
    a match leaves its reading as it is; a reading that no line had for `silence` seconds is BAD,
    unless it has a `stale` limit of its own, for what is sent more rarely. After `silence`
    seconds without a match the device is offline. Lines that do not match are counted in
    `unmatched`.

    After the port was opened what comes before the first line end is dropped: its beginning
    may be missing.
    """

    simulated: ClassVar[type[TalkingSensor]] = TalkingSensor

    def __init__(
        self,
        id: str,
        *,
        port: SerialPort,
        pattern: str,
        readings: dict[str, LineReading],
        baudrate: Annotated[int, Gt(0)] = 9600,
        data_bits: Literal[7, 8] = 8,
        parity: Literal["none", "even", "odd"] = "none",
        stop_bits: Literal[1, 2] = 1,
        silence: Annotated[float, Unit("s"), Gt(0)] = 10.0,
    ) -> None:
        super().__init__(id)
        self._port = LastingPort(
            port,
            baudrate,
            _READ_LIMIT_S,
            data_bits=data_bits,
            parity=Parity(parity),
            stop_bits=stop_bits,
        )
        self._lines = LineReader(self._port, _LONGEST_LINE)
        self._pattern = _compile(pattern, list(readings))
        self._silence = Silence(self._port)
        self._silence_s = silence
        self._wanted: dict[str, tuple[Reading[Any], LineReading]] = {
            name: (self.add_reading(name, _TYPES[wanted.type], wanted), wanted)
            for name, wanted in readings.items()
        }
        self.unmatched = 0

    def connect(self) -> None:
        """Open the port and wait for lines."""
        self._port.open()
        self._silence.ended(self.clock.monotonic())

    def disconnect(self) -> None:
        """Close the port."""
        self._port.close()

    def poll(self) -> None:
        """Take in what has been received; the port is opened anew if it was lost."""
        for line in self._lines.poll():
            self._take(line.decode("utf-8", "replace").rstrip("\r"))
        self._expire()
        if self._silence.lasts_s(self.clock.monotonic()) > self._silence_s:
            raise TimeoutError(
                f"{self._port.name}: no line that matches for {self._silence_s:g} s "
                f"({self.unmatched} did not match)"
            )

    def _take(self, line: str) -> None:
        match = self._pattern.search(line)
        if match is None:
            self.unmatched += 1
            return
        self._silence.ended(self.clock.monotonic())
        for name, (reading, wanted) in self._wanted.items():
            text = match[name]
            if text is None:
                continue
            try:
                reading.update(wanted.parse(text))
            except ValueError as error:
                reading.fail(f"{error} in {line!r}")

    def _expire(self) -> None:
        """Let readings go BAD whose groups have taken no part in a match for too long."""
        until_ns = self.clock.monotonic_ns() - int(self._silence_s * 1e9)
        for name, (reading, _) in self._wanted.items():
            if reading.stale_s is None:
                reading.expire(until_ns, f"no line with {name} for {self._silence_s:g} s")


def _compile(pattern: str, names: list[str]) -> re.Pattern[str]:
    """Compile a pattern. Raises ConfigError unless its groups are the readings."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"pattern: no regular expression: {error}") from None
    groups = set(compiled.groupindex)
    for name in sorted(groups.symmetric_difference(names)):
        missing = "`readings`" if name in groups else "the groups of `pattern`"
        raise ConfigError(
            f"pattern: {name!r} is not among {missing}; each named group is one reading "
            f"(groups: {', '.join(sorted(groups)) or 'none'}; readings: {', '.join(names)})"
        )
    return compiled
