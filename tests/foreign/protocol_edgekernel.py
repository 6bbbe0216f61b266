"""The simulated port under a URL of pyserial's: edgekernel://loop, with a loopback plug in it.

pyserial finds this module by its name (`serial.protocol_handler_packages`).
"""

from __future__ import annotations

from typing import Any

from edgekernel.backends.sim import Loopback, SimPort, SimSerial
from edgekernel.core.clock import SystemClock

SOCKET = SimPort("edgekernel://loop", SystemClock())
SOCKET.real_speed = True
SOCKET.plug(Loopback())


class Serial(SimSerial):
    """A port that pyserial makes closed and opens when it has a name."""

    def __init__(self, port: None, *settings: Any, **named: Any) -> None:
        """Take pyserial's settings; they come by position or by name."""
        del port
        names = ("baudrate", "bytesize", "parity", "stopbits", "timeout")
        super().__init__(SOCKET, opened=False, **dict(zip(names, settings, strict=False)), **named)
