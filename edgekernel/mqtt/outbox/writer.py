"""The thread that writes: commits, reads what is to be sent, keeps the bounds."""

from __future__ import annotations

from collections.abc import Callable

from edgekernel.core.backoff import Backoff
from edgekernel.core.clock import NANOSECONDS, Clock, ThreadLike
from edgekernel.core.errors import describe
from edgekernel.core.messages import Message
from edgekernel.mqtt.outbox.boots import Boot, WallTime
from edgekernel.mqtt.outbox.ledger import Batch, Ledger, Pending, Row
from edgekernel.mqtt.outbox.messages import OutboxFailed, OutboxRecovered, OutboxSetAside
from edgekernel.mqtt.outbox.store import Store
from edgekernel.mqtt.outbox.trimming import Removed, Trimming
from edgekernel.mqtt.outbox.trouble import StoreDamaged, StoreFailed, set_aside, sorted_out
from edgekernel.node.outbox_table import OutboxTable

_FORGET_NS = NANOSECONDS
"""What was acknowledged is removed after this time at the latest: until then a crash means a
duplicate, and each removal of its own would mean a commit."""
_STARVED_NS = NANOSECONDS // 20
"""How long messages wait to be written, at most, that only then can be sent."""
_LOOK_NS = 10 * NANOSECONDS
_LOOK_FOR_TIME_NS = NANOSECONDS
"""How often the quality of the time is looked at, and how often while it is bad."""
_AGES_NS = 60 * NANOSECONDS
_RETRY_S, _RETRY_MOST_S = 1.0, 30.0
_BATCH_ROWS, _FEW_ROWS = 1000, 20
"""Messages in one commit; few where it has failed: they find room on a disk that is nearly full."""
_MOST_COMMITS = 20
"""Commits in a row, before it is looked at what is to be read."""
_PATIENCE_NS = 60 * NANOSECONDS
"""How long what is new waits for a file that cannot be read, lest it overtakes what is in there."""
_FOR_EVER_NS = 1 << 62


