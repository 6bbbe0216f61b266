"""OLED displays: what luma draws, bit by bit in the memory of a simulated chip."""

import gc
from collections.abc import Callable
from typing import Any, Literal

import pytest
from edgekernel_devices.luma_oled import LumaOled, SH1106Chip, SSD1306Chip
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from edgekernel import ConfigError, Event, Quality, Runtime, UnavailableError, message
from edgekernel.backends.sim import SimBackend, SimI2CBus
from edgekernel.core.errors import BootError
from edgekernel.hal.address import BusAddress
from edgekernel.sim import SimClock

Boot = Callable[..., Runtime]
Paint = Callable[[ImageDraw.ImageDraw], object]

pytestmark = pytest.mark.filterwarnings(
    "ignore:Image.Image.getdata is deprecated:DeprecationWarning"  # luma.oled up to 3.16
)


@pytest.fixture
def bus(backend: SimBackend) -> SimI2CBus:
    """The simulated bus."""
    return backend.i2c_bus(BusAddress("i2c1", "/dev/i2c-1"))


@pytest.fixture
def chip(bus: SimI2CBus) -> SSD1306Chip:
    """A display at 0x3c."""
    made = SSD1306Chip()
    bus.plug(0x3C, made)
    return made


@pytest.fixture
def screen(bus: SimI2CBus, chip: SSD1306Chip) -> LumaOled:
    """The driver of that display."""
    return LumaOled("screen", bus=bus)


def seen(chip: SSD1306Chip, height: int = 64) -> list[str]:
    """Return what a display shows, a text for each row."""
    return ["".join(".#"[chip.lit(x, y)] for x in range(128)) for y in range(height)]


def drawn(paint: Paint, height: int = 64) -> list[str]:
    """Return the same as drawn by Pillow alone."""
    picture = Image.new("1", (128, height))
    paint(ImageDraw.Draw(picture))
    return [
        "".join(".#"[bool(picture.getpixel((x, y)))] for x in range(128)) for y in range(height)
    ]


def lines(text: str, size: int = 10) -> Paint:
    """Return what draws lines of text."""
    font = ImageFont.load_default(size)
    return lambda draw: draw.multiline_text((0, 0), text, fill=1, font=font, spacing=1)


def a_figure(draw: ImageDraw.ImageDraw) -> None:
    """Draw something that has no symmetry."""
    draw.rectangle((0, 0, 127, 31), outline=1)
    draw.line((3, 5, 100, 27), fill=1)
    draw.ellipse((90, 2, 110, 20), fill=1)
    draw.point((127, 0), fill=0)


EMPTY = ["." * 128] * 64


@pytest.mark.parametrize(("controller", "kind"), [("ssd1306", SSD1306Chip), ("sh1106", SH1106Chip)])
def test_text_and_drawing(
    boot: Boot, bus: SimI2CBus, controller: Any, kind: type[SSD1306Chip]
) -> None:
    """Text and drawings are in the display's memory pixel by pixel, on either controller."""
    chip = kind()
    bus.plug(0x3D, chip)
    screen = LumaOled("screen", bus=bus, address=0x3D, controller=controller)
    boot(screen)
    assert (chip.on, chip.contrast, seen(chip)) == (True, 0xCF, EMPTY)
    screen.text.set("21.5 °C\n48 %\nfan on")
    assert seen(chip) == drawn(lines("21.5 °C\n48 %\nfan on")) != EMPTY
    screen.draw(a_figure)
    assert seen(chip) == drawn(a_figure)
    screen.text.set("")
    assert seen(chip) == EMPTY


def test_any_pixels(boot: Boot, screen: LumaOled, chip: SSD1306Chip) -> None:
    """Whatever pixels are drawn, those and no others are lit."""
    boot(screen)

    @given(st.lists(st.tuples(st.integers(0, 127), st.integers(0, 63)), max_size=40))
    def check(points: list[tuple[int, int]]) -> None:
        screen.draw(lambda draw: draw.point(points, fill=1))
        lit = {(x, y) for y, row in enumerate(seen(chip)) for x in range(128) if row[x] == "#"}
        assert lit == set(points)

    check()


