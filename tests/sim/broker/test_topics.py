"""Topics and filters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.sim.broker import matches
from edgekernel.sim.broker.topics import filter_problem, topic_problem

TOPICS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="/+#\0$")), min_size=1
).map("/".join)


@pytest.mark.parametrize(
    ("filter", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/", False),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("a/+", "a/", True),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("+/+", "/a", True),
        ("#", "a/b", True),
        ("#", "$SYS/a", False),
        ("+/a", "$SYS/a", False),
        ("$SYS/#", "$SYS/a", True),
    ],
)
def test_matches(filter: str, topic: str, expected: bool) -> None:
    """The examples of MQTT 3.1.1, section 4.7."""
    assert matches(filter, topic) is expected


@given(TOPICS)
def test_every_topic_is_its_own_filter(topic: str) -> None:
    """A topic matches itself, "#", and "+" in each of its levels."""
    if topic_problem(topic):
        return
    assert filter_problem(topic) == ""
    assert matches(topic, topic)
    assert matches("#", topic)
    assert matches("/".join("+" for _ in topic.split("/")), topic)
    assert not matches(f"{topic}/+", topic)


@pytest.mark.parametrize("filter", ["", "a#", "#/a", "a+/b", "+a", "a\0"])
def test_what_no_filter_can_be(filter: str) -> None:
    """What is wrong is said."""
    assert filter_problem(filter)


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a\0"])
def test_what_no_topic_can_be(topic: str) -> None:
    """What is wrong is said."""
    assert topic_problem(topic)
