"""With which configuration a node starts: its file, a remote one, or the last good one."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgekernel.core.errors import ConfigError
from edgekernel.hal.disk import Disk
from edgekernel.node.config_record import Kept, Record, RecordFile, digest_of
from edgekernel.node.difference import plain
from edgekernel.node.document import parse_document
from edgekernel.node.layers import layered
from edgekernel.node.plan import Plan, make_plan, plan_document
from edgekernel.node.secrets import with_secrets

SIMULATED = "sim"
"""The folder in the data folder for what a simulated run keeps."""

REMOTE_MQTT = ("keepalive", "history", "outbox", "home_assistant")
"""What of `[mqtt]` may be changed from afar. All else says to whom the node speaks, as whom, and
whom it trusts: whoever could change that from afar could have its password sent to himself."""

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
    environ: Mapping[str, str] | None = None
    """What may say something in the place of the file."""


def choose(
    path: Path,
    disk: Disk | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    simulated: bool = False,
) -> Start:
    """Return what a node starts with.

    That is the node file. If a remote configuration was applied since the file was written, it is
    that one. If the file has mistakes, or was rolled back and not been changed since, it is the
    last good configuration. What `environ` says comes in the place of each of them. Raises
    ConfigError with every mistake if there is none of that either. A `simulated` node has a record
    of its own, and leaves that of the real one alone.
    """
    found = _choose(path, disk, environ, SIMULATED if simulated else "")
    return replace(found, environ=environ)


def _choose(path: Path, disk: Disk | None, environ: Mapping[str, str] | None, inside: str) -> Start:
    digest = _digest(path)
    try:
        plan = make_plan(path, environ)
    except ConfigError as error:
        return _fall_back(path, digest, error.problems, disk, environ, inside)
    if plan.data is None:
        return Start(plan, digest=digest, own=plan)
    file = RecordFile(plan.data / inside, disk)
    record = file.read()
    bad, good = record.bad_file, record.good
    if bad is not None and bad.digest == digest and good is not None:
        why = f"{path.name}: was rolled back {bad.at}: {'; '.join(bad.problems)}; change it"
        start = Start(plan, "last good", good.version, digest, (why,), record, file, plan)
        return _use(start, good, path, environ)
    if good is not None and good.source == "remote" and record.file == digest:
        return _remote(Start(plan, "file", "", digest, (), record, file, plan), good, path)
    return Start(plan, "file", "", digest, (), record, file, plan)


def plans_of_the_end(
    path: Path,
    disk: Disk | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    simulated: bool = False,
) -> list[Plan]:
    """Return with what a node may have run that has ended: what it would start with first.

    Then the node file, the last good configuration, and what was on trial: a file may have been
    changed and not applied. Raises ConfigError as `choose` does.
    """
    start = choose(path, disk, environ, simulated=simulated)
    found = [start.plan] if start.own is None else [start.plan, start.own]
    good, trial = start.record.good, start.record.trial
    for document in (None if good is None else good.document, trial):
        if document is not None:
            with suppress(ConfigError):  # what cannot be used any more
                found.append(read_document(path, document, start.own, environ))
    return found


def data_folder(path: Path, environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the data folder of a node whose file is damaged: as the environment says, as far as
    the file can be read, or that of the service. None if nothing says one."""
    known = os.environ if environ is None else environ
    if named := known.get("EDGEKERNEL_NODE_DATA", ""):
        return path.parent / named
    told = known.get("STATE_DIRECTORY", "").partition(":")[0]
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


def read_document(
    path: Path,
    raw: Mapping[str, Any],
    own: Plan | None,
    environ: Mapping[str, str] | None = None,
) -> Plan:
    """Return the plan of a document, its secrets filled in from the plan of the node file.

    Raises ConfigError with every mistake.
    """
    content = dict(raw) if own is None else with_secrets(raw, plain(own.document))
    layers = layered(content, environ)
    return plan_document(parse_document(dict(layers.document), path.name), path)


def with_own(document: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document from afar with what it leaves out, or may not say, as a node has it."""
    made = dict(document)
    made["node"] = {**own["node"], **made.get("node", {})}
    if (link := own.get("mqtt")) is not None:
        kept = {key: each for key, each in link.items() if key not in REMOTE_MQTT}
        made["mqtt"] = {**kept, **made["mqtt"]} if "mqtt" in made else link
    return made


def _remote(start: Start, good: Kept, path: Path) -> Start:
    """Return the remote configuration, its link as the node file says now."""
    assert start.own is not None
    own = plain(start.own.document)
    theirs = dict(good.document)
    link = theirs.get("mqtt", {})
    theirs["mqtt"] = {key: each for key, each in link.items() if key in REMOTE_MQTT}
    if "mqtt" not in own:
        del theirs["mqtt"]
    theirs["node"] = {**theirs["node"], "name": own["node"]["name"]}
    try:
        plan = read_document(path, with_own(theirs, own), start.own)
    except ConfigError as error:  # such as a driver that has been removed
        head = f"the remote configuration {good.version} cannot be used any more"
        return replace(start, problems=tuple(f"{head}: {each}" for each in error.problems))
    return replace(start, plan=plan, source="remote", version=good.version)


def _fall_back(
    path: Path,
    digest: str,
    problems: tuple[str, ...],
    disk: Disk | None,
    environ: Mapping[str, str] | None,
    inside: str,
) -> Start:
    folder = data_folder(path, environ)
    if folder is None:
        raise ConfigError(*problems)
    file = RecordFile(folder / inside, disk)
    record = file.read()
    if record.good is None:
        raise ConfigError(*problems)
    plan = _read_good(record.good, problems, path, None, environ)
    version = record.good.version
    return Start(plan, "last good", version, digest, problems, record, file)


def _use(start: Start, good: Kept, path: Path, environ: Mapping[str, str] | None) -> Start:
    """Return the last good configuration in the place of a file that is right in itself."""
    return replace(start, plan=_read_good(good, start.problems, path, start.own, environ))


def _read_good(
    good: Kept,
    problems: tuple[str, ...],
    path: Path,
    own: Plan | None,
    environ: Mapping[str, str] | None,
) -> Plan:
    try:
        return read_document(path, good.document, own, environ)
    except ConfigError as error:
        head = "and the last good configuration"
        raise ConfigError(*problems, *(f"{head}: {each}" for each in error.problems)) from None


def _digest(path: Path) -> str:
    try:
        return digest_of(path.read_bytes())
    except OSError:
        return ""
