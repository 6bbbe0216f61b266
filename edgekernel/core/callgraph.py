"""The call graph: which commands are called, by whom, how often, and how long they take."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


MAX_KEPT = 2000
"""Commands, and pairs of caller and callee, that are counted; of more, those called last."""


class Calls:
    """What has come of the calls of one command; times in seconds, on the monotonic clock."""

    def __init__(self) -> None:
        self.count = self.errors = self.refused = 0
        self.total_s = self.max_s = 0.0
        self.last_s: float | None = None

    def report(self) -> dict[str, Any]:
        """Return the numbers, ready for JSON."""
        return {
            "count": self.count,
            "errors": self.errors,
            "refused": self.refused,
            "total_s": self.total_s,
            "average_s": self.total_s / self.count if self.count else 0.0,
            "max_s": self.max_s,
            "last_called_s": self.last_s,
        }


class CallGraph:
    """Counts calls by command, and by caller and callee, for the 2000 called last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[str, Calls] = {}
        self._edges: dict[tuple[str, str], int] = {}

    def refused(self, name: str) -> None:
        """Count a call that did not begin."""
        with self._lock:
            self._of(name).refused += 1

    def done(self, name: str, caller: str, begun_s: float, took_s: float, failed: bool) -> None:
        """Count a call that began; `caller` is a command or a component, "" if from outside."""
        with self._lock:
            calls = self._of(name)
            calls.count += 1
            calls.errors += failed
            calls.total_s += took_s
            calls.max_s = max(calls.max_s, took_s)
            calls.last_s = max(begun_s, calls.last_s or begun_s)
            if caller:
                edge = caller, name
                _keep(self._edges, edge, self._edges.get(edge, 0) + 1)

    def _of(self, name: str) -> Calls:
        calls = self._calls.get(name) or Calls()
        _keep(self._calls, name, calls)
        return calls

    def report(self) -> dict[str, Any]:
        """Return the counts by command, and the edges, ready for JSON."""
        with self._lock:
            return {
                "commands": {name: self._calls[name].report() for name in sorted(self._calls)},
                "edges": [
                    {"caller": caller, "callee": callee, "count": count}
                    for (caller, callee), count in sorted(self._edges.items())
                ],
            }

    def reset(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self._calls.clear()
            self._edges.clear()


def _keep(counts: dict[K, V], key: K, value: V) -> None:
    """Put an entry last; the first one goes if there are too many."""
    counts.pop(key, None)
    counts[key] = value
    if len(counts) > MAX_KEPT:
        del counts[next(iter(counts))]
