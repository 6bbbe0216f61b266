"""The door: travel, ends, and a jam."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.core.errors import InvalidValueError
from edgekernel.sim import Actuator
from edgekernel.sim.worlds import Door

At = Callable[[float], Actuator]


def test_travels_both_ways() -> None:
    """It takes its time from end to end, stays there, and comes back."""
    share = [1.0]
    door = Door(drive=Actuator("drive", lambda: share[0]), travel_s=8)
    door.step(2)
    assert door.position == 0.25
    door.step(20)
    assert door.position == 1.0
    share[0] = -0.5
    door.step(4)
    assert door.position == 0.75


def test_two_outputs(at: At) -> None:
    """Driven by two outputs it follows either; both at once are none."""
    opening, closing, both = (
        Door(open=at(o), close=at(c), travel_s=10, start=0.5)
        for o, c in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
    )
    for door in (opening, closing, both):
        door.step(1)
    assert (opening.position, closing.position, both.position) == (0.6, 0.4, 0.5)


def test_jam(at: At) -> None:
    """Jammed it stays where it is, and goes on when it is free again."""
    door = Door(open=at(1.0), travel_s=10)
    door.step(4)
    door.jammed = True
    door.step(60)
    assert door.position == pytest.approx(0.4)
    door.jammed = False
    door.step(1)
    assert door.position == pytest.approx(0.5)


def test_one_way_or_the_other(at: At) -> None:
    """A door without a drive, or with two, is refused."""
    for drive, opening in ((None, None), (at(1.0), at(1.0))):
        with pytest.raises(InvalidValueError, match="`drive`, or by `open` and `close`"):
            Door(drive=drive, open=opening)


@given(cuts=st.lists(st.floats(0.001, 5), min_size=1, max_size=20), share=st.floats(-1, 1))
def test_step_size_does_not_matter(cuts: list[float], share: float) -> None:
    """However a time is cut into steps, the position at its end is the same, at the ends too."""
    doors = [Door(drive=Actuator("drive", lambda: share), start=0.5) for _ in range(2)]
    for seconds in cuts:
        doors[0].step(seconds)
    doors[1].step(sum(cuts))
    assert doors[0].position == pytest.approx(doors[1].position, abs=1e-9)
