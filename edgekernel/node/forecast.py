"""Forecast: what a new node file would do to a running node, ready for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from edgekernel.core.device import Device
from edgekernel.core.runtime import Runtime
from edgekernel.node.difference import Action, DeviceChange, Difference
from edgekernel.node.keys import KeyChange

_MOVES = (Action.STOP, Action.REPLACE)


def forecast(
    difference: Difference, running: Runtime | None, wanted: Runtime | None
) -> dict[str, Any]:
    """Say which devices, buses and links stop, start and change, and what needs a restart.

    Both runtimes are those of the plans; nothing of them has to be started. Without one nothing is
    said of the outputs, and of who uses a device.
    """
    return {
        "changes": difference.does_something,
        "restart": [{"key": key, "why": why} for key, why in difference.restart.items()],
        "devices": [_device(each, running, wanted) for each in difference.devices],
        "buses": [
            *({"bus": bus.name, "action": "start"} for bus in difference.buses_in),
            *({"bus": bus.name, "action": "stop"} for bus in difference.buses_out),
        ],
        "link": [str(key) for key in difference.link],
        "keys": keys_as_json(difference.keys),
    }


def keys_as_json(keys: Iterable[KeyChange]) -> list[dict[str, Any]]:
    """Return keys with both of their values, secrets hidden."""
    return [{"key": str(key), "old": key.shown[0], "new": key.shown[1]} for key in keys]


def _device(
    change: DeviceChange, running: Runtime | None, wanted: Runtime | None
) -> dict[str, Any]:
    devices = {} if running is None else running.devices
    new = {} if wanted is None else wanted.devices
    moves = change.action in _MOVES
    return {
        "device": change.id,
        "action": str(change.action),
        "keys": [str(key) for key in change.keys],
        "outputs": _outputs((devices if moves else new).get(change.id)) if _stirs(change) else {},
        "used_by": list(_users(running, change.id)) if moves else [],
    }


def _stirs(change: DeviceChange) -> bool:
    return change.action is not Action.ADJUST


def _outputs(device: Device | None) -> Mapping[str, Any]:
    """Return the safe value of each output, which it has during the change; None: it has none."""
    if device is None:
        return {}
    return {name: output.safe for name, output in device.outputs.items()}


def _users(runtime: Runtime | None, id: str) -> Iterator[str]:
    """Give the parts of the application that require a device by its id."""
    if runtime is None:
        return
    for name, part in runtime.status()["components"].items():
        if any(text.endswith(f"with id {id!r}") for text in part["requires"].values()):
            yield name
