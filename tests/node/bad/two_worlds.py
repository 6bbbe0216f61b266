"""Worlds that name one another."""

from __future__ import annotations


class Air:
    """A world."""

    def step(self, seconds: float) -> None:
        """Let time pass."""


class Mutual(Air):
    """A world that needs another."""

    def __init__(self, *, other: Air) -> None:
        self.other = other
