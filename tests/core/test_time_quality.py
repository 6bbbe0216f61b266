"""Time quality: what the kernel knows of the wall time."""

from __future__ import annotations

from edgekernel import SystemClock
from edgekernel.core.time_quality import is_simulated, system_quality
from edgekernel.sim import SimClock


def test_this_machine() -> None:
    """This machine's clock has a quality, and is told from a simulated one."""
    assert system_quality() in ("synchronised", "unsynchronised", "unknown")
    assert not is_simulated(SystemClock())
    with SimClock() as clock:
        assert is_simulated(clock)
