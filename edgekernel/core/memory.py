"""Memory: what a runtime is to know after a restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

Plain = bool | int | float | str


class Memory(Protocol):
    """Keeps plain values by name. Called from any thread; neither waits for a disk nor raises."""

    def get(self, key: str) -> Plain | None:
        """Return what was put last, also before a restart; None if there is nothing."""
        ...

    def put(self, key: str, value: Plain) -> None:
        """Keep a value from now on; how soon it outlives a crash is the implementation's."""
        ...

    def put_all(self, values: Mapping[str, Plain]) -> None:
        """Keep several values as one change: after a crash all of them are known, or none.

        For what belongs together, and for what is not to wait for others: it outlives a crash as
        soon as the implementation can make it.
        """
        ...

    def close(self) -> None:
        """Keep what has been put so far. Called at the end of the runtime; takes 1 s at most."""
        ...


class Transient:
    """A memory that ends with the object: for a runtime that was given no other."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._values: dict[str, Plain] = {}

    def get(self, key: str) -> Plain | None:
        """Return what was put last; None if there is nothing."""
        return self._values.get(key)

    def put(self, key: str, value: Plain) -> None:
        """Keep a value as long as the object is there."""
        self._values[key] = value

    def put_all(self, values: Mapping[str, Plain]) -> None:
        """Keep several values as long as the object is there."""
        self._values.update(values)

    def close(self) -> None:
        """Do nothing: there is no other place for it."""
