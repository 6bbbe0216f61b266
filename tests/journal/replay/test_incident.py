"""An incident: which errors it is about, what is asserted of them, and how it is written."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from edgekernel.journal.records import BootRecord, EventRecord
from edgekernel.journal.replay import Recording, plan_recorded
from edgekernel.journal.replay.cut import masked_event
from edgekernel.journal.replay.expect import Expectation
from edgekernel.journal.replay.incident import (
    Incident,
    as_test,
    decided_ns,
    errors,
    expect_none_of,
    is_of_code,
    title_of,
)
from tests.journal.replay.recorded import NODE, SECOND, WALL_NS, at, recorded, write_shed


def event(
    at_s: float, name: str, severity: int = 40, source: str = "shed-1", **payload: Any
) -> EventRecord:
    """Return an event."""
    return EventRecord(*at(at_s), 1, source, None, None, name, severity, payload)


def run(*events: EventRecord) -> Recording:
    """Return a run of ten seconds with events."""
    boot = BootRecord(*at(0), "id", "shed-1", {}, "", "system", None)
    return Recording(boot, [*events, event(10, "end", 20)])


FAILED = event(2, "process.error", process="airing", event="x", error="E: a", traceback="t")
DONE = event(3, "command.done", 20, command="a.b", principal="cli", ok=False, error="E: b")


@pytest.mark.parametrize(
    ("record", "of_code"),
    [
        (FAILED, True),
        (DONE, True),
        (event(1, "command.done", 20, command="a.b", ok=True), False),
        (event(1, "command.done", 20, command="sim.press", ok=False), False),
        (event(1, "device.failed", device="room", error="NackError: nobody"), False),
        (event(1, "device.failed", device="room", error="KeyError: 'x'"), True),
        (event(1, "output.mismatch", output="fan.power"), False),
        (event(1, "overheated", celsius=99), False),
    ],
)
def test_what_code_can_mend(record: EventRecord, of_code: bool) -> None:
    """Exceptions of handlers, commands and drivers are of code; a chip that does not answer and an
    alarm of the application are not."""
    assert is_of_code(record) is of_code


def test_errors() -> None:
    """Errors are those of a time, failed commands among them, without those of the surroundings."""
    early, link = event(1, "process.error"), event(2, "mqtt.failed", source="mqtt")
    recording = run(early, link, FAILED, DONE)
    failed = masked_event(FAILED)
    assert errors(recording, 0, 10 * SECOND) == [early, failed, DONE]
    assert errors(recording, 2 * SECOND, 2 * SECOND) == [failed]


def test_errors_without_secrets() -> None:
    """What sounds secret is hidden in them, whoever has recorded it."""
    (found,) = errors(run(event(1, "sign.failed", token="abc")), 0, 10 * SECOND)
    assert found.payload == {"token": "***"}


def test_expectations() -> None:
    """Each kind of error is asserted once, by what identifies it and not by its text."""
    again = event(5, "process.error", process="airing", event="x", error="E: other", traceback="t")
    assert expect_none_of([FAILED, again, DONE]) == [
        Expectation("process.error", never=True, fields={"process": "airing", "event": "x"}),
        Expectation(
            "command.done", never=True, fields={"command": "a.b", "principal": "cli", "ok": False}
        ),
    ]


def test_when_it_is_decided() -> None:
    """A test ends a second after what it is about, and never after the run."""
    recording = run(FAILED)
    assert decided_ns(recording, [FAILED], ()) == 3 * SECOND
    assert decided_ns(recording, (), [WALL_NS + 10 * SECOND]) == 10 * SECOND
    assert decided_ns(recording, (), ()) == 10 * SECOND


def test_title() -> None:
    """The title is the first error, short."""
    assert title_of(run(), [FAILED, DONE]) == (
        "shed-1, 2026-01-01 00:00:02: process.error process=airing event=x error=E: a"
    )
    assert title_of(run(), []) == "An incident of shed-1."
    assert len(title_of(run(), [event(1, "x", text="y" * 50, other="z" * 300)])) < 200


def test_any_text(shed: Path, journal: Path, tmp_path: Path) -> None:
    """Whatever texts an error and a node file have, the test is a program that holds them."""
    odd = 'C:\\n"""quoted""" {brace}'
    lamp = '[devices.lamp]\ndriver = "relay"\npin = "GPIO27"\n'
    write_shed(shed.parent, node=NODE.replace("[sim]", f"{lamp}\n[sim]"))
    recording = recorded(journal)
    plan = plan_recorded(recording, shed)
    expectation = Expectation("x", never=True, fields={"error": odd})
    text = as_test(Incident(recording, plan, [expectation], odd), tmp_path / "test_it.py")
    tree = ast.parse(text)
    assert (ast.get_docstring(tree) or "").startswith(odd)
    values = [each.value for each in ast.walk(tree) if isinstance(each, ast.Constant)]
    assert odd in values
    assert any("[devices.lamp]" in str(value) for value in values)
    assert 'APP = Path(__file__).parent / "shed"' in text
