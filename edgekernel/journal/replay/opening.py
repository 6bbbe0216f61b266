"""From a journal's folder, and perhaps a node file, to what can be replayed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekernel.journal.folder import segment_files
from edgekernel.journal.records import ConfigRecord, OutputRecord
from edgekernel.journal.replay.recording import Recording, RecordingError, recordings
from edgekernel.journal.segment_source import SegmentSource
from edgekernel.node.document import NodeDocument, load_document, parse_document
from edgekernel.node.plan import Plan, plan_document

_WITHOUT = ("journal", "mqtt", "sim")
"""Tables of what is not replayed: the node's own journal, its broker, its worlds."""


def read_journal(folder: Path) -> list[Recording]:
    """Return the runs in a journal's folder. Raises RecordingError if there is none."""
    try:
        if not segment_files(folder):
            raise RecordingError(f"{folder}: no journal: there is no segment (*.ekj) in it")
        return recordings(SegmentSource(folder))
    except OSError as error:
        raise RecordingError(f"{folder}: {error.strerror or error}") from error


def recorded_document(config: ConfigRecord | None) -> dict[str, Any]:
    """Return the node file that a run was made of, without what is not replayed.

    Its secrets are hidden. Raises RecordingError if the journal does not have it.
    """
    if config is None:
        raise RecordingError("the journal does not have the node file; name one: NODE")
    return bare(config.document)


def bare(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a node file without what is not replayed, and without the folder for its data."""
    kept = {name: table for name, table in document.items() if name not in _WITHOUT}
    node = {key: value for key, value in kept.get("node", {}).items() if key != "data"}
    return {**kept, "node": node}


def plan_recorded(recording: Recording, node: Path | None) -> Plan:
    """Return the plan of a node file, or of the one that was recorded.

    The application is found beside the node file; without one in the current folder, or as it is
    installed. Raises ConfigError, RecordingError.
    """
    if node is not None:
        return _planned(load_document(node), node, recording)
    raw = recorded_document(recording.config)
    path = Path.cwd() / "the recorded node file"
    return _planned(parse_document(raw, path.name), path, recording)


def plan_of(raw: dict[str, Any], folder: Path, recording: Recording) -> Plan:
    """Return the plan of a node file's content; the application is found in `folder`."""
    document = parse_document(raw, "the incident's node file")
    return _planned(document, folder / "node.toml", recording)


def _planned(document: NodeDocument, path: Path, recording: Recording) -> Plan:
    """Plan a node file without what is not replayed.

    An output that is restored at the start begins with what it began with then. Raises ConfigError.
    """
    raw = bare(document.model_dump(mode="json", exclude_unset=True))
    for id, device in raw.get("devices", {}).items():
        for name, output in device.get("outputs", {}).items():
            if output.get("initial") == "restore":
                output["initial"] = _first_setpoint(f"{id}.{name}", recording)
    return plan_document(parse_document(raw, path.name), path)


def _first_setpoint(output: str, recording: Recording) -> Any:
    records = (each for each in recording.records if isinstance(each, OutputRecord))
    found = (each.setpoint for each in records if each.output == output)
    return next((value for value in found if value is not None), "safe")
