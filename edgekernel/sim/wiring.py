"""What hangs on the simulated board for one device, and where it is plugged in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edgekernel.backends.sim import SimI2CBus, SimOneWireBus, SimPort, SimSpi


@dataclass(frozen=True, slots=True)
class Socket:
    """Where a chip or a far end is plugged in, so that it can be pulled out."""

    place: SimI2CBus | SimPort | SimSpi | SimOneWireBus
    address: int | None
    """The address on an I²C bus."""
    plug: Callable[[], object]
    unplug: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Wiring:
    """What hangs on the board for one device: its lines, and its chip or far end if it has one."""

    lines: dict[str, str]
    """Line name by driver parameter."""
    active_high: bool
    chip: Any = None
    inputs: dict[str, str] = field(default_factory=dict)
    """Those of the lines that the device reads."""
    outputs: dict[str, str] = field(default_factory=dict)
    """Those of the lines that the device drives."""
    socket: Socket | None = None
