"""An incident as a test: what went wrong in the field, written as a file for pytest."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.messages import Severity
from edgekernel.core.version import VERSION
from edgekernel.journal.describing import words_of
from edgekernel.journal.plain import arguments
from edgekernel.journal.records import EventRecord
from edgekernel.journal.replay.acts import SURROUNDINGS
from edgekernel.journal.replay.cut import cut, masked, masked_event
from edgekernel.journal.replay.embed import embed
from edgekernel.journal.replay.expect import Expectation
from edgekernel.journal.replay.opening import bare
from edgekernel.journal.replay.recording import Recording
from edgekernel.journal.replay.toml import as_toml
from edgekernel.journal.text import iso
from edgekernel.node.plan import Plan

LARGEST = 4_000_000
"""Letters that a test may have; more is no file that people open."""

_CODE = frozenset(
    (
        "background.error",
        "component.failed",
        "device.failed",
        "effect.error",
        "event.subscriber_error",
        "feedback.loop",
        "interface.error",
        "process.error",
        "service.error",
        "service.failure",
        "supervisor.escalated",
    )
)
"""Messages of the runtime that tell of a failure of code: what the application can mend."""
_OF_THE_WORLD = ("BoundaryError", "BrokenError", "BusyError", "NackError", "OSError", "StuckError")
_NO_IDENTITY = frozenset(("after", "error", "name", "traceback", "within"))
_AFTER_S = 1.0
"""How much is kept after what went wrong."""


@dataclass(frozen=True, slots=True)
class Incident:
    """What a test is made of."""

    recording: Recording
    plan: Plan
    expectations: Sequence[Expectation]
    title: str
    strict: bool = False
    from_ns: int | None = None
    to_ns: int | None = None


def errors(recording: Recording, from_ns: int, to_ns: int) -> list[EventRecord]:
    """Return the messages of severity ERROR and above, and of commands that have failed, between
    two monotonic times, in order."""
    return [
        masked_event(each)
        for each in recording.events()
        if (each.severity >= Severity.ERROR or _is_failed_command(each))
        and each.source not in SURROUNDINGS
        and from_ns <= each.monotonic_ns <= to_ns
    ]


def is_of_code(event: EventRecord) -> bool:
    """Say whether an error is a failure of code, and not of what the code stands in."""
    kind = str(event.payload.get("error", "")).partition(":")[0]
    if event.name == "device.failed" and kind in _OF_THE_WORLD:
        return False
    return event.name in _CODE or _is_failed_command(event)


def _is_failed_command(event: EventRecord) -> bool:
    owner = str(event.payload.get("command", "")).partition(".")[0]
    done = event.name == "command.done" and owner not in SURROUNDINGS
    return done and event.payload.get("ok") is False


def expect_none_of(events: Iterable[EventRecord]) -> list[Expectation]:
    """Return that none of these errors comes, each kind of them once."""
    made: dict[str, Expectation] = {}
    for event in events:
        identity = {
            name: value
            for name, value in event.payload.items()
            if isinstance(value, str | bool) and name.isidentifier() and name not in _NO_IDENTITY
        }
        expectation = Expectation(event.name, never=True, fields=identity)
        made.setdefault(expectation.code(), expectation)
    return list(made.values())


def decided_ns(recording: Recording, events: Sequence[EventRecord], ends_ns: Iterable[int]) -> int:
    """Return the monotonic time at which everything has happened that a test is about."""
    last = [each.monotonic_ns for each in events]
    last += [recording.monotonic_at(end_ns) for end_ns in ends_ns]
    after_ns = max(last, default=recording.end_ns) + round(_AFTER_S * NANOSECONDS)
    return min(after_ns, recording.end_ns)


def as_test(incident: Incident, file: Path) -> str:
    """Return the text of a test that is to stand in `file`."""
    recording, plan = incident.recording, incident.plan
    to_ns = recording.end_ns if incident.to_ns is None else incident.to_ns
    records = map(masked, cut(recording, incident.from_ns, to_ns))
    raw = plan.document.model_dump(mode="json", exclude_unset=True)
    node = as_toml(arguments(bare(raw))[0])
    folder = os.path.relpath(plan.folder.resolve(), file.parent.resolve())
    where = "" if folder == "." else f' / "{folder}"'
    return _TEMPLATE.format(
        title=_quoted(incident.title),
        story="\n".join(_story(incident, to_ns)),
        app=where,
        node=_quoted(node),
        doc=_quoted(f"What went wrong on {_day(recording, to_ns)} does not."),
        assertions="\n    ".join(_assertions(incident)),
        records=embed(records),
    )


def title_of(recording: Recording, events: Sequence[EventRecord]) -> str:
    """Return the heading of an incident: its first error, or what it is instead."""
    if not events:
        return f"An incident of {recording.boot.node}."
    first = events[0]
    return f"{recording.boot.node}, {_moment(first.time_ns)}: {_short(words_of(first))}"


def _story(incident: Incident, to_ns: int) -> Iterator[str]:
    recording = incident.recording
    begin_ns = recording.boot.monotonic_ns if incident.from_ns is None else incident.from_ns
    span = f"{_moment(recording.wall_ns(begin_ns))} to {_moment(recording.wall_ns(to_ns))}"
    yield f"Made by edgekernel {VERSION} from a journal, with what came to the node from"
    yield f"{span} (UTC)."
    for note in recording.notes():
        yield f"Note: {_quoted(note)}."
    if incident.from_ns is not None and incident.from_ns > recording.booted_ns:
        yield "It begins in the middle of the run: what the application knew by then is not in it."
    if recording.boot.versions.get("app"):
        yield f"The application was {recording.boot.versions['app']}."


def _assertions(incident: Incident) -> Iterator[str]:
    for expectation in incident.expectations:
        yield f"run.{expectation.code()}"
    yield "run.assert_same()" if incident.strict else "print(run)  # what else differs: pytest -rP"


_TEMPLATE = '''"""{title}

{story}
It fails as the field did, and passes when the application in APP is mended.
"""

from pathlib import Path

APP = Path(__file__).parent{app}  # where the application is, if it is not installed

NODE = """
{node}"""


def test_incident(replay):
    """{doc}"""
    run = replay(NODE, RECORDS, app=APP)
    {assertions}


RECORDS = """
{records}"""
'''


def _quoted(text: str) -> str:
    """Return a text as it stands between three double quotes."""
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


def _short(text: str) -> str:
    return text if len(text) <= 160 else f"{text[:157]}..."


def _moment(time_ns: int) -> str:
    return iso(time_ns)[:19].replace("T", " ")


def _day(recording: Recording, to_ns: int) -> str:
    return _moment(recording.wall_ns(to_ns))[:10]
