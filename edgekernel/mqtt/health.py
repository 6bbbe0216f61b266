"""How a node is: its services, queues and losses, and the computer below it; small, for a fleet."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgekernel.core.context import Context
from edgekernel.core.errors import TurnTimeoutError
from edgekernel.core.time_quality import is_simulated
from edgekernel.mqtt.encoding import encode, timestamp

THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")
"""Where Linux tells the temperature of the processor, in millidegrees, on boards that measure it
(Documentation/driver-api/thermal/sysfs-api.rst)."""

_PATIENCE_S = 0.5


class Health:
    """Publishes how a node is, while there is a link."""

    def __init__(
        self,
        ctx: Context,
        counters: Callable[[], Mapping[str, int]],
        publish: Callable[[bytes], object],
    ) -> None:
        """Prepare; `counters` are those of the link, `publish` sends the payload."""
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
        return {**found, "turn_wait_s": self._turn_wait_s(), **computer()}

    def _turn_wait_s(self) -> float | None:
        """Return how long a turn has to wait for its place now; None if that is too long."""
        clock = self._ctx.clock
        begin_s = clock.monotonic()
        try:
            self._ctx.runtime.turns.call(lambda: None, "mqtt: how long turns wait", _PATIENCE_S)
        except TurnTimeoutError:
            return None
        return round(clock.monotonic() - begin_s, 6)


def computer(thermal: Path = THERMAL) -> dict[str, Any]:
    """Return the room on the disk, the load and, where it is measured, the temperature."""
    disk = os.statvfs("/")
    found: dict[str, Any] = {
        "disk_free_bytes": disk.f_bavail * disk.f_frsize,
        "disk_free_percent": round(100 * disk.f_bavail / disk.f_blocks, 1),
        "load_1min": round(os.getloadavg()[0], 2),
    }
    with suppress(OSError, ValueError):  # not every board measures it
        found["cpu_temperature_c"] = round(int(thermal.read_text("ascii")) / 1000, 1)
    return found
