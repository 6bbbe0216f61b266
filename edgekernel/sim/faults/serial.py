"""Faults of serial lines."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Annotated

from annotated_types import Ge, Le

from edgekernel.backends.sim import SimPort
from edgekernel.sim.faults.fault import End, FaultKind
from edgekernel.sim.faults.site import Site


class _OnPort(FaultKind):
    on = ("device", "port")

    def misfit(self, site: Site) -> str:
        """Say that it is on no serial port."""
        return "" if site.port else f"{site.name} is on no serial port"

    def port(self, site: Site) -> SimPort:
        """Return the port."""
        assert site.port is not None, "its misfit has been asked"
        return site.port


@dataclass(frozen=True)
class Garbage(_OnPort):
    """`count` bytes of chance come over the line, as when a motor starts beside it."""

    word = "garbage"
    lasting = False
    count: Annotated[int, Ge(1), Le(65536)] = 64

    def begin(self, site: Site, random: Random) -> End:
        """Put them on the line."""
        self.port(site).inject(random.randbytes(self.count))
        return lambda: None


@dataclass(frozen=True)
class LostBytes(_OnPort):
    """What the far end sends is lost: `count` bytes of it; without that all."""

    word = "lost_bytes"
    count: Annotated[int, Ge(1)] | None = None

    def begin(self, site: Site, random: Random) -> End:
        """Lose them from now on."""
        port = self.port(site)
        if self.count is not None:
            return port.drop(self.count)

        def apply(losing: bool | None) -> None:
            port.losing = bool(losing)

        return site.overlay(("lost_bytes", port.name), apply, True)
