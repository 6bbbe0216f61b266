"""One device of the node file, with its driver found and its settings checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgekernel.core.device import Device
from edgekernel.core.output_limits import Limits
from edgekernel.hal.address import (
    BusAddress,
    LineAddress,
    OneWireAddress,
    PortAddress,
    ProvidedLine,
    PwmAddress,
    SpiAddress,
)
from edgekernel.node.tuning import Tuning

Address = (
    LineAddress | ProvidedLine | PwmAddress | BusAddress | PortAddress | SpiAddress | OneWireAddress
)


@dataclass(frozen=True, slots=True)
class PlannedDevice:
    """What is known of a device before it is made."""

    id: str
    driver: type[Device]
    settings: dict[str, Any]
    kinds: dict[str, type]
    """The boundary protocol of each parameter that takes one."""
    addresses: dict[str, Address]
    """Where each of those boundaries is on the board."""
    every_s: float | None
    optional: bool
    tuning: Tuning = field(default_factory=Tuning)
    """What is said of its readings; checked already, unless they are made from settings."""
    limits: Mapping[str, Limits] = field(default_factory=dict)
    """What is said of its outputs; checked as far as the driver's class can tell."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """What is needed to set an output from outside, where the node file says so."""

    @property
    def providers(self) -> tuple[str, ...]:
        """The devices of which it uses lines, each once."""
        lines = [each for each in self.addresses.values() if isinstance(each, ProvidedLine)]
        return tuple(dict.fromkeys(line.provider for line in lines))
