"""What a device drives, as switches, lights, numbers and texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekernel.mqtt.home_assistant import device_classes, templates
from edgekernel.mqtt.home_assistant.entity import QOS, Entity, device_available, key
from edgekernel.mqtt.home_assistant.numbers import limits
from edgekernel.mqtt.home_assistant.settings import HomeAssistant
from edgekernel.mqtt.topics import Topics

Schema = Mapping[str, Any]


def output_entity(
    device: str, name: str, schema: Schema, topics: Topics, settings: HomeAssistant, shown: str
) -> Entity:
    """Return the entity of an output; its state is what the device reports, not what was asked.

    `shown` is the name that is shown. A number can only be a light if it has a range.
    """
    config: dict[str, Any] = {
        "name": shown,
        "state_topic": topics.signal(device, name),
        "command_topic": topics.set(device, name),
        "qos": QOS,
        **device_available(topics, device),
    }
    made = key(device, "set", name)
    signal = templates.signal_in(topics.form, name, schema["type"])
    ttl_s = settings.command_ttl_s
    if schema["type"] == "str":
        return Entity("text", made, config | _text(signal, ttl_s))
    lamp = (
        schema.get("device_class") == device_classes.LIGHT or f"{device}.{name}" in settings.lights
    )
    if schema["type"] == "bool":
        wanted = _lamp(signal, ttl_s) if lamp else _switch(signal, schema, ttl_s)
        return Entity("light" if lamp else "switch", made, config | wanted)
    if lamp and "range" in schema:
        return Entity("light", made, config | _dimmed(signal, schema, ttl_s))
    return Entity("number", made, config | _number(signal, schema, ttl_s))


def _switch(signal: str, schema: Schema, ttl_s: float) -> dict[str, Any]:
    config = {
        "value_template": templates.switch(signal),
        "command_template": templates.set_request(templates.SWITCHED, ttl_s),
    }
    if (wanted := schema.get("device_class")) in device_classes.OF_SWITCH:
        config["device_class"] = wanted
    return config


def _lamp(signal: str, ttl_s: float) -> dict[str, Any]:
    return {
        "schema": "template",
        "state_template": templates.switch(signal, "on", "off"),
        "command_on_template": templates.set_request("true", ttl_s),
        "command_off_template": templates.set_request("false", ttl_s),
    }


def _dimmed(signal: str, schema: Schema, ttl_s: float) -> dict[str, Any]:
    low, high = schema["range"]
    value = templates.dim(low, high, whole=schema["type"] == "int")
    return {
        "schema": "template",
        "state_template": templates.lit(signal, low),
        "brightness_template": templates.brightness(signal, low, high),
        "command_on_template": templates.set_request(value, ttl_s),
        "command_off_template": templates.set_request(f"{low:g}", ttl_s),
    }


def _number(signal: str, schema: Schema, ttl_s: float) -> dict[str, Any]:
    unit = schema.get("unit", "")
    whole = schema["type"] == "int"
    value = templates.WHOLE if whole else templates.NUMBER
    config: dict[str, Any] = {
        "value_template": templates.number(signal),
        "command_template": templates.set_request(value, ttl_s),
        **limits(schema.get("range"), whole=whole, precision=schema.get("precision")),
    }
    if unit:
        config["unit_of_measurement"] = unit
    if wanted := device_classes.of_number(schema.get("device_class", ""), unit):
        config["device_class"] = wanted
    return config


def _text(signal: str, ttl_s: float) -> dict[str, Any]:
    return {
        "value_template": templates.text(signal),
        "command_template": templates.set_request(templates.TEXT, ttl_s),
    }
