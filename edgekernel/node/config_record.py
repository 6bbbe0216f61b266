"""What a node remembers of its configurations: the last good one, and what came of the others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from edgekernel.backends.disk import SystemDisk
from edgekernel.hal.disk import Disk

_FORMAT = 1
_NEWEST, _PREVIOUS, _NEW = "config.json", "config.old.json", "config.new.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """A configuration that has proven itself; its secrets are not in it."""

    document: Mapping[str, Any]
    hash: str
    source: str
    """"file" or "remote"."""
    version: str = ""
    digest: str = ""
    """Of the remote document that it came as."""
    at: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of something: of a remote document, or of a node file that was rolled back.

    `result` is "trying", "applied", "rejected" or "rolled_back".
    """

    digest: str
    result: str
    version: str = ""
    problems: tuple[str, ...] = ()
    at: str = ""
    issued_ns: int = 0
    """When the newest remote document so far was signed, in nanoseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a node remembers."""

    good: Kept | None = None
    file: str = ""
    """The digest of the node file that was there when `good` was applied."""
    bad_file: Judged | None = None
    """The node file that was rolled back, so that it is not used at the next start either."""
    desired: Judged | None = None
    """The remote document that came last."""
    trial: Mapping[str, Any] | None = None
    """The document that is on trial: after a kill its outputs may be what is on."""
    problem: str = field(default="", compare=False)
    """What was wrong with what was read, if anything."""


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


class RecordFile:
    """Keeps a record in a folder: written beside the old one, flushed, then renamed.

    So there is the old one or the new one at any time, and the one before is kept too.
    """

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        """Keep it in `folder` of a disk, this machine's without one. Touches nothing yet."""
        self.folder = folder
        self._disk: Disk = SystemDisk() if disk is None else disk

    def read(self) -> Record:
        """Return what was written last; the one before, with a `problem`, if that is damaged."""
        problems: list[str] = []
        for name in (_NEWEST, _PREVIOUS):
            path = self.folder / name
            try:
                return replace(
                    decode(self._disk.place(path).read_bytes()), problem="; ".join(problems)
                )
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                problems.append(f"{path}: {error}")
        return Record(problem="; ".join(problems))

    def write(self, record: Record) -> None:
        """Return when it survives a power cut. Raises OSError; then the old one is there."""
        disk, folder = self._disk, self.folder
        disk.make_folder(folder)
        data = encode(record)
        file = disk.create(folder / _NEW, anew=True)
        try:
            written = 0
            while written < len(data):
                written += file.write(data[written:])
            file.sync()
        finally:
            file.close()
        if self._is_good(folder / _NEWEST):  # a damaged one takes the place of no good one
            disk.replace(folder / _NEWEST, folder / _PREVIOUS)
        disk.replace(folder / _NEW, folder / _NEWEST)
        disk.sync_folder(folder)

    def _is_good(self, path: Path) -> bool:
        try:
            decode(self._disk.place(path).read_bytes())
        except (OSError, ValueError):
            return False
        return True


def encode(record: Record) -> bytes:
    """Return a record as JSON with a checksum."""
    content = asdict(record)
    del content["problem"]
    text = json.dumps(content)
    document = {"format": _FORMAT, "sha256": digest_of(text.encode()), "record": content}
    return json.dumps(document, indent=1).encode() + b"\n"


def decode(data: bytes) -> Record:
    """Return the record; raises ValueError for what `encode` has not made like this."""
    try:
        document: Any = json.loads(data)
        content = document["record"]
        text = json.dumps(content)
        if document["format"] != _FORMAT or document["sha256"] != digest_of(text.encode()):
            raise ValueError
        good = content["good"]
        return Record(
            None if good is None else Kept(**good),
            content["file"],
            _judged(content["bad_file"]),
            _judged(content["desired"]),
            content["trial"],
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("the file is damaged") from None


def _judged(content: Any) -> Judged | None:
    if content is None:
        return None
    return Judged(**{**content, "problems": tuple(content["problems"])})
