"""The journal of an agent that is killed: what was safe is there, and it goes on."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from edgekernel.journal import SegmentSource
from edgekernel.journal.folder import segment_files
from edgekernel.journal.records import EventRecord

ROOT = Path(__file__).parents[2]
KILLS = 50
ENOUGH = 150


def run_and_kill(folder: Path, seed: int) -> int:
    """Let an agent write, kill it after a random number of commits; return what it said last."""
    command = [sys.executable, "-m", "tests.journal.kill_me", str(folder), str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        count = random.Random(seed).randrange(1, ENOUGH)
        said = [int(process.stdout.readline()) for _ in range(count)]
        process.kill()
        said += [int(line) for line in process.stdout if line.endswith("\n")]
    return said[-1]


def test_killed_again_and_again(folder: Path) -> None:
    """An agent that is killed with SIGKILL at any moment, fifty times in the same journal: every
    record that it has called safe is there and whole, in order, except for those that went by the
    limits; the reader never fails."""
    for seed in range(KILLS):
        safe = run_and_kill(folder, seed)
        source = SegmentSource(folder)
        entries = [(entry.number, entry.record) for entry in source.entries()]
        read = [(n, record) for n, record in entries if isinstance(record, EventRecord)]
        numbers = [number for number, _ in read if number is not None]
        assert numbers[-1] >= safe
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        assert [record.payload["number"] for _, record in read] == numbers
        assert source.unreadable.records == 0
        if segment_files(folder)[0].stem == "00000001":
            assert numbers[0] == 0
