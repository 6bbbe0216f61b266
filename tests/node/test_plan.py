"""The plan: every name resolved, every conflict found, nothing touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekernel.core.errors import ConfigError
from edgekernel.hal.address import BusAddress, LineAddress, PortAddress
from edgekernel.node import Plan, driver_names, load_driver, make_plan
from edgekernel.node.catalogue import describe_driver
from edgekernel.node.plan import boundary_parameters, settings_model

NodeFile = Callable[..., Path]


def relay(id: str, pin: str) -> str:
    """A relay in a node file."""
    return f'[devices.{id}]\ndriver = "relay"\npin = "{pin}"\n'


def bme280(id: str, extra: str = "") -> str:
    """A BME280 on i2c1 in a node file."""
    return f'[devices.{id}]\ndriver = "bme280"\nbus = "i2c1"\n{extra}\n'


def problems(path: Path) -> list[str]:
    """Return why a node file has no plan."""
    with pytest.raises(ConfigError) as caught:
        make_plan(path)
    return list(caught.value.problems)


def test_plan(node_file: NodeFile) -> None:
    """A plan has the node's name, board and folder, and its devices in the order of the file."""
    path = node_file(relay("fan", "GPIO17") + bme280("room", 'address = 0x77\nevery = "500ms"'))
    plan = make_plan(path)
    assert (plan.name, plan.board.id, plan.folder) == ("bench", "sim", path.parent)
    fan, room = plan.devices
    assert (fan.id, fan.driver, fan.every_s) == ("fan", load_driver("relay"), None)
    assert fan.addresses == {"pin": LineAddress("GPIO17", "sim", 17)}
    assert fan.settings == {"active_high": True, "safe": "off"}
    assert (room.id, room.every_s) == ("room", 0.5)
    assert room.addresses == {"bus": BusAddress("i2c1", "/dev/i2c-1")}
    assert room.settings == {"address": 0x77, "oversampling": 1}


@pytest.mark.parametrize("pin", ["GPIO17", "J8:11", "led0"])
def test_one_line_by_three_names(node_file: NodeFile, pin: str) -> None:
    """A line's name, header pin and label resolve to the same line, so that two of them conflict
    and the second device is told so."""
    (device,) = make_plan(node_file(relay("fan", pin))).devices
    assert device.addresses == {"pin": LineAddress("GPIO17", "sim", 17)}
    for other in ("GPIO17", "J8:11", "led0"):
        written = other if other == "GPIO17" else f'"{other}" (GPIO17)'
        assert problems(node_file(relay("fan", pin) + relay("pump", other))) == [
            f"node.toml: devices.pump.pin: {written} is already used by devices.fan.pin"
        ]


def test_bus_is_shared(node_file: NodeFile) -> None:
    """Devices share a bus as long as their addresses differ, written or by default."""
    two = bme280("room") + bme280("outside", "address = 0x77")
    assert len(make_plan(node_file(two)).devices) == 2
    assert problems(node_file(two + bme280("cellar", "address = 0x77"))) == [
        "node.toml: devices.cellar.address: 0x77 on i2c1 is already used by devices.outside.address"
    ]
    assert problems(node_file(bme280("room") + bme280("cellar"))) == [
        "node.toml: devices.cellar.address: 0x76 on i2c1 is already used by devices.room.address"
    ]
    other_bus = bme280("cellar").replace("i2c1", "i2c0")
    assert len(make_plan(node_file(bme280("room") + other_bus)).devices) == 2


def test_lines_of_a_bus(node_file: NodeFile) -> None:
    """A bus needs its lines: who wants one of them beside it is told, whoever comes first."""
    assert problems(node_file(bme280("room") + relay("fan", "J8:3"))) == [
        'node.toml: devices.fan.pin: "J8:3" (GPIO2) is already used by the bus i2c1'
    ]
    assert problems(node_file(relay("fan", "GPIO2") + bme280("room"))) == [
        "node.toml: devices.room.bus: GPIO2 of i2c1 is already used by devices.fan.pin"
    ]
    assert make_plan(node_file(relay("fan", "GPIO2") + relay("pump", "GPIO3"))).devices


def test_port_is_not_shared(node_file: NodeFile) -> None:
    """A serial port serves one device, by its name or its path, and needs its lines."""
    gps = '[devices.{}]\ndriver = "gps"\nport = "{}"\n'
    (device,) = make_plan(node_file(gps.format("gps", "/dev/ttyUSB0"))).devices
    assert device.addresses == {"port": PortAddress("/dev/ttyUSB0", "/dev/ttyUSB0")}
    for other in ("uart0", "/dev/serial0"):
        assert problems(node_file(gps.format("a", "uart0") + gps.format("b", other))) == [
            f"node.toml: devices.b.port: {other} is already used by devices.a.port"
        ]
    assert problems(node_file(gps.format("a", "uart0") + relay("fan", "GPIO14"))) == [
        "node.toml: devices.fan.pin: GPIO14 is already used by devices.a.port (uart0)"
    ]


