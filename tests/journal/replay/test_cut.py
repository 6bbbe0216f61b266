"""Cuts: a part of a run that can be played by itself."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from edgekernel import Runtime
from edgekernel.core.clock import Clock
from edgekernel.journal.records import (
    CommandRecord,
    EdgeRecord,
    EventRecord,
    LostRecord,
    Record,
)
from edgekernel.journal.repetition import Repetition
from edgekernel.journal.replay import plan_recorded, recordings, replay
from edgekernel.journal.replay.cut import begun_anew, cut, masked
from edgekernel.sim import Bench
from tests.journal.replay.recorded import SECOND, at, record, recorded
from tests.journal.replay.test_player import GREENHOUSE, said


@pytest.fixture
def journal(folder: Path) -> Path:
    """Two hours of the greenhouse with a target set and the door button pressed in the first."""

    def ask(runtime: Runtime, bench: Bench, clock: Clock) -> None:
        clock.sleep(600)
        runtime.invoke("climate.set_target", {"celsius": 24}, "tester")
        bench.press("airing")
        clock.sleep(6600)

    record(GREENHOUSE, folder, ask)
    return folder


def of(kind: type[Record], records: list[Record]) -> Iterator[Record]:
    """Return the records of a type."""
    return (each for each in records if isinstance(each, kind))


def test_up_to_a_time(journal: Path) -> None:
    """Without a begin it is the run from its boot on, up to a time."""
    run = recorded(journal)
    records = cut(run, None, 700 * SECOND)
    assert records[:2] == [run.boot, run.records[0]]
    assert 695 * SECOND < records[-1].monotonic_ns <= 700 * SECOND


def test_from_a_time(journal: Path) -> None:
    """From a time on there is the boot, minutes before it, then what was asked and the levels,
    then the rest, all in the order of time."""
    run = recorded(journal)
    from_ns = 3610 * SECOND
    records = cut(run, from_ns, run.end_ns)
    assert all(a.monotonic_ns <= b.monotonic_ns for a, b in pairwise(records))
    assert records[0].monotonic_ns == 3600 * SECOND
    assert records[0].time_ns == run.boot.time_ns + 3600 * SECOND
    (lost,) = of(LostRecord, records)
    assert lost.monotonic_ns == from_ns
    after = records[records.index(lost) + 1 :]
    (edge,) = of(EdgeRecord, after)
    assert (edge.monotonic_ns, getattr(edge, "level", None)) == (from_ns, True)
    (asked,) = of(CommandRecord, after)
    assert (asked.monotonic_ns, getattr(asked, "args", None)) == (from_ns, {"celsius": 24})


def test_a_cut_agrees(journal: Path) -> None:
    """An application that forgets nothing of weight does in a cut what it did in the whole."""
    run = recorded(journal)
    (part,) = recordings(cut(run, 3600 * SECOND, run.end_ns))
    result = replay(part, plan_recorded(run, GREENHOUSE))
    late = [d for d in result.differences if d.monotonic_ns > 4200 * SECOND]
    assert said(late) == []
    assert result.agree > 400


def test_begun_anew(journal: Path) -> None:
    """A run without its beginning boots at its oldest record, one that has it is left as it is."""
    run = recorded(journal)
    assert begun_anew(run) is run
    repetition = Repetition()
    for each in (run.boot, *run.records):
        repetition.see(each)
    late = [r for r in run.records if r.monotonic_ns > 5000 * SECOND]
    (pruned,) = recordings([*repetition.records, *late])
    assert not pruned.whole
    anew = begun_anew(pruned)
    assert anew.boot.monotonic_ns == 4980 * SECOND
    assert anew.boot.versions["uptime_s"] == 4980
    assert anew.end_ns == run.end_ns
    assert not anew.whole


def test_masked() -> None:
    """What sounds secret is hidden, whoever has written the journal; a request that had it cannot
    be made again; tracebacks go."""
    payload = {"token": "abc", "inner": {"password": "def"}, "traceback": "x", "text": "kept"}
    event = masked(EventRecord(*at(1), 1, "a", None, None, "x", 40, payload))
    assert getattr(event, "payload", None) == {
        "token": "***",
        "inner": {"password": "***"},
        "text": "kept",
    }
    asked = masked(CommandRecord(*at(1), 1, None, "", "a.b", "", "", {"api_key": "ghi"}, True))
    assert (getattr(asked, "args", None), getattr(asked, "whole", None)) == (
        {"api_key": "***"},
        False,
    )
