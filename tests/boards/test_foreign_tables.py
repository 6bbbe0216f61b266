"""Judged by others: gpiozero's tables of the Raspberry Pi, Blinka's of the other boards."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from gpiozero import PinInfo
from gpiozero.pins.data import PI4_J8, PLUS_J8
from gpiozero.pins.pi import PiBoardInfo

from edgekernel.node.board import Board
from edgekernel.node.packs import load_board

# New-style revision codes: type in bits 4 to 11, processor in bits 12 to 15 (Raspberry Pi
# documentation, "Raspberry Pi revision codes").
REVISIONS = {
    "raspberrypi/zero-w": 0x9000C1,
    "raspberrypi/3b-plus": 0xA020D3,
    "raspberrypi/zero-2-w": 0x902120,
    "raspberrypi/4b": 0xA03111,
    "raspberrypi/400": 0xC03130,
    "raspberrypi/cm4": 0xA03140,
    "raspberrypi/5": 0xC04170,
    "raspberrypi/cm5": 0xC04180,
}


def gpiozero_header(revision: int) -> dict[str, PinInfo]:
    """Return what gpiozero knows of the 40 pins of a Raspberry Pi."""
    pins = PiBoardInfo.from_revision(revision).headers["J8"].pins
    return {str(number): pin for number, pin in pins.items()}


@pytest.mark.parametrize("name", REVISIONS)
def test_header_of_gpiozero(name: str) -> None:
    """Each pin of J8 is what gpiozero says it is."""
    theirs = {number: pin.name for number, pin in gpiozero_header(REVISIONS[name]).items()}
    assert theirs == load_board(name).headers["J8"]


@pytest.mark.parametrize("name", REVISIONS)
def test_functions_of_gpiozero(name: str) -> None:
    """Each line of a bus has that bus among the functions that gpiozero lists for it."""
    board = load_board(name)
    pins = {pin.name: pin for pin in gpiozero_header(REVISIONS[name]).values()}
    wanted = {
        "i2c": [line.name for bus in board.buses for line in board.lines_of(bus)],
        "spi": [line.name for bus in board.selects for line in board.lines_of(bus)],
        "uart": [line.name for port in board.ports for line in board.lines_of(port)],
        "pwm": list(board.pwm_lines),
    }
    for interface, lines in wanted.items():
        for line in lines:
            assert interface in pins[line].interfaces, f"{line} has no {interface}"


@pytest.mark.parametrize("name", [name for name in REVISIONS if not name.endswith("5")])
def test_channels_of_gpiozero(name: str) -> None:
    """Each PWM line has the channel that its function has in gpiozero's table.

    Not behind the RP1, of which gpiozero has the table of the Pi 4.
    """
    table: dict[int, dict[str, str]] = PI4_J8[2] if "4" in name else PLUS_J8[2]
    theirs = {pin["gpio"]: pin["pwm"] for pin in table.values() if pin.get("pwm")}
    board = load_board(name)
    channels = {line: board.pwm(line, software=False).channel for line in board.pwm_lines}
    assert theirs == {line: f"PWM0 {channel}" for line, channel in channels.items()}


# Board: its module of Blinka, that of its processor, the header, and the chip of each number.
MESON = {0: "aobus-banks", 1: "periphs-banks"}
ALLWINNER = {0: "1c20800.pinctrl", 1: "1f02c00.pinctrl"}
ROCKCHIP = {n: f"gpio{n}" for n in range(5)}
BLINKA = {
    "hardkernel/odroid-c4": ("hardkernel/odroidc4", "amlogic/meson_g12_common", "J2", MESON),
    "hardkernel/odroid-n2": ("hardkernel/odroidn2", "amlogic/meson_g12_common", "J2", MESON),
    "bananapi/bpi-m5": ("bananapi/bpim5", "amlogic/meson_g12_common", "CON1", MESON),
    "libretech/aml-s905x-cc": ("librecomputer/aml_s905x_cc_v1", "amlogic/s905x", "7J1", MESON),
    "radxa/rock-pi-4": ("radxa/rockpi4", "rockchip/rk3399", "GPIO", ROCKCHIP),
    "radxa/rock-5b": ("radxa/rock5", "rockchip/rk3588", "GPIO", ROCKCHIP),
    "friendlyelec/nanopi-neo": ("nanopi/neo", "allwinner/h3", "GPIO", ALLWINNER),
}
THEIR_MISTAKES = {
    # Pins 7 and 24 are one line there; Linux names GPIOCLK_0 "7J1 Header Pin7".
    ("libretech/aml-s905x-cc", "7"),
    # GPIOA_8 there; Linux names GPIOAO_8 "CON1-P12".
    ("bananapi/bpi-m5", "12"),
}


def blinka_file(path: str) -> Path:
    """Return the file of a module of Blinka, which can be imported on its board only."""
    spec = find_spec("adafruit_blinka")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / f"{path}.py"


def blinka(path: str) -> Iterator[tuple[list[str], ast.expr]]:
    """Yield the assignments in a module of Blinka: names, value."""
    for each in ast.parse(blinka_file(path).read_text(encoding="utf-8")).body:
        if isinstance(each, ast.Assign):
            yield [name.id for name in each.targets if isinstance(name, ast.Name)], each.value


def blinka_lines(path: str, chips: dict[int, str]) -> dict[str, tuple[str, int]]:
    """Return chip and offset of each line that Blinka's module of a processor defines."""
    found: dict[str, tuple[str, int]] = {}
    for names, value in blinka(f"microcontroller/{path}/pin"):
        if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "Pin":
            text = ast.unparse(value.args[0])
            # There the names of two chips, and how many lines one has more than the 85 it should.
            text = text.replace("aobus", "0").replace("periphs_offset", "0").replace("periphs", "1")
            place = ast.literal_eval(re.sub(r"(\d+) \+ 0", r"\1", text))
            chip, offset = place if isinstance(place, tuple) else (0, place)
            found.update(dict.fromkeys(names, (chips[chip], offset)))
        elif isinstance(value, ast.Name) and value.id in found:
            found.update(dict.fromkeys(names, found[value.id]))
    return found


