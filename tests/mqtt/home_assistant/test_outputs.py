"""Outputs as switches, lights, numbers and texts."""

from __future__ import annotations

from typing import Any

import pytest

from edgekernel.mqtt.home_assistant import HomeAssistant
from edgekernel.mqtt.home_assistant.entity import Entity
from edgekernel.mqtt.home_assistant.outputs import output_entity
from edgekernel.mqtt.topics import Topics


def entity(schema: dict[str, Any], **settings: Any) -> Entity:
    """Return the entity of the output `level` of the device `strip`."""
    topics = Topics("edge", "n1")
    return output_entity("strip", "level", schema, topics, HomeAssistant(**settings), "Strip")


def test_a_switch() -> None:
    """Its state is what the device reports, and its request counts once and not too late."""
    made = entity({"type": "bool", "safe": False, "device_class": "switch"})
    assert made.platform == "switch"
    assert made.config["state_topic"] == "edge/n1/state/strip"
    assert made.config["command_topic"] == "edge/n1/set/strip/level"
    assert made.config["device_class"] == "switch"
    assert '"issued_at":' in made.config["command_template"]
    assert made.config["command_template"].endswith('"ttl":30}')


def test_an_unknown_class_is_left_out() -> None:
    """Home Assistant would refuse the whole entity for it."""
    assert "device_class" not in entity({"type": "bool", "device_class": "fan"}).config


def test_a_lamp_that_only_switches() -> None:
    """An output of the class light is one, and so is one that the settings name."""
    assert entity({"type": "bool", "device_class": "light"}).platform == "light"
    assert entity({"type": "bool"}, lights=("strip.level",)).platform == "light"


def test_a_lamp_that_dims() -> None:
    """It has a brightness, from its lowest value to its highest."""
    made = entity({"type": "float", "range": [0, 1]}, lights=("strip.level",))
    assert made.platform == "light"
    assert "brightness_template" in made.config


def test_without_a_range_it_does_not_dim() -> None:
    """Nobody knows what half of it is, so it stays a number."""
    assert entity({"type": "float"}, lights=("strip.level",)).platform == "number"


@pytest.mark.parametrize(
    ("precision", "step"), [(0, 1.0), (1, 0.1), (3, 0.001), (5, 0.001), (None, 0.01)]
)
def test_the_step_of_a_number(precision: int | None, step: float) -> None:
    """The last decimal worth showing, but no finer than Home Assistant takes."""
    schema = {"type": "float", "range": [-90, 90], "unit": "°"}
    made = entity(schema if precision is None else schema | {"precision": precision})
    assert (made.config["min"], made.config["max"], made.config["step"]) == (-90, 90, step)
    assert made.config["unit_of_measurement"] == "°"


def test_an_integer() -> None:
    """It goes in steps of one."""
    assert entity({"type": "int", "range": [0, 255]}).config["step"] == 1


def test_the_class_of_a_number_needs_its_unit() -> None:
    """A temperature in percent is shown without a class."""
    assert (
        entity({"type": "float", "unit": "°C", "device_class": "temperature"}).config[
            "device_class"
        ]
        == "temperature"
    )
    assert (
        "device_class"
        not in entity({"type": "float", "unit": "%", "device_class": "temperature"}).config
    )


def test_a_text() -> None:
    """It is typed in."""
    assert entity({"type": "str", "safe": ""}).platform == "text"
