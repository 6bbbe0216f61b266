"""Timekeeping: steps of the wall time and its quality become records, once."""

from __future__ import annotations

from edgekernel.journal.records import ClockRecord
from edgekernel.journal.timekeeping import Timekeeping
from edgekernel.sim import SimClock

SECOND = 1_000_000_000


def test_step() -> None:
    """A wall time that was set is a record with by how much; small corrections are none."""
    keeping = Timekeeping(lambda: "synchronised")
    assert keeping.step(0, 100 * SECOND) is None
    assert keeping.step(SECOND, 101 * SECOND + 400_000) is None
    assert keeping.step(2 * SECOND, 3702 * SECOND + 400_000) == ClockRecord(
        2 * SECOND, 3702 * SECOND + 400_000, "stepped", 3600 * SECOND
    )
    assert keeping.step(3 * SECOND, 3703 * SECOND + 400_000) is None


def test_thread_that_stood_still() -> None:
    """Two times that do not belong together are no step if the clock itself shows none."""
    with SimClock() as clock:
        keeping = Timekeeping(lambda: "synchronised", clock)
        now = clock.monotonic_ns(), clock.time_ns()
        assert keeping.step(*now) is None
        assert keeping.step(now[0] + SECOND, now[1]) is None
        assert keeping.step(*now) is None
        clock.step_wall(60)
        stepped = keeping.step(clock.monotonic_ns(), clock.time_ns())
        assert stepped is not None
        assert stepped.step_ns == 60 * SECOND


def test_quality() -> None:
    """A quality is a record when it changes, and after a step."""
    quality = ["unsynchronised"]
    with SimClock() as clock:
        keeping = Timekeeping(lambda: quality[0])
        now = clock.monotonic_ns(), clock.time_ns()
        assert keeping.look(clock) == ClockRecord(*now, "unsynchronised", 0)
        assert keeping.look(clock) is None
        quality[0] = "synchronised"
        assert keeping.look(clock) == ClockRecord(*now, "synchronised", 0)
        keeping.step(0, 0)
        keeping.step(0, SECOND)
        assert keeping.look(clock) == ClockRecord(*now, "synchronised", 0)
