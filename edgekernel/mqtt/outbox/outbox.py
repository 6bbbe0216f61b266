"""Outbox: what is given to it reaches the broker, whatever happens to link, agent and power."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.core.messages import Message
from edgekernel.mqtt.outbox.boots import Boot, WallTime, machine_boot
from edgekernel.mqtt.outbox.item import Item, can_be_stamped
from edgekernel.mqtt.outbox.keeping import Rules
from edgekernel.mqtt.outbox.ledger import Ledger
from edgekernel.mqtt.outbox.link import Link
from edgekernel.mqtt.outbox.sender import Sender
from edgekernel.mqtt.outbox.store import Store
from edgekernel.mqtt.outbox.writer import Writer
from edgekernel.node.outbox_table import OutboxTable

_LOOK_S = 0.005
"""How often it is looked at, in the end, whether the last answers have come."""


class Outbox:
    """Takes messages at once, keeps them in a file, and sends them when there is a link (P9).

    Every method is for any thread and none waits for the disk, but for `flush` and `close`. It has
    two threads of its own: one writes, one sends. What `[mqtt.outbox]` promises is in
    docs/outbox.md.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        boot: str,
        table: OutboxTable | None = None,
        base: str = "",
        quality: Callable[[], str] | None = None,
        machine: str | None = None,
        tell: Callable[[Message], object] = lambda message: None,
    ) -> None:
        """Prepare the outbox of one start of an agent; `start` opens the file.

        `boot` names this start and must never come again: message ids begin with it. `base` is
        the topic below which the filters of the table are, `quality` says whether the wall time
        is "unsynchronised", `machine` names the start of the computer; both are asked of the
        kernel unless given. `tell` emits what is to be told; it is called in the outbox's threads
        and in the link's, and must not wait.
        """
        self._clock = clock
        self._table = table or OutboxTable()
        self._boot = Boot(boot, machine or machine_boot(clock, boot))
        self._wall = WallTime(clock, self._boot, quality)
        self._rules = Rules(self._table.topics, base)
        self._ledger = Ledger(clock, self._boot, self._table)
        self._store = Store(path, self._boot, self._rules)
        self._writer = Writer(self._ledger, self._store, self._wall, clock, self._table, tell)
        self._sender = Sender(self._ledger, clock, tell)
        self._closed = False

    def start(self) -> None:
        """Open the file and begin to work, in the outbox's own threads."""
        self._wall.refresh()
        self._writer.start()
        self._sender.start()

    def accept(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        stamped: bool = True,
        expires_s: float | None = None,
        monotonic_ns: int | None = None,
    ) -> int | None:
        """Take a message and return at once its position; None if it was dropped, and counted.

        It is sent after those of the same topic that were accepted before. Within `commit_every`
        it is safe, unless the disk fails, which is told. With `stamped` the payload must be a JSON
        object; `id`, `boot`, `monotonic` and `time` become its first fields when it is sent.
        `monotonic_ns` says when it happened, now if not given. `expires_s` is how many seconds
        later it is of no use any more. Raises ValueError for a payload that cannot be stamped.
        """
        if stamped and not can_be_stamped(payload):
            raise ValueError(f"{topic}: only a JSON object can be stamped; give stamped=False")
        if self._closed or len(payload) > self._table.max_payload:
            self._ledger.refuse("closed" if self._closed else "too large")
            return None
        now_ns = self._clock.monotonic_ns()
        then_ns = now_ns if monotonic_ns is None else min(monotonic_ns, now_ns)
        item = Item(
            position=0,
            topic=topic,
            payload=payload,
            qos=qos,
            retain=retain,
            stamped=stamped,
            keeping=self._rules.of(topic),
            boot=self._boot,
            number=0,
            monotonic_ns=then_ns,
            time_ns=self._wall.of(then_ns),
            lifetime_ns=None if expires_s is None else int(expires_s * NANOSECONDS),
        )
        return item.position if self._ledger.accept(item) else None

    def up(self, link: Link) -> None:
        """The link is up: send over it from now on."""
        self._ledger.up(link)

    def down(self, *, forgets: bool = False) -> None:
        """The link is down; `forgets` says that it will not send again what was on its way.

        After that it must not deliver anything any more: the next one is another object.
        """
        self._ledger.down(forgets)

    @property
    def committed(self) -> int:
        """Everything up to this position is safe: in the file, or with the broker.

        Or it was dropped, and counted.
        """
        return self._ledger.committed

    def flush(self, timeout_s: float) -> bool:
        """Commit now; return whether all that was accepted before is committed within the time."""
        done = self._clock.Event()
        self._ledger.when_committed(self._ledger.last, done.set)
        self._writer.hurry()
        return done.wait(timeout_s)

    def settle(self, timeout_s: float) -> bool:
        """Send what can be sent in half the time, then nothing more, and wait for the answers.

        Says whether there was one to each. What was not sent stays in the file. Without a link
        there is nothing to wait for.
        """
        end_s = self._clock.monotonic() + timeout_s
        self._wait(lambda: not self._ledger.sendable, end_s - timeout_s / 2)
        self._sender.close(max(0.0, end_s - self._clock.monotonic()))
        return self._wait(lambda: not self._ledger.answers_due, end_s)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Accept and send nothing more, commit, and close the file; False if it takes longer."""
        self._closed = True
        sender = self._sender.close(timeout_s)
        return self._writer.close(timeout_s) and sender

    def _wait(self, condition: Callable[[], bool], end_s: float) -> bool:
        while not condition() and self._clock.monotonic() < end_s:
            self._clock.sleep(_LOOK_S)
        return condition()

    @property
    def problem(self) -> str:
        """Why the file cannot be written; empty if it can."""
        return self._writer.problem

    @property
    def waiting(self) -> int:
        """How many messages are not delivered yet."""
        return self._ledger.waiting

    def counters(self) -> dict[str, int | dict[str, int]]:
        """Return what it has done and what waits, ready for JSON."""
        ledger = self._ledger
        return {
            "accepted": ledger.accepted,
            "committed": ledger.committed,
            "delivered": ledger.delivered,
            "never_written": ledger.spared,
            "dropped": dict(ledger.drops.by_cause),
            "written": self._writer.written,
            "commits": self._writer.commits,
            "rows": self._store.rows,
            "bytes": self._store.size,
            **ledger.in_memory(),
        }
