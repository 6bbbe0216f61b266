"""The log of requests on the disk: what was begun and what was answered, known after a restart."""

from __future__ import annotations

import json
from binascii import crc32
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekernel.core import message
from edgekernel.core.clock import Clock
from edgekernel.core.messages import Message
from edgekernel.hal.disk import Disk, DiskFile

MAX_FILE_BYTES = 4_000_000
"""Of a longer file only what still counts is kept."""

Key = tuple[str, str | int]
"""The topic of a request, and its id."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A request that was begun, with its answer if there is one, and the digest of its payload."""

    key: Key
    digest: bytes
    answer: bytes | None = None
    forgotten: bool = False
    """Nothing of it was done: it may come again."""
    client: str | None = None
    """Where its answer goes: others may use the same id."""


class RequestLog:
    """Appends entries to `requests.log` in a folder; of a key and client the latest counts.

    A line is whole or does not count, so a crash at any moment loses the last one at most. It is
    written anew, beside the old file, at the first use after a start and when it has grown long.
    A disk that fails is told as MemoryFailed, once until it works again, and never stops the node:
    what could not be written is not known after a restart.
    """

    def __init__(
        self, folder: Path, disk: Disk, clock: Clock, tell: Callable[[Message], object]
    ) -> None:
        """Touch nothing yet; `tell` is given what goes wrong, from any thread."""
        self._folder = folder
        self._path, self._new = folder / "requests.log", folder / "requests.new.log"
        self._disk = disk
        self._tell = tell
        self._lock = clock.Lock()  # around the file
        self._file: DiskFile | None = None
        self._size = 0
        self._failing = False

    def load(self) -> list[Entry]:
        """Return what is known from before, that which was noted last at the end."""
        try:
            lines = self._disk.place(self._path).read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        except OSError as error:
            self._fail(f"{self._path}: not read: {error}")
            return []
        found: dict[tuple[Key, str | None], Entry] = {}
        damaged = 0
        for number, line in enumerate(lines, 1):
            entry = _decode(line)
            if entry is None:
                damaged += number < len(lines)  # the last one was written when it ended
                continue
            place = entry.key, entry.client
            found.pop(place, None)  # the key of an old one may be used again: it is the latest then
            if not entry.forgotten:
                found[place] = entry
        if damaged:
            self._fail(f"{self._path}: {damaged} lines are damaged; the others are used")
        return list(found.values())

    def prepare(self, known: Callable[[], Iterable[Entry]]) -> None:
        """Write the file anew with what is `known`, if it is not open or has grown too long.

        Called by one thread; `append` does not wait for the disk.
        """
        if self._file is not None and self._size <= MAX_FILE_BYTES:
            return
        with self._lock:
            self._close()
            try:
                self._disk.make_folder(self._folder)
                self._file, self._size = self._disk.create(self._new, anew=True), 0
                for entry in known():
                    self._write(self._file, _encode(entry))
                self._file.sync()
                self._disk.replace(self._new, self._path)
                self._disk.sync_folder(self._folder)
            except OSError as error:
                self._give_up(error)
                return
        self._recover()

    def append(self, entry: Entry) -> None:
        """Keep an entry: it outlives the process at once, a power cut when the system has written
        it, or after `sync`. Nothing happens while there is no file."""
        with self._lock:
            if self._file is None:
                return
            try:
                self._write(self._file, _encode(entry))
            except OSError as error:
                self._give_up(error)

    def sync(self) -> None:
        """Return when what was appended survives a power cut. Called by who calls `prepare`."""
        file = self._file
        if file is None:
            return
        try:
            file.sync()
        except OSError as error:
            with self._lock:
                self._give_up(error)

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            self._close()

    def _write(self, file: DiskFile, data: bytes) -> None:
        written = 0
        while written < len(data):
            written += file.write(data[written:])
        self._size += len(data)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _give_up(self, error: OSError) -> None:
        """Let the next `prepare` begin anew: what was written last may be torn."""
        try:
            self._close()
        except OSError:
            self._file = None  # it is the disk that fails: told below
        self._fail(f"{self._path}: not written: {error}")

    def _fail(self, text: str) -> None:
        if not self._failing:
            self._failing = True
            self._tell(message.MemoryFailed(text))

    def _recover(self) -> None:
        if self._failing:
            self._failing = False
            self._tell(message.MemoryRecovered())


def _encode(entry: Entry) -> bytes:
    """Return an entry as a line with a checksum."""
    topic, id = entry.key
    document: dict[str, Any] = {"topic": topic, "id": id, "digest": entry.digest.hex()}
    if entry.answer is not None:
        document["answer"] = entry.answer.decode("utf-8", "surrogateescape")
    if entry.client is not None:
        document["client"] = entry.client
    if entry.forgotten:
        document["forgotten"] = True
    text = json.dumps(document, separators=(",", ":")).encode()
    return b"%08x %s\n" % (crc32(text), text)


def _decode(line: bytes) -> Entry | None:
    """Return what `_encode` has made a line of; None for anything else."""
    sum, _, text = line.removesuffix(b"\n").partition(b" ")
    try:
        if not line.endswith(b"\n") or int(sum, 16) != crc32(text):
            return None
        document = json.loads(text)
        answer = document.get("answer")
        return Entry(
            (document["topic"], document["id"]),
            bytes.fromhex(document["digest"]),
            None if answer is None else answer.encode("utf-8", "surrogateescape"),
            document.get("forgotten", False),
            document.get("client"),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
