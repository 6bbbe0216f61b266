"""What is kept of a topic: by the first filter that matches."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.mqtt.outbox.keeping import ALL, Rules, matches
from edgekernel.node.outbox_table import TopicRule


@pytest.mark.parametrize(
    ("filter", "topic", "fits"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/b/c", "a/b", False),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("a/+", "a/b/c", False),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("#", "a/b", True),
        ("+/b", "a/b", True),
        ("#", "$SYS/a", False),
        ("+/a", "$SYS/a", False),
        ("$SYS/#", "$SYS/a", True),
        ("a/+/c", "a//c", True),
    ],
)
def test_matching(filter: str, topic: str, fits: bool) -> None:
    """Filters match as MQTT 3.1.1 says in 4.7."""
    assert matches(filter.split("/"), topic.split("/")) is fits


LEVEL = st.sampled_from(["a", "b", "+"])


@given(
    st.lists(LEVEL, min_size=1, max_size=4),
    st.booleans(),
    st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=5),
)
def test_matching_as_an_expression(filter: list[str], open: bool, topic: list[str]) -> None:
    """A filter matches what the regular expression of the same meaning matches."""
    parts = ["[^/]*" if level == "+" else level for level in filter]
    expression = "/".join(parts) + ("(/.*)?" if open else "")
    whole = [*filter, "#"] if open else filter
    assert matches(whole, topic) is bool(re.fullmatch(expression, "/".join(topic)))


def test_rules() -> None:
    """The first rule that matches counts, below the base; without one, every message is kept."""
    rules = Rules(
        [
            TopicRule(filter="event/alarm", keep="all"),
            TopicRule(filter="event/+", ring=3),
            TopicRule(filter="state/#", keep="latest"),
            TopicRule(filter="data/fast", keep="none"),
        ],
        "edge/node",
    )
    assert rules.of("edge/node/event/alarm").count == ALL
    assert rules.of("edge/node/event/door").count == 3
    assert rules.of("edge/node/state/a/b").count == 1
    assert rules.of("edge/node/data/fast").count == 0
    assert rules.of("edge/node/data/slow").count == ALL
    assert rules.of("state/a").count == ALL


def test_many_topics() -> None:
    """However many topics there are, those remembered are bounded, and found again."""
    rules = Rules([TopicRule(filter="t/+", ring=2)])
    assert all(rules.of(f"t/{number}").count == 2 for number in range(10_000))
    assert rules.of("t/0").count == 2
    assert len(rules._found) <= 4096
