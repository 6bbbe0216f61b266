"""The messages that announce, and what takes away what was announced before."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.mqtt.home_assistant.announcement import Announcement
from edgekernel.mqtt.home_assistant.entity import Entity
from edgekernel.mqtt.home_assistant.messages import (
    device_message,
    entity_messages,
    is_of_node,
    is_ours,
    removal,
)


def told(*entities: Entity) -> Announcement:
    """Return an announcement of these entities."""
    device = {"identifiers": ["edgekernel_n1"], "name": "n1"}
    return Announcement(device, {"name": "edgekernel"}, [], entities)


def message(**platforms: Any) -> dict[str, Any]:
    """Return the device message of entities with these platforms, by key."""
    return device_message(told(*(Entity(each, key, {"qos": 1}) for key, each in platforms.items())))


def payload(document: object) -> bytes:
    """Return a message as it is on the broker."""
    return json.dumps(document).encode()


def test_what_is_gone_is_named_with_its_platform_only() -> None:
    """So that Home Assistant removes it; the others stay as they are, behind it."""
    made = removal(payload(message(a="switch", b="sensor")), message(b="sensor"))
    assert made is not None
    assert list(made["components"]) == ["a", "b"]
    assert made["components"]["a"] == {"platform": "switch"}
    assert made["components"]["b"] == message(b="sensor")["components"]["b"]


def test_another_platform_is_another_entity() -> None:
    """A switch that has become a light is taken away; the light comes with the next message."""
    made = removal(payload(message(a="switch", b="sensor")), message(a="light", b="sensor"))
    assert made is not None
    assert made["components"]["a"] == {"platform": "switch"}


def test_nothing_is_gone() -> None:
    """More entities, or the same in another form, need no message between."""
    assert removal(payload(message(a="switch")), message(a="switch", b="sensor")) is None


def test_a_message_that_only_removes_is_no_reason_to_do_so_again_for_ever() -> None:
    """A node that died between the two messages leaves the first behind: it is done again, once."""
    first = removal(payload(message(a="switch")), message(b="sensor"))
    assert first is not None
    assert removal(payload(first), message(b="sensor")) == first
    assert removal(payload(message(b="sensor")), message(b="sensor")) is None


KEYS = st.sampled_from(["components", "origin", "name", "platform", "a"])
DOCUMENTS = st.recursive(
    st.none() | st.text(), lambda inside: st.lists(inside) | st.dictionaries(KEYS, inside)
)


@given(st.binary() | DOCUMENTS.map(payload))
def test_whatever_was_left_there(left: bytes) -> None:
    """What is no message of this kind is no reason to fail."""
    made = removal(left, message(b="sensor"))
    assert made is None or made["components"]
    assert is_ours(left) in (True, False)


def test_one_message_for_each_entity() -> None:
    """For older versions: the platform is in the topic, device, origin and availability in each."""
    [(topic, content)] = entity_messages(told(Entity("switch", "a_set_b", {})), "ha", "n1").items()
    assert topic == "ha/switch/n1/a_set_b/config"
    assert json.loads(content) == {
        "device": {"identifiers": ["edgekernel_n1"], "name": "n1"},
        "origin": {"name": "edgekernel"},
        "availability": [],
        "unique_id": "edgekernel_n1_a_set_b",
    }


@pytest.mark.parametrize(
    ("topic", "own"),
    [
        ("ha/device/n1/config", True),
        ("ha/switch/n1/a/config", True),
        ("ha/device/n2/config", False),
        ("ha/switch/n2/a/config", False),
        ("ha/status", False),
        ("other/switch/n1/a/config", False),
        ("ha/switch/n1/a/state", False),
    ],
)
def test_topics_of_a_node(topic: str, own: bool) -> None:
    """Only what is announced of this node under this prefix."""
    assert is_of_node(topic, "ha", "n1") is own


def test_a_message_of_another_program() -> None:
    """One that uses the node's name too has another origin, and is left alone."""
    assert is_ours(payload(message(a="switch")))
    assert not is_ours(payload({"origin": {"name": "zigbee2mqtt"}}))
    assert not is_ours(b"")
