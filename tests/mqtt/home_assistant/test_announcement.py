"""What Home Assistant is told of a node: one entity for everything that fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgekernel.mqtt.home_assistant.messages import device_message
from edgekernel.node import driver_names
from tests.mqtt.home_assistant.nodes import (
    GREENHOUSE,
    SETTINGS,
    announced,
    driver_schema,
    schema_of,
)
from tests.mqtt.home_assistant.required import problems

GOLDEN = Path(__file__).parent / "greenhouse.json"

FORMS: dict[str, dict[str, str]] = {
    "ads1115": {f"x_state_a{line}": "sensor" for line in range(4)},
    "button": {"x_state_pressed": "binary_sensor", "x_event_events": "event"},
    "ds3231": {
        "x_state_time": "sensor", "x_state_temperature": "sensor", "x_call_set_time": "button",
    },
    "contact": {"x_state_open": "binary_sensor"},
    "led": {"x_set_light": "light"},
    "luma_oled": {"x_set_text": "text"},
    "mcp23017": {},
    "motor": {"x_set_speed": "number"},
    "pca9685": {f"x_set_channel{line}": "number" for line in range(16)},
    "pcf8574": {},
    "pir": {"x_state_motion": "binary_sensor"},
    "pulse_counter": {
        "x_state_count": "sensor", "x_state_total": "sensor", "x_state_rate": "sensor",
        "x_call_reset": "button",
    },
    "pwm_output": {"x_set_level": "number"},
    "relay": {"x_set_power": "switch"},
    "rotary_encoder": {
        "x_state_position": "sensor", "x_state_lost": "sensor", "x_call_reset": "button",
    },
    "servo": {"x_set_angle": "number"},
}  # fmt: skip
"""Which entities a device x has, where they are not one sensor for each reading."""


@pytest.fixture
def no_thread_left() -> None:
    """Let the worker be that luma.core starts with its first display, and keeps."""


@pytest.fixture(scope="module")
def greenhouse() -> dict[str, Any]:
    """Return the schema of the greenhouse."""
    return schema_of(GREENHOUSE)


@pytest.mark.filterwarnings(
    "ignore:Image.Image.getdata is deprecated:DeprecationWarning"  # luma.oled up to 3.16
)
@pytest.mark.parametrize("driver", sorted(driver_names()))
def test_every_driver(driver: str, tmp_path: Path) -> None:
    """Every reading, output, message and command of every driver that ships has a valid entity."""
    schema = driver_schema(driver, tmp_path)
    told = announced(schema)
    assert told.left_out == ()
    assert problems(device_message(told)) == []
    device = schema["devices"]["x"]
    forms = {each.key: each.platform for each in told.entities if each.key.startswith("x_")}
    binary = {n for n, each in device["readings"].items() if each["type"] == "bool"}
    expected = {
        f"x_state_{name}": "binary_sensor" if name in binary else "sensor"
        for name in device["readings"]
    }
    assert forms == FORMS.get(driver, expected)


def test_no_driver_is_forgotten() -> None:
    """There are settings for every driver, and no others."""
    assert set(SETTINGS) == set(driver_names())


def test_the_greenhouse(greenhouse: dict[str, Any]) -> None:
    """The whole message of the greenhouse is what it was when somebody looked at it last.

    After a change that is meant: `python -m tests.mqtt.home_assistant.test_announcement`.
    """
    assert device_message(announced(greenhouse)) == json.loads(GOLDEN.read_text("utf-8"))


def test_names(greenhouse: dict[str, Any]) -> None:
    """A device with one signal gives it its name; others have the signal's name behind it."""
    names = {each.key: each.config["name"] for each in announced(greenhouse).entities}
    assert names["heater_set_power"] == "Heater"
    assert names["room_state_temperature"] == "Room temperature"
    assert names["climate_call_set_target"] == "Climate set target"


def test_ids_do_not_follow_what_is_shown(greenhouse: dict[str, Any]) -> None:
    """Another name, area or prefix changes no unique id: Home Assistant keeps what users set."""
    before = announced(greenhouse).components()
    after = announced(greenhouse, name="Green house", area="Garden", prefix="ha").components()
    assert [each["unique_id"] for each in before.values()] == [
        each["unique_id"] for each in after.values()
    ]
    assert before["heater_set_power"]["unique_id"] == "edgekernel_greenhouse-1_heater_set_power"


def test_what_is_excluded_is_not_shown(greenhouse: dict[str, Any]) -> None:
    """Readings, outputs and commands are left out by name."""
    excluded = ("room.pressure", "lamp.light", "climate.set_target")
    told = announced(greenhouse, exclude=excluded)
    keys = {each.key for each in told.entities}
    assert not keys & {"room_state_pressure", "lamp_set_light", "climate_call_set_target"}
    assert "room_state_humidity" in keys
    assert (told.left_out, told.mistakes) == ((), ())


def test_what_every_node_has_is_no_button(greenhouse: dict[str, Any]) -> None:
    """What is for programs and operators, its configuration and who keeps it busy, is no entity."""
    plain: dict[str, Any] = {"arguments": {"properties": {}}}
    own = {"config": {"show": plain}, "busy": {"locks": plain, "release": plain}}
    schema = {**greenhouse, "commands": {**greenhouse["commands"], **own}}
    assert device_message(announced(schema)) == device_message(announced(greenhouse))


def test_names_that_are_not_there_are_told(greenhouse: dict[str, Any]) -> None:
    """A typing mistake in the settings is told with the nearest name."""
    told = announced(
        greenhouse, lights=("lamp.ligth",), exclude=("rom.pressure",), events=("heartbaet",)
    )
    assert [text.partition(";")[2] for text in told.mistakes] == [
        " did you mean 'lamp.light'?", " did you mean 'room.pressure'?",
        " did you mean 'heartbeat'?",
    ]  # fmt: skip


def test_messages_of_an_application(greenhouse: dict[str, Any]) -> None:
    """They are shown if they are asked for, one entity each."""
    told = announced(greenhouse, events=("heartbeat",))
    [event] = [each for each in told.entities if each.key == "node_event_heartbeat"]
    assert event.config["state_topic"] == "edge/greenhouse-1/event/heartbeat"
    assert event.config["event_types"] == ["heartbeat"]


def test_the_readings_of_a_bus_are_for_fault_finding(greenhouse: dict[str, Any]) -> None:
    """They are diagnostic, and there only for who enables them."""
    buses = [each for each in announced(greenhouse).entities if each.key.startswith("i2c1_")]
    assert len(buses) == 5
    for each in buses:
        assert each.config["entity_category"] == "diagnostic"
        assert each.config["enabled_by_default"] is False


def test_the_status_is_there_when_the_node_is_not(greenhouse: dict[str, Any]) -> None:
    """It has no condition; every entity of a device has two: the node's and the device's."""
    components = announced(greenhouse).components()
    assert components["node_node_status"]["availability"] == []
    topics = [each["topic"] for each in components["heater_set_power"]["availability"]]
    assert topics == ["edge/greenhouse-1/status", "edge/greenhouse-1/state/heater"]


if __name__ == "__main__":
    message = device_message(announced(schema_of(GREENHOUSE)))
    GOLDEN.write_text(json.dumps(message, indent=1, ensure_ascii=False) + "\n", "utf-8")
