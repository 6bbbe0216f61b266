"""The call graph: which commands are called, by whom, how often, and how long they take."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any


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
    """Counts calls by command, and by caller and callee."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[str, Calls] = {}
        self._edges: Counter[tuple[str, str]] = Counter()

    def refused(self, name: str) -> None:
        """Count a call that did not begin."""
        with self._lock:
            self._calls.setdefault(name, Calls()).refused += 1

    def done(self, name: str, caller: str, begun_s: float, took_s: float, failed: bool) -> None:
        """Count a call that began; `caller` is a command or a component, "" if from outside."""
        with self._lock:
            calls = self._calls.setdefault(name, Calls())
            calls.count += 1
            calls.errors += failed
            calls.total_s += took_s
            calls.max_s = max(calls.max_s, took_s)
            calls.last_s = max(begun_s, calls.last_s or begun_s)
            if caller:
                self._edges[caller, name] += 1

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
