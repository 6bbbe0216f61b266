"""The lock of a bus: one flow at a time, and the same one again."""

from __future__ import annotations

from edgekernel.backends.bus_lock import BusLock
from edgekernel.sim.clock import SimClock


def test_the_same_flow_may_take_it_again() -> None:
    """Who has the lock may take it again; others have it when it was given back as often."""
    with SimClock() as clock:
        lock = BusLock(clock)
        had: list[float] = []

        def other() -> None:
            assert not lock.take(wait=False)
            with lock:
                had.append(clock.monotonic())

        with lock:
            with lock:
                thread = clock.Thread(other, "other")
                thread.start()
                clock.advance(1)
            clock.advance(1)
        thread.join()
        assert had == [2.0]
        assert lock.take(wait=False)
