"""The power goes while the node writes: nothing that it has answered for is lost."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekernel.journal import SegmentSource
from edgekernel.journal.records import CommandRecord, OpaqueRecord
from edgekernel.mqtt import Fleet
from edgekernel.mqtt.fleet import NoAnswerError
from images.test.crash_points import partition
from images.test.ledger import SAFE
from images.test.machine import GUEST_BROKER, Machine, is_online, until
from tests.brokers import Mosquitto, Watcher, watching

CUTS = 6
WAITING = 8
"""Events that are in the outbox alone when the power goes."""
DATA = 4
"""The number of the data partition."""
NODE = f"""
[node]
name = "cut"
board = "raspberrypi/4b"
app = "ledger"
data = "/data/edgekernel/state"

[journal]
folder = "/data/edgekernel/state/journal"
commit = "1s"

[mqtt]
host = "{GUEST_BROKER}"
"""


@dataclass
class Kept:
    """What was answered for, and so must still be there."""

    rows: list[int] = field(default_factory=list)
    """In the database."""
    recorded: list[int] = field(default_factory=list)
    """Rows whose commands the journal has committed."""
    messages: dict[str, int] = field(default_factory=dict)
    """By start of the agent, up to which message they are in the outbox or with the broker."""
    boot: str = ""
    """The start of the agent that runs."""
    _before: tuple[int, int] = 0, 0
    """How many rows there were, and how many of them were recorded, when it started."""
    _heard: list[tuple[int, int]] = field(default_factory=list)

    def begin(self, boot: str) -> None:
        """Begin with another start of the agent: what was not committed before may be lost."""
        self.boot, self._heard = boot, []
        self._before = len(self.rows), len(self.recorded)

    def hear(self, safe: Mapping[str, Any]) -> None:
        """Take what the node says is safe by now.

        A commit of the journal that has begun may be without the latest rows; the next one has
        them.
        """
        commits = safe["commits"]
        self.messages[self.boot] = safe["committed"]
        rows, recorded = self._before
        done = max([rows, *(count for at, count in self._heard if at + 2 <= commits)])
        self.recorded = self.recorded[:recorded] + self.rows[rows:done]
        self._heard.append((commits, len(self.rows)))


def test_power_cuts(machine: Machine, fleet: Fleet, broker: Mosquitto) -> None:
    """Whenever the power goes, the node comes back with its configuration and every row that it
    has acknowledged, and knows that it was the power. Journal and outbox are whole, too, and have
    all that they have committed: what the broker has missed comes."""
    chance = random.Random(6)
    machine.put("node.toml", NODE)
    machine.put("ledger.py", Path(__file__).with_name("ledger.py").read_text())
    machine.allow_shell()
    kept = Kept()
    with watching(broker.port, "edge/cut/event/#") as watcher:
        for cut in range(CUTS + 1):
            machine.start()
            kept.begin(started(machine, fleet, kept.boot))
            assert fleet.info("cut").restart_cause == ("power-loss" if cut else "first")
            found = fleet.call("cut", "ledger.look", timeout_s=60)
            assert found["check"] == "ok"
            lost = set(kept.rows) - set(found["rows"])
            assert not lost, f"cut {cut}: {len(lost)} of {len(kept.rows)} rows are lost"
            arrived(machine, watcher, kept)
            print(f"\ncut {cut}: {len(kept.rows)} rows acknowledged, {len(found['rows'])} there")
            if cut < CUTS:
                away = cut % 2 == 1
                write(machine, fleet, kept, 1000 * cut, chance.uniform(2.5, 7.5), cut=not away)
                if away:
                    wait_without_broker(machine, broker, kept)
                waiting = read_back(machine, kept)
                assert waiting >= (WAITING if away else 0)


def started(machine: Machine, fleet: Fleet, before: str) -> str:
    """Wait for another start of the agent than the one before; return its id."""
    until(lambda: is_online(fleet, "cut") and fleet.info("cut").boot != before, machine)
    return fleet.info("cut").boot


def write(
    machine: Machine, fleet: Fleet, kept: Kept, first: int, for_s: float, *, cut: bool
) -> None:
    """Write rows for a while, at the end of which the power goes if it is to be `cut`."""
    end = time.monotonic() + for_s + (60 if cut else 0)
    timer = threading.Timer(for_s, machine.cut_power)
    if cut:
        timer.start()
    count = 0
    try:
        while time.monotonic() < end:
            kept.rows.append(fleet.call("cut", "ledger.add", {"row": first + count}, check=False))
            count += 1
            if count % 3 == 0:
                kept.hear(fleet.call("cut", "ledger.safe", check=False))
    except NoAnswerError:
        assert cut, machine.said()[-4000:]
    else:
        assert not cut, "the power was not cut"
    finally:
        if cut:
            timer.join()
    assert count, "nothing was written before the power went"


def wait_without_broker(machine: Machine, broker: Mosquitto, kept: Kept) -> None:
    """Let the broker be away until events are in the outbox alone, then let the power go."""

    def safe() -> dict[str, Any]:
        return dict(json.loads(machine.shell(f"cat {SAFE}")))

    broker.kill()
    before = safe()["committed"]
    until(lambda: safe()["committed"] > before + 2 * WAITING, machine, 300)
    kept.hear(safe())
    machine.cut_power()
    broker.start()


def arrived(machine: Machine, watcher: Watcher, kept: Kept) -> None:
    """Fail if something does not come that an outbox has committed."""

    def missing() -> set[str]:
        came = {each.document["id"] for each in list(watcher.received)}
        return {
            f"{boot}-{number}"
            for boot, last in kept.messages.items()
            for number in range(1, last + 1)
        } - came

    with suppress(AssertionError):
        until(lambda: not missing(), machine, 120)
    lost = missing()
    assert not lost, f"the outbox has lost {sorted(lost)}"


def read_back(machine: Machine, kept: Kept) -> int:
    """Read on the card what the node has kept, before it starts again; fail if something of it is
    not whole, or not there. Return how many messages wait in the outbox."""
    begin, size = partition(machine.card, DATA)
    machine.in_tools(
        "rm -rf kept\nmkdir kept\n"
        f"dd if=card.img of=kept/data bs=1M iflag=skip_bytes,count_bytes skip={begin} "
        f"count={size} conv=sparse status=none\n"
        "e2fsck -fp kept/data >kept/fsck.log || test $? = 1\n"
        "debugfs -R 'rdump /edgekernel/state kept' kept/data"
    )
    state = machine.folder / "kept" / "state"
    with closing(sqlite3.connect(state / "outbox.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        (waiting,) = database.execute("SELECT count(*) FROM messages").fetchone()
    journal = SegmentSource(state / "journal")
    records = [entry.record for entry in journal.entries()]
    damage = [each.reason for each in records if isinstance(each, OpaqueRecord)]
    assert [each for each in damage if not each.startswith("torn end")] == []
    assert journal.unreadable.records == 0
    rows = {each.args.get("row") for each in records if isinstance(each, CommandRecord)}
    lost = set(kept.recorded) - rows
    assert not lost, f"the journal has lost {len(lost)} of {len(kept.recorded)} commands"
    print(
        f"\n{len(records)} records in the journal, with {len(kept.recorded)} commands that were "
        f"committed, {len(damage)} torn ends; {waiting} messages wait, "
        f"{sum(kept.messages.values())} were committed"
    )
    return int(waiting)
