"""Requests that come twice, as QoS 1 allows: carried out once, answered each time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from edgekernel.core.clock import Clock
from edgekernel.mqtt.payloads import ReplyAddress
from edgekernel.mqtt.request_log import Entry, Key, RequestLog

MAX_KEPT = 1000
MAX_ANSWER_BYTES = 1_000_000
KEEP_S = 3600.0
MAX_REPEATS = 20
"""Of one request that wait for its first answer; those beyond get none."""


@dataclass(slots=True)
class _Kept:
    digest: bytes
    since_s: float
    answer: bytes | None = None
    waiting: tuple[ReplyAddress, ...] = ()  # for the first answer: it has come again meanwhile
    noted: bool = False  # on the disk, before it was carried out
    interrupted: bool = False  # by the end of the agent

    @property
    def size(self) -> int:
        return len(self.answer or b"")


Came = Literal["new", "begun", "answered", "interrupted"]
"""What a request is, or what has become of the one that it repeats: it is carried out, has been
answered, or had begun when the agent ended, so that its outcome is unknown."""


class Repeated:
    """Remembers the requests that had an id: the latest 1000, each for an hour, with a megabyte of
    answers at most. Called from any thread.

    The same id with another payload is another request, from then on: a client may count from 1
    again. With a `log` all of it is known after a restart too, for another hour: of a request that
    was noted as begun and has no answer nobody knows whether it was carried out.
    """

    def __init__(self, clock: Clock, log: RequestLog | None = None) -> None:
        """Know what the log knows."""
        self._clock = clock
        self._lock = clock.Lock()
        self._log = log
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._answer_bytes = 0
        now_s = clock.monotonic()
        for each in log.load() if log is not None else ():
            lost = each.answer is None
            self._kept[each.key] = _Kept(each.digest, now_s, each.answer, (), lost, lost)
            self._answer_bytes += len(each.answer or b"")

    def came(self, key: Key, payload: bytes, reply: ReplyAddress | None = None) -> Came:
        """Say whether a request is new, and remember it; or what has become of the first one.

        While that is carried out `reply` waits for its answer, as the first few repeats do.
        """
        now_s = self._clock.monotonic()
        digest = blake2b(payload, digest_size=16).digest()
        with self._lock:
            while self._kept and self._is_too_much(now_s):
                self._drop(next(iter(self._kept)))
            before = self._kept.get(key)
            if before is not None and before.digest == digest:
                return _became(before, reply)
            self._drop(key)
            self._kept[key] = _Kept(digest, now_s)
        if self._log is not None:
            self._log.prepare(self._entries)
        return "new"

    def begin(self, key: Key) -> None:
        """Note on the disk, before a request is carried out, that it is; waits for the disk."""
        if self._log is None:
            return
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                return
            kept.noted = True
        self._log.append(Entry(key, kept.digest))
        self._log.sync()

    def answer(self, key: Key) -> bytes | None:
        """Return what was answered; None while it is carried out, and if that is unknown."""
        with self._lock:
            kept = self._kept.get(key)
            return None if kept is None else kept.answer

    def answered(self, key: Key, answer: bytes) -> tuple[ReplyAddress, ...]:
        """Remember what was answered; return where else it is waited for."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                return ()
            self._answer_bytes += len(answer) - kept.size
            kept.answer = answer
            waiting, kept.waiting = kept.waiting, ()
        if self._log is not None:
            self._log.append(Entry(key, kept.digest, answer))
        return waiting

    def forget(self, key: Key) -> tuple[ReplyAddress, ...]:
        """Forget a request of which nothing was done: it may come again. Return where else its
        refusal is waited for."""
        with self._lock:
            kept = self._drop(key)
        if self._log is not None and kept is not None and kept.noted:
            self._log.append(Entry(key, kept.digest, forgotten=True))
        return () if kept is None else kept.waiting

    def close(self) -> None:
        """Give the file back."""
        if self._log is not None:
            self._log.close()

    def _drop(self, key: Key) -> _Kept | None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._answer_bytes -= kept.size
        return kept

    def _entries(self) -> Iterator[Entry]:
        """Give what is to be known after a restart."""
        with self._lock:
            kept = [(key, each.digest, each.answer, each.noted) for key, each in self._kept.items()]
        for key, digest, answer, noted in kept:
            if noted or answer is not None:
                yield Entry(key, digest, answer)

    def _is_too_much(self, now_s: float) -> bool:
        oldest = next(iter(self._kept.values()))
        return (
            oldest.since_s <= now_s - KEEP_S
            or len(self._kept) >= MAX_KEPT
            or self._answer_bytes > MAX_ANSWER_BYTES
        )


def _became(kept: _Kept, reply: ReplyAddress | None) -> Came:
    if kept.answer is not None:
        return "answered"
    if kept.interrupted:
        return "interrupted"
    if reply is not None and len(kept.waiting) < MAX_REPEATS:
        kept.waiting = (*kept.waiting, reply)
    return "begun"
