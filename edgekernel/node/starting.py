"""With which configuration a node starts: its file, a remote one, or the last good one."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekernel.core.errors import ConfigError
from edgekernel.core.masking import sounds_secret
from edgekernel.hal.disk import Disk
from edgekernel.node.config_record import Kept, Record, RecordFile, digest_of
from edgekernel.node.difference import plain
from edgekernel.node.document import parse_document
from edgekernel.node.plan import Plan, make_plan, plan_document

_DATA_LINE = re.compile(r"""^\s*data\s*=\s*["']([^"'\n]+)["']""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Start:
    """The plan that a node starts with, and where it is from.

    `source` is "file", "remote" or "last good"; `problems` say why it is not the node file, and
    `own` is the plan of that, where secrets are.
    """

    plan: Plan
    source: str = "file"
    version: str = ""
    digest: str = ""
    """Of the node file."""
    problems: tuple[str, ...] = ()
    record: Record = field(default_factory=Record)
    file: RecordFile | None = None
    """Where the record is kept; None without a data folder."""
    own: Plan | None = None


def choose(path: Path, disk: Disk | None = None) -> Start:
    """Return what a node starts with.

    That is the node file. If a remote configuration was applied since the file was written, it is
    that one. If the file has mistakes, or was rolled back and not been changed since, it is the
    last good configuration. Raises ConfigError with every mistake if there is none of that either.
    """
    digest = _digest(path)
    try:
        plan = make_plan(path)
    except ConfigError as error:
        return _fall_back(path, digest, error.problems, disk)
    if plan.data is None:
        return Start(plan, digest=digest, own=plan)
    file = RecordFile(plan.data, disk)
    record = file.read()
    bad, good = record.bad_file, record.good
    if bad is not None and bad.digest == digest and good is not None:
        why = f"{path.name}: was rolled back {bad.at}: {'; '.join(bad.problems)}; change it"
        return _use(path, digest, good, (why,), record, file, plan)
    if good is not None and good.source == "remote" and record.file == digest:
        return _remote(path, digest, good, record, file, plan)
    return Start(plan, "file", "", digest, (), record, file, plan)


def read_document(path: Path, raw: Mapping[str, Any], own: Plan | None) -> Plan:
    """Return the plan of a document, its secrets filled in from the plan of the node file.

    Raises ConfigError with every mistake.
    """
    content = dict(raw) if own is None else _with_secrets(raw, plain(own.document))
    return plan_document(parse_document(content, path.name), path)


def _remote(
    path: Path, digest: str, good: Kept, record: Record, file: RecordFile, own: Plan
) -> Start:
    try:
        plan = read_document(path, good.document, own)
    except ConfigError as error:  # such as a driver that has been removed
        head = f"the remote configuration {good.version} cannot be used any more"
        problems = tuple(f"{head}: {each}" for each in error.problems)
        return Start(own, "file", "", digest, problems, record, file, own)
    return Start(plan, "remote", good.version, digest, (), record, file, own)


def _fall_back(path: Path, digest: str, problems: tuple[str, ...], disk: Disk | None) -> Start:
    folder = _data_folder(path)
    file = None if folder is None else RecordFile(folder, disk)
    record = Record() if file is None else file.read()
    if record.good is None:
        raise ConfigError(*problems)
    return _use(path, digest, record.good, problems, record, file, None)


def _use(
    path: Path,
    digest: str,
    good: Kept,
    problems: tuple[str, ...],
    record: Record,
    file: RecordFile | None,
    own: Plan | None,
) -> Start:
    """Return the last good configuration, and why."""
    try:
        plan = read_document(path, good.document, own)
    except ConfigError as error:
        head = "and the last good configuration"
        raise ConfigError(*problems, *(f"{head}: {each}" for each in error.problems)) from None
    return Start(plan, "last good", good.version, digest, problems, record, file, own)


def _with_secrets(document: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with the secrets that another one has at the same places."""
    made = {
        key: _with_secrets(value, own[key])
        if isinstance(value, Mapping) and isinstance(own.get(key), Mapping)
        else value
        for key, value in document.items()
    }
    for key, value in own.items():
        if sounds_secret(key) and isinstance(value, str):
            made.setdefault(key, value)
    return made


def _digest(path: Path) -> str:
    try:
        return digest_of(path.read_bytes())
    except OSError:
        return ""


def _data_folder(path: Path) -> Path | None:
    """Find the data folder of a node whose file is damaged: as systemd says, or as far as the file
    can be read."""
    told = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        text = ""
    try:
        node = tomllib.loads(text).get("node", {})
        found = node.get("data") if isinstance(node, dict) else None
    except tomllib.TOMLDecodeError:
        line = _DATA_LINE.search(text)
        found = None if line is None else line[1]
    if isinstance(found, str) and found:
        return path.parent / found
    return Path(told) if told else None
