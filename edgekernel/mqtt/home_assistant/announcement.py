"""Everything that Home Assistant is told of a node, made from the node's schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.home_assistant.commands import NotShownError, command_entity
from edgekernel.mqtt.home_assistant.entity import Entity, diagnostic, node_available, title
from edgekernel.mqtt.home_assistant.events import device_events, node_event
from edgekernel.mqtt.home_assistant.names import Names, unknown_names
from edgekernel.mqtt.home_assistant.outputs import output_entity
from edgekernel.mqtt.home_assistant.readings import reading_entity, status_entity
from edgekernel.mqtt.home_assistant.settings import HomeAssistant
from edgekernel.mqtt.topics import Topics

Schema = Mapping[str, Any]

MANUFACTURER = "edgekernel"
_BUS = "bus"
"""The kind of device whose readings say how a bus is, which few want to see."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """A node as Home Assistant sees it: one device with entities."""

    device: dict[str, Any]
    origin: dict[str, str]
    availability: list[dict[str, str]]
    entities: tuple[Entity, ...]
    left_out: tuple[str, ...] = ()
    """What is not shown, with the reason."""
    mistakes: tuple[str, ...] = ()
    """Settings that name what there is not."""

    def components(self) -> dict[str, dict[str, Any]]:
        """Return the entities by key, each with the name under which it is known for ever."""
        [identifier] = self.device["identifiers"]
        return {
            each.key: {
                "platform": each.platform,
                "unique_id": f"{identifier}_{each.key}",
                **each.config,
            }
            for each in self.entities
        }


def announce(schema: Schema, topics: Topics, settings: HomeAssistant) -> Announcement:
    """Return what is told of the node with this schema, which is that of `describe_node`."""
    left_out: list[str] = []
    entities = [
        status_entity(topics),
        *_of_devices(schema, topics, settings, left_out),
        *_of_commands(schema, topics, settings, left_out),
        *_of_messages(schema, topics, settings),
    ]
    return Announcement(
        device=_device(schema, topics, settings),
        origin={"name": MANUFACTURER, "sw_version": schema["version"]},
        availability=node_available(topics),
        entities=tuple(entities),
        left_out=tuple(left_out),
        mistakes=tuple(unknown_names(Names.of_schema(schema), settings)),
    )


def _device(schema: Schema, topics: Topics, settings: HomeAssistant) -> dict[str, Any]:
    device = {
        "identifiers": [f"{MANUFACTURER}_{topics.node}"],
        "name": settings.name or topics.node,
        "manufacturer": MANUFACTURER,
        "model": "edgekernel node",
        "sw_version": schema["version"],
    }
    return device | ({"suggested_area": settings.area} if settings.area else {})


def _of_devices(
    schema: Schema, topics: Topics, settings: HomeAssistant, left_out: list[str]
) -> Iterator[Entity]:
    for id, device in schema["devices"].items():
        signals = [(reading_entity, *each) for each in device["readings"].items()]
        signals += [(output_entity, *each) for each in device["outputs"].items()]
        for make, name, signal in signals:
            if f"{id}.{name}" in settings.exclude:
                continue
            shown = title(id, name if len(signals) > 1 else "")
            try:
                made = make(id, name, signal, topics, settings, shown)
            except ConfigError as error:
                left_out.append(f"{id}.{name}: {error}")
                continue
            yield diagnostic(made) if device["kind"] == _BUS else made
        if device["messages"]:
            yield device_events(id, device["messages"], topics, title(id))


_NOT_FOR_A_BUTTON = ("config.show", "busy.locks", "busy.release")
"""Every node has them: what they return is for programs, or needs to be chosen."""


def _of_commands(
    schema: Schema, topics: Topics, settings: HomeAssistant, left_out: list[str]
) -> Iterator[Entity]:
    taken: set[str] = set()
    for component, commands in schema["commands"].items():
        for name, command in commands.items():
            command_name = f"{component}.{name}"
            if command_name in settings.exclude or command_name in _NOT_FOR_A_BUTTON:
                continue
            shown = title(component, name)
            try:
                made = command_entity(component, name, command, topics, settings, shown)
            except (ConfigError, NotShownError) as error:
                left_out.append(f"{component}.{name}: {error}")
                continue
            topic = made.config["command_topic"]
            if topic in taken:
                left_out.append(f"{component}.{name}: another command has the topic {topic} too")
                continue
            taken.add(topic)
            yield made


def _of_messages(schema: Schema, topics: Topics, settings: HomeAssistant) -> Iterator[Entity]:
    for name in settings.events:
        if name in schema["messages"]:
            yield node_event(name, topics)
