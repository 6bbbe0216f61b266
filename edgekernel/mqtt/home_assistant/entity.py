"""What Home Assistant is told of one thing: an entity, its names, and when it is available."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from edgekernel.mqtt.home_assistant import templates
from edgekernel.mqtt.topics import Topics, segment

Platform = Literal[
    "binary_sensor", "button", "event", "light", "number", "select", "sensor", "switch", "text"
]
Kind = Literal["state", "set", "call", "event", "node"]
"""Where it is in the topic map; part of an entity's key, so that no two have the same."""

QOS = 1


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity of Home Assistant; `key` is its name among those of the node, and never changes
    while the thing itself has the same name."""

    platform: Platform
    key: str
    config: dict[str, Any]


def key(owner: str, kind: Kind, name: str) -> str:
    """Return the key of a thing of a device or another component.

    It has letters, digits, "_" and "-" only, as Home Assistant wants it, and no two things have the
    same: a segment has no "_", and what else is in a name is written as its number.
    """
    plain = re.sub(r"[^a-zA-Z0-9_]", lambda odd: f"-{ord(odd[0]):x}-", name)
    return f"{segment(owner)}_{kind}_{plain}"


def title(owner: str, name: str = "") -> str:
    """Return the name that is shown: "room", "air_pressure" is "Room air pressure"."""
    words = " ".join(re.split(r"[\s_.-]+", f"{owner} {name}".strip()))
    return words[:1].upper() + words[1:]


def diagnostic(entity: Entity) -> Entity:
    """Return an entity that is there for whoever looks for a fault, and not enabled."""
    of_fault_finding = {"entity_category": "diagnostic", "enabled_by_default": False}
    return replace(entity, config=entity.config | of_fault_finding)


def node_available(topics: Topics) -> list[dict[str, str]]:
    """Return what says whether the node is there."""
    return [{"topic": topics.status, "value_template": templates.ONLINE}]


def device_available(topics: Topics, device: str) -> dict[str, Any]:
    """Return the part of an entity that says whether its node and its device are there."""
    answers = templates.PLAINLY_ANSWERS if topics.form.plain else templates.ANSWERS
    state = {"topic": topics.state(device), "value_template": answers}
    return {"availability": [*node_available(topics), state], "availability_mode": "all"}
