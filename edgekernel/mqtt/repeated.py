"""Requests that come twice, as QoS 1 allows: carried out once, answered each time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

from edgekernel.core.clock import Clock
from edgekernel.mqtt.request_log import Entry, Key, RequestLog

if TYPE_CHECKING:
    from edgekernel.mqtt.payloads import ReplyAddress

MAX_KEPT = 1000
MAX_ANSWER_BYTES = 1_000_000
KEEP_S = 3600.0
MAX_REPEATS = 20
"""Of one request that wait for its first answer; those beyond get none."""


@dataclass(slots=True, eq=False)
class Kept:
    """A request that is remembered; one of another content is another one."""

    key: Key
    client: str | None
    """Where its answer goes, which tells clients apart that count from 1 alike."""
    digest: bytes
    since_s: float
    """Of its arrival, or of its answer."""
    answer: bytes | None = None
    """What was answered; None while it is carried out, and if that is unknown."""
    waiting: tuple[ReplyAddress, ...] = ()
    """For the first answer: it has come again meanwhile."""
    noted: bool = False
    """On the disk, before it was carried out."""
    interrupted: bool = False
    """By the end of the agent."""

    @property
    def is_over(self) -> bool:
        """Whether it is carried out no more."""
        return self.answer is not None or self.interrupted

    @property
    def size(self) -> int:
        """Of the answer, in bytes."""
        return len(self.answer or b"")


Came = Literal["new", "begun", "answered", "interrupted"]
"""What a request is, or what has become of the one that it repeats: it is carried out, has been
answered, or had begun when the agent ended, so that its outcome is unknown."""


class Repeated:
    """Remembers the requests that had an id: the latest 1000, each for an hour, with a megabyte of
    answers at most, and those beside them that are still carried out. Called from any thread.

    The same id with another payload is another request, from then on: a client may count from 1
    again. What another client has asked under that id, whose answers go elsewhere, stays known.
    With a `log` all of it is known after a restart too, for another hour: of a request that was
    noted as begun and has no answer nobody knows whether it was carried out.
    """

    def __init__(self, clock: Clock, log: RequestLog | None = None) -> None:
        """Know what the log knows."""
        self._clock = clock
        self._lock = clock.Lock()
        self._log = log
        self._kept: OrderedDict[tuple[Key, str | None], Kept] = OrderedDict()
        self._latest: dict[Key, Kept] = {}
        self._answer_bytes = 0
        now_s = clock.monotonic()
        for each in log.load() if log is not None else ():
            lost = each.answer is None
            self._keep(Kept(each.key, each.client, each.digest, now_s, each.answer, (), lost, lost))

    def came(
        self, key: Key, payload: bytes, reply: ReplyAddress | None = None
    ) -> tuple[Came, Kept]:
        """Say whether a request is new, and remember it; or what has become of the first one.

        While that is carried out `reply` waits for its answer, as the first few repeats do.
        """
        now_s = self._clock.monotonic()
        digest = blake2b(payload, digest_size=16).digest()
        client = None if reply is None else reply.topic
        with self._lock:
            self._trim(now_s)
            for before in (self._kept.get((key, client)), self._latest.get(key)):
                if before is not None and before.digest == digest:
                    return _became(before, reply), before
            kept = Kept(key, client, digest, now_s)
            self._keep(kept)
        if self._log is not None:
            self._log.prepare(self._entries)
        return "new", kept

    def begin(self, kept: Kept) -> None:
        """Note on the disk, before a request is carried out, that it is; waits for the disk."""
        if self._log is None:
            return
        kept.noted = True
        self._log.append(_entry(kept))
        self._log.sync()

    def answered(self, kept: Kept, answer: bytes) -> tuple[ReplyAddress, ...]:
        """Remember what was answered; return where else it is waited for."""
        with self._lock:
            waiting, kept.waiting = kept.waiting, ()
            if not self._knows(kept):
                return waiting
            self._answer_bytes += len(answer) - kept.size
            kept.answer = answer
            kept.since_s = self._clock.monotonic()
            self._kept.move_to_end((kept.key, kept.client))
        if self._log is not None:
            self._log.append(_entry(kept))
        return waiting

    def forget(self, kept: Kept) -> tuple[ReplyAddress, ...]:
        """Forget a request of which nothing was done: it may come again. Return where else its
        refusal is waited for."""
        with self._lock:
            waiting, kept.waiting = kept.waiting, ()
            if not self._knows(kept):
                return waiting
            self._drop(kept)
        if self._log is not None and kept.noted:
            self._log.append(_entry(kept, forgotten=True))
        return waiting

    def close(self) -> None:
        """Give the file back."""
        if self._log is not None:
            self._log.close()

    def _knows(self, kept: Kept) -> bool:
        """Say whether this is what is remembered, and no other has taken its place."""
        return self._kept.get((kept.key, kept.client)) is kept

    def _keep(self, kept: Kept) -> None:
        before = self._kept.get((kept.key, kept.client))
        if before is not None:
            self._drop(before)
        self._kept[kept.key, kept.client] = self._latest[kept.key] = kept
        self._answer_bytes += kept.size

    def _drop(self, kept: Kept) -> None:
        del self._kept[kept.key, kept.client]
        self._answer_bytes -= kept.size
        if self._latest.get(kept.key) is kept:
            del self._latest[kept.key]

    def _trim(self, now_s: float) -> None:
        """Forget the oldest that are over, while there is too much."""
        while (oldest := self._oldest()) is not None and (
            oldest.since_s <= now_s - KEEP_S
            or len(self._kept) >= MAX_KEPT
            or self._answer_bytes > MAX_ANSWER_BYTES
        ):
            self._drop(oldest)

    def _oldest(self) -> Kept | None:
        for each in self._kept.values():
            if each.is_over:
                return each
        return None

    def _entries(self) -> Iterator[Entry]:
        """Give what is to be known after a restart."""
        with self._lock:
            known = [_entry(each) for each in self._kept.values() if each.noted or each.is_over]
        yield from known


def _entry(kept: Kept, *, forgotten: bool = False) -> Entry:
    answer = None if forgotten else kept.answer
    return Entry(kept.key, kept.digest, answer, forgotten, kept.client)


def _became(kept: Kept, reply: ReplyAddress | None) -> Came:
    if kept.answer is not None:
        return "answered"
    if kept.interrupted:
        return "interrupted"
    if reply is not None and len(kept.waiting) < MAX_REPEATS:
        kept.waiting = (*kept.waiting, reply)
    return "begun"
