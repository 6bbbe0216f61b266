"""Boards: lines, buses and ports by every name that people use for them."""

from __future__ import annotations

import pytest

from edgekernel.core.errors import ConfigError
from edgekernel.hal.address import BusAddress, LineAddress, PortAddress
from edgekernel.node import Board
from edgekernel.node.board import parse_board

TEXT = """
name = "Test board"
compatible = ["maker,board"]
source = "made up"

[gpio]
chip = "chip0"
lines = { GPIO2 = 2, GPIO3 = 3, GPIO17 = 517, GPIO14 = 14 }

[headers.P9]
"1" = "3V3"
"2" = "GPIO17"

[i2c.i2c1]
device = "/dev/i2c-1"
lines = ["GPIO2", "GPIO3"]
enable = "an overlay"

[uart.uart0]
device = "/dev/ttyS0"
note = "a modem is on it"

[uart.uart1]
device = "/dev/ttyS1"
lines = ["GPIO14"]
enable = "on from the beginning"

[labels]
led0 = "GPIO17"

[reserved]
GPIO14 = "console"
"""


@pytest.fixture
def board() -> Board:
    """A board with a little of everything."""
    return parse_board("maker/test", TEXT, "test.toml")


@pytest.mark.parametrize("name", ["GPIO17", "P9:2", "led0"])
def test_line_by_every_name(board: Board, name: str) -> None:
    """A line's name, its header pin and its label are one and the same line."""
    assert board.line(name) == LineAddress("GPIO17", "chip0", 517)


def test_bus_and_port(board: Board) -> None:
    """Buses and ports are found by name, and know the lines they need for themselves."""
    assert board.bus("i2c1") == BusAddress("i2c1", "/dev/i2c-1")
    assert board.port("uart0") == PortAddress("uart0", "/dev/ttyS0")
    assert [line.name for line in board.lines_of("i2c1")] == ["GPIO2", "GPIO3"]
    assert board.lines_of("uart0") == []


def test_how_it_is_switched_on(board: Board) -> None:
    """A board may say how a bus or port is switched on."""
    assert (board.enabling("i2c1"), board.enabling("uart0")) == ("an overlay", "")


def test_what_is_there_by_choice(board: Board) -> None:
    """A bus or port is extra if an overlay switches it on or it takes reserved lines."""
    assert [name for name in ("i2c1", "uart0", "uart1") if board.is_extra(name)] == [
        "i2c1",
        "uart1",
    ]


def test_notes(board: Board) -> None:
    """A board may say what the users of a bus or port have to know."""
    assert (board.note("uart0"), board.note("i2c1")) == ("a modem is on it", "")


def test_port_by_path(board: Board) -> None:
    """A serial port may be any device file, known to the board or not."""
    path = "/dev/serial/by-id/usb-gps"
    assert board.port(path) == PortAddress(path, path)
    assert board.lines_of(path) == []


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("line", "GPIO18", "\"GPIO18\" is no line of maker/test: .* did you mean 'GPIO1[47]'\\?"),
        ("line", "17", "did you mean 'GPIO17'\\?"),
        ("line", "", "there are: GPIO14, GPIO17, GPIO2, GPIO3, led0"),
        ("line", "P8:2", 'maker/test has no header "P8"; there are: P9'),
        ("line", "P9:3", '"P9:3": header P9 has the pins 1 to 2'),
        ("line", "P9:1", '"P9:1" is 3V3, which is no GPIO line'),
        ("bus", "i2c2", "\"i2c2\" is no I²C bus of maker/test; did you mean 'i2c1'\\?"),
        ("port", "tty", '"tty" is no serial port of maker/test: .*/dev/ttyUSB0.*there are: uart0'),
    ],
)
def test_unknown_name(board: Board, kind: str, name: str, said: str) -> None:
    """A name that the board does not have is told with what it has instead."""
    with pytest.raises(ConfigError, match=said):
        getattr(board, kind)(name)


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ('led0 = "GPIO17"', 'led0 = "GPIO99"', "test.toml: labels: 'GPIO99' is no line of [gpio]"),
        ('GPIO14 = "console"', 'GPIO9 = "x"', "test.toml: reserved: 'GPIO9' is no line of [gpio]"),
        ('["GPIO2", "GPIO3"]', '["SDA"]', "test.toml: i2c.i2c1: 'SDA' is no line of [gpio]"),
        ('source = "made up"', "", "test.toml: source: is missing; this key is required"),
        ('chip = "chip0"', "chip = 0", "test.toml: gpio.chip: 0 is not allowed; a text in quotes"),
        ("[labels]", "[label]", "test.toml: label: unknown key; did you mean 'labels'?"),
        ("[gpio]", "[gpio", "test.toml: is not TOML: "),
    ],
)
def test_wrong_board_file(wrong: str, right: str, said: str) -> None:
    """A mistake in a board file is told with the file, the key and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        parse_board("maker/test", TEXT.replace(wrong, right), "test.toml")
    assert str(caught.value).startswith(said)


def test_hardware_pwm() -> None:
    """A line has the timer that the board says; without one, pulses must be allowed to jitter."""
    text = TEXT + '[pwm.GPIO17]\ncontroller = "fe20c000.pwm"\nchannel = 1\n'
    board = parse_board("maker/test", text, "test.toml")
    timer = board.pwm("led0", software=False)
    assert (timer.name, timer.controller, timer.channel) == ("GPIO17", "fe20c000.pwm", 1)
    assert board.pwm("GPIO2", software=True).controller == ""
    with pytest.raises(
        ConfigError,
        match='"GPIO2" has no hardware PWM on maker/test; lines with '
        "it: GPIO17; or allow jitter with software = true",
    ):
        board.pwm("GPIO2", software=False)


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("pwm", "GPIO17", '"GPIO17" has no hardware PWM on maker/test; no line has it; or allow'),
        ("select", "spi0.1", '"spi0.1" is no SPI chip select of maker/test; did you mean'),
        ("onewire", "w2", '"w2" is no 1-Wire bus of maker/test; '),
    ],
)
def test_boundary_that_is_not_there(kind: str, name: str, said: str) -> None:
    """What the board does not have is told with what it has instead."""
    spi = '[spi."spi0.0"]\ndevice = "/dev/spidev0.0"\n[onewire.w1]\nlines = []\n'
    board = parse_board("maker/test", TEXT + spi, "test.toml")
    find = getattr(board, kind)
    with pytest.raises(ConfigError) as caught:
        find(name, software=False) if kind == "pwm" else find(name)
    assert str(caught.value).startswith(said)


def test_lines_on_several_chips() -> None:
    """A line may name its own chip; one that names none needs a chip for all."""
    lines = "lines = { GPIO2 = 2, GPIO3 = 3, GPIO17 = 517, GPIO14 = 14 }"
    mixed = lines.replace("517", '{ chip = "chip1", line = 5 }')
    board = parse_board("maker/test", TEXT.replace(lines, mixed), "test.toml")
    assert board.line("led0") == LineAddress("GPIO17", "chip1", 5)
    assert board.chips == ("chip0", "chip1")
    without = TEXT.replace(lines, mixed).replace('chip = "chip0"\n', "")
    with pytest.raises(ConfigError) as caught:
        parse_board("maker/test", without, "test.toml")
    assert caught.value.problems[0] == (
        "test.toml: gpio.lines.GPIO2: name its chip, or one for all in gpio.chip"
    )
