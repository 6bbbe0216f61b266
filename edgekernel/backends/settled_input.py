"""An input with a settle time, around one that tells every edge as it comes."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from edgekernel.backends.settling import Settling
from edgekernel.backends.watcher import Watcher
from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.core.errors import InvalidValueError
from edgekernel.hal.gpio import Edge, Pull

LONGEST_S = 10.0

_log = logging.getLogger(__name__)


class RawInput(Protocol):
    """An input whose every edge is told, with its time."""

    @property
    def name(self) -> str: ...
    def open(self, pull: Pull, on_edge: Callable[[Edge], None] | None = None) -> None: ...
    def read(self) -> bool: ...
    def close(self) -> None: ...


class SettledInput:
    """A DigitalInput: the raw one itself without a settle time, else what `Settling` says."""

    def __init__(self, raw: RawInput, clock: Clock, watcher: Watcher) -> None:
        self._raw = raw
        self._clock = clock
        self._watcher = watcher
        self._lock = clock.Lock()  # around the variables below, never around `on_edge`
        self._settling: Settling | None = None
        self._on_edge: Callable[[Edge], None] | None = None
        self._untold: deque[Edge] = deque()
        self._telling = False

    @property
    def name(self) -> str:
        """The line as people know it, such as "GPIO27"."""
        return self._raw.name

    def open(
        self,
        pull: Pull,
        on_edge: Callable[[Edge], None] | None = None,
        *,
        settle_s: float = 0.0,
    ) -> None:
        """Claim the line as an input with a pull resistor; tell the changes that last `settle_s`.

        Raises InvalidValueError unless `settle_s` is 0 to 10, BusyError if another owner has the
        line, BrokenError if it cannot be had.
        """
        if not 0 <= settle_s <= LONGEST_S:
            raise InvalidValueError(
                f"{self.name}: a settle time of {settle_s} s; it is from 0 to {LONGEST_S:g} s"
            )
        if settle_s == 0:
            self._raw.open(pull, on_edge)
            return
        self._raw.open(pull, self._take_edge)
        try:
            at_ns = self._clock.monotonic_ns()
            level = self._raw.read()
        except BaseException:
            self._raw.close()
            raise
        with self._lock:
            self._on_edge = on_edge
            self._settling = Settling(level, at_ns, round(settle_s * NANOSECONDS))
            self._plan(self._settling)

    def read(self) -> bool:
        """Return the level, with a settle time the settled one. Raises ClosedError, BrokenError."""
        with self._lock:
            settling = self._settling
            if settling is None:
                return self._raw.read()
            self._look(settling)  # what it settles is told by the watcher, which is due too
            return settling.level

    def close(self) -> None:
        """Stop watching and give the line back. Closing twice is harmless."""
        with self._lock:
            self._settling = self._on_edge = None
            self._untold.clear()
        self._raw.close()

    def _take_edge(self, edge: Edge) -> None:
        with self._lock:
            if self._settling is None:
                return  # not open yet: the first look finds it
            self._note(self._settling.edge(edge.level, edge.monotonic_ns))
            self._plan(self._settling)
        self._tell()

    def _due(self) -> None:
        with self._lock:
            if self._settling is None:
                return  # closed meanwhile
            self._look(self._settling)
        self._tell()

    def _look(self, settling: Settling) -> None:
        at_ns = self._clock.monotonic_ns()
        self._note(settling.look(self._raw.read(), at_ns))
        self._plan(settling)

    def _note(self, settled: Edge | None) -> None:
        if settled is not None and self._on_edge is not None:
            self._untold.append(settled)

    def _plan(self, settling: Settling) -> None:
        if settling.due_ns is not None:
            self._watcher.call_at(settling.due_ns, self._due)

    def _tell(self) -> None:
        """Tell what is untold, in order; who comes meanwhile leaves theirs to this one."""
        with self._lock:
            if self._telling:
                return
            self._telling = True
        while True:
            with self._lock:
                on_edge = self._on_edge
                if not self._untold or on_edge is None:
                    self._telling = False
                    return
                edge = self._untold.popleft()
            try:
                on_edge(edge)
            except Exception:
                # Raised further, it would end the thread that serves every line of the backend.
                _log.exception("%s: what was called for its edge raised", self.name)