def test_height(boot: Boot, bus: SimI2CBus, chip: SSD1306Chip) -> None:
    """A display of 32 rows has a picture of 32 rows."""
    screen = LumaOled("screen", bus=bus, height=32, font_size=20, contrast=0)
    boot(screen)
    screen.text.set("22:47")
    assert seen(chip, 32) == drawn(lines("22:47", 20), 32)
    assert chip.contrast == 0


@pytest.mark.parametrize("rotate", [0, 180])
def test_rotated(boot: Boot, bus: SimI2CBus, chip: SSD1306Chip, rotate: Literal[0, 180]) -> None:
    """A display that hangs upside down shows the picture turned."""
    screen = LumaOled("screen", bus=bus, rotate=rotate)
    boot(screen)
    screen.draw(a_figure)
    expected = drawn(a_figure)
    assert seen(chip) == (expected if not rotate else [row[::-1] for row in expected[::-1]])


def test_safe(clock: SimClock, bus: SimI2CBus, screen: LumaOled, chip: SSD1306Chip) -> None:
    """P8: nothing stays on the display when the node stops, and it cannot be drawn on then."""
    runtime = Runtime(clock=clock)
    runtime.attach_device(screen)
    with runtime:
        screen.text.set("it is warm")
        assert seen(chip) != EMPTY
    assert seen(chip) == EMPTY
    with pytest.raises(UnavailableError, match="screen: not drawn: the device is not attached"):
        screen.draw(a_figure)
    with pytest.raises(Exception, match="i2c1: not open"):
        bus.read(0x3C, 1)


def test_readback(boot: Boot, screen: LumaOled) -> None:
    """The readback is the text that is shown; while a drawing is shown there is none."""
    boot(screen)
    screen.text.set("warm")
    assert screen.text.value == "warm"
    screen.draw(a_figure)
    assert screen.text.readback.quality is Quality.BAD
    screen.text.set("cold")
    assert screen.text.value == "cold"


def test_unplugged_and_plugged_in_again(
    clock: SimClock,
    boot: Boot,
    bus: SimI2CBus,
    screen: LumaOled,
    chip: SSD1306Chip,
    events: list[Event],
) -> None:
    """A display that is plugged in again is set up anew and shows what it has shown."""
    boot(screen)
    screen.text.set("still here")
    bus.unplug(0x3C)
    clock.advance(6)
    assert not screen.online
    other = SSD1306Chip()
    bus.plug(0x3C, other)
    assert clock.run_until(lambda: screen.online, 120)
    assert (other.on, other.contrast) == (True, 0xCF)
    assert seen(other) == drawn(lines("still here")) == seen(chip)
    told = [type(e.payload) for e in events if "device" in e.payload.to_dict()]
    assert told[-2:] == [message.DeviceOffline, message.DeviceOnline]


def test_attached_again(clock: SimClock, screen: LumaOled, chip: SSD1306Chip) -> None:
    """A display that another runtime attaches is set up anew, and empty."""
    for text in ("one", "two"):
        runtime = Runtime(clock=clock)
        runtime.attach_device(screen)
        with runtime:
            assert seen(chip) == EMPTY
            screen.text.set(text)
            assert seen(chip) == drawn(lines(text))


def test_no_display(boot: Boot, bus: SimI2CBus) -> None:
    """Without a display the runtime does not boot, and says where it looked."""
    with pytest.raises(BootError) as caught:
        boot(LumaOled("screen", bus=bus))
    assert "i2c1, address 0x3c: no acknowledge" in str(caught.value.exceptions[0])
    with pytest.raises(Exception, match="not open"):
        bus.read(0x3C, 1)


