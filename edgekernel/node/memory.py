"""What a node is to know after a restart, in a file that survives crashes and power cuts."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from edgekernel.backends.disk import SystemDisk
from edgekernel.core import message
from edgekernel.core.clock import NANOSECONDS, Clock, EventLike, ThreadLike
from edgekernel.core.errors import RateLimitedError
from edgekernel.core.limits import RateLimit, Rates
from edgekernel.core.memory import Plain
from edgekernel.core.messages import Message
from edgekernel.hal.disk import Disk

INTERVAL_S = 30.0
"""At most one write in so many seconds, and one at the end of the runtime."""
AT_ONCE = RateLimit(20, 5 * 3600.0)
"""How many writes more there may be of changes that do not wait for that."""
KEPT_CHANGES = 4
"""For how many changes of what there is a value is kept that nothing owns any more."""
_CLOSE_LIMIT_S = 1.0
_FORMAT = 1
_OWNERS, _GONE = "owners/", "gone/"


class FileMemory:
    """Keeps plain values by name in a folder; fulfils `edgekernel.core.memory.Memory`.

    The first change after a quiet time is written at once, what follows within 30 s together. So
    a crash loses 30 s at most. What `put_all` is given does not wait: of that twenty writes more
    are at once, and then one in 15 minutes; beyond that it waits like the rest. So a day has 3,000
    writes at most: 12 MB if the file is not larger than one block of 4 KiB, which holds about sixty
    outputs. What does not change is not written.

    The file is written beside the old one, flushed to the disk, and then takes its name; the one
    before it is kept as `memory.old.json`, and is used when the newest is missing or damaged. A
    disk that fails is told as MemoryFailed, once until it works again, and tried after each
    interval; it never stops the node. The disk is touched by a thread of its own, and by the first
    `get` or `put`, which reads the file.
    """

    def __init__(self, folder: Path, clock: Clock, disk: Disk | None = None) -> None:
        """Keep the files in `folder` of a disk, this machine's without one; the folder is made if
        needed. Touches nothing yet."""
        self.folder = folder
        """Where the files are."""
        self.disk: Disk = SystemDisk() if disk is None else disk
        """What the folder is on."""
        self._newest = folder / "memory.json"
        self._previous = folder / "memory.old.json"
        self._new = folder / "memory.new.json"
        self._clock = clock
        self._lock = threading.Lock()  # around the values; never while something is written
        self._values: dict[str, Plain] | None = None  # before they are read
        self._problem = ""  # of reading, not told yet
        self._newest_is_good = False
        self._changed = self._hurries = self._closed = self._failing = False
        self._hurried = Rates(clock)
        self._written_ns: int | None = None
        self._wake: EventLike = clock.Event()
        self._done: EventLike = clock.Event()
        self._thread: ThreadLike | None = None
        self.tell: Callable[[Message], object] = lambda told: None
        """Where MemoryFailed and MemoryRecovered go."""

    def get(self, key: str) -> Plain | None:
        """Return what was put last, also before a restart; None if there is nothing."""
        with self._lock:
            value = self._known().get(key)
        self._tell_problem()
        return value

    def put(self, key: str, value: Plain) -> None:
        """Keep a value; it is on the disk 30 s later, or sooner."""
        self._put({key: value})

    def put_all(self, values: Mapping[str, Plain]) -> None:
        """Keep several values as one change, which the disk has together, and is given at once.

        Of too many such changes the later ones wait up to 30 s; see the class.
        """
        self._put(dict(values), hurries=True)

    def keep_owned(self, prefix: str, names: Collection[str]) -> None:
        """Say which names there are below a prefix: values of others are forgotten in the end.

        That is when the names that there are have changed four times since: whoever goes back to a
        former configuration finds what belongs to it. Changes are counted since a board may not
        know how late it is.
        """
        owners = _sum(_canonical(sorted(names)))[:16]
        with self._lock:
            known = dict(self._known())
        kept = [key for key in known if key.startswith(prefix)]
        if not kept or known.get(_OWNERS + prefix) == owners:
            return
        new: dict[str, Plain] = {_OWNERS + prefix: owners}
        dropped: list[str] = []
        for key in kept:
            changes = known.get(_GONE + key, 0)
            if key.removeprefix(prefix) in names:
                dropped.append(_GONE + key)
            elif isinstance(changes, int) and changes < KEPT_CHANGES:
                new[_GONE + key] = changes + 1
            else:
                dropped += [key, _GONE + key]
        self._put(new, dropped)

    def _put(
        self, values: dict[str, Plain], dropped: Collection[str] = (), *, hurries: bool = False
    ) -> None:
        starts: ThreadLike | None = None
        with self._lock:
            known = self._known()
            new = {key: value for key, value in values.items() if _differs(known.get(key), value)}
            known.update(new)
            for key in dropped:
                known.pop(key, None)
            self._changed = self._changed or bool(new)
            if not self._changed or not (new or hurries):
                return
            self._hurries = self._hurries or hurries
            if self._thread is None:
                starts = self._thread = self._clock.Thread(self._run, "memory")
        self._tell_problem()
        if starts is not None:
            try:
                starts.start()
            except RuntimeError as error:  # no more threads: the next change tries again
                self._thread = None
                self.tell(message.MemoryFailed(f"{self.folder}: not written: {error}"))
        self._wake.set()

    def close(self) -> None:
        """Write what is not written yet, waiting for the disk 1 s at most; for as long as it takes
        where no thread could be had for it."""
        self._closed = True
        if self._thread is None and self._changed:
            self._try_to_write()
        self._wake.set()
        if self._thread is not None:
            self._done.wait(_CLOSE_LIMIT_S)

    # Reading

    def _known(self) -> dict[str, Plain]:
        if self._values is None:
            self._values = self._load()
        return self._values

    def _load(self) -> dict[str, Plain]:
        problems = []
        for path in (self._newest, self._previous):
            try:
                values = decode(self.disk.place(path).read_bytes())
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                problems.append(f"{path}: {error}")
                continue
            self._newest_is_good = path is self._newest
            if problems:
                self._problem = f"{problems[0]}; the state before it is used"
            return values
        if problems:
            self._problem = f"{'; '.join(problems)}; nothing is restored"
        return {}

    def _tell_problem(self) -> None:
        """Tell what went wrong when the file was read; by who holds no lock."""
        problem, self._problem = self._problem, ""
        if problem:
            self.tell(message.MemoryFailed(problem))

    # Writing, on a thread of its own

    def _run(self) -> None:
        while True:
            left_s = self._left_s()
            if left_s is None or (left_s > 0 and not self._closed):
                self._wake.wait(left_s)
                self._wake.clear()
                continue
            closed = self._closed  # what is put while it is written is to be written, too
            if self._changed:
                self._try_to_write()
            if closed:
                self._done.set()
                return

    def _left_s(self) -> float | None:
        """Return in how many seconds there is something to do; None: not before it is woken."""
        if self._closed:
            return 0.0
        if not self._changed:
            return None
        if self._written_ns is None:
            return 0.0
        passed_ns = self._clock.monotonic_ns() - self._written_ns
        left_s = max(0.0, INTERVAL_S - passed_ns / NANOSECONDS)
        return 0.0 if left_s and self._hurries and self._may_hurry() else left_s

    def _may_hurry(self) -> bool:
        """Take one of the writes that need not wait for the others; False if there is none."""
        try:
            self._hurried.take("", AT_ONCE)
        except RateLimitedError:
            return False
        return True

    def _try_to_write(self) -> None:
        with self._lock:
            data, self._changed, self._hurries = encode(self._known()), False, False
        self._written_ns = self._clock.monotonic_ns()
        try:
            self._write(data)
        except OSError as error:
            self._changed = True
            if not self._failing:
                self._failing = True
                self.tell(message.MemoryFailed(f"{self.folder}: not written: {error}"))
            return
        if self._failing:
            self._failing = False
            self.tell(message.MemoryRecovered())

    def _write(self, data: bytes) -> None:
        disk = self.disk
        disk.make_folder(self.folder)
        file = disk.create(self._new, anew=True)
        try:
            written = 0
            while written < len(data):
                written += file.write(data[written:])
            file.sync()
        finally:
            file.close()
        if self._newest_is_good:  # a damaged one must not take the place of a good one
            disk.replace(self._newest, self._previous)
            self._newest_is_good = False
        disk.replace(self._new, self._newest)
        self._newest_is_good = True
        disk.sync_folder(self.folder)


def encode(values: dict[str, Plain]) -> bytes:
    """Return values as JSON with a checksum."""
    text = _canonical(values)
    document = {"format": _FORMAT, "sha256": _sum(text), "values": values}
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def decode(data: bytes) -> dict[str, Plain]:
    """Return the values; raises ValueError for what `encode` has not made like this."""
    try:
        document: Any = json.loads(data)
        values: Any = document["values"]
        good = document["format"] == _FORMAT and document["sha256"] == _sum(_canonical(values))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("the file is damaged") from error
    if not good or not isinstance(values, dict):
        raise ValueError("the file is damaged")
    return {key: value for key, value in values.items() if isinstance(value, Plain)}


def _differs(known: Plain | None, value: Plain) -> bool:
    return repr(known) != repr(value)  # 1, 1.0 and True differ


def _canonical(values: object) -> str:
    return json.dumps(values, sort_keys=True)


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
