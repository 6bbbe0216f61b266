"""What nodes publish, read into results; nothing here raises, whatever somebody has written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from edgekernel.core.messages import Severity
from edgekernel.mqtt.fleet.results import (
    DeviceState,
    NodeEvent,
    NodeHealth,
    NodeInfo,
    NodeStatus,
    SignalState,
)

Document = Mapping[str, Any]
N = TypeVar("N", int, float)


def read_document(payload: bytes) -> Document | None:
    """Return a payload that is a JSON object; None for anything else."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def read_status(node: str, document: Document) -> NodeStatus:
    """Read what is retained on `status`."""
    return NodeStatus(
        node,
        read_text(document, "state"),
        read_time(document.get("since")),
        read_text(document, "cause"),
        read_text(document, "boot"),
        {name: why for name, why in _table(document, "parts").items() if _is_text(why)},
    )


def read_info(node: str, document: Document) -> NodeInfo:
    """Read what is retained on `info`."""
    labels = {name: each for name, each in _table(document, "labels").items() if _is_text(each)}
    return NodeInfo(
        node,
        version=read_text(document, "version"),
        board=read_text(document, "board"),
        host=read_text(document, "host"),
        config=read_text(document, "config"),
        boot=read_text(document, "boot"),
        restart_cause=read_text(document, "restart_cause"),
        restart_detail=read_text(document, "restart_detail"),
        time_quality=read_text(document, "time_quality"),
        layout=read_text(document, "layout"),
        payloads=read_text(document, "payloads"),
        labels=labels,
    )


def read_state(node: str, device: str, document: Document) -> DeviceState:
    """Read what is retained on `state/<device>`."""
    signals = {name: read_signal(each) for name, each in document.items() if isinstance(each, dict)}
    return DeviceState(node, device, document.get("online") is True, signals)


def read_signal(document: Document) -> SignalState:
    """Read what is retained of one signal."""
    return SignalState(
        value=document.get("value"),
        unit=read_text(document, "unit"),
        quality=read_text(document, "quality"),
        reason=read_text(document, "reason"),
        time=read_time(document.get("time")),
        setpoint=document.get("setpoint"),
    )


def read_event(node: str, topic: str, document: Document) -> NodeEvent:
    """Read what comes on `event/<topic>`."""
    severity = Severity.__members__.get(read_text(document, "severity").upper(), Severity.INFO)
    return NodeEvent(
        node,
        read_text(document, "name") or topic,
        severity,
        read_time(document.get("time")),
        read_text(document, "source"),
        _number(document, "seq", int) or 0,
        read_text(document, "boot"),
        _table(document, "fields"),
    )


def read_health(node: str, document: Document) -> NodeHealth:
    """Read what is retained on `health`."""
    services = {name: str(each) for name, each in _table(document, "services").items()}
    return NodeHealth(
        node,
        read_text(document, "state"),
        time=read_time(document.get("time")),
        uptime_s=_number(document, "uptime_s", float),
        degraded=_texts(document, "degraded"),
        offline_devices=_texts(document, "offline_devices"),
        services=services,
        errors=_number(document, "errors", int) or 0,
        queues=_counts(document, "queues"),
        dropped=_counts(document, "dropped"),
        connections=_number(document, "connections", int) or 0,
        turn_wait_s=_number(document, "turn_wait_s", float),
        disk_free_bytes=_number(document, "disk_free_bytes", int),
        disk_free_percent=_number(document, "disk_free_percent", float),
        disk_read_only=_flag(document, "disk_read_only"),
        flash_used_percent=_number(document, "flash_used_percent", int),
        memory_available_bytes=_number(document, "memory_available_bytes", int),
        memory_available_percent=_number(document, "memory_available_percent", float),
        load_1min=_number(document, "load_1min", float),
        cpu_temperature_c=_number(document, "cpu_temperature_c", float),
        cpu_throttled=_flag(document, "cpu_throttled"),
        under_voltage=_flag(document, "under_voltage"),
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _flag(document: Document, key: str) -> bool | None:
    value = document.get(key)
    return value if isinstance(value, bool) else None


def _texts(document: Document, key: str) -> tuple[str, ...]:
    value = document.get(key)
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _table(document: Document, key: str) -> Mapping[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _counts(document: Document, key: str) -> Mapping[str, int]:
    table = _table(document, key)
    return {name: each for name, each in table.items() if isinstance(each, int)}


def _number(document: Document, key: str, kind: type[N]) -> N | None:
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return kind(value)
    except (OverflowError, ValueError):  # infinite, or not a number
        return None


def read_text(document: Document, key: str) -> str:
    """Return a text of a document; "" for anything else."""
    value = document.get(key)
    return value if isinstance(value, str) else ""


def read_time(text: object) -> datetime | None:
    """Return a time as nodes write it; None for anything else."""
    try:
        made = datetime.fromisoformat(text) if isinstance(text, str) else None
        return None if made is None or made.tzinfo is None else made.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
