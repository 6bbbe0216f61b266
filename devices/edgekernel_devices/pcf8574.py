"""NXP PCF8574 and PCF8574A: 8 lines over I²C, usable wherever a pin is.

Sections and tables are those of the datasheet PCF8574_PCF8574A, revision 5 (27 May 2013).
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from annotated_types import Interval

from edgekernel import Clock, Device
from edgekernel.hal import DigitalInput, DigitalOutput, I2CBus, I2CChip, LineOutside
from edgekernel_devices._chip_lines import ChipLine, ChipLines
from edgekernel_devices._expander import ExpanderLines, Seen, Settings

_Address = Annotated[int, Interval(ge=0x20, le=0x27)] | Annotated[int, Interval(ge=0x38, le=0x3F)]

_LINES = 0xFF  # also the port after power-on: every line high, by its weak current source alone


class PCF8574Chip:
    """A simulated PCF8574: one byte to write, one to read, and an interrupt output.

    `line` is the outside of a line. INT drives the line that `wire` is given.
    """

    def __init__(self) -> None:
        self._lines = ChipLines(PCF8574.line_names, self._signal)
        self._board: LineOutside | None = None
        self.power_on()

    def power_on(self) -> None:
        """Begin as after a loss of supply (section 8.4)."""
        self.write(bytes([_LINES]))

    def wire(self, lines: Mapping[str, LineOutside], clock: Clock) -> None:
        """Take the line of the board that INT is wired to, if there is one."""
        self._board = lines.get("interrupt")
        self._signal()

    def line(self, name: str) -> ChipLine:
        """Return the outside of a line such as "P3"."""
        return self._lines.line(name)

    @property
    def int_level(self) -> bool:
        """The level of INT: low while a level differs from when the port was last accessed."""
        return self._lines.levels == self._accessed

    def write(self, data: bytes) -> None:
        """Set the port; each byte replaces the one before (section 8.2)."""
        for port in data:
            self._lines.set(port, ~port & _LINES, _LINES)  # a low is strong, a high is weak
        self._access()

    def read(self, length: int) -> bytes:
        """Read the levels of the lines, whatever drives them (section 8.1)."""
        answer = bytes([self._lines.levels] * length)
        self._access()
        return answer

    def _access(self) -> None:
        """Reading and writing end the interrupt (section 8.5)."""
        self._accessed = self._lines.levels
        self._signal()

    def _signal(self) -> None:
        if self._board is not None:
            self._board.drive(self.int_level)


class _PCF8574Port:
    """What the lines need of the chip."""

    chip = "PCF8574"
    pull_advice = 'its lines are held high: wire it to close to ground, with pull = "up"'
    loss = "a line that is driven low was high: check the chip's supply, and for a short circuit"

    def __init__(self, chip: I2CChip) -> None:
        self.where = chip.where
        self._chip = chip
        self._port = _LINES  # as written last
        self._claimed = self._had = 0
        self._stuck = 0

    def find(self) -> None:
        """Take the levels of the lines for what they are set to: it cannot be read back."""
        self._port = self._levels()
        self._claimed = self._had = self._stuck = 0

    def let_go(self) -> None:
        """Let the lines that nobody has had go high, by their weak current source."""
        self._port |= ~self._had & _LINES

    @property
    def holds(self) -> bool:
        """Say whether `let_go` would change anything."""
        return bool(~self._port & ~self._had & _LINES)

    def set_up(self, wanted: Settings, claimed: int) -> Settings:
        """Set the port, unless nobody has a line; unclaimed lines stay as they were written."""
        self._claimed = claimed
        self._had |= claimed
        if claimed:
            self._write(wanted)
            self._stuck = self._levels() & self._low(wanted)
        return wanted

    def drive(self, settings: Settings, line: int) -> None:
        """Write the port."""
        self._write(settings)

    def look(self, settings: Settings) -> Seen | None:
        """Read the levels. A line that is driven low and is high says that the port was reset."""
        levels = self._levels()
        if levels & self._low(settings) & ~self._stuck:
            return None
        return Seen(levels, changed=_LINES, captured=levels)

    def _write(self, settings: Settings) -> None:
        port = settings.latch | ~settings.outputs  # an input is written high, section 8.2
        self._port = port & self._claimed | self._port & ~self._claimed
        self._chip.write(self._port)

    def _low(self, settings: Settings) -> int:
        return settings.outputs & ~settings.latch & self._claimed

    def _levels(self) -> int:
        return self._chip.read(1)[0]


class PCF8574(Device):
    """NXP or TI PCF8574 or PCF8574A: 8 lines, each an input or an output.

    Wiring: VDD to 3.3 V, GND, SDA, SCL with pull-ups (100 kHz at most); A2, A1 and A0 to GND or
    VDD give the address 0x20 (PCF8574) or 0x38 (PCF8574A) and up to 7 more. A low sinks up to
    25 mA, a high gives only 0.1 mA: loads go between a line and the supply, and "on" is low. INT
    may go to a line of the board.

    `bus` is the I²C bus, `address` 0x20 to 0x27 or 0x38 to 0x3F. `interrupt` is the board's line
    that INT is wired to, if it is; the line's own pull-up holds it.

    Lines "P0" to "P7": `pin = "io:P3"` is the line P3 of the device `io`, for any driver that
    takes a line. All are quasi-bidirectional: an input is a line that is written high, so its
    pull "up" and "none" are the same 0.1 mA, and there is no pull-down.

    Changes of inputs are found by polls: every 0.05 s without `interrupt`; with it after each
    interrupt, and once a second in case one got lost. A pulse that is over before the chip was
    read is not seen.

    The chip tells neither what it is nor what it is set to. Whatever acknowledges is taken for
    one. At the start lines are held at the levels that they have until their devices claim them,
    and are let go (high) if none has by the first poll. A chip that was away is set up anew when it
    answers; that it lost its supply meanwhile is seen by a line that is driven low and is high,
    and puts the device offline for a poll.

    Datasheet: PCF8574_PCF8574A, revision 5.
    """

    simulated: ClassVar[type[PCF8574Chip]] = PCF8574Chip

    line_names: ClassVar[tuple[str, ...]] = tuple(f"P{line}" for line in range(8))

    def __init__(
        self,
        id: str,
        *,
        bus: I2CBus,
        address: _Address = 0x20,
        interrupt: DigitalInput | None = None,
    ) -> None:
        super().__init__(id)
        self.poll_group = bus.name
        self.every = 0.05 if interrupt is None else 1.0
        self._chip = I2CChip(bus, address)
        self._port = _PCF8574Port(self._chip)
        self._lines = ExpanderLines(self, self.line_names, self._port, interrupt)

    def digital_output(self, name: str) -> DigitalOutput:
        """Return a closed output on one of the lines; touches nothing."""
        return self._lines.output(name)

    def digital_input(self, name: str) -> DigitalInput:
        """Return a closed input on one of the lines; touches nothing."""
        return self._lines.input(name)

    def connect(self) -> None:
        """Find the chip; its lines stay as they are."""
        self._chip.open()
        self._port.find()
        self._lines.open()

    def disconnect(self) -> None:
        """Give bus and interrupt line back; the lines stay as they are."""
        self._lines.close()
        self._chip.close()

    def poll(self) -> None:
        """Tell the changes of the inputs."""
        if self._port.holds:
            self._port.let_go()
            self._lines.renew()
        self._lines.poll()
