"""A program for Home Assistant's Python: judges discovery messages by Home Assistant's schemas.

Reads a JSON object with `devices`, a list of device messages, and `entities`, payloads by topic.
Prints one with `problems`, what is wrong, and `classes`, the device classes that there are for each
platform, those of numbers with their units. Unknown keys, which Home Assistant leaves out without a
word, are wrong here, and so is whatever it logs.
"""
# It is run by another Python, which has Home Assistant; ours has not.
# mypy: disable-error-code="import-not-found, no-any-return, no-untyped-call"
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import sys
import tempfile
from typing import Any

from homeassistant.components.binary_sensor import BinarySensorDeviceClass
from homeassistant.components.mqtt.discovery import TOPIC_MATCHER
from homeassistant.components.mqtt.light import schema_template
from homeassistant.components.mqtt.schemas import DEVICE_DISCOVERY_SCHEMA, SHARED_OPTIONS
from homeassistant.components.number import NumberDeviceClass
from homeassistant.components.sensor import DEVICE_CLASS_UNITS, SensorDeviceClass
from homeassistant.components.switch import SwitchDeviceClass
from homeassistant.core import HomeAssistant
from homeassistant.helpers import frame


class Told(logging.Handler):
    """Collects what Home Assistant logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a text."""
        self.texts.append(record.getMessage())


def schemas(platform: str) -> tuple[Any, Any]:
    """Return the strict schema of a platform, and the one that discovery uses."""
    if platform == "light":
        return (
            schema_template.PLATFORM_SCHEMA_MODERN_TEMPLATE,
            schema_template.DISCOVERY_SCHEMA_TEMPLATE,
        )
    module = importlib.import_module(f"homeassistant.components.mqtt.{platform}")
    return module.PLATFORM_SCHEMA_MODERN, module.DISCOVERY_SCHEMA


def judge(where: str, config: dict[str, Any], schema: Any, problems: list[str]) -> None:
    """Note what is wrong with one configuration."""
    try:
        schema(json.loads(json.dumps(config)))
    except Exception as error:
        problems.append(f"{where}: {error}")


def judge_component(where: str, platform: str, config: dict[str, Any], problems: list[str]) -> None:
    """Note what is wrong with a component."""
    if not isinstance(config.get("unique_id"), str):
        problems.append(f"{where}: no unique_id")
    for schema in schemas(platform):
        judge(where, config, schema, problems)


def classes() -> dict[str, Any]:
    """Return the device classes that there are."""
    units = {each.value: DEVICE_CLASS_UNITS.get(each) for each in SensorDeviceClass}
    return {
        "sensor": {
            name: None if some is None else ["" if unit is None else str(unit) for unit in some]
            for name, some in units.items()
        },
        "number": [each.value for each in NumberDeviceClass],
        "binary_sensor": [each.value for each in BinarySensorDeviceClass],
        "switch": [each.value for each in SwitchDeviceClass],
    }


async def main() -> None:
    """Judge what comes on standard input."""
    frame.async_setup(HomeAssistant(tempfile.gettempdir()))
    told = Told()
    logging.getLogger().addHandler(told)
    found = json.load(sys.stdin)
    problems: list[str] = []
    for message in found["devices"]:
        judge("device message", message, DEVICE_DISCOVERY_SCHEMA, problems)
        shared = {key: value for key, value in message.items() if key in SHARED_OPTIONS}
        common = {key: message[key] for key in ("device", "origin")}
        for key, component in message["components"].items():
            config = {**shared, **common, **component}
            judge_component(key, config.pop("platform"), config, problems)
    for topic, config in found["entities"].items():
        match = TOPIC_MATCHER.fullmatch(topic.partition("/")[2])
        if match is None or match.group("node_id") is None:
            problems.append(f"{topic}: no discovery topic")
        else:
            judge_component(topic, match.group("component"), config, problems)
    sys.stdout.write(json.dumps({"problems": problems + told.texts, "classes": classes()}))


asyncio.run(main())