def test_nothing_is_left_of_attempts(clock: SimClock, bus: SimI2CBus) -> None:
    """However often an optional display is looked for, luma is left with no more than one."""

    def kept() -> int:
        gc.collect()
        return sum(type(each).__name__ == "ssd1306" for each in gc.get_objects())

    before = kept()
    runtime = Runtime(clock=clock)
    screen = LumaOled("screen", bus=bus)
    runtime.attach_device(screen, optional=True)
    with runtime:
        clock.advance(300)
        assert kept() == before
        bus.plug(0x3C, SSD1306Chip())
        assert clock.run_until(lambda: screen.online, 120)
        assert kept() == before + 1


def test_two_on_one_bus(boot: Boot, bus: SimI2CBus, screen: LumaOled, chip: SSD1306Chip) -> None:
    """Two displays on one bus show each their own."""
    other_chip = SSD1306Chip()
    bus.plug(0x3D, other_chip)
    other = LumaOled("other", bus=bus, address=0x3D)
    boot(screen, other)
    screen.text.set("left")
    other.text.set("right")
    assert (seen(chip), seen(other_chip)) == (drawn(lines("left")), drawn(lines("right")))


@pytest.mark.parametrize("wrong", [{"contrast": 256}, {"contrast": -1}, {"font_size": 5}])
def test_wrong_settings(bus: SimI2CBus, wrong: dict[str, Any]) -> None:
    """A contrast or a font size that cannot be is refused by its key."""
    with pytest.raises(ConfigError, match=f"^{next(iter(wrong))}: "):
        LumaOled("screen", bus=bus, **wrong)


class TestSSD1306:
    """The simulated chip by itself, after the datasheet."""

    def test_modes(self) -> None:
        """Section 10.1.3: data goes along rows, down columns, or along one page."""
        for mode, after in ((0, [(2, 0), (3, 0), (2, 1)]), (1, [(2, 0), (2, 1), (3, 0)])):
            chip = SSD1306Chip()
            chip.write(bytes([0x00, 0xAF, 0xA1, 0xC8, 0x20, mode, 0x21, 2, 3, 0x22, 0, 1]))
            chip.write(b"\x40\x01\x01\x01")
            assert [(x, y // 8) for y in range(64) for x in range(128) if chip.lit(x, y)] == (
                sorted(after, key=lambda place: place[::-1])
            )
        chip = SSD1306Chip()
        chip.write(bytes([0x00, 0xAF, 0xA1, 0xC8, 0xB2, 0x0F, 0x17]))
        chip.write(b"\x40\x80\x80")
        assert [(x, y) for y in range(64) for x in range(128) if chip.lit(x, y)] == [
            (0, 23),
            (127, 23),
        ]

    def test_control_bytes(self) -> None:
        """Section 8.1.5.2: a control byte with Co is for one byte, one without for all others."""
        chip = SSD1306Chip()
        chip.write(bytes([0x80, 0xAF, 0x80, 0x81, 0x80, 0x12, 0xC0, 0xFF, 0x40, 0x0F, 0x00]))
        assert (chip.on, chip.contrast) == (True, 0x12)
        assert [chip.lit(127, 63 - y) for y in range(8)] == [True] * 8
        assert [chip.lit(126, 63 - y) for y in range(8)] == [True] * 4 + [False] * 4

    def test_seen(self) -> None:
        """Off shows nothing, inverted the opposite, all on everything, and lines may be moved."""
        chip = SSD1306Chip()
        chip.write(bytes([0x00, 0xA1, 0xC8]))
        chip.write(b"\x40\x01")
        assert not chip.lit(0, 0)
        assert chip.read(1) == b"\x40"
        chip.write(b"\x00\xaf")
        assert (chip.lit(0, 0), chip.lit(1, 0), chip.read(1)) == (True, False, b"\x00")
        chip.write(b"\x00\xa7")
        assert (chip.lit(0, 0), chip.lit(1, 0)) == (False, True)
        chip.write(b"\x00\xa5")
        assert chip.lit(0, 0)
        chip.write(bytes([0x00, 0xA4, 0xA6, 0x48]))
        assert (chip.lit(0, 0), chip.lit(0, 56)) == (False, True)
        chip.write(bytes([0x00, 0x40, 0xA0]))
        assert (chip.lit(0, 0), chip.lit(127, 0)) == (False, True)
