"""How long a device that talks by itself has said nothing of use."""

from __future__ import annotations

from edgekernel.hal.lasting import LastingPort


class Silence:
    """The time since something of use came from a port, or since the port was last opened.

    So a device whose port comes back is given as long to be heard as at its start, and is polled
    in its own interval meanwhile, not at the rare tries of a device that is offline.
    """

    def __init__(self, port: LastingPort) -> None:
        self._port = port
        self._openings = port.openings
        self._since_s = 0.0

    def ended(self, now_s: float) -> None:
        """Note that something of use has come, at a monotonic time."""
        self._openings, self._since_s = self._port.openings, now_s

    def lasts_s(self, now_s: float) -> float:
        """Return how long it lasts at a monotonic time; 0 when asked first after an opening."""
        if self._openings != self._port.openings:
            self.ended(now_s)
        return now_s - self._since_s
