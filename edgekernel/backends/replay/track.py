"""A track: the answers to one question, in the order and at the times in which they came."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from edgekernel.backends.recording import Transaction

Key = tuple[Any, ...]


def frozen(value: Any) -> Any:
    """Return an argument, or what a record has of it, in a form that can be compared."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    if isinstance(value, Mapping):
        return tuple(sorted((name, frozen(item)) for name, item in value.items()))
    return value


def begun_ns(call: Transaction) -> int:
    """Return the monotonic time at which a call was made."""
    return call.monotonic_ns - call.took_ns


class Track:
    """The calls of one kind, with the same arguments, in order; each is an answer for once.

    Who asks gets the next one, if its time is at most `window_ns` away. One that is longer past is
    left out if there is a later one; who asks before the time of the next gets the latest again.
    """

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._calls: list[Transaction] = []
        self._next = 0

    def add(self, call: Transaction) -> None:
        """Add what came next."""
        self._calls.append(call)

    def answer(self, now_ns: int) -> tuple[Transaction, bool]:
        """Return the call that answers now, and whether it is one that has not answered yet."""
        calls, at = self._calls, self._next
        late_ns, early_ns = now_ns - self._window_ns, now_ns + self._window_ns
        while at + 1 < len(calls) and begun_ns(calls[at]) < late_ns:
            if begun_ns(calls[at + 1]) > early_ns:
                break
            at += 1
        if at < len(calls) and begun_ns(calls[at]) <= early_ns:
            self._next = at + 1
            return calls[at], True
        self._next = at
        return calls[max(0, at - 1)], False

    def good(self, now_ns: int) -> Transaction | None:
        """Return the latest call that had not failed, up to the one that answered last."""
        answered = (self._calls[at] for at in range(self._next - 1, -1, -1))
        good = (call for call in answered if call.error is None)
        return next((call for call in good if call.monotonic_ns <= now_ns + self._window_ns), None)


class Latest:
    """Calls in order, to ask which was the latest at a time."""

    def __init__(self, calls: Sequence[Transaction] = ()) -> None:
        self._calls = list(calls)

    def add(self, call: Transaction) -> None:
        """Add what came next."""
        self._calls.append(call)

    def at(self, now_ns: int) -> Transaction | None:
        """Return the latest that had come back at a time; None before the first."""
        found = bisect_right(self._calls, now_ns, key=lambda call: call.monotonic_ns)
        return self._calls[found - 1] if found else None
