"""Repeats: a request that carries the key of an earlier one is not carried out again."""

from __future__ import annotations

import threading

from edgekernel.core.call import Call
from edgekernel.core.clock import Clock
from edgekernel.core.errors import InvalidValueError

MAX_KEPT = 1000
KEEP_S = 3600.0


class Repeats:
    """Remembers the calls that had a key: the latest 1000, each for an hour.

    A key belongs to its principal: nobody learns what another one's request has come to.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._calls: dict[tuple[str, str], Call] = {}

    def earlier(self, call: Call, *, remember: bool = True) -> Call | None:
        """Return the call that had this one's key before; else remember this one.

        Raises InvalidValueError if that call was for another command or had other arguments.
        """
        request = call.request
        if not request.key:
            return None
        with self._lock:
            self._forget_old()
            before = self._calls.get((request.principal, request.key))
            if before is None:
                if remember:
                    self._calls[request.principal, request.key] = call
                return None
        if (before.name, before.request.args) != (call.name, request.args):
            raise InvalidValueError(
                f"{call.name}: the key {request.key[:64]!r} was used for {before.name} with other "
                "arguments; give every request a key of its own"
            )
        return before

    def forget(self, call: Call) -> None:
        """Forget a call that has not begun: the next one with its key may."""
        key = call.request.principal, call.request.key
        with self._lock:
            if self._calls.get(key) is call:
                del self._calls[key]

    def _forget_old(self) -> None:
        oldest_s = self._clock.monotonic() - KEEP_S
        for key, call in list(self._calls.items()):
            if call.begun_s >= oldest_s and len(self._calls) < MAX_KEPT:
                return
            if call.done:
                del self._calls[key]
