"""Claims: what only one device can have is never given to two."""

from __future__ import annotations

from typing import Any

import pytest

from edgekernel import Device
from edgekernel.core.errors import ConfigError
from edgekernel.node import Board, load_board
from edgekernel.node.claims import Claims
from edgekernel.node.planned import Address, PlannedDevice


@pytest.fixture
def board() -> Board:
    """A Raspberry Pi 4, on which two lines share each PWM timer."""
    return load_board("raspberrypi/4b")


@pytest.fixture
def claims(board: Board) -> Claims:
    """Nothing claimed yet."""
    return Claims(board)


def take(claims: Claims, id: str, address: Address, **settings: Any) -> list[str]:
    """Let a device claim what is at an address; return what is in its way."""
    device = PlannedDevice(id, Device, settings, {}, {"at": address}, None, False)
    try:
        claims.take(device, {"at": address.name})
    except ConfigError as error:
        return list(error.problems)
    return []


def test_one_timer_two_lines(claims: Claims, board: Board) -> None:
    """Two lines with the same PWM timer cannot have pulses of their own."""
    assert take(claims, "fan", board.pwm("GPIO18", software=False)) == []
    assert take(claims, "lamp", board.pwm("GPIO12", software=True)) == [
        ".at: the PWM timer of GPIO12 is already used by devices.fan.at"
    ]
    assert take(claims, "servo", board.pwm("GPIO19", software=False)) == []


def test_pulses_and_levels(claims: Claims, board: Board) -> None:
    """A line that has pulses cannot be switched as well."""
    assert take(claims, "fan", board.pwm("GPIO18", software=False)) == []
    assert take(claims, "lamp", board.line("GPIO18")) == [
        ".at: GPIO18 is already used by devices.fan.at"
    ]


def test_software_pulses_need_no_timer(claims: Claims, board: Board) -> None:
    """Pulses that the processor makes claim the line only."""
    assert take(claims, "one", board.pwm("GPIO5", software=True)) == []
    assert take(claims, "two", board.pwm("GPIO6", software=True)) == []


def test_chips_of_an_spi_bus(claims: Claims, board: Board) -> None:
    """Chip selects share the lines of their bus, but each is one device's, and so is its line."""
    assert take(claims, "adc", board.select("spi0.0")) == []
    assert take(claims, "screen", board.select("spi0.1")) == []
    assert take(claims, "second", board.select("spi0.0")) == [
        ".at: spi0.0 is already used by devices.adc.at"
    ]
    assert take(claims, "lamp", board.line("GPIO7")) == [
        ".at: GPIO7 is already used by devices.screen.at (spi0.1)"
    ]
    assert take(claims, "fan", board.line("GPIO11")) == [
        ".at: GPIO11 is already used by the bus spi0"
    ]


def test_chips_of_a_onewire_bus(claims: Claims, board: Board) -> None:
    """Chips share a 1-Wire bus by their ROM codes."""
    w1 = board.onewire("w1")
    assert take(claims, "in", w1, rom="28-000000000001") == []
    assert take(claims, "out", w1, rom="28-000000000002") == []
    assert take(claims, "again", w1, rom="28-000000000001") == [
        ".rom: 28-000000000001 on w1 is already used by devices.in.rom"
    ]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (None, None, ".rom: is missing: "),
        ("28-000000000001", None, ".rom: is missing: "),
        (None, "28-000000000001", ".rom: is missing for devices.in: "),
    ],
)
def test_chip_without_a_code(
    claims: Claims, board: Board, first: str | None, second: str | None, said: str
) -> None:
    """Only the one chip of a bus may do without its ROM code."""
    w1 = board.onewire("w1")
    assert take(claims, "in", w1, rom=first) == []
    assert take(claims, "out", w1, rom=second) == [
        f"{said}out and in are both on w1, so each needs the ROM code of its chip"
    ]


def test_line_of_a_bus_in_use(claims: Claims, board: Board) -> None:
    """A line is free until the first device is on its bus."""
    assert take(claims, "probe", board.line("GPIO4")) == []
    assert take(claims, "in", board.onewire("w1")) == [
        ".at: GPIO4 of w1 is already used by devices.probe.at"
    ]


def test_two_buses_with_the_same_lines(claims: Claims, board: Board) -> None:
    """Of buses that share lines one can be used; the refusal names both, and all the lines."""
    assert take(claims, "adc", board.select("spi0.0")) == []
    assert take(claims, "room", board.bus("i2c4")) == [
        ".at: GPIO8 and GPIO9 of i2c4 are already used by devices.adc.at (spi0.0) and the bus spi0"
    ]
    assert take(claims, "cellar", board.bus("i2c5")) == []
    assert take(claims, "position", board.port("uart5")) == [
        ".at: GPIO12 and GPIO13 of uart5 are already used by the bus i2c5"
    ]
    assert take(claims, "screen", board.select("spi5.0")) == [
        ".at: GPIO12 and GPIO13 of spi5.0 are already used by the bus i2c5"
    ]


def test_all_the_lines_of_a_bus(claims: Claims, board: Board) -> None:
    """Each line is named once, and so is each of those who have them."""
    assert take(claims, "adc", board.select("spi6.0")) == []
    assert take(claims, "screen", board.select("spi1.0")) == [
        ".at: GPIO18, GPIO19, GPIO20 and GPIO21 of spi1.0 are already used by "
        "devices.adc.at (spi6.0) and the bus spi6"
    ]


def test_port_before_a_bus(claims: Claims, board: Board) -> None:
    """The lines of a port are the device's that has it, whatever bus else could have them."""
    assert take(claims, "position", board.port("uart3")) == []
    assert take(claims, "outside", board.onewire("w1")) == [
        ".at: GPIO4 of w1 is already used by devices.position.at (uart3)"
    ]
    assert take(claims, "room", board.bus("i2c3")) == [
        ".at: GPIO4 and GPIO5 of i2c3 are already used by devices.position.at (uart3)"
    ]


def test_what_is_refused_takes_nothing(claims: Claims, board: Board) -> None:
    """A device that is refused leaves its lines to others."""
    assert take(claims, "fan", board.line("GPIO4")) == []
    assert len(take(claims, "room", board.bus("i2c3"))) == 1
    assert take(claims, "lamp", board.line("GPIO5")) == []
