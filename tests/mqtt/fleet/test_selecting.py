"""Which nodes are meant."""

from __future__ import annotations

import pytest

from edgekernel.core.errors import InvalidValueError, UnknownTargetError
from edgekernel.mqtt.fleet import Node, NodeInfo, NodeStatus, parse_where
from edgekernel.mqtt.fleet.selecting import select

NODES = [
    Node(
        NodeStatus("n1", "online"),
        NodeInfo("n1", board="raspberrypi/5", labels={"zone": "north", "state": "wet"}),
    ),
    Node(NodeStatus("n2", "offline"), NodeInfo("n2", board="raspberrypi/5")),
    Node(NodeStatus("n3", "online")),
]


def names(**where: str) -> list[str]:
    """Return the names of those that are selected."""
    return [node.name for node in select(NODES, where)]


def test_every_value_counts() -> None:
    """Labels, fields and the state select, all of them; a label does not hide what the node is."""
    assert names(zone="north") == ["n1"]
    assert names(board="raspberrypi/5", state="online") == ["n1"]
    assert names(state="wet") == []
    assert names(node="n3") == ["n3"]
    assert names(zone="") == []


def test_a_field_that_nobody_has() -> None:
    """A misspelt field is an error that names the nearest, and selects nobody."""
    with pytest.raises(UnknownTargetError, match="no node has a field 'bord'; did you mean 'board"):
        names(bord="raspberrypi/5")
    assert select([], {"zone": "north"}) == []


def test_where_as_texts() -> None:
    """Each is name=value; a name with two values would select nobody, and is refused."""
    assert parse_where(["zone=north", "x=a=b"]) == {"zone": "north", "x": "a=b"}
    for texts in (["zone"], ["=north"], ["zone="], ["zone=a", "zone=b"]):
        with pytest.raises(InvalidValueError):
            parse_where(texts)
