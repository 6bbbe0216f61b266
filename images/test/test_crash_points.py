"""Hundreds of moments at which the power could have gone, from the log of one run's writes."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from edgekernel.mqtt import Fleet
from images.test.crash_points import Disk, Write, logged, partition, read
from images.test.machine import Machine, is_online, until
from images.test.test_power_cuts import NODE

WRITING_S = 20.0
POINTS = 300
CONTROLS = 40
LOST_FLUSHES = 20
DATA = 4
"""The number of the data partition."""
DATABASE = "/edgekernel/state/ledger.db"


@pytest.fixture(scope="module")
def acknowledged(machine: Machine, fleet: Fleet) -> dict[int, int]:
    """Let a node write for a while, with every write to its card logged; cut its power.

    Gives the rows that were acknowledged, each with the length of the log at that moment.
    """
    machine.put("node.toml", NODE)
    machine.put("ledger.py", Path(__file__).with_name("ledger.py").read_text())
    shutil.copy(machine.card, machine.folder / "before.img")
    machine.start(log_writes=True)
    until(lambda: is_online(fleet, "cut"), machine)
    rows: dict[int, int] = {}
    end = time.monotonic() + WRITING_S
    while time.monotonic() < end:
        row = fleet.call("cut", "ledger.add", {"row": len(rows)}, check=False)
        rows[row] = logged(machine.writes)
    machine.cut_power()
    assert len(rows) > 20
    return rows


def test_every_crash_point(machine: Machine, acknowledged: dict[int, int]) -> None:
    """At every moment the file system is whole or repairs itself, and so is the database, and it
    has every row that was acknowledged by then."""
    replay = Replay(machine, acknowledged)
    chance = random.Random(300)
    bad = [found for found in replay.points(POINTS, chance) if found]
    print(f"\n{POINTS} crash points, {len(replay.writes)} writes: {len(bad)} bad {bad[:3]}")
    assert not bad


def test_a_disk_that_lies(machine: Machine, acknowledged: dict[int, int]) -> None:
    """The test can fail: a disk that forgets what it was told to flush is found out."""
    replay = Replay(machine, acknowledged, forgets=LOST_FLUSHES)
    bad = [found for found in replay.points(CONTROLS, random.Random(40)) if found]
    print(f"\n{CONTROLS} crash points of a disk that lies: {len(bad)} bad, e.g. {bad[:1]}")
    assert len(bad) > CONTROLS * 0.9


class Replay:
    """The run once more, stopped at random moments; optionally on a disk that forgets flushes."""

    def __init__(self, machine: Machine, rows: dict[int, int], forgets: int = 0) -> None:
        self.writes = list(read(machine.writes))
        self._machine = machine
        self._rows = rows
        self._forgets = forgets
        self._folder = machine.folder / f"replay-{forgets}"
        self._folder.mkdir()
        before = machine.folder / "before.img"
        begin, size = partition(before, DATA)
        self._disk = Disk(self._folder / "disk", begin, size)
        copy = ("dd", f"if={before}", f"of={self._disk.file}", "bs=1M", "conv=sparse")
        place = (f"skip={begin // 2**20}", f"count={size // 2**20}")
        subprocess.run([*copy, *place], check=True, capture_output=True)

    def points(self, count: int, chance: random.Random) -> list[str]:
        """Return for each of so many moments what is wrong then, or ""."""
        first, last = min(self._rows.values()), len(self.writes)
        moments = sorted(chance.sample(range(first, last), count))
        flushes = [at for at, write in enumerate(self.writes) if write.flush]
        done = 0
        found: list[str] = []
        for moment in moments:
            durable = self._durable(moment, flushes)
            for write in self.writes[done:durable]:
                self._disk.take(write)
            done = max(done, durable)
            found.append(self._look(moment, chance))
        return found

    def _durable(self, moment: int, flushes: list[int]) -> int:
        """Return how far the disk of this replay has come at a moment."""
        if not self._forgets:
            return moment
        before = [at for at in flushes if at < moment]
        return before[-self._forgets]

    def _look(self, moment: int, chance: random.Random) -> str:
        copy = self._folder / "copy"
        subprocess.run(["cp", "--sparse=always", self._disk.file, copy], check=True)
        if not self._forgets:
            self._disk.crash(copy, chance)
        for name in ("ledger.db", "ledger.db-wal"):
            (self._folder / name).unlink(missing_ok=True)
        inside = self._machine.inside(self._folder)
        script = f"cd {inside}; e2fsck -fp copy >fsck.log || test $? = 1\n" + "\n".join(
            f"debugfs -R 'dump {DATABASE}{each} ledger.db{each}' copy" for each in ("", "-wal")
        )
        try:
            self._machine.in_tools(script)
        except AssertionError as error:
            return f"at {moment}: {error} {(self._folder / 'fsck.log').read_text()}"
        wanted = {row for row, at in self._rows.items() if at <= moment}
        return _trouble(self._folder / "ledger.db", wanted, moment)


def _trouble(file: Path, wanted: set[int], moment: int) -> str:
    try:
        with closing(sqlite3.connect(file)) as database:
            check = database.execute("PRAGMA integrity_check").fetchone()[0]
            there = {row for (row,) in database.execute("SELECT id FROM rows")}
    except sqlite3.Error as error:
        return f"at {moment}: {error}"
    lost = wanted - there
    if check != "ok" or lost:
        return f"at {moment}: {check}, {len(lost)} of {len(wanted)} rows are lost"
    return ""


def test_the_log_is_read(tmp_path: Path) -> None:
    """A log of two writes and a flush is read, and a disk keeps what was flushed."""
    log = tmp_path / "log"
    entries = [(2, 1, 0, b"a" * 512), (3, 1, 0, b"b" * 512), (0, 0, 1, b"")]
    blocks = [(0x6A736677736872).to_bytes(8, "little") + (1).to_bytes(8, "little")]
    blocks[0] += (3).to_bytes(8, "little") + (512).to_bytes(4, "little")
    for sector, length, flags, data in entries:
        blocks += [b"".join(n.to_bytes(8, "little") for n in (sector, length, flags, 0)), data]
    log.write_bytes(b"".join(block.ljust(512, b"\0") if block else b"" for block in blocks))
    writes = list(read(log))
    assert writes[:1] == [Write(1024, b"a" * 512, flush=False, durable=False)]
    assert logged(log) == 3
    file = tmp_path / "disk"
    file.write_bytes(bytes(1024))
    disk = Disk(file, begin=1024, size=512)
    for write in writes[:2]:
        disk.take(write)
    assert file.read_bytes() == bytes(1024)
    disk.take(writes[2])
    assert file.read_bytes() == b"a" * 512 + bytes(512)
