"""Microchip MCP3008: eight analog inputs of 10 bits over SPI.

Sections, figures and tables are those of the datasheet, DS21295, revision D.
"""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from annotated_types import Gt, Interval

from edgekernel import Device, ReadingSettings
from edgekernel.hal import SpiDevice

_CHANNELS = 8
_STEPS = 1024  # equation 4-2
_START, _SINGLE_ENDED = 0x01, 0x80  # figure 6-1: the bits of the first and the second byte
_NULL_BIT = 0x04  # in the second byte of the answer, figure 6-1


@dataclass(frozen=True, kw_only=True)
class Channel(ReadingSettings):
    """A reading of one input: `channel` 0 to 7, and by which `ratio` its voltage is divided."""

    channel: Annotated[int, Interval(ge=0, le=_CHANNELS - 1)]
    ratio: Annotated[float, Gt(0)] = 1.0


class MCP3008Chip:
    """A simulated MCP3008 at bit level.

    Set `channel0` to `channel7` to the voltage of an input as a fraction of that at VREF.
    """

    def __init__(self) -> None:
        for channel in range(_CHANNELS):
            setattr(self, f"channel{channel}", 0.0)

    def transfer(self, data: bytes) -> bytes:
        """Take one transaction: leading zeros, the start bit, four bits of setting (figure 5-1)."""
        length = 8 * len(data)
        bits = f"{int.from_bytes(data):0{length}b}"
        start = bits.find("1")
        if start < 0 or start + 4 >= length:
            return b"\xff" * len(data)  # its output floats until it has been told what to do
        code = self._code(bits[start + 1 : start + 5])
        answer = "1" * (start + 6) + "0" + f"{code:010b}"  # one more clock to sample, the null bit
        answer += answer[-2:-11:-1]  # the same again, lowest bit first, without the first of them
        return int(answer[:length].ljust(length, "0"), 2).to_bytes(len(data))

    def _code(self, setting: str) -> int:
        """Convert what the bits SGL/DIFF, D2, D1 and D0 select (table 5-2)."""
        channel = int(setting[1:], 2)
        fraction = self._fraction(channel)
        if setting[0] == "0":
            fraction -= self._fraction(channel ^ 1)
        return min(max(int(fraction * _STEPS), 0), _STEPS - 1)

    def _fraction(self, channel: int) -> float:
        return float(getattr(self, f"channel{channel}"))


class MCP3008(Device):
    """Microchip MCP3008: eight analog inputs of 10 bits.

    Wiring: VDD to 3.3 V, VREF to the reference (3.3 V), AGND and DGND to ground, CLK to SCLK, DOUT
    to MISO, DIN to MOSI, CS to the chip select; an input takes 0 V to VREF.

    `select` is the chip select, `reference` the voltage at VREF in V. `readings` names the inputs
    that are used, such as `{ battery = { channel = 0, ratio = 4.3 } }`, where `ratio` is by how
    much a divider makes the voltage smaller; without it there are `channel0` to `channel7`.
    `speed_hz` is the clock: at most 1.35 MHz at a VDD of 2.7 V, 3.6 MHz at 5 V, at least 10 kHz
    (section 6.2).

    Readings are volts; without `reference` they are fractions of it, 0 to 1. A missing chip
    shows only where the line MISO is pulled up: otherwise it reads 0. Datasheet: DS21295.
    """

    simulated: ClassVar[type[MCP3008Chip]] = MCP3008Chip

    def __init__(
        self,
        id: str,
        *,
        select: SpiDevice,
        reference: Annotated[float, Gt(0)] | None = None,
        readings: dict[str, Channel] | None = None,
        speed_hz: Annotated[int, Interval(ge=10_000, le=3_600_000)] = 1_000_000,
    ) -> None:
        super().__init__(id)
        self.poll_group = select.name.partition(".")[0]
        self._select = select
        self._speed_hz = speed_hz
        full_scale = 1.0 if reference is None else reference
        named = readings or {f"channel{n}": Channel(channel=n) for n in range(_CHANNELS)}
        self._inputs = []
        for name, wanted in named.items():
            most = full_scale * wanted.ratio
            shown = replace(
                wanted,
                unit=wanted.unit or ("" if reference is None else "V"),
                range=wanted.range or (0.0, most),
                precision=3 if wanted.precision is None else wanted.precision,
            )
            self._inputs.append((self.add_reading(name, float, shown), wanted.channel, most))

    def connect(self) -> None:
        """Take the chip select; the chip itself needs no setting."""
        self._select.open(self._speed_hz)

    def disconnect(self) -> None:
        """Give the chip select back."""
        self._select.close()

    def poll(self) -> None:
        """Convert every input that is used."""
        for reading, channel, most in self._inputs:
            reading.update(self._convert(channel) / _STEPS * most)

    def _convert(self, channel: int) -> int:
        """Convert one input against ground (figure 6-1)."""
        _, high, low = self._select.transfer(bytes([_START, _SINGLE_ENDED | channel << 4, 0]))
        if high & _NULL_BIT:
            raise OSError(
                f"{self._select.name}: the bit before the value is not 0: no MCP3008 answers; "
                "check its wiring and supply"
            )
        return (high & 0x03) << 8 | low
