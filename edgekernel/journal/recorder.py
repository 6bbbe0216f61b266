"""Recorder: between the runtime, which must not wait, and a sink, which may (promise P9)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from edgekernel.core.clock import Clock, ThreadLike
from edgekernel.core.errors import describe
from edgekernel.core.messages import Event, Message, Severity
from edgekernel.core.telling import Telling
from edgekernel.core.time_quality import is_simulated, system_quality
from edgekernel.journal.convert import Item, as_record
from edgekernel.journal.messages import (
    JournalDropped,
    JournalFailed,
    JournalPruned,
    JournalRecovered,
)
from edgekernel.journal.protocol import JournalSink
from edgekernel.journal.records import LostRecord, Record
from edgekernel.journal.segment_sink import SegmentSink
from edgekernel.journal.timekeeping import Timekeeping

ROOM = 20_000
"""Records that may wait for the sink; of more, the oldest are dropped and counted."""
COMMIT_S = 10.0
_LEAST_S = 1.0
_CLOSE_S = 5.0


class Recorder:
    """Writes what it is given to a sink, in a thread of its own, and commits every `commit_s`.

    Something of severity ERROR or above is committed at once, but at most once a second. What the
    sink cannot take waits, and is tried again with every commit.
    """

    def __init__(
        self, sink: JournalSink, clock: Clock, *, commit_s: float = COMMIT_S, room: int = ROOM
    ) -> None:
        """Prepare; `start` begins to write."""
        self._sink = sink
        self._clock = clock
        self._commit_s = commit_s
        self._room = room
        self._lock = threading.RLock()  # around the queue; a finalizer that emits may come between
        self._items: deque[Item] = deque()
        self._dropped = 0  # and not told of yet
        self._ready: deque[Record] = deque()
        self._wake, self._closing = clock.Event(), clock.Event()
        self._thread: ThreadLike | None = None
        self._closed = False
        self._pruned = 0, 0
        self._telling_pruned, self._telling_dropped = Telling(), Telling()
        self._untold = 0  # of the records that were dropped
        self._time = _timekeeping(clock)
        self._told = False  # of the present problem
        self.tell: Callable[[Message], bool] = lambda message: False
        """Emits what is to be told of the journal itself; says whether that was possible."""
        self.problem = ""
        """Why it cannot be written; empty if it can."""
        self.written = self.dropped = self.commits = 0
        """Records that the sink has taken, that were dropped, and commits."""

    def start(self) -> None:
        """Begin to write, what waits at once."""
        self._thread = self._clock.Thread(self._run, "edgekernel:journal")
        self._thread.start()

    def put(self, item: Item) -> None:
        """Take something to record, from any thread, and return at once."""
        with self._lock:
            items = self._items
            waiting = len(items)
            if waiting >= self._room:
                items.popleft()
                self._dropped += 1
            items.append(item)
        if waiting == self._room // 2 or _is_urgent(item):
            self._wake.set()

    def commit_soon(self) -> None:
        """Commit before the interval is over, but at most once a second."""
        self._wake.set()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._items) + len(self._ready)

    def close(self) -> bool:
        """Write what waits and close the sink; say whether that was done within 5 seconds."""
        self._closing.set()
        self._wake.set()
        thread = self._thread
        if thread is None:
            self._finish()
            return True
        thread.join(_CLOSE_S)
        return not thread.is_alive()

    def _run(self) -> None:
        least_s = min(_LEAST_S, self._commit_s)
        self._commit()
        while not self._closing.wait(least_s):
            self._wake.wait(self._commit_s - least_s)
            self._wake.clear()
            self._commit()
        self._finish()

    def _finish(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._commit()
        try:
            self._sink.close()
        except Exception as error:
            self._failed(error)

    def _commit(self) -> None:
        try:
            self._write()
            self._sink.flush()
        except Exception as error:  # whatever the sink: the node goes on
            self._failed(error)
            return
        self.commits += 1
        self.problem = ""
        if self._told:
            self._told = not self.tell(JournalRecovered())
        self._tell_pruned()

    def _write(self) -> None:
        for _ in range(len(self._items) + 1):
            while self._ready:
                self._sink.write(self._ready[0])
                self._ready.popleft()
                self.written += 1
            self._untold += self._take()
        self._tell_dropped()
        record = self._time.look(self._clock)
        if record is not None:
            self._sink.write(record)
            self.written += 1

    def _take(self) -> int:
        """Make records ready of the item that waits longest; return how many were dropped."""
        with self._lock:
            if not self._items:
                return 0
            item = self._items.popleft()
            dropped, self._dropped = self._dropped, 0
        record = as_record(item)
        times = record.monotonic_ns, record.time_ns
        if dropped:
            self.dropped += dropped
            self._ready.append(LostRecord(*times, dropped, "too many were waiting"))
        step = self._time.step(*times)
        if step is not None:
            self._ready.append(step)
        self._ready.append(record)
        return dropped

    def _failed(self, error: Exception) -> None:
        self.problem = getattr(error, "strerror", None) or describe(error)[0]
        if not self._told:
            self._told = self.tell(JournalFailed(self.problem))

    def _tell_dropped(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if self._untold and self._telling_dropped.due(now_ns):
            untold, self._untold = self._untold, 0
            self._telling_dropped.told(now_ns)
            self.tell(JournalDropped(untold))

    def _tell_pruned(self) -> None:
        if not isinstance(self._sink, SegmentSink):
            return
        now_ns = self._clock.monotonic_ns()
        now, before = (self._sink.dropped.segments, self._sink.dropped.size), self._pruned
        if now != before and self._telling_pruned.due(now_ns):
            self._pruned = now
            self._telling_pruned.told(now_ns)
            self.tell(JournalPruned(now[0] - before[0], now[1] - before[1]))


def _timekeeping(clock: Clock) -> Timekeeping:
    if is_simulated(clock):
        return Timekeeping(lambda: "simulated")
    return Timekeeping(system_quality, clock)


def _is_urgent(item: Item) -> bool:
    return isinstance(item, Event) and item.payload.severity >= Severity.ERROR
