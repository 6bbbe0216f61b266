"""Requests that come twice, as QoS 1 allows: carried out once, answered each time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b

from edgekernel.core.clock import Clock

MAX_KEPT = 1000
MAX_ANSWER_BYTES = 1_000_000
KEEP_S = 3600.0

Key = tuple[str, str | int]
"""The topic of a request, and its id."""


@dataclass(slots=True)
class _Kept:
    digest: bytes
    since_s: float
    answer: bytes | None = None

    @property
    def size(self) -> int:
        return len(self.answer or b"")


class Repeated:
    """Remembers the requests that had an id: the latest 1000, each for an hour, with a megabyte of
    answers at most.

    The same id with another payload is another request, from then on: a client may count from 1
    again. Use it under one lock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._answer_bytes = 0

    def is_new(self, key: Key, payload: bytes) -> bool:
        """Say whether a request has not come before, and remember it."""
        now_s = self._clock.monotonic()
        digest = blake2b(payload, digest_size=16).digest()
        while self._kept and self._is_too_much(now_s):
            self.forget(next(iter(self._kept)))
        before = self._kept.get(key)
        if before is not None and before.digest == digest:
            return False
        self.forget(key)
        self._kept[key] = _Kept(digest, now_s)
        return True

    def answer(self, key: Key) -> bytes | None:
        """Return what was answered; None while it is carried out."""
        kept = self._kept.get(key)
        return None if kept is None else kept.answer

    def answered(self, key: Key, answer: bytes) -> None:
        """Remember what was answered."""
        kept = self._kept.get(key)
        if kept is not None:
            self._answer_bytes += len(answer) - kept.size
            kept.answer = answer

    def forget(self, key: Key) -> None:
        """Forget a request of which nothing was done: it may come again."""
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._answer_bytes -= kept.size

    def _is_too_much(self, now_s: float) -> bool:
        oldest = next(iter(self._kept.values()))
        return (
            oldest.since_s <= now_s - KEEP_S
            or len(self._kept) >= MAX_KEPT
            or self._answer_bytes > MAX_ANSWER_BYTES
        )
