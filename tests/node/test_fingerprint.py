"""The fingerprint of a node file."""

from __future__ import annotations

from typing import Any

from edgekernel.node.document import NodeDocument
from edgekernel.node.fingerprint import fingerprint, shown

NODE = {"name": "n1", "board": "sim"}
MQTT = {"host": "broker.local", "username": "ann", "password": "hush"}


def document(**tables: Any) -> NodeDocument:
    """Return a node file with more tables."""
    return NodeDocument.model_validate({"node": NODE, **tables})


def test_it_is_that_of_the_content() -> None:
    """The order of keys does not matter, every value does."""
    lamp = {"driver": "led", "pin": "GPIO17"}
    same = dict(reversed(lamp.items()))
    first = fingerprint(document(devices={"lamp": lamp}))
    assert len(first) == 32
    assert fingerprint(document(devices={"lamp": same})) == first
    assert fingerprint(document(devices={"lamp": lamp | {"pin": "GPIO18"}})) != first


def test_secrets_are_not_in_it() -> None:
    """A password is not shown, and another one does not change the fingerprint."""
    one, other = document(mqtt=MQTT), document(mqtt=MQTT | {"password": "other"})
    assert shown(one)["mqtt"] == MQTT | {"password": "***"}
    assert fingerprint(one) == fingerprint(other)
