"""Messages, as event entities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekernel.mqtt.home_assistant import templates
from edgekernel.mqtt.home_assistant.entity import QOS, Entity, device_available, key, title
from edgekernel.mqtt.topics import Topics

_OF_BUTTONS = {"pressed", "released"}


def device_events(device: str, messages: Sequence[str], topics: Topics, shown: str) -> Entity:
    """Return the entity of what a device tells; its event types are the ends of the messages'
    names, such as "pressed" of "button.pressed"."""
    types = {name: name.rpartition(".")[2] for name in messages}
    if len(set(types.values())) < len(types):
        types = {name: name for name in messages}
    config: dict[str, Any] = {
        "name": shown,
        "state_topic": topics.event(messages[0]) if len(messages) == 1 else topics.events,
        "qos": QOS,
        "event_types": list(types.values()),
        "value_template": templates.events(device, types),
        **device_available(topics, device),
    }
    if set(types.values()) <= _OF_BUTTONS:
        config["device_class"] = "button"
    return Entity("event", key(device, "event", "events"), config)


def node_event(name: str, topics: Topics) -> Entity:
    """Return the entity of a message that is of no device."""
    config: dict[str, Any] = {
        "name": title(name),
        "state_topic": topics.event(name),
        "qos": QOS,
        "event_types": [name],
        "value_template": templates.event(name),
    }
    return Entity("event", key("node", "event", name), config)
