"""Names in the settings: lights, exclusions and events that the node does not have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from edgekernel.core.device import Device
from edgekernel.core.errors import nearest
from edgekernel.mqtt.home_assistant.settings import HomeAssistant


@dataclass(frozen=True, slots=True)
class Names:
    """What a node has, each but the messages as "owner.name"."""

    outputs: frozenset[str]
    readings: frozenset[str]
    commands: frozenset[str]
    messages: frozenset[str]

    @classmethod
    def of_schema(cls, schema: Mapping[str, Any]) -> Self:
        """Return those in a schema, which is that of `describe_node`."""
        devices = schema["devices"]
        outputs = {id: each["outputs"] for id, each in devices.items()}
        readings = {id: each["readings"] for id, each in devices.items()}
        commands, messages = _full(schema["commands"]), frozenset(schema["messages"])
        return cls(_full(outputs), _full(readings), commands, messages)

    @classmethod
    def of_parts(
        cls,
        devices: Mapping[str, Device],
        commands: Mapping[str, Iterable[str]],
        messages: Iterable[str],
    ) -> Self:
        """Return those of parts that have not started."""
        outputs = {id: each.outputs for id, each in devices.items()}
        readings = {id: each.readings for id, each in devices.items()}
        return cls(_full(outputs), _full(readings), _full(commands), frozenset(messages))


def unknown_names(names: Names, settings: HomeAssistant) -> Iterator[str]:
    """Say, beginning with the key, which lights, exclusions and events there are not."""
    known = {
        "lights": names.outputs,
        "exclude": names.outputs | names.readings | names.commands,
        "events": names.messages,
    }
    for key, there in known.items():
        for name in getattr(settings, key):
            if name not in there:
                near = nearest(name, sorted(there))
                yield f'mqtt.home_assistant.{key}: there is no "{name}"{near}'


def _full(table: Mapping[str, Iterable[str]]) -> frozenset[str]:
    return frozenset(f"{owner}.{name}" for owner, names in table.items() for name in names)
