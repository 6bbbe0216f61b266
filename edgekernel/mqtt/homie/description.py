"""The description of a node in Homie: one device with a node for each part that has properties.

Source: The Homie Convention 5.0, "Devices" and "Nodes".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgekernel.mqtt.home_assistant.entity import title
from edgekernel.mqtt.homie.properties import Property, Schema, properties
from edgekernel.mqtt.homie.settings import HomieSettings

CONVENTION = "5.0"


@dataclass(frozen=True, slots=True)
class Description:
    """What a node has, without the version of the document."""

    properties: Mapping[tuple[str, str], Property] = field(default_factory=dict)
    """By the ids of node and property."""
    document: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    """What is not shown, with the reason."""


def describe(schema: Schema, settings: HomieSettings) -> Description:
    """Return what is told of the node with this schema, which is that of `describe_node`."""
    found, left_out = properties(schema, settings)
    nodes: dict[str, dict[str, Any]] = {}
    for each in found:
        node = nodes.setdefault(each.node, _node(each.owner, schema))
        node["properties"][each.id] = each.describe()
    document = {
        "homie": CONVENTION,
        "name": settings.name or schema["node"],
        "type": "edgekernel-node",
        "nodes": nodes,
    }
    by_place = {(each.node, each.id): each for each in found}
    return Description(by_place, document, tuple(left_out))


def _node(owner: str, schema: Schema) -> dict[str, Any]:
    device = schema["devices"].get(owner)
    kind = {} if device is None else {"type": device["driver"]}
    return {"name": title(owner), **kind, "properties": {}}
