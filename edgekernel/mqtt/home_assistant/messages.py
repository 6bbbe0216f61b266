"""The retained messages that carry an announcement, and how what was announced is taken away.

Source: Home Assistant's documentation of MQTT discovery, "Device discovery payload" and "Removing
components".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from edgekernel.mqtt.encoding import encode
from edgekernel.mqtt.home_assistant.announcement import MANUFACTURER, Announcement
from edgekernel.mqtt.home_assistant.entity import Entity

MAX_BYTES = 128 * 1024
"""More than this is too much for some brokers in one message."""

_ILLEGAL = re.compile(r"[^a-zA-Z0-9_-]")


def device_topic(prefix: str, node: str) -> str:
    """Return where the one message of a node is retained."""
    return f"{prefix}/device/{node}/config"


def entity_topics(prefix: str, node: str) -> str:
    """Return the filter of the messages of a node's entities."""
    return f"{prefix}/+/{node}/+/config"


def is_of_node(topic: str, prefix: str, node: str) -> bool:
    """Say whether a topic is one that a message for this node is retained on."""
    if topic == device_topic(prefix, node):
        return True
    parts = topic.removeprefix(f"{prefix}/").split("/")
    return len(parts) == 4 and topic.startswith(f"{prefix}/") and parts[1::2] == [node, "config"]


def is_ours(payload: bytes) -> bool:
    """Say whether a message was made here: another program may use the node's name as well."""
    try:
        return bool(json.loads(payload)["origin"]["name"] == MANUFACTURER)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def device_message(told: Announcement) -> dict[str, Any]:
    """Return the one message of a node."""
    return {
        "device": told.device,
        "origin": told.origin,
        "availability": told.availability,
        "components": told.components(),
    }


def entity_messages(told: Announcement, prefix: str, node: str) -> dict[str, bytes]:
    """Return the payloads of the entities by their topics; for Home Assistant before 2024.12."""
    common = {"device": told.device, "origin": told.origin, "availability": told.availability}
    messages: dict[str, bytes] = {}
    for each, component in zip(told.entities, told.components().values(), strict=True):
        config = {name: value for name, value in component.items() if name != "platform"}
        messages[f"{prefix}/{each.platform}/{node}/{_id(each)}/config"] = encode(common | config)
    return messages


def removal(previous: bytes, message: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the message that takes away what `previous` announced and `message` does not.

    It is to be published between the two. A component that goes is named with its platform only,
    before the others: Home Assistant may put off what comes after one that it is busy with. None if
    there is nothing to take away, or if `previous` is no message of this kind.
    """
    components: Mapping[str, Any] = message["components"]
    gone = {
        key: {"platform": platform}
        for key, platform in _platforms(previous).items()
        if key not in components or components[key]["platform"] != platform
    }
    if not gone:
        return None
    stay = {key: each for key, each in components.items() if key not in gone}
    return {**message, "components": gone | stay}


def _platforms(payload: bytes) -> dict[str, str]:
    """Return the platform of each component of a message, whoever has written it."""
    try:
        components = json.loads(payload)["components"].items()
        return {key: str(each["platform"]) for key, each in components}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _id(entity: Entity) -> str:
    return _ILLEGAL.sub("_", entity.key)
