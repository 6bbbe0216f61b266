"""Microchip MCP23017: 16 lines over I²C, usable wherever a pin is.

Sections and tables are those of the datasheet DS20001952C. Registers come in pairs, port A first
(IOCON.BANK = 0, table 3-5); as a mask, bits 0 to 7 are port A and 8 to 15 are port B.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

from edgekernel import Clock, Device, InvalidValueError
from edgekernel.hal import DigitalInput, DigitalOutput, I2CBus, I2CChip, LineOutside
from edgekernel_devices._chip_lines import ChipLine, ChipLines
from edgekernel_devices._expander import ExpanderLines, Seen, Settings

# Table 3-5, the address of port A's register.
_IODIR, _IPOL, _GPINTEN, _DEFVAL, _INTCON, _IOCON = 0x00, 0x02, 0x04, 0x06, 0x08, 0x0A
_GPPU, _INTF, _INTCAP, _GPIO, _OLAT = 0x0C, 0x0E, 0x10, 0x12, 0x14
_ALL = 0x16
_IOCON_BANKED = 0x05  # port A's IOCON while IOCON.BANK is 1, table 3-4

_BANK, _MIRROR, _SEQOP, _ODR, _INTPOL = 0x80, 0x40, 0x20, 0x04, 0x02  # of IOCON, register 3-6
_LINES = 0xFFFF
_PORTS = (0x00FF, 0xFF00)


class MCP23017Chip:
    """A simulated MCP23017 at register level, with its interrupt outputs and both banks.

    `line` is the outside of a line. INTA drives the line that `wire` is given.
    """

    def __init__(self) -> None:
        self._lines = ChipLines(MCP23017.line_names, self._changed)
        self._inta: LineOutside | None = None
        self.power_on()

    def power_on(self) -> None:
        """Begin as after a loss of supply: every line is an input (table 3-5)."""
        self._words = dict.fromkeys(range(0, _ALL, 2), 0) | {_IODIR: _LINES}
        self._pointer = 0
        self._before = 0  # the levels that interrupt-on-change compares with
        self._apply()

    def wire(self, lines: Mapping[str, LineOutside], clock: Clock) -> None:
        """Take the line of the board that INTA is wired to, if there is one."""
        self._inta = lines.get("interrupt")
        self._signal()

    def line(self, name: str) -> ChipLine:
        """Return the outside of a line such as "GPA3"."""
        return self._lines.line(name)

    @property
    def inta(self) -> bool:
        """The level of INTA: low (by IOCON, table 3-9) while a change waits to be read."""
        iocon = self._words[_IOCON]
        pending = bool(self._words[_INTF] & (_LINES if iocon & _MIRROR else _PORTS[0]))
        return pending if iocon & _INTPOL and not iocon & _ODR else not pending

    def write(self, data: bytes) -> None:
        """Set the address pointer, then write from there on."""
        self._pointer = data[0]
        for value in data[1:]:
            word, high = self._place()
            self._count()
            self._write(word, high, value)

    def read(self, length: int) -> bytes:
        """Read from the address pointer on."""
        answer = bytearray()
        for _ in range(length):
            word, high = self._place()
            self._count()
            answer.append(self._read(word, high))
        return bytes(answer)

    def _place(self) -> tuple[int, bool]:
        """Return the register pair at the address pointer, and whether it is port B's half."""
        if self._words[_IOCON] & _BANK:
            return (self._pointer & 0x0F) * 2, bool(self._pointer & 0x10)
        return self._pointer & ~1, bool(self._pointer & 1)

    def _count(self) -> None:
        iocon = self._words[_IOCON]
        if not iocon & _SEQOP:
            self._pointer = (self._pointer + 1) % (0x1B if iocon & _BANK else _ALL)
        elif not iocon & _BANK:
            self._pointer ^= 1  # byte mode toggles between the ports, section 3.2.1

    def _write(self, word: int, high: bool, value: int) -> None:
        if word == _IOCON:  # one register, at both addresses; bit 0 is not there
            self._words[_IOCON] = (value & 0xFE) * 0x0101
        elif word in self._words and word not in (_INTF, _INTCAP):
            word = _OLAT if word == _GPIO else word  # section 3.5.10
            shift = 8 * high
            self._words[word] = self._words[word] & ~(0xFF << shift) | value << shift
        self._apply()

    def _read(self, word: int, high: bool) -> int:
        value = self._words.get(word, 0)
        if word == _GPIO:
            value = self._lines.levels ^ self._words[_IPOL]
        if word in (_GPIO, _INTCAP):  # ends the interrupt, section 3.6.4
            ports = _PORTS[high]
            self._words[_INTF] &= ~ports
            self._before = self._before & ~ports | self._lines.levels & ports
            self._changed()
        return value >> 8 * high & 0xFF

    def _apply(self) -> None:
        self._lines.set(self._words[_OLAT], ~self._words[_IODIR] & _LINES, self._words[_GPPU])
        self._changed()

    def _changed(self) -> None:
        """Let the interrupts see the levels (sections 3.6.4 and 3.6.5)."""
        words, levels = self._words, self._lines.levels
        against = words[_DEFVAL] & words[_INTCON] | self._before & ~words[_INTCON]
        changed = (levels ^ against) & words[_GPINTEN] & words[_IODIR]
        for ports in _PORTS:
            if words[_INTF] & ports:
                continue  # the first change is kept until it was read
            if changed & ports:
                words[_INTF] |= changed & ports
                words[_INTCAP] = words[_INTCAP] & ~ports | levels & ports
            else:
                self._before = self._before & ~ports | levels & ports
        self._signal()

    def _signal(self) -> None:
        if self._inta is not None:
            self._inta.drive(self.inta)


