"""Faults of plugs: a chip, a far end, an adapter or a bus is pulled out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from edgekernel.sim.faults.fault import End, FaultKind
from edgekernel.sim.faults.site import Site


@dataclass(frozen=True)
class Unplug(FaultKind):
    """It is pulled out, and plugged in again at the end, having lost what it keeps in registers.

    Of a device that is its chip, or the far end of its port; of a bus or port the adapter itself.
    """

    word = "unplug"
    on = ("device", "bus", "port")

    def misfit(self, site: Site) -> str:
        """Say that there is no plug."""
        if site.sort == "device":
            return "" if site.socket else f"{site.name} has no plug: it is on lines; try `stuck`"
        if site.sort == "bus" and not site.on_i2c:
            return f"{site.name} is no I²C bus: unplug the devices on it"
        return ""

    def begin(self, site: Site, random: Random) -> End:
        """Pull it out."""
        about = ("unplug", site.sort, site.name)
        if site.sort == "device":
            return site.overlay(about, partial(_pull, site), True)
        place: Any = site.port if site.sort == "port" else site.on_i2c[0][0]
        return site.overlay(about, partial(_take_away, place), True)


def _pull(site: Site, out: bool | None) -> None:
    socket = site.socket
    assert socket is not None, "its misfit has been asked"
    if out:
        socket.unplug()
        return
    power_on = getattr(site.part, "power_on", None)
    if callable(power_on):
        power_on()
    socket.plug()


def _take_away(place: Any, away: bool | None) -> None:
    place.present = not away
