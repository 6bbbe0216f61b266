"""How a node is: its services, queues and losses, and the computer below it; small, for a fleet."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgekernel.core.context import Context
from edgekernel.core.errors import TurnTimeoutError
from edgekernel.core.time_quality import is_simulated
from edgekernel.mqtt.encoding import encode, timestamp
from edgekernel.node.machine import Machine
from edgekernel.node.vitals import (
    cpu_temperature_c,
    flash_used_percent,
    memory,
    room,
    slowed,
    throttling,
    under_voltage,
)

_PATIENCE_S = 0.5


class Health:
    """Publishes how a node is, while there is a link."""

    def __init__(
        self,
        ctx: Context,
        counters: Callable[[], Mapping[str, int]],
        publish: Callable[[bytes], object],
        folder: Path | None = None,
    ) -> None:
        """Prepare; `counters` are those of the link, `publish` sends the payload. The disk is that
        of `folder`, or else of the system."""
        self._machine = Machine()
        self._folder = Path("/") if folder is None else folder
        self._ctx = ctx
        self._counters = counters
        self._publish = publish

    def publish(self) -> None:
        """Publish how the node is now."""
        self._publish(encode(self._document()))

    def _document(self) -> dict[str, Any]:
        status, link = self._ctx.runtime.status(), self._counters()
        found = {
            "time": timestamp(self._ctx.clock.now_utc()),
            "state": status["state"],
            "uptime_s": round(status["uptime_s"], 3),
            "degraded": status["degraded"],
            "offline_devices": [id for id, each in status["devices"].items() if not each["online"]],
            "services": {name: each["state"] for name, each in status["services"].items()},
            "errors": status["errors"],
            "queues": {"turns": status["waiting_turns"], "mqtt": link["waiting"]},
            "dropped": {
                "turns": status["dropped_turns"],
                "events": link["dropped_events"],
                "replies": link["dropped_replies"],
                "requests": link["requests_turned_away"],
                "refused": link["refused_by_broker"],
            },
            "connections": link["connections"],
        }
        if is_simulated(self._ctx.clock):  # where no turn takes time, and no computer is the node's
            return found
        figures = computer(self._machine, self._folder)
        return {**found, "turn_wait_s": self._turn_wait_s(), **figures}

    def _turn_wait_s(self) -> float | None:
        """Return how long a turn has to wait for its place now; None if that is too long."""
        clock = self._ctx.clock
        begin_s = clock.monotonic()
        try:
            self._ctx.runtime.turns.call(lambda: None, "mqtt: how long turns wait", _PATIENCE_S)
        except TurnTimeoutError:
            return None
        return round(clock.monotonic() - begin_s, 6)


def computer(machine: Machine, folder: Path) -> dict[str, Any]:
    """Return how the computer is: the disk of a folder, memory, load, heat and supply; None for
    what is not measured."""
    disk, left = room(machine, str(folder.absolute())), memory(machine)
    told = throttling(machine)
    return {
        "disk_free_bytes": None if disk is None else disk.free_bytes,
        "disk_free_percent": None if disk is None else disk.free_percent,
        "disk_read_only": None if disk is None else disk.read_only,
        "flash_used_percent": flash_used_percent(machine),
        "memory_available_bytes": None if left is None else left.available_bytes,
        "memory_available_percent": None if left is None else left.available_percent,
        "load_1min": round(os.getloadavg()[0], 2),
        "cpu_temperature_c": cpu_temperature_c(machine),
        "cpu_throttled": slowed(told),
        "under_voltage": under_voltage(machine, told),
    }
