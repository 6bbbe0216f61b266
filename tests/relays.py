"""A real process drives it through the real serial port of this computer: a relay board."""

from __future__ import annotations

import os
import threading
import time

from edgekernel_devices._modbus_units import ModbusUnits


class Relays:
    """A relay board that speaks Modbus, at the far end of a serial line; coil 3 is a pump."""

    def __init__(self) -> None:
        self.units = ModbusUnits()
        self.far, self._near = os.openpty()
        self.port = os.ttyname(self._near)
        os.chmod(self.port, 0o666)  # the agent is another user
        self.changes: list[tuple[float, bool]] = []
        """When the pump went on or off, and which of it."""
        self.requests = 0
        self._ended = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def pump(self) -> bool:
        """Whether the pump is on."""
        return self.is_on(3)

    def is_on(self, coil: int) -> bool:
        """Whether a coil is on."""
        return bool(self.units.coil.get(coil, 0))

    def close(self) -> None:
        """End it."""
        self._ended = True
        os.close(self._near)  # which ends the reading at the far end
        self._thread.join(5)
        os.close(self.far)

    def _serve(self) -> None:
        while not self._ended:
            try:
                data = os.read(self.far, 256)
            except OSError:
                return
            before, self.requests = self.pump, self.requests + 1
            self.units.received(data, time.monotonic())
            if self.pump is not before:
                self.changes.append((time.monotonic(), self.pump))
            os.write(self.far, self.units.due(time.monotonic() + 1))
