"""Acts: what of a journal is compared, and what is left out."""

from __future__ import annotations

import pytest

from edgekernel.journal.records import (
    BusRecord,
    CommandRecord,
    EventRecord,
    OutcomeRecord,
    OutputRecord,
    Record,
)
from edgekernel.journal.replay.acts import acts_of, from_outside
from tests.journal.replay.recorded import at

USERS = {"GPIO17": "fan", "i2c1 0x76": "room", "uart0": "position"}


def bus(kind: str, name: str, op: str, *args: object, error: str | None = None) -> BusRecord:
    """Return a call."""
    return BusRecord(*at(1), kind, name, op, list(args), None, error, "", 0)


def output(setpoint: object, readback: object) -> OutputRecord:
    """Return an output."""
    return OutputRecord(*at(1), "fan.power", setpoint, readback, "good", "")  # type: ignore[arg-type]


def event(name: str, source: str = "airing", **payload: object) -> EventRecord:
    """Return an event."""
    return EventRecord(*at(1), 1, source, None, None, name, 20, payload)


def command(principal: str, name: str = "airing.air", cause: int | None = None) -> CommandRecord:
    """Return a request."""
    return CommandRecord(*at(1), 7, cause, principal, name, "", "", {}, True)


def said(*records: Record) -> list[tuple[str, str]]:
    """Return the acts of records in words."""
    return [(act.stream, act.words) for act in acts_of(records, USERS)]


def test_outputs() -> None:
    """An output counts when its setpoint changes, not when its readback does."""
    assert said(output(True, None), output(True, True), output(False, True)) == [
        ("fan.power", "set to on"),
        ("fan.power", "set to off"),
    ]


def test_boundaries() -> None:
    """What is written counts, with who has written; a level only when it changes. What is read,
    opened, or has failed does not."""
    assert said(
        bus("output", "GPIO17", "open", False),
        bus("output", "GPIO17", "write", False),
        bus("output", "GPIO17", "write", True),
        bus("output", "GPIO17", "read"),
        bus("pwm", "GPIO18", "open", 50.0, 0.0),
        bus("pwm", "GPIO18", "write", 0.25),
        bus("i2c", "i2c1", "open"),
        bus("i2c", "i2c1", "write", 0x76, b"\x01\x02"),
        bus("i2c", "i2c1", "write", 0x76, b"\x01\x02", error="NackError"),
        bus("i2c", "i2c1", "write_read", 0x76, b"\x01", 2),
        bus("i2c", "i2c1", "write_block", 0x20, 1, b"\x02"),
        bus("serial", "uart0", "write", b"hi"),
    ) == [
        ("fan (GPIO17)", "line low"),
        ("fan (GPIO17)", "line high"),
        ("GPIO18", "line 0 high"),
        ("GPIO18", "line 0.25 high"),
        ("room (i2c1 0x76)", "write(118, [01 02])"),
        ("i2c1 0x20", "write_block(32, 1, [02])"),
        ("position (uart0)", "write([68 69])"),
    ]


def test_messages() -> None:
    """Messages count, but for those of and about the surroundings, and of a busy computer."""
    assert said(
        event("aired", share=0.5),
        event("fault.began", "faults", fault="0"),  # as journals had it that counted from 0
        event("fault.began", "faults", fault="1"),
        event("interface.started", "shed-1", interface="mqtt"),
        event("command.done", "shed-1", command="sim.press", principal="x"),
        event("command.refused", "shed-1", principal="mqtt:anonymous"),
        event("slow.turn", "shed-1", seconds=2),
        event("command.refused", "shed-1", principal="component:airing"),
    ) == [
        ("message of airing", "aired share=0.5"),
        ("message of shed-1", "command.refused principal=component:airing"),
    ]


def test_what_makes_messages_the_same() -> None:
    """Neither the traceback nor times do; every other field does, and nan is nan."""
    nan = float("nan")
    first, second = acts_of(
        [
            event("x", traceback="a", uptime_s=1, took_ms=500, celsius=nan, list=[nan]),
            event("x", traceback="b", uptime_s=2, took_ms=700, celsius=nan, list=[nan]),
        ],
        {},
    )
    assert first.what == second.what
    assert (first.times, second.times) == ((1, 0.5), (2, 0.7))
    (other,) = acts_of([event("x", celsius=1.0)], {})
    assert other.what != first.what


@pytest.mark.parametrize(
    ("record", "outside"),
    [
        (command(""), True),
        (command("mqtt:anonymous"), True),
        (command("component:mqtt"), True),
        (command("component:airing"), False),
        (command("mqtt:anonymous", cause=3), False),
        (command("mqtt:anonymous", "sim.press"), False),
    ],
)
def test_from_outside(record: CommandRecord, outside: bool) -> None:
    """A request comes from outside unless a part of the application has asked."""
    assert from_outside(record) is outside


def test_results() -> None:
    """What came of a request from outside counts, if it was carried out."""
    done = OutcomeRecord(*at(2), 7, "airing.air", "ok", "", 0.1)
    refused = OutcomeRecord(*at(2), 7, "airing.air", "forbidden", "", 0.1)
    assert said(command("cli"), done) == [("command airing.air", "ended: ok")]
    assert said(command("cli"), refused) == []
    assert said(command("component:airing"), done) == []
    assert said(done) == []
