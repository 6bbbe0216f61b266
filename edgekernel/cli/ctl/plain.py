"""Results as plain data, for --json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from edgekernel.core.messages import Severity
from edgekernel.mqtt.encoding import timestamp
from edgekernel.mqtt.fleet import DeviceState, NodeSchema, SignalState


def plain(value: Any) -> Any:
    """Return a result of a fleet as JSON has it, in the form in which nodes publish it."""
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, Severity):
        return value.name.lower()
    if isinstance(value, NodeSchema):
        return value.document
    if isinstance(value, DeviceState):
        return {"online": value.online, **plain(value.signals)}
    if isinstance(value, SignalState):
        return {name: each for name, each in _fields(value).items() if each not in ("", None)} | {
            "value": value.value
        }
    if is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def _fields(value: Any) -> dict[str, Any]:
    return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
