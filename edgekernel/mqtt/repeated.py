"""Requests that come twice, as QoS 1 allows: carried out once, answered each time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from edgekernel.core.clock import Clock

MAX_KEPT = 1000
KEEP_S = 3600.0

Key = tuple[str, str | int]
"""The topic of a request, and its id."""


@dataclass(slots=True)
class _Kept:
    payload: bytes
    since_s: float
    answer: bytes | None = None


class Repeated:
    """Remembers the requests that had an id: the latest 1000, each for an hour.

    The same id with another payload is another request, from then on: a client may count from 1
    again. Use it under one lock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()

    def is_new(self, key: Key, payload: bytes) -> bool:
        """Say whether a request has not come before, and remember it."""
        now_s = self._clock.monotonic()
        self._forget_old(now_s)
        before = self._kept.get(key)
        if before is not None and before.payload == payload:
            return False
        self._kept[key] = _Kept(payload, now_s)
        self._kept.move_to_end(key)
        return True

    def answer(self, key: Key) -> bytes | None:
        """Return what was answered; None while it is carried out."""
        kept = self._kept.get(key)
        return None if kept is None else kept.answer

    def answered(self, key: Key, answer: bytes) -> None:
        """Remember what was answered."""
        if key in self._kept:
            self._kept[key].answer = answer

    def forget(self, key: Key) -> None:
        """Forget a request of which nothing was done: it may come again."""
        self._kept.pop(key, None)

    def _forget_old(self, now_s: float) -> None:
        while self._kept:
            key, oldest = next(iter(self._kept.items()))
            if oldest.since_s > now_s - KEEP_S and len(self._kept) < MAX_KEPT:
                return
            del self._kept[key]
