"""What a device measures, as sensors and binary sensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekernel.mqtt.home_assistant import device_classes, templates
from edgekernel.mqtt.home_assistant.entity import QOS, Entity, device_available, key, title
from edgekernel.mqtt.home_assistant.settings import HomeAssistant
from edgekernel.mqtt.topics import Topics

Schema = Mapping[str, Any]


def reading_entity(
    device: str, name: str, schema: Schema, topics: Topics, settings: HomeAssistant, shown: str
) -> Entity:
    """Return the entity of a reading; `shown` is the name that is shown."""
    config: dict[str, Any] = {
        "name": shown,
        "state_topic": topics.signal(device, name),
        "qos": QOS,
        **device_available(topics, device),
    }
    if settings.expire_after_s:
        config["expire_after"] = round(settings.expire_after_s)
    made = key(device, "state", name)
    signal = templates.signal_in(topics.form, name, schema["type"])
    if schema["type"] == "bool":
        return Entity("binary_sensor", made, config | _on_or_off(signal, schema))
    if schema["type"] == "str":
        return Entity("sensor", made, config | _text(signal, schema))
    return Entity("sensor", made, config | _number(signal, schema))


def status_entity(topics: Topics) -> Entity:
    """Return the entity of the node's status, which is there when the node is not."""
    config = {
        "name": title("status"),
        "state_topic": topics.status,
        "qos": QOS,
        "value_template": "{{ value_json.state }}",
        "json_attributes_topic": topics.status,
        "device_class": "enum",
        "options": ["online", "degraded", "safe", "offline"],
        "entity_category": "diagnostic",
        "availability": [],
    }
    return Entity("sensor", "node_node_status", config)


def _on_or_off(signal: str, schema: Schema) -> dict[str, Any]:
    config = {"value_template": templates.switch(signal)}
    wanted = schema.get("device_class", "")
    return _with(config, device_class=wanted if wanted in device_classes.OF_BINARY_SENSOR else "")


def _text(signal: str, schema: Schema) -> dict[str, Any]:
    config = {"value_template": templates.text(signal)}
    wanted = schema.get("device_class", "")
    return _with(config, device_class=wanted if wanted in device_classes.OF_TEXT else "")


def _number(signal: str, schema: Schema) -> dict[str, Any]:
    unit = schema.get("unit", "")
    device_class = device_classes.of_number(schema.get("device_class", ""), unit)
    config = {"value_template": templates.number(signal)}
    return _with(
        config,
        unit_of_measurement=unit,
        device_class=device_class,
        state_class=_state_class(schema, device_class),
        suggested_display_precision=schema.get("precision", ""),
    )


def _state_class(schema: Schema, device_class: str) -> str:
    if schema.get("counts_up") or device_class in device_classes.TOTALS:
        return "total_increasing"
    return "" if device_class in device_classes.WITHOUT_STATE_CLASS else "measurement"


def _with(config: dict[str, Any], **values: Any) -> dict[str, Any]:
    return config | {name: value for name, value in values.items() if value != ""}
