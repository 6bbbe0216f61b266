"""OLED displays with an SSD1306 or SH1106 over I²C, drawn by luma.oled.

Sections are those of the datasheets SSD1306, revision 1.1 (Solomon Systech, April 2008), and
SH1106, version 2.3 (Sino Wealth).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from edgekernel import ConfigError, Device, UnavailableError, output
from edgekernel.hal import I2CBus

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

_DATA, _ONE = 0x40, 0x80  # bits of the control byte: D/C#, Co (SSD1306, section 8.1.5.2)
_NOP = 0xE3  # in the command tables of both
_PARAMETERS = {0x20: 1, 0x21: 2, 0x22: 2, 0x26: 6, 0x27: 6, 0x29: 5, 0x2A: 5, 0xA3: 2} | (
    dict.fromkeys((0x81, 0x8D, 0xA8, 0xD3, 0xD5, 0xD9, 0xDA, 0xDB), 1)
)
"""Bytes that follow a command (SSD1306, table 9-1)."""
_HORIZONTAL, _VERTICAL, _PAGES = 0, 1, 2  # memory addressing modes, SSD1306, section 10.1.3


class SSD1306Chip:
    """A simulated SSD1306: commands and data into a memory of 128 x 64 pixels.

    It is seen as on a module that is upright with segments and rows remapped, as most are.
    """

    COLUMNS, FIRST = 128, 0
    PARAMETERS: ClassVar[dict[int, int]] = _PARAMETERS

    def __init__(self) -> None:
        self.power_on()

    def power_on(self) -> None:
        """Begin as after a loss of supply: dark, and set up as by the reset (section 8.5)."""
        self.on = False
        self.contrast = 0x7F
        self.inverted = False
        self._memory = bytearray(self.COLUMNS * 8)
        self._mode = _PAGES
        self._columns, self._pages = (0, self.COLUMNS - 1), (0, 7)
        self._column = self._page = self._start = 0
        self._segments_remapped = self._rows_remapped = self._all_on = False
        self._pending: list[int] = []  # a command that lacks parameters

    def write(self, data: bytes) -> None:
        """Take control bytes, each followed by one byte, or by all that come (section 8.1.5.2)."""
        while data:
            control, taken, data = data[0], data[1:2], data[2:]
            if not control & _ONE:
                taken, data = taken + data, b""
            for byte in taken:
                (self._take_data if control & _DATA else self._take_command)(byte)

    def read(self, length: int) -> bytes:
        """Answer with the status: bit 6 is set while the display is off (table 9-2)."""
        return bytes([0x00 if self.on else 0x40] * length)

    def lit(self, x: int, y: int) -> bool:
        """Say whether a pixel is lit; (0, 0) is at the top left."""
        if not self.on:
            return False
        seen = x if self._segments_remapped else 127 - x
        row = y if self._rows_remapped else 63 - y
        row = (row + self._start) % 64
        bit = self._memory[row // 8 * self.COLUMNS + self.FIRST + seen] >> row % 8 & 1
        return self._all_on or bool(bit) != self.inverted

    def _take_data(self, byte: int) -> None:
        self._memory[self._page * self.COLUMNS + self._column] = byte
        if self._mode == _VERTICAL:
            self._page, over = _next(self._page, self._pages)
            self._column = _next(self._column, self._columns)[0] if over else self._column
        else:
            self._column, over = _next(self._column, self._columns)
            if over and self._mode == _HORIZONTAL:
                self._page, _ = _next(self._page, self._pages)

    def _take_command(self, byte: int) -> None:
        self._pending.append(byte)
        command, *parameters = self._pending
        if len(parameters) < self.PARAMETERS.get(command, 0):
            return
        self._pending = []
        if command < 0x20:  # half a column address, section 10.1.1 and 10.1.2
            low, high = self._column & 0x0F, self._column & 0xF0
            column = low | (byte & 0x0F) << 4 if command & 0x10 else high | byte
            self._column = column % self.COLUMNS
        elif 0x40 <= command < 0x80:
            self._start = command & 0x3F
        elif command & 0xF8 == 0xB0:
            self._page = command & 0x07
        else:
            self._set(command, parameters)

    def _set(self, command: int, parameters: list[int]) -> None:
        match command, parameters:
            case 0x20, [mode]:
                self._mode = mode & 0x03
            case 0x21, [first, last]:
                self._columns, self._column = (first & 0x7F, last & 0x7F), first & 0x7F
            case 0x22, [first, last]:
                self._pages, self._page = (first & 0x07, last & 0x07), first & 0x07
            case 0x81, [level]:
                self.contrast = level
            case ((0xA0 | 0xA1), _):
                self._segments_remapped = command == 0xA1
            case ((0xA4 | 0xA5), _):
                self._all_on = command == 0xA5
            case ((0xA6 | 0xA7), _):
                self.inverted = command == 0xA7
            case ((0xAE | 0xAF), _):
                self.on = command == 0xAF
            case ((0xC0 | 0xC8), _):
                self._rows_remapped = command == 0xC8


class SH1106Chip(SSD1306Chip):
    """A simulated SH1106: 132 columns of memory, of which 128 are seen, written page by page.

    What only the SSD1306 has it takes for something else, or not at all (section "Commands").
    """

    COLUMNS, FIRST = 132, 2
    PARAMETERS: ClassVar[dict[int, int]] = {
        command: count for command, count in _PARAMETERS.items() if command in range(0xA8, 0xDC)
    } | {0x81: 1, 0xAD: 1}

    def _set(self, command: int, parameters: list[int]) -> None:
        if command not in (0x20, 0x21, 0x22):
            super()._set(command, parameters)


def _next(value: int, limits: tuple[int, int]) -> tuple[int, bool]:
    """Return the value after one, and whether that is the first again."""
    first, last = limits
    return (first, True) if value >= last else (value + 1, False)


class LumaOled(Device):
    """OLED display with an SSD1306 or SH1106, showing lines of text or what you draw.

    Needs the extra: pip install 'edgekernel[display]'. Wiring: VCC to 3.3 V, GND, SDA, SCL.

    `bus` is the I²C bus, `address` 0x3c or 0x3d, `controller` "ssd1306" or "sh1106" (modules of
    1.3 inches have the latter), `height` 64 or 32 pixels, `rotate` 0 or 180 degrees, `contrast`
    0 to 255, `font_size` the height of the text in pixels, with which 64 pixels have 5 lines of 10.

    Output: `text`, its lines apart by a line end; safe is an empty display. An application draws
    with `draw` instead.

    The display is asked every few seconds whether it is there; one that comes back is set up anew
    and shows what it has shown before.
    """

    simulated: ClassVar[type[SSD1306Chip]] = SSD1306Chip
    every = 5.0

    text = output(str, safe="")

    def __init__(
        self,
        id: str,
        *,
        bus: I2CBus,
        address: Literal[0x3C, 0x3D] = 0x3C,
        controller: Literal["ssd1306", "sh1106"] = "ssd1306",
        height: Literal[64, 32] = 64,
        rotate: Literal[0, 180] = 0,
        contrast: int = 0xCF,
        font_size: int = 10,
    ) -> None:
        super().__init__(id)
        if not 0 <= contrast <= 255:
            raise ConfigError(f"contrast: {contrast} is not allowed; 0 to 255 is")
        if not 6 <= font_size <= 64:
            raise ConfigError(f"font_size: {font_size} is not allowed; 6 to 64 pixels are")
        self._serial, self._displays = _import_luma()
        self.poll_group = bus.name
        self._bus = bus
        self._bus_open = False
        self._address = address
        self._wire = _LumaBus(bus)
        self._controller = controller
        self._shape = {"width": 128, "height": height, "rotate": rotate // 90}
        self._contrast = contrast
        self._font_size = font_size
        self._display: Any = None
        self._set_up_by: list[bytes] = []
        self._shown: Image.Image | None = None
        self._lock = self.clock.Lock()  # around the display

    def connect(self) -> None:
        """Set the display up; it is empty."""
        self._bus.open()
        self._bus_open = True
        self._lock = self.clock.Lock()
        self._shown = None
        self._set_up()

    def disconnect(self) -> None:
        """Give the bus back; the display stays as it is."""
        if self._bus_open:
            self._bus_open = False
            self._bus.close()

    def poll(self) -> None:
        """See whether the display is there."""
        with self._lock:
            if self.online:
                self._wire.write_i2c_block_data(self._address, 0x00, [_NOP])
                return
            self._set_up()
            if self._shown is not None:
                self._display.display(self._shown)

    def draw(self, paint: Callable[[ImageDraw.ImageDraw], object]) -> None:
        """Let `paint` draw on an empty picture of the display's size, and show it.

        1 is lit. It stays until something else is drawn or `text` is set. Raises UnavailableError
        while the device is not attached, and BoundaryError if the display does not answer.
        """
        if not self.attached:
            raise UnavailableError(f"{self.id}: not drawn: the device is not attached")
        self._show(paint)
        self.text.readback.fail("a drawing is shown")

    @text.drive
    def _show_text(self, text: str) -> str:
        from PIL import ImageFont

        font = ImageFont.load_default(self._font_size)
        self._show(lambda draw: draw.multiline_text((0, 0), text, fill=1, font=font, spacing=1))
        return text

    def _show(self, paint: Callable[[ImageDraw.ImageDraw], object]) -> None:
        from PIL import Image, ImageDraw

        picture = Image.new("1", self._display.size)
        paint(ImageDraw.Draw(picture))
        with self._lock:
            self._display.display(picture)
            self._shown = picture

    def _set_up(self) -> None:
        """Send what luma sends to a new display.

        luma keeps every display that it has begun to make until the process ends: so there is one
        of them only, and none before the chip has answered.
        """
        self._wire.write_i2c_block_data(self._address, 0x00, [_NOP])
        if self._display is not None:
            for sent in self._set_up_by:
                self._bus.write(self._address, sent)
            return
        self._wire.sent = []
        try:
            serial = self._serial.i2c(bus=self._wire, address=self._address)
            display = getattr(self._displays, self._controller)(serial, **self._shape)
            display.contrast(self._contrast)
            display.persist = True  # or luma would clear it at the end of the process
            self._display, self._set_up_by = display, self._wire.sent
        finally:
            self._wire.sent = None


class _LumaBus:
    """An I2CBus as luma wants it: with one method of smbus. Notes what was sent if asked to."""

    def __init__(self, bus: I2CBus) -> None:
        self._bus = bus
        self.sent: list[bytes] | None = None

    def write_i2c_block_data(self, address: int, command: int, data: list[int]) -> None:
        """Write a control byte and what follows it."""
        sent = bytes([command, *data])
        self._bus.write(address, sent)
        if self.sent is not None:
            self.sent.append(sent)


def _import_luma() -> tuple[Any, Any]:
    """Return luma's modules of interfaces and of displays; it publishes no types."""
    try:
        return import_module("luma.core.interface.serial"), import_module("luma.oled.device")
    except ImportError as error:
        raise ConfigError(
            f"the driver luma_oled needs luma.oled ({error}): python -m pip install "
            "'edgekernel[display]'"
        ) from error
