"""How fast what is stored goes out, so that there is room for live traffic."""

from __future__ import annotations

from edgekernel.core.clock import NANOSECONDS

_BURST_NS = NANOSECONDS // 20
"""What was not used in the last 50 ms may be used now: nobody wakes up for single messages."""


class Pace:
    """Lets so many messages and so many bytes pass in a second, 0 being no limit."""

    def __init__(self, messages_per_s: float, bytes_per_s: float) -> None:
        self._message_ns = NANOSECONDS / messages_per_s if messages_per_s else 0.0
        self._byte_ns = NANOSECONDS / bytes_per_s if bytes_per_s else 0.0
        self._free_ns = 0.0

    def wait_ns(self, now_ns: int) -> int:
        """Return how long the next message has to wait, 0 if it need not."""
        return max(0, int(self._free_ns - now_ns))

    def passed(self, size: int, now_ns: int) -> None:
        """Count a message of so many bytes that passes now."""
        cost_ns = max(self._message_ns, size * self._byte_ns)
        self._free_ns = max(self._free_ns, now_ns - _BURST_NS) + cost_ns
