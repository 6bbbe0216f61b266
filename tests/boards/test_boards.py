import re
from importlib.resources import files
from itertools import combinations

import pytest

from edgekernel import Device
from edgekernel.core.errors import ConfigError
from edgekernel.hal.address import LineAddress
from edgekernel.node.board import Board
from edgekernel.node.claims import Claims
from edgekernel.node.packs import board_names, find_board, load_board
from edgekernel.node.planned import Address, PlannedDevice

BOARDS = sorted(board_names())
PI_BOARDS = [name for name in BOARDS if name.startswith("raspberrypi/")]
OTHERS = [name for name in BOARDS if name != "sim" and name not in PI_BOARDS]
NO_LINE = re.compile(r"3V3|5V|1V8|GND|NC|ADC\d")
"""What a header pin may be that is no line: a rail, nothing, or an analog input."""

EVERY_PI = {
    "i2c0": [0, 1],
    "i2c1": [2, 3],
    "uart0": [14, 15],
    "spi0.0": [9, 10, 11, 8],
    "spi0.1": [9, 10, 11, 7],
    "spi1.0": [19, 20, 21, 18],
    "spi1.1": [19, 20, 21, 17],
    "spi1.2": [19, 20, 21, 16],
    "w1": [4],
}
"""The lines of the buses of each Raspberry Pi; of an SPI bus the chip select last."""
BCM2711 = {
    "i2c3": [4, 5],
    "i2c4": [8, 9],
    "i2c5": [12, 13],
    "i2c6": [22, 23],
    "uart2": [0, 1],
    "uart3": [4, 5],
    "uart4": [8, 9],
    "uart5": [12, 13],
    "spi3.0": [1, 2, 3, 0],
    "spi3.1": [1, 2, 3, 24],
    "spi4.0": [5, 6, 7, 4],
    "spi4.1": [5, 6, 7, 25],
    "spi5.0": [13, 14, 15, 12],
    "spi5.1": [13, 14, 15, 26],
    "spi6.0": [19, 20, 21, 18],
    "spi6.1": [19, 20, 21, 27],
}
RP1 = {
    "i2c2": [4, 5],
    "i2c3": [6, 7],
    "uart1": [0, 1],
    "uart2": [4, 5],
    "uart3": [8, 9],
    "uart4": [12, 13],
    "spi2.0": [1, 2, 3, 0],
    "spi2.1": [1, 2, 3, 24],
    "spi3.0": [5, 6, 7, 4],
    "spi3.1": [5, 6, 7, 25],
    "spi5.0": [13, 14, 15, 12],
    "spi5.1": [13, 14, 15, 26],
}
FURTHER: dict[str, dict[str, list[int]]] = {
    "4b": BCM2711,
    "400": BCM2711,
    "cm4": BCM2711,
    "5": RP1,
    "cm5": RP1,
}


def all_buses(board: Board) -> list[str]:
    """Return the names of everything on a board that takes lines for itself."""
    return [*board.buses, *board.ports, *board.selects, *board.onewires]


def lines_taken(board: Board, bus: str) -> list[LineAddress]:
    """Return the lines that a device on a bus takes, that of its chip select among them."""
    select = board.select_line(bus) if bus in board.selects else None
    return [*board.lines_of(bus), *([select] if select else [])]


def spi_bus(bus: str) -> str:
    """Return the bus of a chip select; any other bus is one itself."""
    return bus.partition(".")[0]


def pairs(board: Board) -> list[tuple[str, str]]:
    """Return every two buses, which two chip selects of one bus are not."""
    two = combinations(all_buses(board), 2)
    return [(one, other) for one, other in two if spi_bus(one) != spi_bus(other)]


def test_the_boards_are_found() -> None:
    """The boards that come with edgekernel are found by their names."""
    pis = {"zero-w", "zero-2-w", "3b-plus", "4b", "400", "5", "cm4", "cm5"}
    assert {f"raspberrypi/{pi}" for pi in pis} == set(PI_BOARDS)
    assert "sim" in BOARDS
    assert len({name.partition("/")[0] for name in OTHERS}) >= 5
    assert len(BOARDS) >= 14
    with_buses = {name for name in OTHERS if all_buses(load_board(name))}
    assert len({name.partition("/")[0] for name in with_buses if load_board(name).ports}) >= 4


