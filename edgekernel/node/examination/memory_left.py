"""Memory: is enough of it left for the node?"""

from __future__ import annotations

from collections.abc import Iterator

from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.machine import Machine
from edgekernel.node.vitals import memory

_NEEDED_BYTES = 64 * 1024 * 1024
"""What an agent with a few devices and MQTT may need, twice."""
_LITTLE_PERCENT = 5.0


def look_at_memory(machine: Machine) -> Iterator[Finding]:
    """Find how much memory a program can get without swapping."""
    found = memory(machine)
    if found is None:
        yield Finding(Level.OK, "memory", "nobody can tell how much is available")
        return
    text = (
        f"{found.available_bytes / 1e6:,.0f} MB of {found.total_bytes / 1e6:,.0f} MB available "
        f"({found.available_percent:g} %)"
    )
    if found.available_bytes < _NEEDED_BYTES or found.available_percent < _LITTLE_PERCENT:
        fix = "end what is not needed: ps aux --sort=-rss | head"
        yield Finding(Level.WARNING, "memory", text, fix)
    else:
        yield Finding(Level.OK, "memory", text)
