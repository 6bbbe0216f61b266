"""Which nodes are meant: those whose fields have these values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields

from edgekernel.core.errors import InvalidValueError, UnknownTargetError, nearest
from edgekernel.mqtt.fleet.results import Node, NodeInfo

_NO_TEXT = ("labels", "busy", "update")
_FIELDS = [each.name for each in fields(NodeInfo) if each.name not in _NO_TEXT]


def parse_where(texts: Iterable[str]) -> dict[str, str]:
    """Read texts such as `zone=north`. Raises InvalidValueError for any other form."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise InvalidValueError(f"{text!r}: write name=value, such as zone=north")
        if found.setdefault(name, value) != value:
            raise InvalidValueError(f"{name} is {found[name]!r} or {value!r}: give one of them")
    return found


def values_of(node: Node) -> dict[str, str]:
    """Return by what a node can be selected: its labels, its state, and the fields of its info."""
    found = {"node": node.name, "state": node.status.state}
    if node.info is None:
        return found
    info = {name: str(getattr(node.info, name)) for name in _FIELDS}
    return {**node.info.labels, **info, **found}


def select(nodes: Sequence[Node], where: Mapping[str, str]) -> list[Node]:
    """Return the nodes that have all of these values, exactly.

    Raises UnknownTargetError for a field that no node has: a misspelt one must not select nobody.
    """
    values = [values_of(node) for node in nodes]
    known = {name: None for each in values for name in each}
    for name in where:
        if nodes and name not in known:
            raise UnknownTargetError(f"no node has a field {name!r}{nearest(name, known)}")
    return [
        node
        for node, each in zip(nodes, values, strict=True)
        if all(each.get(name) == value for name, value in where.items())
    ]
