"""The vocabulary: complete, unambiguous, documented, and honest about drills."""

from __future__ import annotations

import pytest

from edgekernel.core.errors import UnknownTargetError
from edgekernel.sim.faults import KINDS, ClockStep, Set, StuckLine, kind_of
from edgekernel.sim.faults.bus import Stuck
from edgekernel.sim.faults.fault import TARGETS


def test_each_word_has_one_meaning() -> None:
    """A word means one thing with each target, and each kind says what it is."""
    meanings = [(kind.word, target) for kind in KINDS for target in kind.on or ("",)]
    assert len(meanings) == len(set(meanings))
    assert all(set(kind.on) <= set(TARGETS) for kind in KINDS)
    assert all((kind.__doc__ or "").endswith((".", ".\n    ")) for kind in KINDS)


def test_meaning_goes_by_the_target() -> None:
    """`stuck` is one thing for a bus and another for a line."""
    assert kind_of("stuck", "bus") is Stuck
    assert kind_of("stuck", "line") is kind_of("stuck", "device") is StuckLine
    with pytest.raises(UnknownTargetError, match="no kind of fault 'nak'; did you mean 'nack'"):
        kind_of("nak", "device")


def test_ambiguous_without_a_target() -> None:
    """A word that has several meanings is refused without a target, with all that there are."""
    with pytest.raises(UnknownTargetError, match="stuck is with one bus or line or device; name"):
        kind_of("stuck", "")
    assert kind_of("clock_step", "") is ClockStep


def test_settings_are_written_as_in_a_plan() -> None:
    """What is told of a fault's settings is what the plan says, without what it leaves out."""
    assert Set("jammed", to=True).settings() == "quantity=jammed, to=true"
    assert Set("altitude_m", to=2.50).settings() == "quantity=altitude_m, to=2.5"
    assert Stuck().settings() == ""
