"""What `edgekernel plan` shows of a new node file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from edgekernel.cli.console import show, table

_COLOURS = {"start": "green", "stop": "red", "replace": "yellow", "adjust": "cyan"}


def page(node: str, found: dict[str, Any]) -> Iterator[RenderableType]:
    """Yield tables of the devices and of the keys, then what it comes to."""
    if not found["keys"]:
        yield f"{node}: nothing to do"
        return
    if found["devices"]:
        yield _devices(found["devices"])
    for bus in found["buses"]:
        taken = "is taken into use" if bus["action"] == "start" else "is used by nobody any more"
        yield f"\nbus {bus['bus']} {taken}"
    if found["devices"] or found["buses"]:
        yield ""
    yield _keys(found["keys"])
    if found["link"]:
        yield f"\nmqtt: {_link(found['keys'])}"
    yield from _end(node, found)


def _link(keys: list[dict[str, Any]]) -> str:
    whole = next((key for key in keys if key["key"] == "mqtt"), {"old": True, "new": True})
    if whole["new"] is None:
        return "the link to the broker is ended, and none is made"
    return f"the link to the broker is made{'' if whole['old'] is None else ' anew'}"


def _devices(devices: list[dict[str, Any]]) -> RenderableType:
    drawn = table("", "device", "what happens", "outputs meanwhile", "used by")
    for device in devices:
        action = device["action"]
        outputs = (
            f"{name} = {'as it is' if safe is None else show(safe)}"
            for name, safe in device["outputs"].items()
        )
        used_by = ", ".join(device["used_by"]) or "-"
        said = Text(action, style=_COLOURS[action])
        drawn.add_row(device["device"], said, ", ".join(outputs) or "-", used_by)
    return drawn


def _keys(keys: list[dict[str, Any]]) -> RenderableType:
    drawn = table("", "key", "now", "then")
    for key in keys:
        drawn.add_row(key["key"], _value(key["old"]), _value(key["new"]))
    return drawn


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "(a table)"
    return "-" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _end(node: str, found: dict[str, Any]) -> Iterator[str]:
    if found["restart"]:
        yield f"\n{node}: needs a restart of the agent:"
        yield from (f"  {each['key']}: {each['why']}" for each in found["restart"])
        return
    actions = [device["action"] for device in found["devices"]]
    said = [f"{actions.count(each)} {each}" for each in _COLOURS if each in actions]
    if not found["changes"]:
        yield f"\n{node}: nothing stops or starts: these keys are only for the check"
    else:
        yield f"\n{node}: can be applied while it runs: {', '.join(said) or 'no device moves'}"