def test_each_device_is_told_once(node_file: NodeFile) -> None:
    """Mistakes of several devices are told together, each with its key; the good ones still
    count as users of what they have."""
    text = relay("a", "GPIO99") + relay("b", "GPIO17") + relay("c", "GPIO17") + bme280("d", "x = 1")
    assert [problem.split(": ")[1] for problem in problems(node_file(text))] == [
        "devices.a.pin",
        "devices.c.pin",
        "devices.d.x",
    ]


def test_real_board_reserves_lines(node_file: NodeFile) -> None:
    """A line that the board keeps for itself is refused with what it is for."""
    path = node_file(relay("fan", "J8:27"), board="raspberrypi/4b")
    assert problems(path) == [
        'node.toml: devices.fan.pin: "J8:27" is reserved on raspberrypi/4b: HAT EEPROM (ID_SD)'
    ]


@pytest.mark.skipif(
    Path("/proc/device-tree/compatible").exists(), reason="this machine has a device tree"
)
def test_auto_without_device_tree(node_file: NodeFile) -> None:
    """Board "auto" on a machine without a device tree says so and names the boards there are."""
    (problem,) = problems(node_file("", board="auto"))
    assert problem.startswith(
        'node.toml: node.board: board "auto": no installed board matches this machine '
        "(no device tree); name one of: "
    )
    assert "raspberrypi/4b" in problem


def test_same_file_on_each_board(node_file: NodeFile) -> None:
    """One node file fits a real board and the simulated one by its header pins."""

    def lines(plan: Plan) -> list[str]:
        addresses = [a for device in plan.devices for a in device.addresses.values()]
        return [address.name for address in addresses]

    text = relay("fan", "J8:11") + bme280("room")
    boards = ("sim", "raspberrypi/4b", "raspberrypi/5")
    found = [lines(make_plan(node_file(text, board=board))) for board in boards]
    assert found == [["GPIO17", "i2c1"]] * 3


def test_nested_settings(node_file: NodeFile) -> None:
    """A mistake inside a setting is named with its whole key, without keys of somewhere else."""
    adc = '[devices.adc]\ndriver = "mcp3008"\nselect = "spi0.0"\n'
    readings = "readings = { light = { chanel = 1 }, dark = { channel = 8 } }\n"
    assert problems(node_file(adc + readings)) == [
        "node.toml: devices.adc.readings.light.channel: is missing; this key is required",
        "node.toml: devices.adc.readings.light.chanel: unknown key",
        "node.toml: devices.adc.readings.dark.channel: 8 is not allowed; at most 7 is allowed",
    ]


SECONDS = {
    "button": {"debounce": ("20ms", 0.02)},
    "contact": {"settle": ("0.5s", 0.5)},
    "gps": {"silence": ("1min", 60.0)},
    "line_sensor": {"silence": ("1h", 3600.0)},
    "modbus_rtu": {"timeout": ("250ms", 0.25)},
    "motor": {"dead_time": ("100ms", 0.1)},
    "pir": {"warm_up": ("2min", 120.0)},
    "pms5003": {"silence": ("5s", 5.0)},
    "pulse_counter": {"settle": ("1ms", 0.001), "window": ("1h", 3600.0)},
    "servo": {"pulse_low": ("0.9ms", 0.0009), "pulse_high": ("2.1ms", 0.0021)},
}


def test_which_settings_are_seconds() -> None:
    """The settings that drivers describe as seconds are told as that."""
    told = {
        name: {each["name"] for each in describe_driver(name)["settings"] if "unit" in each}
        for name in driver_names()
    }
    assert {name: keys for name, keys in told.items() if keys} == {
        name: set(settings) for name, settings in SECONDS.items()
    }


@pytest.mark.parametrize("driver", SECONDS)
def test_durations_of_drivers(driver: str) -> None:
    """Settings in seconds take a duration as a text, and the driver is given a float."""
    made = load_driver(driver)
    boundaries = boundary_parameters(made)
    required = dict.fromkeys(boundaries, "x") | REQUIRED.get(driver, {})
    written = {key: text for key, (text, _) in SECONDS[driver].items()}
    values = settings_model(made, boundaries).model_validate({**required, **written})
    given = {key: getattr(values, key) for key in written}
    assert given == pytest.approx({key: value for key, (_, value) in SECONDS[driver].items()})
    assert {type(value) for value in given.values()} == {float}


REQUIRED: dict[str, dict[str, Any]] = {
    "line_sensor": {"pattern": "(?P<mass>[0-9]+)", "readings": {"mass": {}}},
    "modbus_rtu": {"readings": {"level": {"address": 30}}},
}


def test_no_duration_is_told_with_its_key(node_file: NodeFile) -> None:
    """A text that is no duration is refused with the key that it stands at."""
    path = node_file('[devices.bell]\ndriver = "button"\npin = "GPIO5"\ndebounce = "20 m"\n')
    (problem,) = problems(path)
    assert problem.startswith('node.toml: devices.bell.debounce: "20 m": a duration is a number')