def blinka_names(board: str, lines: dict[str, tuple[str, int]]) -> dict[str, tuple[str, int]]:
    """Return the line of each name that Blinka's module of a board gives to one."""
    found: dict[str, tuple[str, int]] = {}
    for names, value in blinka(f"board/{board}"):
        name = value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "")
        if place := found.get(name, lines.get(name)):
            found.update(dict.fromkeys(names, place))
    return found


def blinka_pins(board: str, lines: dict[str, tuple[str, int]]) -> dict[str, tuple[str, int]]:
    """Return the line of each header pin in Blinka's module of a board."""
    numbers = {
        number[1]: place
        for name, place in blinka_names(board, lines).items()
        if (number := re.fullmatch(r"[DP](\d+)", name))
    }
    return {number: place for number, place in numbers.items() if int(number) <= 40}


def by_pi_lines(pins: dict[str, tuple[str, int]]) -> dict[str, tuple[str, int]]:
    """Return pins by number where Blinka names them as lines of a Raspberry Pi, in whose places
    they are."""
    numbers = {line: number for number, line in load_board("raspberrypi/4b").headers["J8"].items()}
    return {numbers[f"GPIO{line}"]: place for line, place in pins.items()}


def place(board: Board, header: str, pin: str) -> tuple[str, int]:
    """Return chip and offset of a header pin."""
    line = board.line(f"{header}:{pin}")
    return line.chip, line.offset


@pytest.mark.parametrize("name", BLINKA)
def test_header_of_blinka(name: str) -> None:
    """Each header pin is on the chip and at the offset that Blinka says."""
    module, processor, header, chips = BLINKA[name]
    board = load_board(name)
    theirs = blinka_pins(module, blinka_lines(processor, chips))
    if name == "friendlyelec/nanopi-neo":
        theirs = by_pi_lines(theirs)
    assert len(theirs) >= 15
    different = {pin for pin, where in theirs.items() if place(board, header, pin) != where}
    assert different == {pin for wrong, pin in THEIR_MISTAKES if wrong == name}


def test_pwm_of_blinka() -> None:
    """The PWM timers of the ODROID boards are those that Blinka finds by the same names."""
    text = blinka_file("microcontroller/amlogic/meson_g12_common/pin").read_text(encoding="utf-8")
    for name, id in (("hardkernel/odroid-c4", "ODROID_C4"), ("hardkernel/odroid-n2", "ODROID_N2")):
        blocks = (
            text.split(f'if board in ("{id}"):')[1].split("analogIns")[0].split("get_pwm_chipid")
        )
        theirs = {
            (line, re.findall(r"\w+\.pwm", block)[0], int(channel))
            for block in blocks[1:]
            for channel, line in re.findall(r", (\d)\), (GPIO\w+)\)", block)
        }
        board = load_board(name)
        timers = {line: board.pwm(line, software=False) for line in board.pwm_lines}
        assert theirs == {(line, t.controller, t.channel) for line, t in timers.items()}


def places(board: Board, bus: str) -> list[tuple[str, int]]:
    """Return chip and offset of each line of a bus, that of a chip select last."""
    lines = board.lines_of(bus)
    select = board.select_line(bus) if bus in board.selects else None
    return [(line.chip, line.offset) for line in [*lines, *([select] if select else [])]]


def test_buses_of_the_nanopi_neo() -> None:
    """The buses and ports of the NanoPi NEO have the lines that Blinka gives to them.

    Not the receiving line of uart2: Blinka has PC3, which is a line of its spi0.0 as well.
    """
    board = load_board("friendlyelec/nanopi-neo")
    theirs = blinka_names("nanopi/neo", blinka_lines("allwinner/h3", ALLWINNER))
    buses = {
        "i2c0": ["SDA", "SCL"],
        "uart1": ["UART1_TX", "UART1_RX"],
        "spi0.0": ["MISO", "MOSI", "SCLK", "CE0"],
    }
    for bus, names in buses.items():
        assert places(board, bus) == [theirs[name] for name in names]
    assert places(board, "uart2")[0] == theirs["UART2_TX"]


@pytest.mark.parametrize("name", ["hardkernel/odroid-c4", "hardkernel/odroid-n2"])
def test_buses_of_the_odroids(name: str) -> None:
    """The buses of the ODROID boards have the lines that Blinka knows for the units of the
    processor that Hardkernel's device trees call i2c0, i2c1 and serial1."""
    path = "microcontroller/amlogic/meson_g12_common/pin"
    text = blinka_file(path).read_text(encoding="utf-8")
    lines = blinka_lines("amlogic/meson_g12_common", MESON)
    board = load_board(name)
    units = {"i2c0": "ffd1d000.i2c", "i2c1": "ffd1c000.i2c", "uart1": "ffd24000.serial"}
    for bus, unit in units.items():
        block = text.split(f'get_dts_alias("{unit}")')[1].split("get_dts_alias")[0]
        theirs = dict(re.findall(r'"_(SDA|SCL|TX|RX)"\] = (GPIO\w+)', block))
        names = [theirs[key] for key in ("SDA", "SCL", "TX", "RX") if key in theirs]
        assert len(names) == 2
        assert places(board, bus) == [lines[each] for each in names]
    spi = ["SPI0_MISO", "SPI0_MOSI", "SPI0_SCLK", "SPI0_CS0"]
    assert places(board, "spi0.0") == [lines[each] for each in spi]
