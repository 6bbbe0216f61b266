"""A disk that is full or slow: the node tells, goes on, and writes when it can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Message, Runtime, Service
from edgekernel.backends.sim import SimDisk
from edgekernel.journal import EventRecord, LostRecord, SegmentSource, open_journal
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import SimClock
from edgekernel.sim.faults import DiskFull, DiskSlow, Fault
from tests.sim.faults.conftest import Play, Played

NODE = """
[node]
name = "shed"
board = "sim"
data = "/var/lib/edgekernel"

[devices.heater]
driver = "relay"
pin = "GPIO17"

[devices.heater.outputs.power]
initial = "restore"

[devices.room]
driver = "bme280"
bus = "i2c1"
every = "100ms"

[journal]
folder = "unused"
commit = "1s"
"""


class Control(Service):
    """A control loop that switches the heater, and keeps when it did."""

    name = "control"
    interval = 0.5

    def __init__(self) -> None:
        self.at_s: list[float] = []

    def tick(self, ctx: Any) -> None:
        """Switch."""
        self.at_s.append(ctx.clock.monotonic())
        ctx.devices["heater"].power.set(len(self.at_s) % 2 == 0)


class Recorded(Played):
    """A node with a journal."""

    folder: Path
    control: Control

    def events_recorded(self) -> list[str]:
        """Return the names of the events that the journal has now."""
        records = SegmentSource(self.folder)
        return [each.name for each in records if isinstance(each, EventRecord)]


Record = Callable[..., Recorded]


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    """Give a function that starts the node with a plan, a simulated disk and a journal on it."""
    with ExitStack() as stack:

        def record(*faults: Fault, node: str = NODE) -> Recorded:
            path, folder = tmp_path / "node.toml", tmp_path / "journal"
            path.write_text(node)
            plan, clock = make_plan(path), stack.enter_context(SimClock())
            disk = SimDisk(clock)
            stack.callback(disk.close)
            disk.mount(folder)
            journal = open_journal(plan, clock, folder, disk)
            assert journal is not None
            stack.enter_context(journal)
            runtime, bench = assemble_simulated(
                plan, clock, Runtime, around=journal.around, faults=faults, disk=disk
            )
            journal.record(runtime, plan)
            made = Recorded(clock, runtime, bench)
            made.folder, made.control = folder, Control()
            runtime.register(made.control)
            runtime.subscribe(Message, made.events.append)
            stack.enter_context(runtime)
            return made

        yield record


def on_time(control: Control) -> bool:
    """Say whether each tick came exactly when it was due."""
    begun_s = control.at_s[0]
    return control.at_s == [begun_s + n * 0.5 for n in range(len(control.at_s))]


def test_full(record: Record) -> None:
    """The journal tells once, keeps what comes meanwhile, tells when there is space again, and has
    everything then; the control loop goes on in time."""
    node = record(Fault(DiskFull(), at_s=10, for_s=60))
    node.clock.advance(30)
    assert [fields for _, fields in node.told("journal.failed")] == [
        {"error": "No space left on device"}
    ]
    assert not node.runtime.health()["parts"]["journal"]["healthy"]
    assert "fault.began" not in node.events_recorded()
    node.clock.advance(60)
    assert len(node.told("journal.failed")) == 1
    ((recovered_s, _),) = node.told("journal.recovered")
    assert 60 <= recovered_s <= 62
    recorded = node.events_recorded()
    assert recorded.count("fault.began") == recorded.count("fault.ended") == 1
    assert node.runtime.health()["parts"]["journal"]["healthy"]
    assert not any(isinstance(each, LostRecord) for each in SegmentSource(node.folder))
    assert on_time(node.control)
    assert len(node.control.at_s) >= 180


def test_full_for_long(record: Record) -> None:
    """What is more than the journal can keep is dropped, the oldest first, told and counted in its
    place; the count is exact."""
    busy = NODE.replace('"100ms"', '"10ms"')
    node = record(Fault(DiskFull(), at_s=10, for_s=300), node=busy)
    node.clock.advance(330)
    ((_, fields),) = node.told("journal.dropped")
    source = SegmentSource(node.folder)
    (lost,) = (each for each in source if isinstance(each, LostRecord))
    assert fields == {"dropped": lost.count}
    counters = node.runtime.invoke("journal.counters")
    assert counters["dropped"] == lost.count > 1000
    assert source.unreadable.records == 0


def test_full_memory(record: Record) -> None:
    """The memory of the outputs tells once, and again when it could be written."""
    node = record(Fault(DiskFull(), at_s=10, for_s=60))
    node.clock.advance(140)
    ((failed_s, fields),) = node.told("memory.failed")
    assert 0 <= failed_s <= 31
    assert "/var/lib/edgekernel: not written: [Errno 28] No space left" in fields["error"]
    ((recovered_s, _),) = node.told("memory.recovered")
    assert 60 <= recovered_s <= 91


def test_slow(record: Record) -> None:
    """A disk that takes seconds for a commit delays no tick and no poll, and loses nothing."""
    node = record(Fault(DiskSlow(takes=7), at_s=10, for_s=100))
    before = node.runtime.invoke("journal.counters")["commits"]
    node.clock.advance(100)
    during = node.runtime.invoke("journal.counters")["commits"]
    assert 10 <= during - before <= 30  # 10 s at once a second, then one in 8 s
    assert on_time(node.control)
    polls = node.runtime.status()["services"]
    assert max(each.get("lateness_max_s", 0) for each in polls.values()) < 0.01
    assert not node.runtime.invoke("journal.counters")["dropped"]
    node.clock.advance(30)
    recorded = node.events_recorded()
    assert recorded.count("fault.began") == recorded.count("fault.ended") == 1


def test_slow_end(record: Record) -> None:
    """A shutdown does not wait for ever for a disk that takes minutes for a commit."""
    node = record(Fault(DiskSlow(takes=600), at_s=1))
    node.clock.advance(20)
    begun_s = node.clock.monotonic()
    node.runtime.shutdown("test")
    assert node.clock.monotonic() - begun_s < 10


def test_overlap(record: Record) -> None:
    """Of two slow spells the one that began last counts; the sound disk is back after both."""
    node = record(
        Fault(DiskSlow(takes=2), at_s=10, for_s=30), Fault(DiskSlow(takes=5), at_s=20, for_s=10)
    )
    disk = node.bench.disk
    assert disk is not None
    seen = []
    for _ in range(5):
        node.clock.advance(9)
        seen.append(disk.slow_s)
    assert seen == [0, 2, 5, 2, 0]


def test_without_a_disk(play: Play) -> None:
    """Where nothing is written to a simulated disk the fault is refused with the reason."""
    with pytest.raises(ValueError, match="disk_full: not possible in this run: the node writes to"):
        play(Fault(DiskFull(), at_s=1))
