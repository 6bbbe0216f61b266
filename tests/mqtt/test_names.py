"""Names that meet in a topic are found before a client is confused by them."""

from __future__ import annotations

from edgekernel import Device, output, reading
from edgekernel.mqtt.layout import Form
from edgekernel.mqtt.names import command_problems, device_problems


class Twins(Device):
    """A device with two outputs that are the same in a topic."""

    fan_speed = output(float, safe=0.0)
    fan__speed = output(float, safe=0.0)

    @fan_speed.drive
    def _one(self, speed: float) -> float:
        return speed

    @fan__speed.drive
    def _other(self, speed: float) -> float:
        return speed


def test_different_names() -> None:
    """Names that stay different in topics are right."""
    assert device_problems({id: Device(id) for id in ("fan", "fan-2", "room")}) == []
    assert command_problems([("fan", "boost"), ("fan", "stop"), ("room", "boost")]) == ([], [])


def test_devices() -> None:
    """Two devices that are the same in a topic are named, and so is one that fits into none."""
    devices = {id: Device(id) for id in ("fan", "Fan", "röm", "…")}
    assert device_problems(devices) == [
        "devices: 'fan' and 'Fan' are both 'fan' in MQTT topics; rename one",
        "devices: '…' does not fit into an MQTT topic: it needs 1 to 64 of the characters a-z, "
        "0-9 and '-'",
    ]


def test_outputs() -> None:
    """Two outputs of one device that are the same in a topic are named with it."""
    assert device_problems({"fan": Twins("fan")}) == [
        "outputs of fan: 'fan_speed' and 'fan__speed' are both 'fan-speed' in MQTT topics; "
        "rename one"
    ]


def test_commands() -> None:
    """Commands that share a topic are named together, and those that have none one by one."""
    commands = [("fan", "go_on"), ("Fan", "go-on"), ("fan", "stop"), ("l" * 65, "go")]
    shared, without = command_problems(commands)
    assert shared == [
        "the commands Fan.go-on and fan.go_on have the same topic call/fan/go-on: rename one"
    ]
    (long,) = without
    assert long.startswith(f"the command {'l' * 65}.go cannot be called over MQTT: ")


class Mixed(Device):
    """A device with a reading that has the name of an output in topics."""

    fan_speed = reading(float)
    fan__speed = output(float, safe=0.0)

    @fan__speed.drive
    def _drive(self, speed: float) -> float:
        return speed


def test_signals_with_a_topic_each() -> None:
    """Then a reading and an output must not meet either."""
    devices = {"fan": Mixed("fan")}
    assert device_problems(devices) == []
    assert device_problems(devices, Form("signal")) == [
        "signals of fan: 'fan_speed' and 'fan__speed' are both 'fan-speed' in MQTT topics; "
        "rename one"
    ]
