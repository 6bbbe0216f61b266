"""What happens, as lines: for people, and as JSON."""

from __future__ import annotations

from typing import Any

from edgekernel.cli.console import show
from edgekernel.cli.ctl.plain import plain
from edgekernel.core.messages import Severity
from edgekernel.mqtt.fleet import DeviceState, LinkState, NodeEvent, NodeStatus

Item = NodeStatus | DeviceState | NodeEvent | LinkState

_KINDS: dict[type, str] = {
    NodeStatus: "status",
    DeviceState: "state",
    NodeEvent: "event",
    LinkState: "link",
}


def as_row(item: Item) -> dict[str, Any]:
    """Return an item as JSON: its `kind` (status, state, event or link) and what it says."""
    kind = {"kind": _KINDS[type(item)]}
    if isinstance(item, DeviceState):
        return {**kind, "node": item.node, "device": item.device, **plain(item)}
    return {**kind, **plain(item)}


def as_line(item: Item, several: bool) -> str:
    """Return an item in a line; with the node where there are `several`."""
    node = f"{getattr(item, 'node', ''):<16} " if several else ""
    return f"{node}{_KINDS[type(item)]:<7} {said(item)}"


def said(item: Item) -> str:
    """Return what an item says."""
    if isinstance(item, NodeStatus):
        since = f" since {item.since:%Y-%m-%d %H:%M:%S}" if item.since else ""
        return f"{item.state}{since} ({item.cause or 'no reason given'})"
    if isinstance(item, DeviceState):
        signals = (f"{name}={value_of(each)}" for name, each in item.signals.items())
        gone = "" if item.signals else "is gone"
        return f"{item.device:<14} {'  '.join(signals)}{gone}"
    if isinstance(item, NodeEvent):
        fields = {name: each for name, each in item.fields.items() if name != "traceback"}
        severity = "" if item.severity <= Severity.INFO else f"{item.severity.name}  "
        text = "  ".join(f"{name}={each}" for name, each in fields.items())
        return f"{item.name:<14} {severity}{text}"
    return "up" if item.up else item.reason


def value_of(signal: Any) -> str:
    """Return the value of a signal with its unit."""
    return f"{show(signal.value)} {signal.unit}".strip()
