"""Every message of ours, judged by Home Assistant's own schemas."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edgekernel.mqtt.home_assistant import Announcement, device_classes
from edgekernel.mqtt.home_assistant.messages import device_message, entity_messages
from edgekernel.mqtt.layout import Form
from edgekernel.node import driver_names
from tests.home_assistant.home import APP, NODE, PYTHON
from tests.mqtt.home_assistant.nodes import GREENHOUSE, announced, driver_schema, schema_of

JUDGE = Path(__file__).parent / "judge.py"
LIMIT_S = 120.0

pytestmark = pytest.mark.filterwarnings(
    "ignore:Image.Image.getdata is deprecated:DeprecationWarning"  # luma.oled up to 3.16
)


def judge(*told: Announcement) -> dict[str, Any]:
    """Return what Home Assistant says of announcements, in both of their forms."""
    entities: dict[str, Any] = {}
    for each in told:
        node = each.device["identifiers"][0].removeprefix("edgekernel_")
        made = entity_messages(each, "homeassistant", node)
        entities |= {topic: json.loads(payload) for topic, payload in made.items()}
    return judge_messages([device_message(each) for each in told], entities)


def judge_messages(devices: list[Any], entities: dict[str, Any]) -> dict[str, Any]:
    """Return what Home Assistant says of messages."""
    done = subprocess.run(
        [PYTHON, JUDGE],
        input=json.dumps({"devices": devices, "entities": entities}),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_driver(tmp_path: Path) -> None:
    """Each driver that ships, with lamps and an expiry: nothing is wrong, nothing is unknown."""
    lamps = {"pca9685": ("x.channel0",), "pwm_output": ("x.level",), "relay": ("x.power",)}
    told = [
        announced(
            driver_schema(driver, tmp_path), lights=lamps.get(driver, ()), expire_after_s=60.0
        )
        for driver in driver_names()
    ]
    assert judge(*told)["problems"] == []


@pytest.mark.parametrize("form", [Form("signal"), Form("signal", "plain")])
def test_every_form_of_states(form: Form) -> None:
    """A topic for each signal, with JSON or plain values, is as right as one for a device."""
    assert judge(announced(schema_of(GREENHOUSE), form))["problems"] == []


def test_nodes(tmp_path: Path) -> None:
    """The greenhouse with events of its application, and a node with commands of every form."""
    (tmp_path / "plant_app.py").write_text(APP)
    path = tmp_path / "node.toml"
    path.write_text(NODE)
    greenhouse = announced(
        schema_of(GREENHOUSE), events=("heartbeat", "day.summary"), name="Haus", area="Garten"
    )
    assert judge(greenhouse, announced(schema_of(path)))["problems"] == []


def test_the_judge_judges() -> None:
    """A key that is not there, a wrong value and a missing id are told."""
    message = device_message(announced(schema_of(GREENHOUSE)))
    components = message["components"]
    components["heater_set_power"]["coloured"] = True
    components["room_state_humidity"]["qos"] = 3
    components["room_state_temperature"]["unit_of_measurement"] = "hPa"
    del components["lamp_set_light"]["unique_id"]
    problems = " ".join(judge_messages([message], {})["problems"])
    for part in ("coloured", "qos", "hPa", "lamp_set_light: no unique_id"):
        assert part in problems


def test_device_classes() -> None:
    """Whatever class and unit we give, Home Assistant has it, as a sensor and as a number."""
    classes = judge_messages([], {})["classes"]
    for name, units in device_classes.UNITS.items():
        theirs = {_micro(unit) for unit in classes["sensor"][name]}
        assert {_micro(unit) for unit in units} <= theirs, name
        assert name in classes["number"]
    assert set(classes["binary_sensor"]) >= device_classes.OF_BINARY_SENSOR
    assert set(classes["switch"]) >= device_classes.OF_SWITCH
    assert set(classes["sensor"]) >= device_classes.OF_TEXT


def _micro(unit: str) -> str:
    """Return a unit with the sign that later versions have; they know both."""
    return unit.replace("\N{MICRO SIGN}", "\N{GREEK SMALL LETTER MU}")