class _MCP23017Port:
    """What the lines need of the chip."""

    chip = "MCP23017"
    pull_advice = 'wire it to close to ground with pull = "up", or add a resistor of your own'
    loss = "the chip lost its settings: check its supply"

    def __init__(self, chip: I2CChip) -> None:
        self.where = chip.where
        self._chip = chip

    def set_up(self, wanted: Settings, claimed: int) -> Settings:
        """Set the chip, levels before directions; unclaimed lines stay as they are."""
        self._chip.write(_IOCON_BANKED, 0)  # else it is port B's GPINTEN, which is set below
        self._chip.write(_IOCON, _MIRROR | _ODR)
        words = self._words()
        settings = Settings(
            latch=wanted.latch & claimed | words[_OLAT] & ~claimed,
            outputs=wanted.outputs & claimed | ~words[_IODIR] & _LINES & ~claimed,
            pull_ups=wanted.pull_ups & claimed | words[_GPPU] & ~claimed,
            watched=wanted.watched & claimed,
        )
        for register, value in _registers(settings).items():
            self._chip.write(register, *value.to_bytes(2, "little"))
        return settings

    def drive(self, settings: Settings, line: int) -> None:
        """Write the output latch of one port."""
        port = line // 8
        self._chip.write(_OLAT + port, settings.latch >> 8 * port & 0xFF)

    def look(self, settings: Settings) -> Seen | None:
        """Read all registers, in one transaction."""
        words = self._words()
        expected = _registers(settings) | {_IOCON: (_MIRROR | _ODR) * 0x0101}
        if any(words[register] != value for register, value in expected.items()):
            return None
        return Seen(words[_GPIO], words[_INTF], words[_INTCAP])

    def _words(self) -> dict[int, int]:
        data = self._chip.read_from(_IODIR, _ALL)
        return {at: int.from_bytes(data[at : at + 2], "little") for at in range(0, _ALL, 2)}


def _registers(settings: Settings) -> dict[int, int]:
    """Return what the registers have to be, in the order in which they are to be written."""
    return {
        _OLAT: settings.latch,
        _GPPU: settings.pull_ups,
        _IODIR: ~settings.outputs & _LINES,
        _IPOL: 0,
        _INTCON: 0,  # any change interrupts, register 3-5
        _GPINTEN: settings.watched,
    }


class MCP23017(Device):
    """Microchip MCP23017: 16 lines, each an input or an output.

    Wiring: VDD to 3.3 V, GND, SDA, SCL with pull-ups, RESET to VDD; A2, A1 and A0 to GND or VDD
    give the address 0x20 and up to 7 more. A line drives at most 25 mA, all together 125 mA. INTA
    (or INTB: they are mirrored) may go to a line of the board.

    `bus` is the I²C bus, `address` 0x20 to 0x27. `interrupt` is the board's line that INTA is
    wired to, if it is; the line's own pull-up holds it.

    Lines "GPA0" to "GPA7" and "GPB0" to "GPB7": `pin = "io:GPA3"` is the line GPA3 of the device
    `io`, for any driver that takes a line. Inputs have a pull-up of 100 kilohm or none, and no
    pull-down. GPA7 and GPB7 are outputs only, and refused as inputs: revision D of the datasheet
    (DS20001952D) says so of all chips, since a change while they are read can corrupt SDA.

    Changes of inputs are found by polls (2.5 ms of a bus at 100 kHz): every 0.05 s without
    `interrupt`; with it after each interrupt, and once a second in case one got lost. Of a pulse
    that is over before the chip was read both edges are told, if it is the first since the last
    look.

    Every poll checks the chip's settings. A chip that was away or lost its supply is set up anew,
    levels before directions, and the device is offline for that poll. Lines that no device has
    stay as the chip has them.

    Datasheet: DS20001952C; of GPA7 and GPB7 DS20001952D.
    """

    carries: ClassVar[bool] = True
    simulated: ClassVar[type[MCP23017Chip]] = MCP23017Chip

    line_names: ClassVar[tuple[str, ...]] = tuple(
        f"GP{port}{line}" for port in "AB" for line in range(8)
    )
    output_only: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("GPA7", "GPB7"),
        "a change while it is read can corrupt SDA of the bus (MCP23017 datasheet, DS20001952D)",
    )

    def __init__(
        self,
        id: str,
        *,
        bus: I2CBus,
        address: Literal[0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27] = 0x20,
        interrupt: DigitalInput | None = None,
    ) -> None:
        super().__init__(id)
        self.poll_group = bus.name
        self.every = 0.05 if interrupt is None else 1.0
        self._chip = I2CChip(bus, address)
        self._lines = ExpanderLines(self, self.line_names, _MCP23017Port(self._chip), interrupt)

    def digital_output(self, name: str) -> DigitalOutput:
        """Return a closed output on one of the lines; touches nothing."""
        return self._lines.output(name)

    def digital_input(self, name: str) -> DigitalInput:
        """Return a closed input on one of the lines; touches nothing.

        Raises InvalidValueError for one that is no input.
        """
        if name in self.output_only:
            raise InvalidValueError(f"{self.id}:{name} is no input: {self.output_only[name]}")
        return self._lines.input(name)

    def connect(self) -> None:
        """Find the chip; its lines stay as they are."""
        self._chip.open()
        self._lines.open()

    def disconnect(self) -> None:
        """Give bus and interrupt line back; the lines stay as they are."""
        self._lines.close()
        self._chip.close()

    def poll(self) -> None:
        """Check the chip's settings, and tell the changes of its inputs."""
        self._lines.poll()
