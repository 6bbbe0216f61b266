"""The topic map."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.core.errors import ConfigError, ForbiddenError
from edgekernel.mqtt.topics import Target, Topics, segment

TOPICS = Topics("edge", "n1")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("button.pressed", "button-pressed"),
        ("light_level", "light-level"),
        ("poll:i2c1", "poll-i2c1"),
        ("Lamp", "lamp"),
        ("a" * 64, "a" * 64),
    ],
)
def test_a_name_becomes_a_segment(name: str, expected: str) -> None:
    """Python and message names map to the characters that a segment may have."""
    assert segment(name) == expected


@given(st.text())
def test_a_segment_is_always_valid_or_refused(name: str) -> None:
    """Whatever the name, the result fits the segment rule or is a ConfigError."""
    try:
        made = segment(name)
    except ConfigError:
        return
    assert re.fullmatch("[a-z0-9-]{1,64}", made)


@pytest.mark.parametrize("name", ["", "...", "a" * 65, "温度"])
def test_a_name_that_leaves_no_segment_is_refused(name: str) -> None:
    """A name of which nothing or too much is left is an error that names it."""
    with pytest.raises(ConfigError, match="does not fit into an MQTT topic"):
        segment(name)


def test_the_topics_are_those_of_the_map() -> None:
    """Every topic of a node is below its own base."""
    assert TOPICS.status == "edge/n1/status"
    assert TOPICS.state("light_1") == "edge/n1/state/light-1"
    assert TOPICS.event("button.pressed") == "edge/n1/event/button-pressed"
    assert TOPICS.requests == ("edge/n1/set/+/+", "edge/n1/call/+/+", "edge/n1/lease/+")
    assert TOPICS.lease("hand") == "edge/n1/lease/hand"
    assert TOPICS.target("edge/n1/lease/hand") == Target("lease", "lease", "hand")
    assert Topics("plant/line-1", "n1").status == "plant/line-1/n1/status"


@pytest.mark.parametrize(
    ("prefix", "node"),
    [("", "n1"), ("Edge", "n1"), ("a/b/c/d", "n1"), ("edge/", "n1"), ("edge/+", "n1")]
    + [("edge", bad) for bad in ("", "N1", "a/b", "n 1", "#", "n" * 65)],
)
def test_a_prefix_or_node_that_is_no_segment_is_refused(prefix: str, node: str) -> None:
    """What would widen or break the topics is a ConfigError."""
    with pytest.raises(ConfigError):
        Topics(prefix, node)


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("edge/n1/set/lamp/power", Target("set", "lamp", "power")),
        ("edge/n1/call/room-control/boost", Target("call", "room-control", "boost")),
        ("edge/n1/status", None),
        ("edge/n1/state/lamp", None),
        ("edge/n1/set/lamp", None),
        ("edge/n1/set/lamp/power/more", None),
        ("edge/n2/set/lamp/power", None),
        ("edge/n1x/set/lamp/power", None),
        ("other", None),
    ],
)
def test_only_requests_to_this_node_have_a_target(topic: str, expected: Target | None) -> None:
    """A topic that is not below this node's set or call is nobody's request here."""
    assert TOPICS.target(topic) == expected


@pytest.mark.parametrize(
    "topic",
    [
        "edge/n2/reply/me",
        "edge/n1/set/lamp/power",
        "edge/n1/reply/",
        "edge/n1/reply/a/b",
        "edge/n1/reply/../set/lamp/power",
        "edge/n1/reply/#",
        "edge/n1/reply/a\n",
        "home/door/unlock",
        "",
    ],
)
def test_a_reply_goes_only_below_the_reply_topic(topic: str) -> None:
    """A reply_to elsewhere is forbidden, so that nobody can write through the node."""
    with pytest.raises(ForbiddenError, match="edge/n1/reply/"):
        TOPICS.check_reply(topic)
    assert TOPICS.check_reply("edge/n1/reply/me-1") == "edge/n1/reply/me-1"
