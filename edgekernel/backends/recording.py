"""What drivers ask of their boundaries and what they get, told call by call.

With it a driver can be given later what it was given then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from edgekernel.backends.backend import Backend
from edgekernel.backends.observed import ObservedBackend
from edgekernel.core.clock import Clock
from edgekernel.core.errors import describe
from edgekernel.hal.gpio import Edge

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Transaction:
    """A call at a boundary that has come back; the times are of its end.

    `kind` is that of the boundary, `op` the name of its method, `options` the arguments given by
    name. Either there is a `result`, or `error` is the class and `text` the words of what was
    raised.
    """

    monotonic_ns: int
    time_ns: int
    kind: str
    name: str
    op: str
    args: tuple[Any, ...]
    options: Mapping[str, Any]
    result: Any
    error: str | None
    text: str
    took_ns: int


@dataclass(frozen=True, slots=True)
class LineEdge:
    """An edge that is about to be told to a driver; the times are of that."""

    monotonic_ns: int
    time_ns: int
    line: str
    edge: Edge


Told = Callable[[Transaction | LineEdge], object]


class RecordingBackend(ObservedBackend):
    """A Backend around another one that tells of every call at its boundaries, and every edge.

    `told` is called in the thread of the driver, after the call and before it goes on: it must be
    quick and must not raise.
    """

    def __init__(self, backend: Backend, clock: Clock, told: Told) -> None:
        super().__init__(backend, _Recording(clock, told))


class _Recording:
    """The observer that tells."""

    def __init__(self, clock: Clock, told: Told) -> None:
        self._monotonic_ns, self._time_ns = clock.monotonic_ns, clock.time_ns
        self._told = told

    def call(
        self,
        kind: str,
        name: str,
        op: str,
        args: tuple[Any, ...],
        options: Mapping[str, Any],
        make: Callable[[], R],
    ) -> R:
        """Make the call and tell what came of it."""
        begun_ns = self._monotonic_ns()
        result: Any = None
        error, text = None, ""
        try:
            made = make()
            result = made
        except BaseException as raised:
            error = type(raised).__name__
            text = describe(raised)[0].removeprefix(f"{error}: ")
            raise
        finally:
            now_ns = self._monotonic_ns()
            what = kind, name, op, args, options
            took_ns = now_ns - begun_ns
            self._told(Transaction(now_ns, self._time_ns(), *what, result, error, text, took_ns))
        return made

    def edge(self, line: str, edge: Edge) -> None:
        """Tell of an edge."""
        self._told(LineEdge(self._monotonic_ns(), self._time_ns(), line, edge))
