"""What the broker does not take."""

from __future__ import annotations

from edgekernel.mqtt.refusals import MOST, Refusals


def test_all_are_counted_and_a_topic_is_told_once() -> None:
    """Whatever the reason is the second time."""
    refusals = Refusals()
    told = [refusals.to_tell("b:1", "a", reason) for reason in ("not authorized", "quota exceeded")]
    assert told[0].startswith(
        "b:1 does not take what is published on a: not authorized; it is drop"
    )
    assert (told[1], refusals.count) == ("", 2)


def test_there_is_an_end_to_the_topics() -> None:
    """After 50 of them it is told once that there are more."""
    refusals = Refusals()
    told = [refusals.to_tell("b:1", f"a/{number}", "not authorized") for number in range(MOST + 9)]
    assert all(told[: MOST + 1])
    assert "on more than 50 topics; the others are not told" in told[MOST]
    assert not any(told[MOST + 1 :])
    assert refusals.count == MOST + 9