@pytest.mark.parametrize("name", BOARDS)
def test_lines_are_different(name: str) -> None:
    """No two lines of a board are the same one, and it says where its data is from."""
    board = load_board(name)
    places = [(line.chip, line.offset) for line in board.lines.values()]
    assert len(set(places)) == len(places)
    assert all(chip for chip, _ in places)
    assert board.source.strip()
    assert "://" not in board.source


@pytest.mark.parametrize("name", [*PI_BOARDS, *OTHERS])
def test_sources_are_cited(name: str) -> None:
    """A board says where its header, compatible string, chip labels and offsets are from."""
    source = " ".join(load_board(name).source.split())
    for fact in ("Header", "ompatible string", "hip label"):
        assert fact in source
    assert re.search(r"\b[a-z0-9-]+\.dtsi?\b", source), "no device tree is named"


@pytest.mark.parametrize("name", BOARDS)
def test_header_pins_are_lines_or_rails(name: str) -> None:
    """Each header pin is a line of the board or none at all, and a line is on one pin only."""
    board = load_board(name)
    assert board.headers
    seen: list[str] = []
    for pins in board.headers.values():
        assert list(pins) == [str(n) for n in range(1, len(pins) + 1)]
        seen += [what for what in pins.values() if not NO_LINE.fullmatch(what)]
    assert sorted(seen) == sorted(board.lines)


@pytest.mark.parametrize("name", BOARDS)
def test_buses_and_labels_resolve(name: str) -> None:
    """Buses, ports and labels use lines of the board; a chip select has a line of its own."""
    board = load_board(name)
    for bus in all_buses(board):
        lines = lines_taken(board, bus)
        assert lines
        assert len(set(lines)) == len(lines)
    for label in board.labels:
        assert label not in board.lines
        assert board.line(label).chip in board.chips
    assert set(board.reserved) <= set(board.lines)


@pytest.mark.parametrize("name", BOARDS)
def test_chip_selects_of_a_bus(name: str) -> None:
    """The chip selects of one SPI bus share its lines and have one each."""
    board = load_board(name)
    for one, other in combinations(board.selects, 2):
        if spi_bus(one) == spi_bus(other):
            assert board.lines_of(one) == board.lines_of(other)
            assert board.select_line(one) != board.select_line(other)


@pytest.mark.parametrize("name", BOARDS)
def test_lines_are_shared_by_choice_only(name: str) -> None:
    """Of two buses that share a line one is there by choice: nobody has both by accident."""
    board = load_board(name)
    for one, other in pairs(board):
        if not set(lines_taken(board, one)).isdisjoint(lines_taken(board, other)):
            assert board.is_extra(one) or board.is_extra(other), f"{one} and {other}"


@pytest.mark.parametrize("name", BOARDS)
def test_buses_that_share_lines_are_not_used_together(name: str) -> None:
    """Two devices on buses that share lines are refused, with both buses and the lines named;
    on buses that share none they are not."""
    board = load_board(name)
    addresses: dict[str, Address] = {
        **board.buses, **board.ports, **board.selects, **board.onewires,
    }  # fmt: skip
    for one, other in pairs(board):
        claims = Claims(board)
        devices = [
            PlannedDevice(id, Device, {}, {}, {"at": addresses[bus]}, None, False)
            for id, bus in (("first", one), ("second", other))
        ]
        claims.take(devices[0], {})
        theirs = lines_taken(board, other)
        shared = [line.name for line in lines_taken(board, one) if line in theirs]
        if not shared:
            claims.take(devices[1], {})
            continue
        with pytest.raises(ConfigError) as refused:
            claims.take(devices[1], {})
        (problem,) = refused.value.problems
        for named in (spi_bus(one), other, *shared):
            assert re.search(rf"\b{named}\b", problem)


@pytest.mark.parametrize("name", BOARDS)
def test_devices_of_buses_are_different(name: str) -> None:
    """Each bus, port and chip select has its own device file, and each PWM line its timer."""
    board = load_board(name)
    devices = [each.device for each in board.buses.values()]
    devices += [each.device for each in board.ports.values()]
    devices += [each.device for each in board.selects.values()]
    assert len(set(devices)) == len(devices)
    assert all(device.startswith("/dev/") for device in devices)
    for line in board.pwm_lines:
        assert board.pwm(line, software=False).controller


