"""The states of devices, put together from their topics, in whichever form nodes publish them.

Nothing here raises, whatever somebody has written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edgekernel.core.errors import ConfigError
from edgekernel.core.sample import Quality
from edgekernel.mqtt.fleet.documents import read_document, read_signal, read_state
from edgekernel.mqtt.fleet.results import DeviceState, SignalState
from edgekernel.mqtt.plain import ANSWERS, NO_TEXT, OFF, ON, SILENT, UNAVAILABLE
from edgekernel.mqtt.topics import segment

STATES = ("state/+", "state/+/+", "quality/+/+")
"""Filters of all that there is of states, below a node."""

_WORDS = {ON: True, OFF: False, NO_TEXT: ""}

Document = Mapping[str, Any]


@dataclass(slots=True)
class _Seen:
    """What has come of one device whose signals have a topic each."""

    online: bool | None = None  # not known: what its topics mean is not known either
    plain: bool = False
    values: dict[str, bytes] = field(default_factory=dict)
    qualities: dict[str, bytes] = field(default_factory=dict)


class DeviceStates:
    """Takes what comes on the topics of states, in any order, and gives whole devices."""

    def __init__(self, schema: Document | None = None) -> None:
        """With the `schema` of the one node that it is for, signals have the names, units and types
        that it says; a topic and a plain value have only a part of that."""
        self._schema = schema or {}
        self._seen: dict[tuple[str, str], _Seen] = {}

    def take(self, topic: str, payload: bytes) -> DeviceState | None:
        """Return a device as it is known now; None while its form is not known.

        `topic` begins with the node. Without signals the device has been taken out of it.
        """
        node, kind, device, *rest = topic.split("/")
        if not rest:
            return self._take_device(node, device, payload)
        seen = self._seen.setdefault((node, device), _Seen())
        known = seen.values if kind == "state" else seen.qualities
        if payload:
            known[rest[0]] = payload
        else:
            known.pop(rest[0], None)
        return self._state(node, device, seen)

    def _take_device(self, node: str, device: str, payload: bytes) -> DeviceState | None:
        if not payload:
            self._seen.pop((node, device), None)
            return DeviceState(node, device, False)
        document = read_document(payload)
        if document is not None and has_signals(document):
            return read_state(node, device, document)
        seen = self._seen.setdefault((node, device), _Seen())
        if payload in (ANSWERS, SILENT):
            seen.online, seen.plain = payload == ANSWERS, True
        elif document is not None:
            seen.online, seen.plain = document.get("online") is True, False
        return self._state(node, device, seen)

    def _state(self, node: str, device: str, seen: _Seen) -> DeviceState | None:
        if seen.online is None:
            return None
        described, signals = self._described(device), dict[str, SignalState]()
        for topic, payload in seen.values.items():
            name, schema = described.get(topic, (topic, {}))
            if seen.plain:
                told = seen.qualities.get(topic, b"").decode("utf-8", "replace")
                signals[name] = _plain_signal(payload, told, schema)
            elif (document := read_document(payload)) is not None:
                signals[name] = read_signal(document)
        return DeviceState(node, device, seen.online, signals)

    def _described(self, device: str) -> dict[str, tuple[str, Document]]:
        """Return name and schema of each signal of a device, by its level of the topic."""
        for id, each in _by_segment(_table(self._schema, "devices")).items():
            if id == device:
                inside = each[1]
                return _by_segment({**_table(inside, "readings"), **_table(inside, "outputs")})
        return {}


def whole_states(
    retained: Mapping[str, bytes], schema: Document | None = None
) -> dict[str, DeviceState]:
    """Return the devices in what is retained on the topics of one node's states."""
    states, found = DeviceStates(schema), dict[str, DeviceState]()
    for topic in sorted(retained):
        state = states.take(topic, retained[topic])
        if state is not None:
            found[state.device] = state
    return found


def has_signals(document: Document) -> bool:
    """Say whether this is the whole state of a device, and not only whether it answers."""
    return any(isinstance(each, dict) for each in document.values())


def _plain_signal(payload: bytes, told: str, schema: Document) -> SignalState:
    quality, _, reason = told.partition(": ")
    unit = schema.get("unit", "")
    made = SignalState(unit=unit if isinstance(unit, str) else "", quality=quality, reason=reason)
    if quality == str(Quality.BAD) or (payload == UNAVAILABLE and not quality):
        return replace(made, quality=str(Quality.BAD))
    return replace(made, value=_plain_value(payload, schema.get("type")))


def _plain_value(payload: bytes, type: object) -> Any:
    """Return a value as its type wants it; without one what looks like a number is one."""
    text = payload.decode("utf-8", "replace")
    if type == "str":
        return "" if payload == NO_TEXT else text
    if payload in _WORDS:
        return _WORDS[payload]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, bool) or not isinstance(value, int | float):
        return text
    return float(value) if type == "float" else value


def _table(document: Document, key: str) -> Document:
    found = document.get(key)
    return found if isinstance(found, dict) else {}


def _by_segment(table: Document) -> dict[str, tuple[str, Document]]:
    found: dict[str, tuple[str, Document]] = {}
    for name, each in table.items():
        try:
            found[segment(str(name))] = name, each if isinstance(each, dict) else {}
        except ConfigError:  # a name that no topic can hold
            continue
    return found
