"""Which topics the nodes of a dialect and their clients need, for the access list of a broker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rights:
    """Filters of topics, in which `{node}` is the name of a node.

    A node publishes what is `told`, which everybody may read; of its own it reads what it has
    `kept` on the broker, to take away what is gone. What is `asked` of a node, and `said` to all
    nodes at once, may be published by operators.
    """

    told: tuple[str, ...]
    kept: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
