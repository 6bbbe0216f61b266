"""The pinout: what each header pin is, can be, and is used for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgekernel.node import Plan, board_names, load_board, make_plan
from edgekernel.node.pinout import Pin, buses, headers

NODE = """
[devices.fan]
driver = "relay"
pin = "led0"

[devices.room]
driver = "bme280"
bus = "i2c1"

[devices.cellar]
driver = "bme280"
bus = "i2c1"
address = 0x77

[devices.position]
driver = "gps"
port = "/dev/ttyUSB0"
"""


@pytest.fixture
def plan(node_file: Callable[..., Path]) -> Plan:
    """A node with a line, a bus of two, and a port that the board does not have."""
    return make_plan(node_file(NODE))


def pin(name: str, plan: Plan | None = None, board: str = "sim") -> Pin:
    """Return the pin of a line, by its name."""
    found = headers(load_board(board), plan)
    (only,) = [each for pins in found.values() for each in pins if each.name == name]
    return only


@pytest.mark.parametrize("name", board_names())
def test_every_pin_is_there(name: str) -> None:
    """Each pin of each header is there once, in the order of the numbers, with what it is."""
    board = load_board(name)
    for header, pins in headers(board).items():
        assert [str(pin.number) for pin in pins] == list(board.headers[header])
        for each in pins:
            assert (each.kind == "line") == (each.name in board.lines)
            assert each.kind == "line" or not (each.functions or each.reserved)


@pytest.mark.parametrize(
    ("name", "kind"), [("3V3", "supply"), ("1V8", "supply"), ("GND", "ground"), ("ADC0", "other")]
)
def test_kinds(name: str, kind: str) -> None:
    """Supplies, ground, and pins that are something else are told apart."""
    pins = headers(load_board("hardkernel/odroid-c4"))["J2"]
    assert {each.kind for each in pins if each.name == name} == {kind}


def test_functions() -> None:
    """A pin has its labels, then the bus or chip select that needs it, then its PWM channel."""
    pi = "raspberrypi/4b"
    assert pin("GPIO11", board=pi).functions == ("SCLK", "spi0")
    assert pin("GPIO14", board=pi).functions == ("TXD", "uart0", "spi5")
    assert pin("GPIO18", board=pi).functions == ("PWM0", "spi1.0", "spi6.0", "pwm ch0")
    assert pin("GPIO17", board=pi).functions == ("spi1.1",)
    assert pin("GPIO17").functions == ("led0",)
    assert pin("GPIO0", board=pi).reserved == "HAT EEPROM (ID_SD)"


def test_functions_by_choice() -> None:
    """What is on a pin by choice comes after what is there without it."""
    pi = "raspberrypi/4b"
    assert pin("GPIO2", board=pi).functions == ("SDA", "i2c1", "spi3")
    assert pin("GPIO8", board=pi).functions == ("CE0", "spi0.0", "i2c4", "uart4")
    assert pin("GPIO9", board=pi).functions == ("MISO", "spi0", "i2c4", "uart4")


def test_what_a_plan_leaves_out(node_file: Callable[..., Path]) -> None:
    """Of the buses that are there by choice only those that a node file uses stand in its plan."""
    pi = "raspberrypi/4b"
    plan = make_plan(node_file(NODE.replace("i2c1", "i2c4").replace("led0", "GPIO5"), board=pi))
    assert [bus.name for bus in buses(plan.board, plan)] == [
        "i2c1", "i2c4", "spi0.0", "spi0.1", "uart0", "/dev/ttyUSB0",
    ]  # fmt: skip
    assert pin("GPIO9", plan, pi).functions == ("MISO", "spi0", "i2c4")
    assert pin("GPIO5", plan, pi).functions == ()


def test_users_of_pins(plan: Plan) -> None:
    """Whoever uses a line or its bus stands at the pin, with the parameter of the node file."""
    assert pin("GPIO17", plan).used_by == ("fan.pin",)
    assert pin("GPIO2", plan).used_by == ("room.bus", "cellar.bus")
    assert pin("GPIO14", plan).used_by == ()


def test_users_of_buses(plan: Plan) -> None:
    """Each bus has its clock, its lines and the devices on it; a port by path comes last."""
    found = {bus.name: bus for bus in buses(plan.board, plan)}
    assert list(found) == ["i2c0", "i2c1", "spi0.0", "spi0.1", "w1", "uart0", "/dev/ttyUSB0"]
    assert found["i2c1"].users == ("room 0x76", "cellar 0x77")
    assert found["i2c1"].speed_hz == 100_000
    assert found["spi0.1"].lines == ("GPIO9", "GPIO10", "GPIO11", "GPIO7")
    assert found["/dev/ttyUSB0"].users == ("position",)
