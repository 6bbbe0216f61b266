"""Readings as sensors and binary sensors."""

from __future__ import annotations

from typing import Any

import pytest

from edgekernel.mqtt.home_assistant import HomeAssistant
from edgekernel.mqtt.home_assistant.entity import Entity
from edgekernel.mqtt.home_assistant.readings import reading_entity
from edgekernel.mqtt.layout import Form
from edgekernel.mqtt.topics import Topics

SETTINGS = HomeAssistant()


def entity(schema: dict[str, Any], **settings: Any) -> Entity:
    """Return the entity of the reading `value` of the device `meter`."""
    topics = Topics("edge", "n1")
    return reading_entity("meter", "value", schema, topics, HomeAssistant(**settings), "Meter")


def test_a_measurement() -> None:
    """Unit, class, decimals and that it is a measurement."""
    config = entity(
        {"type": "float", "unit": "°C", "precision": 2, "device_class": "temperature"}
    ).config
    assert config["unit_of_measurement"] == "°C"
    assert config["device_class"] == "temperature"
    assert config["suggested_display_precision"] == 2
    assert config["state_class"] == "measurement"


@pytest.mark.parametrize(
    ("schema", "state_class"),
    [
        ({"type": "int"}, "measurement"),
        ({"type": "int", "counts_up": True}, "total_increasing"),
        ({"type": "float", "unit": "kWh", "device_class": "energy"}, "total_increasing"),
        ({"type": "float", "unit": "L", "device_class": "water"}, "total_increasing"),
        ({"type": "float", "unit": "°", "device_class": "wind_direction"}, None),
        ({"type": "str"}, None),
        ({"type": "str", "device_class": "timestamp"}, None),
        ({"type": "bool"}, None),
    ],
)
def test_what_statistics_may_be_made(schema: dict[str, Any], state_class: str | None) -> None:
    """A meter counts up; a mean of a direction, a text or a time is none."""
    assert entity(schema).config.get("state_class") == state_class


@pytest.mark.parametrize(
    ("schema", "platform", "device_class"),
    [
        ({"type": "bool", "device_class": "door"}, "binary_sensor", "door"),
        ({"type": "bool", "device_class": "temperature"}, "binary_sensor", None),
        ({"type": "str", "device_class": "timestamp"}, "sensor", "timestamp"),
        ({"type": "str", "device_class": "temperature"}, "sensor", None),
        ({"type": "float", "device_class": "temperature"}, "sensor", None),
        ({"type": "float", "unit": "furlong", "device_class": "distance"}, "sensor", None),
        ({"type": "float", "device_class": "ph"}, "sensor", "ph"),
    ],
)
def test_only_classes_that_home_assistant_takes(
    schema: dict[str, Any], platform: str, device_class: str | None
) -> None:
    """A class that does not go with the platform or the unit is left out."""
    made = entity(schema)
    assert (made.platform, made.config.get("device_class")) == (platform, device_class)


def test_an_expiry() -> None:
    """It is there if it is asked for."""
    assert "expire_after" not in entity({"type": "float"}).config
    assert entity({"type": "float"}, expire_after_s=90).config["expire_after"] == 90


def test_in_every_form() -> None:
    """With a topic of its own the reading is read there, and availability where its device says."""
    schema = {"type": "int"}
    made = {
        form: reading_entity(
            "meter", "on_time", schema, Topics("edge", "n1", form), SETTINGS, "Meter"
        )
        for form in (Form(), Form("signal"), Form("signal", "plain"))
    }
    topics = {each.config["state_topic"] for each in made.values()}
    assert topics == {"edge/n1/state/meter", "edge/n1/state/meter/on-time"}
    assert len({each.key for each in made.values()}) == 1
    assert len({each.config["value_template"] for each in made.values()}) == 3
    assert "'unavailable'" in made[Form("signal", "plain")].config["value_template"]
    for each in made.values():
        assert each.config["availability"][1]["topic"] == "edge/n1/state/meter"
