"""Recording: the runs of a journal, what each began with, and what is missing of it."""

from __future__ import annotations

import pytest

from edgekernel.hal.gpio import Edge
from edgekernel.journal.records import (
    BootRecord,
    BusRecord,
    ConfigRecord,
    EdgeRecord,
    EventRecord,
    LostRecord,
    OpaqueRecord,
    Record,
)
from edgekernel.journal.replay import RecordingError, choose, recordings
from tests.journal.replay.recorded import SECOND, at

WALL_NS = 1_767_225_600 * SECOND


def boot(at_s: float, id: str = "one") -> BootRecord:
    """Return a boot."""
    return BootRecord(*at(at_s), id, "shed-1", {}, "", "simulated", None)


def event(at_s: float, name: str) -> EventRecord:
    """Return an event."""
    return EventRecord(*at(at_s), 1, "shed-1", None, None, name, 20, {})


def test_runs() -> None:
    """Each boot is a run, whatever its id; what is before any belongs to none."""
    config = ConfigRecord(*at(1), "", {"node": {}})
    records: list[Record] = [
        event(0, "before"), boot(1), config, event(1, "runtime.booting"), event(2, "x"),
        boot(9), event(9, "runtime.booting"), event(10, "runtime.booted"),
    ]  # fmt: skip
    first, second = recordings(records)
    assert (first.boot.boot_id, first.config, len(first.records)) == ("one", config, 2)
    assert (second.boot.boot_id, second.config, second.whole) == ("one", None, True)
    assert (first.booted_ns, second.booted_ns) == (1 * SECOND, 10 * SECOND)
    assert (second.end_ns, second.last_wall_ns) == (10 * SECOND, WALL_NS + 10 * SECOND)
    assert choose([first, second]) is second
    assert choose([first, second], WALL_NS + 5 * SECOND) is first
    assert choose([first, second], WALL_NS) is first
    with pytest.raises(RecordingError, match="no boot"):
        choose(recordings([event(0, "x")]))


def test_what_is_missing() -> None:
    """Holes are spans, what cannot be understood is counted, a lost beginning is known."""
    records = [
        boot(1),
        event(5, "x"),
        LostRecord(*at(8), 12, "damaged or removed"),
        OpaqueRecord(0, 0, "", 0, "torn", b""),
        event(9, "y"),
    ]
    (run,) = recordings(records)
    assert not run.whole
    (hole,) = run.holes
    assert (hole.begin_ns, hole.end_ns, hole.count) == (5 * SECOND, 8 * SECOND, 12)
    beginning, lost, opaque = run.notes()
    assert beginning.startswith("the beginning of this run has gone")
    assert lost == "12 records are missing in 3.000 s before 8.000 s: damaged or removed"
    assert opaque == "1 entries cannot be understood and are passed over"


def test_answers_and_edges() -> None:
    """Calls have their arguments by name apart, and an edge has the time that it bears."""
    call = BusRecord(
        *at(2), "i2c", "i2c1", "transfer", [0x76, b"\x01", {"ten_bit": False}], [], None, "", 7
    )
    edge = EdgeRecord(*at(3), "GPIO17", True, SECOND)
    (run,) = recordings([boot(1), call, edge])
    (made,) = run.transactions()
    assert (made.args, made.options, made.took_ns) == ((0x76, b"\x01"), {"ten_bit": False}, 7)
    (told,) = run.edges()
    assert (told.line, told.edge) == ("GPIO17", Edge(True, 2 * SECOND))
    assert run.has_bus


def test_which_times_lie_in_it() -> None:
    """A time lies in a run from its first record on, by the wall, to its last one."""
    (run,) = recordings([boot(1), event(2, "x"), event(3, "y")])
    times = [None, *(WALL_NS + s * SECOND for s in (0, 2, 4))]
    assert [run.lies_in(each, None) for each in times] == [True, True, True, False]
    assert [run.lies_in(None, each) for each in times] == [True, False, True, True]


def test_times() -> None:
    """Wall times and monotonic times are found by each other, also over a step of the wall time."""
    stepped = EventRecord(9 * SECOND, WALL_NS + 109 * SECOND, 1, "a", None, None, "late", 20, {})
    (run,) = recordings([boot(1), event(5, "x"), stepped])
    assert run.wall_ns(6 * SECOND) == WALL_NS + 6 * SECOND
    assert run.wall_ns(9 * SECOND) == WALL_NS + 109 * SECOND
    assert run.monotonic_at(WALL_NS + 60 * SECOND) == 9 * SECOND
    assert run.monotonic_at(WALL_NS + 999 * SECOND) == 9 * SECOND
    assert not run.has_bus
