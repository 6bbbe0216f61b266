"""The few words every signals library has, so that one scenario runs on all of them.

Peers are imported by name when they are asked for: they are installed for `make bench` only.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, Protocol


class Readable(Protocol):
    """A computed: read it with `get`."""

    def get(self) -> Any:
        """Return the value, and depend on it inside a computed or effect."""
        ...


class Writable(Readable, Protocol):
    """A signal: a readable that can be set."""

    def set(self, value: Any, /) -> object:
        """Store a value."""
        ...


@dataclass(frozen=True)
class Engine:
    """How one library makes signals, computeds and effects, and batches writes."""

    name: str
    signal: Callable[[Any], Writable]
    computed: Callable[[Callable[[], Any]], Readable]
    effect: Callable[[Callable[[], object]], object]
    batch: Callable[[], AbstractContextManager[object]]


def copied(engine: Engine, source: Readable) -> Readable:
    """Make the computed that is what its source is."""

    def read() -> Any:
        return source.get()

    return engine.computed(read)


def edgekernel() -> Engine:
    """Return ours."""
    library = import_module("edgekernel")
    return Engine(
        "edgekernel", library.Signal, library.Computed, library.Effect, library.batch
    )  # an effect lives as long as what it has read, so nobody has to keep it


def signalpy() -> Engine:
    """Return signalpy-kernel."""
    library = import_module("signalpy.kernel.reactive")
    return Engine("signalpy", library.Signal, library.Computed, library.Effect, library.batch)


def reaktiv() -> Engine:
    """Return reaktiv as it is by default, with its thread safety on."""
    library = import_module("reaktiv")
    kept: list[object] = []

    def effect(function: Callable[[], object]) -> None:
        kept.append(library.Effect(function))  # it ends when nobody holds it

    return Engine("reaktiv", library.Signal, library.Computed, effect, library.batch)


class _Slot:
    """An object with `get` and `set` that adds no Python call to reading or writing."""

    __slots__ = ("get", "set")

    def __init__(self, get: Callable[[], Any], set: Callable[[Any], object] | None = None) -> None:
        self.get = get
        if set is not None:
            self.set = set


def observ() -> Engine:
    """Return observ: a signal is a dict of one entry, effects run at once, there is no batch."""
    library = import_module("observ")
    kept: list[object] = []

    def signal(value: object) -> Any:
        proxy = library.reactive({"value": value})
        return _Slot(partial(proxy.__getitem__, "value"), partial(proxy.__setitem__, "value"))

    def computed(function: Callable[[], Any]) -> Any:
        return _Slot(library.computed(deep=False)(function))

    def effect(function: Callable[[], object]) -> None:
        kept.append(library.watch_effect(function, sync=True, deep=False))

    return Engine("observ", signal, computed, effect, nullcontext)


MAKE: dict[str, Callable[[], Engine]] = {
    "edgekernel": edgekernel,
    "signalpy": signalpy,
    "reaktiv": reaktiv,
    "observ": observ,
}
