"""Messages as event entities."""

from __future__ import annotations

from edgekernel.mqtt.home_assistant.entity import Entity
from edgekernel.mqtt.home_assistant.events import device_events
from edgekernel.mqtt.topics import Topics


def entity(*messages: str) -> Entity:
    """Return the entity of a device that tells these."""
    return device_events("bell", messages, Topics("edge", "n1"), "Bell")


def test_a_button() -> None:
    """Its event types are the ends of the names, and Home Assistant knows it as a button."""
    config = entity("button.pressed", "button.released").config
    assert config["event_types"] == ["pressed", "released"]
    assert config["device_class"] == "button"
    assert config["state_topic"] == "edge/n1/event/+"


def test_one_message_needs_one_topic() -> None:
    """It does not hear what others tell."""
    config = entity("card.shown").config
    assert config["state_topic"] == "edge/n1/event/card-shown"
    assert "device_class" not in config


def test_ends_that_are_the_same() -> None:
    """Then the whole names are the event types."""
    assert entity("door.opened", "flap.opened").config["event_types"] == [
        "door.opened",
        "flap.opened",
    ]
