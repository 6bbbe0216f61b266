"""Drops: counted at once, told at once, then at longer and longer pauses."""

from __future__ import annotations

from edgekernel.mqtt.outbox import CAUSES, OutboxDropped
from edgekernel.mqtt.outbox.drops import Drops

SECOND = 1_000_000_000


def test_told_in_time() -> None:
    """The first is told at once, further ones of the same cause a minute later, together."""
    drops = Drops()
    drops.count("full")
    assert drops.to_tell(0) == [OutboxDropped(1, "full")]
    drops.count("full", 5)
    drops.count("ring")
    assert drops.to_tell(SECOND) == [OutboxDropped(1, "ring")]
    drops.count("full", 2)
    assert drops.to_tell(59 * SECOND) == []
    assert drops.to_tell(60 * SECOND) == [OutboxDropped(7, "full")]
    assert drops.to_tell(600 * SECOND) == []
    assert drops.by_cause == {"full": 8, "ring": 1}


def test_a_long_outage() -> None:
    """What is dropped every other minute for four weeks is told of about once an hour, and all of
    it: an outbox that is full is not filled by what it says of itself."""
    drops = Drops()
    told: list[int] = []
    for minute in range(0, 28 * 1440, 2):
        drops.count("full")
        for each in drops.to_tell(minute * 60 * SECOND):
            assert isinstance(each, OutboxDropped)
            told.append(each.dropped)
    assert 28 * 720 - 30 <= sum(told) <= drops.by_cause["full"] == 28 * 720
    assert 28 * 24 <= len(told) <= 28 * 24 + 6


def test_told_in_the_end() -> None:
    """At the end nothing waits for its minute."""
    drops = Drops()
    drops.count("full")
    drops.to_tell(0)
    drops.count("full")
    assert drops.to_tell(1, all=True) == [OutboxDropped(1, "full")]


def test_what_was_asked_for() -> None:
    """That a newer value has come is counted, but no reason to tell."""
    drops = Drops()
    drops.count("superseded", 3)
    assert drops.to_tell(0, all=True) == []
    assert drops.by_cause["superseded"] == 3


def test_causes_are_explained() -> None:
    """Every cause has a sentence."""
    assert all(CAUSES.values())
