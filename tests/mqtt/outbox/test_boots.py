"""Boots and the wall time: null until it is known, then computed for what was before."""

from __future__ import annotations

from pathlib import Path

from edgekernel import Message, SystemClock
from edgekernel.mqtt.outbox.boots import machine_boot
from edgekernel.sim import SimClock
from tests.mqtt.outbox.conftest import Open, number
from tests.mqtt.outbox.links import Broker

QUALITY = ["unsynchronised"]


def quality() -> str:
    """Return what the test says."""
    return QUALITY[0]


def test_back_fill(clock: SimClock, broker: Broker, open_outbox: Open) -> None:
    """What was accepted before the time was known gets it when it is known, from the monotonic time
    of the same start of the computer, also by an agent that was started again meanwhile; not what
    came before the computer was started."""
    QUALITY[0] = "unsynchronised"
    for boot, machine, value in [("a", "yesterday", 1), ("b", "today", 2), ("c", "today", 3)]:
        clock.advance(100)
        outbox = open_outbox(boot=boot, machine=machine, quality=quality)
        outbox.accept("t", number(value))
        if boot != "c":
            assert outbox.close()
    clock.advance(50)
    clock.step_wall(86400)
    QUALITY[0] = "synchronised"
    clock.advance(1.5)
    outbox.accept("t", number(4))
    outbox.up(broker)
    broker.acknowledge_all()
    clock.advance(1)
    times = [(got.fields["value"], got.fields["time"]) for got in broker.got]
    assert [(value, time and time[:19]) for value, time in times] == [
        (1, None),
        (2, "2026-01-02T00:03:20"),
        (3, "2026-01-02T00:05:00"),
        (4, "2026-01-02T00:05:51"),
    ]
    marks = [(got.fields.get("backfilled"), got.fields.get("time_quality")) for got in broker.got]
    assert marks == [(None, "unsynchronised"), (True, None), (True, None), (None, None)]


def test_known_times_outlive_the_computer(
    clock: SimClock, broker: Broker, open_outbox: Open
) -> None:
    """A time that became known before the computer stopped is there after it has started again."""
    QUALITY[0] = "unsynchronised"
    outbox = open_outbox(machine="yesterday", quality=quality)
    outbox.accept("t", number(1))
    clock.advance(10)
    QUALITY[0] = "synchronised"
    clock.advance(10)
    assert outbox.close()
    QUALITY[0] = "unsynchronised"
    outbox = open_outbox(machine="today", quality=quality)
    outbox.up(broker)
    clock.advance(1)
    assert broker.got[0].fields["backfilled"] is True
    assert broker.got[0].fields["time"].startswith("2026-01-01T00:00:00.0")


def test_machine(clock: SimClock) -> None:
    """The computer's start is the kernel's to name; a simulated time has a start of its own."""
    kernel = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert machine_boot(SystemClock(), "agent") == kernel
    assert machine_boot(clock, "agent") == "agent"


def test_this_computers_time(file: Path, told: list[Message]) -> None:
    """On the real clock the kernel is asked, and the threads are real ones."""
    from edgekernel.mqtt.outbox import Outbox

    outbox = Outbox(file, SystemClock(), boot="real", tell=told.append)
    broker = Broker()
    outbox.start()
    outbox.up(broker)
    outbox.accept("t", number(1))
    assert outbox.flush(10)
    assert outbox.close()
    assert told == []