class Writer:
    """Uses the store, and nobody else does. Ends when it is told to, after a last commit."""

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        wall: WallTime,
        clock: Clock,
        table: OutboxTable,
        tell: Callable[[Message], object],
    ) -> None:
        """Prepare; `start` starts the thread."""
        self._ledger = ledger
        self._store = store
        self._wall = wall
        self._clock = clock
        self._commit_ns = int(table.commit_every * NANOSECONDS)
        self._trimming = Trimming(store, ledger, table)
        self._tell = tell
        self._backoff = Backoff("outbox", _RETRY_S, _RETRY_MOST_S)
        self._closing = self._asked = False
        self._hurry = False  # in this pass: somebody has asked for it
        self._open_ns = self._again_ns = self._look_ns = self._ages_ns = 0
        self._patience_ns = _FOR_EVER_NS
        self._deletes_ns: int | None = None
        self._damaged: dict[int, Row] = {}
        self._dated: list[Boot] = []
        self._uncertain: tuple[Batch, Removed] | None = None
        self._thread: ThreadLike | None = None
        self.problem = ""
        """Why the file cannot be written; empty if it can."""
        self.commits = self.written = 0

    def start(self) -> None:
        """Begin to work."""
        self._thread = self._clock.Thread(self._run, "edgekernel:outbox:writer")
        self._thread.start()

    def hurry(self) -> None:
        """Commit now, whatever the interval."""
        self._asked = True
        self._ledger.writer_wakes.set()

    def close(self, timeout_s: float) -> bool:
        """Commit what waits and end; say whether that was done in time."""
        self._closing = True
        self._ledger.writer_wakes.set()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._closing:
                self._ledger.writer_wakes.clear()
                self._work()
                if not self._closing:
                    self._rest()
            self._finish()
        finally:
            self._store.close()

    def _finish(self) -> None:
        self._asked = True
        while self._asked:
            self._work()
        self._ledger.abandon()
        self._tell_drops(all=True)

    def _work(self) -> None:
        self._hurry, self._asked = self._asked, False
        self._attempt(self._look)
        self._attempt(self._open)
        self._attempt(self._commit, passing=True)
        self._attempt(self._read)
        self._tell_drops()

    def _attempt(self, step: Callable[[], object], *, passing: bool = False) -> None:
        """Do something; if it fails, the file is opened anew, with `passing` at once."""
        try:
            step()
        except StoreDamaged as error:
            self._replace_file(str(error))
        except Exception as error:  # whatever it is, the node goes on and this is tried again
            self._failed(str(error) if isinstance(error, StoreFailed) else describe(error)[0])
            if passing:  # a full disk can still be read
                self._open_ns = 0

    def _rest(self) -> None:
        """Wait until there is something to do, or somebody wakes us."""
        due = [self._look_ns]
        if not self._store.is_open:
            due.append(self._open_ns)
        if self.problem:
            due.append(self._again_ns)
        elif self._store.is_open:
            due += self._commits_due(self._ledger.pending())
        self._clock.wait_until(self._ledger.writer_wakes, min(due))

    def _commits_due(self, pending: Pending) -> list[int]:
        """Return when there is something to commit, as far as it is known."""
        due = []
        if pending.half_full or pending.deletes:
            now_ns = self._now()
            if pending.half_full:
                return [now_ns]
            if self._deletes_ns is None:
                self._deletes_ns = now_ns
            due.append(self._deletes_ns + self._forget_ns)
        if pending.oldest_ns is not None:
            wait_ns = min(self._commit_ns, _STARVED_NS) if pending.starved else self._commit_ns
            due.append(pending.oldest_ns + wait_ns)
        return due

    @property
    def _forget_ns(self) -> int:
        return max(_FORGET_NS, self._commit_ns)

    def _now(self) -> int:
        return self._clock.monotonic_ns()

    def _look(self) -> None:
        """Look at the quality of the time, now and then."""
        now_ns = self._now()
        if now_ns < self._look_ns:
            return
        self._wall.refresh()
        self._dated += self._wall.back_fill(self._store.boots)
        self._look_ns = now_ns + (_LOOK_NS if self._wall.known else _LOOK_FOR_TIME_NS)

    def _is_due(self) -> bool:
        now_ns = self._now()
        if self._hurry:
            return True
        if self.problem:
            return now_ns >= self._again_ns
        if self._damaged or self._dated or (now_ns >= self._ages_ns and self._store.rows):
            return True
        return any(now_ns >= due_ns for due_ns in self._commits_due(self._ledger.pending()))

    def _commit(self) -> None:
        """Write what is due, in as many commits as it takes."""
        if not self._store.is_open or not self._is_due():
            return
        damaged = bool(self._damaged)
        rows = _FEW_ROWS if self.problem else _BATCH_ROWS
        for _ in range(_MOST_COMMITS):
            batch = self._ledger.batch(rows)
            self._write(batch)
            if not batch.more:
                break
        else:
            self._asked |= self._hurry
        self._deletes_ns = None
        self._recovered()
        if damaged:
            self._store.close()  # it is opened, checked and counted anew
            self._open_ns = 0

    def _write(self, batch: Batch) -> None:
        now_ns = self._now()
        by_age = now_ns >= self._ages_ns
        removed = self._trimming.choose(batch, now_ns, by_age=by_age)
        gone = {row.position for row, _ in removed}
        damaged = [row for position, row in self._damaged.items() if position not in gone]
        removed += [(row, "damaged") for row in self._ledger.claim(damaged)]
        if by_age:
            self._ages_ns = now_ns + _AGES_NS
        if batch.items or batch.acknowledged or removed or self._dated:
            self._uncertain = batch, removed
            self._store.commit(batch, [row for row, _ in removed], self._dated)
            self.commits += 1
            self._landed()

    def _landed(self) -> None:
        """Note that the latest commit is in the file."""
        assert self._uncertain is not None
        batch, removed = self._uncertain
        self._uncertain = None
        self._dated = []
        self._damaged.clear()
        self.written += len(batch.items)
        self._ledger.written(batch, removed)

    def _read(self) -> None:
        """Read what is to be sent next, if it is needed."""
        if not self._store.is_open:
            if self._now() >= self._patience_ns:
                self._ledger.without_file()
            return
        after = self._ledger.wants_page
        while after is not None:
            items, damaged, cursor = self._store.page(after)
            self._damaged |= {row.position: row for row in damaged}
            self._ledger.add_page(after, items, cursor)
            after = self._ledger.wants_page
        if self._damaged:
            self._ledger.writer_wakes.set()

    def _open(self) -> None:
        if self._store.is_open or not (self._now() >= self._open_ns or self._hurry):
            return
        self._store.open()
        if self._uncertain is not None and self._is_in_file(*self._uncertain):
            self._landed()
        self._uncertain = None
        self._damaged.clear()
        self._patience_ns = _FOR_EVER_NS
        self._dated += self._wall.back_fill(self._store.boots)
        self._ledger.opened(self._store.topics)
        self._ledger.file_works = not self.problem

    def _is_in_file(self, batch: Batch, removed: Removed) -> bool:
        """Say whether a commit that has failed is in the file after all."""
        if batch.items:
            return self._store.has(batch.items[-1].position)
        gone = [*batch.acknowledged.values(), *(row for row, _ in removed)]
        return bool(gone) and not self._store.has(gone[0].position)

    def _failed(self, error: str) -> None:
        self._store.close()
        self._ledger.not_written()
        now_ns = self._now()
        self._open_ns = self._again_ns = now_ns + int(self._backoff.failed() * NANOSECONDS)
        self._patience_ns = min(self._patience_ns, now_ns + _PATIENCE_NS)
        if not self.problem:
            self._tell(OutboxFailed(str(self._store.path), error))
        self.problem = error
        self._ledger.file_works = False

    def _recovered(self) -> None:
        if self.problem:
            self.problem = ""
            self._tell(OutboxRecovered(str(self._store.path)))
        self._backoff.failures = 0
        self._ledger.file_works = True

    def _replace_file(self, reason: str) -> None:
        self._store.close()
        self._uncertain, self._damaged, self._dated = None, {}, []
        try:
            with sorted_out():
                kept_as = set_aside(self._store.path, self._clock.now_utc())
        except StoreFailed as error:
            self._failed(f"{reason}; it cannot be renamed: {error}")
            return
        lost = self._ledger.lost_file()
        self._tell(OutboxSetAside(str(self._store.path), kept_as.name, reason, lost))
        self._open_ns = 0

    def _tell_drops(self, *, all: bool = False) -> None:
        for message in self._ledger.drops_to_tell(all=all):
            self._tell(message)
