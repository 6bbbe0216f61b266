"""Expectations: sentences are understood, and judged by what a replay has done."""

from __future__ import annotations

from typing import Any

import pytest

from edgekernel.journal.records import BootRecord, EventRecord, OutputRecord, Record
from edgekernel.journal.replay import Recording, Replayed
from edgekernel.journal.replay.expect import Expectation, parse, problems
from tests.journal.replay.recorded import SECOND, WALL_NS, at


def seconds(text: str) -> int:
    """Read a time of these tests: seconds since 2026 began."""
    return WALL_NS + int(text) * SECOND


def event(at_s: float, name: str, **payload: Any) -> EventRecord:
    """Return an event."""
    return EventRecord(*at(at_s), 1, "airing", None, None, name, 40, payload)


def fan(at_s: float, setpoint: bool) -> OutputRecord:
    """Return a change of the fan."""
    return OutputRecord(*at(at_s), "fan.power", setpoint, setpoint, "good", "")


def problem(sentence: str, *records: Record) -> str:
    """Return what is not as a sentence says, in one line."""
    boot = BootRecord(*at(0), "id", "shed-1", {}, "", "system", None)
    replayed = Replayed(Recording(boot), list(records))
    return " ".join(problems([parse(sentence, seconds)], replayed)).partition("\n")[0]


@pytest.mark.parametrize(
    ("sentence", "meant", "code"),
    [
        (
            "fan.power is on within 30s after 10",
            Expectation("fan.power", True, False, 30.0, WALL_NS + 10 * SECOND),
            'assert_output("fan.power", True, within=30, after="2026-01-01T00:00:10.000")',
        ),
        ("lamp.share is 0.5", Expectation("lamp.share", 0.5), 'assert_output("lamp.share", 0.5)'),
        ("lamp.mode is slow", Expectation("lamp.mode", "slow"),
         'assert_output("lamp.mode", "slow")'),
        ("overheated within 1min", Expectation("overheated", within_s=60.0),
         'assert_emitted("overheated", within=60)'),
        (" no process.error ", Expectation("process.error", never=True),
         'assert_none("process.error")'),
    ],
)  # fmt: skip
def test_sentences(sentence: str, meant: Expectation, code: str) -> None:
    """A sentence is an expectation, and that is a line of Python."""
    assert parse(sentence, seconds) == meant
    assert meant.code() == code


@pytest.mark.parametrize(
    "sentence",
    ["", "the fan is on", "no fan.power is on", "x within", "x within soon", "x after y"],
)
def test_nonsense(sentence: str) -> None:
    """What is no such sentence is refused."""
    with pytest.raises(ValueError, match=r"."):
        parse(sentence, seconds)


def test_fields_in_code() -> None:
    """Fields are arguments, and texts are quoted whatever is in them."""
    expectation = Expectation("x", never=True, fields={"error": 'it\'s "odd"\\', "ok": False})
    assert expectation.code() == r'assert_none("x", error="it\'s \"odd\"\\", ok=False)'.replace(
        r"\'", "'"
    )


def test_none() -> None:
    """A message that is not to come is told with its times and its traceback."""
    assert problem("no process.error", event(1, "aired")) == ""
    assert problem("no process.error", event(1, "process.error")) == "process.error came once:"
    assert problem("no process.error after 5", event(1, "process.error")) == ""
    replayed = Replayed(
        Recording(BootRecord(*at(0), "id", "n", {}, "", "system", None)),
        [event(1, "process.error", error="E: x", traceback="Traceback: where")],
    )
    (text,) = problems([Expectation("process.error", never=True)], replayed)
    assert "2026-01-01 00:00:01.000  airing  process.error error=E: x" in text
    assert text.endswith("\n\nTraceback: where")


def test_emitted() -> None:
    """A message has to come in time, with its fields."""
    assert problem("aired within 2s after 5", event(6, "aired")) == ""
    late = "aired did not come within 2 s after 2026-01-01T00:00:05.000"
    assert problem("aired within 2s after 5", event(8, "aired"), event(4, "aired")) == late
    with_field = Expectation("aired", fields={"share": 0.5})
    replayed = Replayed(
        Recording(BootRecord(*at(0), "id", "n", {}, "", "system", None)),
        [event(1, "aired", share=0.25)],
    )
    assert problems([with_field], replayed) == ["aired share=0.5 did not come"]


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ([fan(12, True)], True),
        ([fan(2, True)], True),  # it is on already
        ([fan(2, True), fan(11, False)], True),  # it was still on
        ([fan(2, True), fan(9, False)], False),
        ([fan(16, True)], False),
        ([fan(2, False)], False),
        ([], False),
    ],
)
def test_output(changes: list[Record], holds: bool) -> None:
    """An output has to have the value at some time of the span."""
    found = problem("fan.power is on within 5s after 10", *changes)
    assert (found == "") is holds
    if not holds:
        assert found.startswith(
            "fan.power was not set to True within 5 s after 2026-01-01T00:00:10"
        )
