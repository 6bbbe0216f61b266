"""Feed: what came from outside comes again, each at its time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgekernel import Device, Event, Message, Process, Runtime, on, output
from edgekernel.backends.replay import ReplayBackend, Tape
from edgekernel.journal.records import (
    BootRecord,
    ClockRecord,
    CommandRecord,
    EventRecord,
    OutcomeRecord,
    Record,
)
from edgekernel.journal.replay import recordings
from edgekernel.journal.replay.feed import Feed, inputs
from edgekernel.sim import SimClock
from tests.journal.replay.recorded import at


class LinkLost(Message):
    """A bridge has no connection; made for these tests."""

    name = "feed.link_lost"
    hosts: tuple[str, ...]


class Oven(Device):
    """A device without a boundary."""

    power = output(bool, safe=False)

    @power.drive
    def drive(self, on: bool) -> bool:
        """Report what was asked for."""
        return on


class Watcher(Process):
    """Keeps what its bridge has said."""

    name = "watcher"

    def __init__(self) -> None:
        self.heard: list[tuple[float, str, Message]] = []

    @on(LinkLost)
    def hear(self, event: Event) -> None:
        """Keep it."""
        self.heard.append((self.ctx.clock.monotonic(), event.source, event.payload))


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock."""
    with SimClock() as clock:
        yield clock


def fed(clock: SimClock, *records: Record) -> tuple[bool, Watcher, Feed]:
    """Let ten seconds pass in a runtime that is given records; say whether the oven is on then."""
    (run,) = recordings([BootRecord(*at(0), "id", "node", {}, "", "system", None), *records])
    backend = ReplayBackend(Tape((), clock, window_ns=0, booted_ns=0))
    runtime, watcher = Runtime(clock=clock), Watcher()
    runtime.register(watcher)
    runtime.attach_device(Oven("oven"))
    feed = Feed(run, clock, backend)
    feed.start(runtime)
    with runtime:
        clock.advance(10)
        is_on = runtime.devices["oven"].outputs["power"].setpoint is True
    return is_on, watcher, feed


def lost(**payload: object) -> EventRecord:
    """Return a message of the bridge."""
    return EventRecord(*at(3), 1, "mqtt", None, None, "feed.link_lost", 20, payload)


def test_a_message_of_a_bridge(clock: SimClock) -> None:
    """A message of a bridge comes again, from it, at its time."""
    _, watcher, feed = fed(clock, lost(hosts=["a", "b"]))
    assert watcher.heard == [(3, "mqtt", LinkLost(("a", "b")))]
    assert feed.unfed == []


def test_a_message_that_is_another_one(clock: SimClock) -> None:
    """One that does not fit its class any more is told; one of no class is nobody's."""
    unknown = EventRecord(*at(4), 1, "mqtt", None, None, "feed.no_class", 20, {})
    _, watcher, feed = fed(clock, lost(gone=1), unknown)
    (told,) = feed.unfed
    assert told.what.startswith("the message feed.link_lost of mqtt was not given again: ")
    assert watcher.heard == []


def test_an_output_that_is_set(clock: SimClock) -> None:
    """An output that was set from outside is set again; one that is not there is told."""
    on = CommandRecord(*at(2), 0, None, "mqtt:x", "set", "oven.power", "", {"value": True}, True)
    gone = CommandRecord(*at(3), 0, None, "mqtt:x", "set", "gone.power", "", {"value": 1}, True)
    is_on, _, feed = fed(clock, on, gone)
    assert is_on
    (told,) = feed.unfed
    assert told.what.startswith("the request #0 set of mqtt:x was not given again: ")


def test_a_step(clock: SimClock) -> None:
    """The wall time is set as it was."""
    before = clock.time_ns()
    fed(clock, ClockRecord(*at(2), "stepped", 5 * 10**9))
    assert clock.time_ns() - before >= 15 * 10**9


def test_what_is_no_input() -> None:
    """What was refused, came from within, or only tells of the clock's quality is none."""
    refused = CommandRecord(*at(1), 1, None, "cli", "a.b", "", "", {}, True)
    inside = CommandRecord(*at(1), 2, None, "component:a", "a.b", "", "", {}, True)
    asked = CommandRecord(*at(1), 3, None, "cli", "a.b", "", "", {}, True)
    records = [
        ClockRecord(*at(1), "synchronised", 0),
        refused,
        OutcomeRecord(*at(1), 1, "a.b", "invalid", "no", 0.0),
        inside,
        asked,
        OutcomeRecord(*at(1), 3, "a.b", "failed", "oh", 0.0),
        EventRecord(*at(1), 1, "a", None, None, "x", 20, {}),
        EventRecord(*at(1), 1, "node", None, None, "system.reload", 20, {}),
    ]
    assert list(inputs(records)) == [asked, records[-1]]


def test_what_the_computer_did() -> None:
    """A warning of the computer below the node is given again: a replay runs on another one."""
    warning = {"problem": "under-voltage", "text": "weak", "fix": "another"}
    record = EventRecord(*at(1), 1, "computer", None, None, "system.warning", 30, warning)
    assert list(inputs([record])) == [record]
