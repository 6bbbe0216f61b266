"""Steps beside one another, within a limit (promise P6)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgekernel.core.beside import MAX_AT_ONCE, Beside, Step
from edgekernel.sim import SimClock
from tests.core.starved import StarvedClock


class Row:
    """Steps that take a while each, and how many ran at the same time at most."""

    def __init__(self, clock: SimClock, *seconds: float) -> None:
        self.clock = clock
        self.began: list[str] = []
        self.ended: list[str] = []
        self.most = 0
        self.steps: list[Step] = [
            (f"s{n}", self._step(f"s{n}", each)) for n, each in enumerate(seconds)
        ]

    def _step(self, name: str, seconds: float) -> Callable[[], object]:
        def step() -> None:
            self.began.append(name)
            self.most = max(self.most, len(self.began) - len(self.ended))
            if seconds:
                self.clock.sleep(seconds)
            self.ended.append(name)

        return step


def names(*numbers: int) -> list[str]:
    return [f"s{n}" for n in numbers]


def test_what_takes_no_time_happens_in_order() -> None:
    """P6: each step has ended before the next begins, and no time passes."""
    with SimClock() as clock:
        row = Row(clock, *[0.0] * 100)
        assert Beside(clock, row.steps, 5.0).in_their_order() == []
        assert row.began == row.ended == names(*range(100))
        assert (row.most, clock.monotonic()) == (1, 0.0)


def test_what_takes_its_time_does_not_keep_the_next() -> None:
    """P6: a slow step runs beside those after it; the wait is over when all have ended."""
    with SimClock() as clock:
        row = Row(clock, 0.0, 2.0, 0.0, 1.0)
        assert Beside(clock, row.steps, 5.0).in_their_order() == []
        assert (row.began, row.ended) == (names(0, 1, 2, 3), names(0, 2, 3, 1))
        assert clock.monotonic() == 2.0


def test_slow_ones_beyond_the_bound_wait_for_room() -> None:
    """P6: no more than MAX_AT_ONCE healthy steps run at the same time, and all end in time."""
    with SimClock() as clock:
        row = Row(clock, *[1.0] * 100)
        assert Beside(clock, row.steps, 8.0).in_their_order() == []
        assert sorted(row.ended) == sorted(names(*range(100)))
        assert row.most == MAX_AT_ONCE
        assert clock.monotonic() < 8.0


@pytest.mark.parametrize("count", [1, 20, MAX_AT_ONCE + 1, 500])
def test_what_hangs_keeps_no_other_from_beginning(count: int) -> None:
    """P6: every step begins, however many hang before it, and the limit holds."""
    with SimClock() as clock:
        row = Row(clock, *[1e6] * count, 0.0)
        hung = Beside(clock, row.steps, 5.0).in_their_order()
        assert hung == names(*range(count))
        assert row.began == names(*range(count + 1))
        assert row.ended == names(count)
        assert clock.monotonic() == pytest.approx(5.0)


def test_all_at_once() -> None:
    """P8: without an order all begin at the same moment, also many."""
    with SimClock() as clock:
        row = Row(clock, *[1.0] * 100, 1e6)
        assert Beside(clock, row.steps, 2.0).all_at_once() == names(100)
        assert row.most == 101
        assert clock.monotonic() == 2.0


def test_without_threads() -> None:
    """P6: where no thread can be started the steps run one after the other, in their order."""
    with StarvedClock() as clock:
        row = Row(clock, 0.0, 1.0, 0.0)
        clock.starved = ""
        assert Beside(clock, row.steps, 5.0).in_their_order() == []
        assert Beside(clock, row.steps[:2], 5.0).all_at_once() == []
        assert row.began == row.ended == names(0, 1, 2, 0, 1)


def test_none() -> None:
    """No step takes no time."""
    with SimClock() as clock:
        assert Beside(clock, [], 2.0).all_at_once() == []
        assert Beside(clock, [], 2.0).in_their_order() == []
        assert clock.monotonic() == 0.0
