"""What Home Assistant requires of a component: a small checker of its own.

Home Assistant's own schemas judge in tests/home_assistant, where they can be had; this one is for
everywhere. Source: Home Assistant's documentation of each MQTT platform.
"""

from __future__ import annotations

import json
from typing import Any

_ALL = {"name", "platform", "qos", "unique_id"}
_MAY = {
    "availability", "availability_mode", "device_class", "enabled_by_default", "entity_category",
}  # fmt: skip
_STATE = {"state_topic", "value_template"}
_COMMAND = {"command_topic", "command_template"}
_LIMITS = {"min", "max", "step"}
_LIGHT = {
    "command_topic", "state_topic", "schema", "state_template", "command_on_template",
    "command_off_template",
}  # fmt: skip

# platform: (keys it must have, keys it may have)
_KEYS: dict[str, tuple[set[str], set[str]]] = {
    "binary_sensor": (_STATE, {"expire_after"}),
    "button": (_COMMAND, set()),
    "event": (_STATE | {"event_types"}, set()),
    "light": (_LIGHT, {"brightness_template"}),
    "number": (_COMMAND | _LIMITS, _STATE | {"unit_of_measurement", "mode"}),
    "select": (_COMMAND | {"options"}, set()),
    "sensor": (
        _STATE,
        {
            "expire_after", "options", "state_class", "suggested_display_precision",
            "unit_of_measurement", "json_attributes_topic",
        },
    ),
    "switch": (_COMMAND, _STATE),
    "text": (_COMMAND, _STATE | {"min", "max"}),
}  # fmt: skip


def problems(message: dict[str, Any]) -> list[str]:
    """Return what is wrong with a device message."""
    found = [f"no {key}" for key in ("device", "origin", "components") if key not in message]
    found += [] if message["device"].get("identifiers") else ["no identifiers"]
    found += [] if message["origin"].get("name") else ["no origin.name"]
    for key, component in message["components"].items():
        found += [f"{key}: {text}" for text in _of_component(component)]
    ids = [each.get("unique_id") for each in message["components"].values()]
    found += [] if len(set(ids)) == len(ids) else ["two have the same unique_id"]
    return found


def _of_component(component: dict[str, Any]) -> list[str]:
    platform = component.get("platform")
    if platform not in _KEYS:
        return [f"unknown platform {platform}"]
    must, may = _KEYS[platform]
    found = [f"no {key}" for key in sorted((must | _ALL) - set(component))]
    found += [f"unknown {key}" for key in sorted(set(component) - must - _ALL - _MAY - may)]
    found += [f"{key} is null" for key, value in component.items() if value is None]
    if platform == "number" and not component["min"] < component["max"]:
        found.append("no number from min to max")
    if platform == "sensor" and component.get("device_class") in ("timestamp", "date", "enum"):
        found += [f"{k} goes with a number" for k in ("state_class",) if k in component]
    found += [f"{k}: {text}" for k, v in component.items() for text in _of_template(k, v)]
    return found


def _of_template(key: str, value: Any) -> list[str]:
    """Say where braces do not match, and where a payload would be no JSON."""
    if not key.endswith("template"):
        return []
    if value.count("{{") != value.count("}}") or value.count("{%") != value.count("%}"):
        return [f"unbalanced: {value}"]
    if key.startswith("command"):
        rendered, rest = "", value
        while "{{" in rest:
            before, _, rest = rest.partition("{{")
            rendered += before + "0"
            rest = rest.partition("}}")[2]
        try:
            json.loads(rendered + rest)
        except ValueError as error:
            return [f"no JSON: {error}: {rendered + rest}"]
    return []
