import re
from importlib.resources import files
from itertools import combinations

import pytest

from edgekernel.node.packs import board_names, load_board

BOARDS = sorted(board_names())
PI_BOARDS = [name for name in BOARDS if name.startswith("raspberrypi/")]


def test_the_boards_are_found() -> None:
    """The boards that come with edgekernel are found by their names."""
    assert {"raspberrypi/4b", "raspberrypi/5", "sim"} <= set(BOARDS)


@pytest.mark.parametrize("name", BOARDS)
def test_lines_are_different(name: str) -> None:
    """No two lines of a board have the same offset, and it says where its data is from."""
    board = load_board(name)
    offsets = [line.offset for line in board.lines.values()]
    assert len(set(offsets)) == len(offsets)
    assert board.source.strip()
    assert "://" not in board.source


@pytest.mark.parametrize("name", BOARDS)
def test_header_pins_are_lines_or_rails(name: str) -> None:
    """Each header pin is a line of the board or a rail, and a line is on one pin only."""
    board = load_board(name)
    for pins in board.headers.values():
        assert list(pins) == [str(n) for n in range(1, len(pins) + 1)]
        on_header = [what for what in pins.values() if what not in ("3V3", "5V", "GND")]
        assert set(on_header) <= set(board.lines)
        assert len(set(on_header)) == len(on_header)


@pytest.mark.parametrize("name", BOARDS)
def test_buses_and_labels_resolve(name: str) -> None:
    """Buses, ports and labels use lines of the board, each bus its own."""
    board = load_board(name)
    taken = [set(board.lines_of(bus)) for bus in (*board.buses, *board.ports)]
    assert all(taken)
    assert all(not one & other for one, other in combinations(taken, 2))
    for label in board.labels:
        assert board.line(label).chip == board.chip
    assert set(board.reserved) <= set(board.lines)


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


def test_pi5_ports() -> None:
    """On the Pi 5 the header's lines are on the RP1 and its UART is not serial0."""
    board = load_board("raspberrypi/5")
    assert board.chip == "pinctrl-rp1"
    assert board.ports["uart0"].device == "/dev/ttyAMA0"


def test_boards_are_data() -> None:
    """The board pack has no code."""
    code = [f.name for f in files("edgekernel_boards").iterdir() if re.search(r"\.py$", f.name)]
    assert code == ["__init__.py"]
