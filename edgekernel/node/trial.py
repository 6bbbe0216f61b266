"""The trial of a configuration: the node must be as well with it as it was before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from edgekernel.core.clock import EventLike
from edgekernel.core.reading import NO_VALUE_YET
from edgekernel.core.runtime import Runtime
from edgekernel.core.sample import Quality
from edgekernel.node.config_table import ConfigTable

LOOK_S = 0.5
"""How often it is looked at the node."""


def complaints(runtime: Runtime) -> dict[str, str]:
    """Return what is not well with a node, by what it is: a part, a device, a reading, the link.

    A part that is missing or says that it is not healthy, a runtime that makes no progress, as one
    whose handler hangs, a service that hangs, waits for its
    restart or is not started again, a device that is offline, a reading that is BAD for another
    reason than that there was no value yet, and a link that is down.
    """
    health = runtime.health()
    parts = health["parts"].items()
    found = {f"part {id}": each["reason"] for id, each in parts if not each["healthy"]}
    if health["problems"]:  # without how long, as below
        found[f"part {runtime.name}"] = "it makes no progress"
    for id, service in runtime.services.statuses().items():
        if service["state"] == "hung":  # without how long: it is the same complaint all the time
            found[f"part {id}"] = "it hangs"
        elif service["restart_in_s"] is not None:
            found[f"part {id}"] = f"it waits for its restart: {service['last_error']}"
    for id, device in runtime.devices.items():
        if not device.online:
            found.setdefault(f"device {id}", device.offline_error or "is not there")
    found |= {f"reading {label}": why for label, why in bad_readings(runtime).items()}
    found |= {f"link {id}": "is down" for id, up in _links(runtime) if not up}
    return found


def bad_readings(runtime: Runtime) -> dict[str, str]:
    """Return the readings of devices that are online that are BAD, and why, by `device.reading`;
    but not those that have no value yet."""
    return {
        f"{device.id}.{name}": sample.reason
        for device in runtime.devices.values()
        if device.online
        for name, reading in device.readings.items()
        if (sample := reading.peek_sample()).quality is Quality.BAD
        and sample.reason != NO_VALUE_YET
    }


def stand_trial(
    look: Callable[[], Mapping[str, str]],
    before: Mapping[str, str],
    terms: ConfigTable,
    clock: Any,
    cancel: EventLike,
) -> list[str] | None:
    """Wait until a node has proven itself; return what is worse than before if it has not.

    `look` returns its complaints, `before` are those of the time before the change. None if it was
    cancelled before anybody could tell.
    """
    begun_s = clock.monotonic()
    well_since_s: float | None = None
    while True:
        now_s = clock.monotonic()
        worse = {what: why for what, why in look().items() if what not in before}
        if worse:
            well_since_s = None
            if now_s - begun_s >= terms.grace:
                return [f"{what}: {why}" for what, why in worse.items()]
        else:
            well_since_s = now_s if well_since_s is None else well_since_s
            if now_s - well_since_s >= terms.healthy_for:
                return []
        if clock.sleep(LOOK_S, cancel):
            return None


def _links(runtime: Runtime) -> Iterator[tuple[str, bool]]:
    for name, part in runtime.interfaces.items():
        connected = getattr(part, "connected", None)
        if connected is not None:
            yield name, bool(connected)
