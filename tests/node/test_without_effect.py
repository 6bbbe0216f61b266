"""What stands in a node file and does nothing is told with file and key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from edgekernel import Device
from edgekernel.hal.address import ProvidedLine
from edgekernel.node import make_plan
from edgekernel.node.planned import PlannedDevice
from edgekernel.node.without_effect import without_effect

NodeFile = Callable[..., Path]
FAN = '[devices.fan]\ndriver = "relay"\npin = "GPIO17"\n'
ROOM = '[devices.room]\ndriver = "bme280"\nbus = "i2c1"\nevery = "5s"\n'


def found(path: Path) -> list[str]:
    """Return what has no effect in a node file, without the file's name."""
    return [text.removeprefix("node.toml: ") for text in without_effect(make_plan(path))]


def test_everything_has_an_effect(node_file: NodeFile) -> None:
    """Of a file in which everything counts nothing is said."""
    assert found(node_file(FAN + ROOM + "[buses.i2c1]\nspeed_hz = 400_000\n")) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "node: does nothing: it has neither [devices] nor node.app"),
        (
            FAN + "every = 2",
            "devices.fan.every: has no effect: relay does not measure by polling",
        ),
        (
            FAN + "[sim]",
            "sim: has no effect: it says nothing; give it a world, or take it out",
        ),
        (
            ROOM + "[buses.i2c0]\nspeed_hz = 400_000",
            "buses.i2c0: has no effect: no device is on i2c0",
        ),
        (ROOM + "[buses.i2c1]", "buses.i2c1: has no effect: it says nothing"),
        (
            FAN + '[mqtt]\nhost = "h"\nusername = "u"\npassword = "p"\npassword_file = "f"',
            "mqtt.password: has no effect: the password is read from mqtt.password_file",
        ),
    ],
)
def test_no_effect(node_file: NodeFile, text: str, said: str) -> None:
    """Each thing that has no effect is named with its key."""
    assert found(node_file(text)) == [said]


class Expander(Device):
    """A device with lines of its own."""

    line_names: ClassVar[tuple[str, ...]] = ("P0", "P1")


def test_lines_that_nobody_uses(node_file: NodeFile) -> None:
    """An expander is there for its lines: without a user it does nothing."""
    plan = make_plan(node_file(FAN))
    io = PlannedDevice("io", Expander, {}, {}, {}, None, False)
    (said,) = without_effect(replace(plan, devices=(*plan.devices, io)))
    assert said == (
        'node.toml: devices.io: has no effect: no device uses a line of it, such as "io:P0"'
    )
    (fan,) = plan.devices
    user = replace(fan, addresses={"pin": ProvidedLine("io", "P1")})
    assert without_effect(replace(plan, devices=(user, io))) == []


def test_a_folder_for_nothing(node_file: NodeFile) -> None:
    """A folder for what is to be restored has an effect only if an output restores."""
    fan = 'data = "kept"\n' + FAN
    text = "node.data: has no effect: no output begins with what it is to restore, and no mqtt"
    assert found(node_file(fan)) == [text]
    assert found(node_file(fan + '[devices.fan.outputs.power]\ninitial = "restore"\n')) == []


MQTT = '[mqtt]\nhost = "h"\n'


def test_an_outbox_without_a_folder(node_file: NodeFile) -> None:
    """The outbox needs the folder of the node, and gives it an effect."""
    (said,) = found(node_file(FAN + MQTT + "[mqtt.outbox]\n"))
    assert said.startswith("mqtt.outbox: has no effect: its file lies in the folder node.data")
    assert found(node_file(FAN + MQTT)) == []
    assert found(node_file('data = "kept"\n' + FAN + MQTT)) == []