def test_compatible_strings_are_unique() -> None:
    """No two boards answer to the same compatible string."""
    strings = [each for name in BOARDS for each in load_board(name).compatible]
    assert len(set(strings)) == len(strings)


@pytest.mark.parametrize("name", [*PI_BOARDS, *OTHERS])
def test_auto_finds_it(name: str) -> None:
    """The board "auto" is found by each compatible string, whatever comes after it."""
    board = load_board(name)
    assert board.compatible
    for string in board.compatible:
        assert find_board((string, "some,processor")) is board


@pytest.mark.parametrize("name", [*PI_BOARDS, "sim"])
def test_header_is_the_raspberry_pi_header(name: str) -> None:
    """J8 is the 40-pin header: power and ground at the standard's pins, the rest as numbered."""
    pins = load_board(name).headers["J8"]
    rails = {rail: {int(n) for n, what in pins.items() if what == rail} for rail in pins.values()}
    assert rails["3V3"] == {1, 17}
    assert rails["5V"] == {2, 4}
    assert rails["GND"] == {6, 9, 14, 20, 25, 30, 34, 39}
    board = load_board(name)
    known = {3: 2, 5: 3, 7: 4, 8: 14, 10: 15, 11: 17, 12: 18, 13: 27, 27: 0, 28: 1, 32: 12, 40: 21}
    for pin, number in known.items():
        assert board.line(f"J8:{pin}").offset == number


@pytest.mark.parametrize("name", PI_BOARDS)
def test_pi_buses(name: str) -> None:
    """Every Raspberry Pi has I²C, SPI, UART and 1-Wire on the lines that its HATs expect, and
    those that need an overlay on the lines that its overlays say."""
    board = load_board(name)
    lines = {bus: [line.offset for line in lines_taken(board, bus)] for bus in all_buses(board)}
    assert lines == EVERY_PI | FURTHER.get(name.removeprefix("raspberrypi/"), {})
    assert {bus for bus in lines if not board.is_extra(bus)} == {
        "i2c1", "uart0", "spi0.0", "spi0.1",
    }  # fmt: skip
    assert all(board.enabling(bus).startswith("config.txt: ") for bus in lines)
    assert board.speed_hz("i2c1") == 100_000
    assert set(board.reserved) == {"GPIO0", "GPIO1"}


@pytest.mark.parametrize("name", PI_BOARDS)
def test_pi_device_files(name: str) -> None:
    """The device files have the numbers of the buses, except where the primary UART is a link."""
    board = load_board(name)
    for bus, i2c in board.buses.items():
        assert i2c.device == f"/dev/i2c-{bus.removeprefix('i2c')}"
    for select, spi in board.selects.items():
        assert spi.device == f"/dev/spidev{select.removeprefix('spi')}"
    primary = "/dev/ttyAMA0" if board.chips == ("pinctrl-rp1",) else "/dev/serial0"
    for name, port in board.ports.items():
        number = name.removeprefix("uart")
        assert port.device == (primary if number == "0" else f"/dev/ttyAMA{number}")


@pytest.mark.parametrize("name", PI_BOARDS)
def test_lines_of_the_eeprom(name: str) -> None:
    """Whoever takes the lines of a HAT's EEPROM is told so."""
    board = load_board(name)
    for bus in all_buses(board):
        if not set(board.reserved).isdisjoint(line.name for line in lines_taken(board, bus)):
            assert "EEPROM" in board.note(bus)


@pytest.mark.parametrize("name", ["raspberrypi/5", "raspberrypi/cm5"])
def test_ports_behind_the_rp1(name: str) -> None:
    """Behind the RP1 the header's UART is not serial0, and PWM has a channel for each line."""
    board = load_board(name)
    assert board.chips == ("pinctrl-rp1",)
    assert board.ports["uart0"].device == "/dev/ttyAMA0"
    timers = {line: board.pwm(line, software=False) for line in board.pwm_lines}
    assert {line: timer.channel for line, timer in timers.items()} == {
        "GPIO12": 0,
        "GPIO13": 1,
        "GPIO18": 2,
        "GPIO19": 3,
    }
    assert {timer.controller for timer in timers.values()} == {"1f00098000.pwm"}


def test_boards_are_data() -> None:
    """The board pack has no code."""
    code = [f.name for f in files("edgekernel_boards").iterdir() if re.search(r"\.py$", f.name)]
    assert code == ["__init__.py"]
