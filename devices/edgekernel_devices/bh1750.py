"""ROHM BH1750FVI: illuminance over I²C.

Pages are those of the technical note, revision D (November 2011).
"""

from typing import Annotated, ClassVar, Literal

from annotated_types import Interval

from edgekernel import Device, reading
from edgekernel.hal import I2CBus, I2CChip

_POWER_DOWN, _POWER_ON, _RESET = 0x00, 0x01, 0x07  # page 5
_CONTINUOUS, _ONE_TIME = 0x10, 0x20
_MODES = {"high": 0, "high2": 1, "low": 3}  # the bits below those
_MEASURING_S = {"high": 0.180, "high2": 0.180, "low": 0.024}  # maxima, page 2
_MT_HIGH, _MT_LOW = 0x40, 0x60  # with 3 and 5 bits of the measurement time, page 5

_MT_DEFAULT = 69  # page 11
_COUNTS_PER_LUX = 1.2  # typical, pages 2 and 10
_FULL_SCALE = 0xFFFF


def lux_per_count(resolution: str, sensitivity: int) -> float:
    """Return what one count means (pages 10 and 11): 1/1.2 lx as the chip comes."""
    lux = _MT_DEFAULT / sensitivity / _COUNTS_PER_LUX
    return lux / 2 if resolution == "high2" else lux


class BH1750Chip:
    """A simulated BH1750: commands of one byte, and a data register of two.

    Set `illuminance_lx`. A measurement is ready for the next read.
    """

    def __init__(self) -> None:
        self.illuminance_lx = 200.0
        self.power_on()

    def power_on(self) -> None:
        """Begin as after a loss of supply: what it was told is forgotten."""
        self._mode = _POWER_DOWN
        self._sensitivity = _MT_DEFAULT
        self._counts = 0

    def write(self, data: bytes) -> None:
        """Take a command; only the first byte before a stop is one (page 10)."""
        command = data[0]
        if command >> 5 == _MT_HIGH >> 5 and command < _MT_HIGH + 8:
            self._sensitivity = self._sensitivity & 0x1F | (command & 0x07) << 5
        elif command >> 5 == _MT_LOW >> 5:
            self._sensitivity = self._sensitivity & 0xE0 | command & 0x1F
        elif command == _RESET:
            self._counts = 0 if self._mode != _POWER_DOWN else self._counts
        else:
            self._mode = command

    def read(self, length: int) -> bytes:
        """Answer the data register; after a one-time measurement the chip is powered down."""
        if self._mode & (_CONTINUOUS | _ONE_TIME):
            name = next(name for name, bits in _MODES.items() if bits == self._mode & 0x03)
            counts = self.illuminance_lx / lux_per_count(name, self._sensitivity)
            if name == "low":  # steps of 4 lx where those of "high" are 1 lx, page 2
                counts -= counts % 4
            self._counts = min(max(round(counts), 0), _FULL_SCALE)
            if self._mode & _ONE_TIME:
                self._mode = _POWER_DOWN
        return self._counts.to_bytes(2).ljust(length, b"\xff")[:length]


class BH1750(Device):
    """ROHM BH1750FVI: illuminance.

    Wiring: VCC to 3.3 V, GND, SDA, SCL with pull-ups (a breakout board has them), DVI as on the
    board; ADDR to GND or open gives address 0x23, to VCC 0x5C.

    `bus` is the I²C bus, `address` 0x23 or 0x5C. `resolution` "high" has steps of about 1 lx,
    "high2" of 0.5 lx, both in 0.18 s; "low" has steps of 4 lx in 24 ms. `sensitivity` (31 to 254,
    the chip's measurement time register) makes up for a window before the sensor, or moves the
    range: half of 69 makes half as many counts of the same light, in half of the time.

    Readings: `illuminance` in lx. With `resolution` "high" it reaches 54,612 lx at a sensitivity
    of 69 and 121,557 lx at 31; beyond, the reading is BAD with the reason "saturated". Each poll
    makes one measurement; between polls the chip is powered down. The chip has neither an
    identification nor a checksum: whatever acknowledges at its address is taken for one, and a
    data line that stays low for darkness.

    Datasheet: BH1750FVI technical note, revision D.
    """

    simulated: ClassVar[type[BH1750Chip]] = BH1750Chip

    illuminance = reading(
        float, unit="lx", range=(0, 121_557), precision=1, device_class="illuminance"
    )

    def __init__(
        self,
        id: str,
        *,
        bus: I2CBus,
        address: Literal[0x23, 0x5C] = 0x23,
        resolution: Literal["high", "high2", "low"] = "high",
        sensitivity: Annotated[int, Interval(ge=31, le=254)] = _MT_DEFAULT,
    ) -> None:
        super().__init__(id)
        self.poll_group = bus.name
        self._chip = I2CChip(bus, address)
        self._command = _ONE_TIME | _MODES[resolution]
        self._sensitivity = sensitivity
        self._measuring_s = _MEASURING_S[resolution] * sensitivity / _MT_DEFAULT  # page 11
        self._lux_per_count = lux_per_count(resolution, sensitivity)

    def connect(self) -> None:
        """Check that a chip acknowledges."""
        self._chip.open()
        self._chip.write(_POWER_ON)

    def disconnect(self) -> None:
        """Give the bus back; the chip is powered down after its last measurement."""
        self._chip.close()

    def poll(self) -> None:
        """Measure once; in the dark twice, as 0 is also the answer after a loss of supply."""
        counts = self._measure() or self._measure()
        if counts == _FULL_SCALE:
            limit = _FULL_SCALE * self._lux_per_count
            self.illuminance.fail(
                f"saturated: {limit:.0f} lx or more; a lower sensitivity reaches further"
            )
        else:
            self.illuminance.update(counts * self._lux_per_count)

    def _measure(self) -> int:
        # The sensitivity cannot be read back, and a chip may have been plugged in since.
        self._chip.write(_MT_HIGH | self._sensitivity >> 5)
        self._chip.write(_MT_LOW | self._sensitivity & 0x1F)
        self._chip.write(self._command)
        self.clock.sleep(self._measuring_s)
        return int.from_bytes(self._chip.read(2))
