"""A simulated run writes the same journal, byte for byte, in every process (promise P10)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgekernel.journal import SegmentSource
from edgekernel.journal.records import BootRecord, CommandRecord, EventRecord, OpaqueRecord

ROOT = Path(__file__).parents[2]
GREENHOUSE = ROOT / "examples" / "greenhouse" / "node.toml"

CHANCES = """
[[fault]]
device = "room"
kind = "spike"
quantity = "temperature_c"
by = 15
share = 0.05
at = "1min"
for = "30min"

[[fault]]
device = "room"
kind = "noise"
quantity = "humidity_percent"
deviation = 2
at = "10min"

[[fault]]
bus = "i2c1"
kind = "stuck"
every = "7min"
for = "20s"
probability = 0.6

[[fault]]
device = "position"
kind = "garbage"
count = 40
every = "3min"
probability = 0.5

[[fault]]
device = "airing"
kind = "stuck"
level = "low"
every = "11min"
for = "2s"
probability = 0.5

[[fault]]
device = "airing"
kind = "bounce"
takes = "30ms"
at = 0

[[fault]]
kind = "clock_step"
by = "-90s"
every = "20min"
probability = 0.7

[[fault]]
kind = "power_cut"
every = "9min"
for = "40s"
probability = 0.6
clock_set_after = "30s"

[[fault]]
kind = "agent_killed"
every = "13min"
for = "5s"
probability = 0.6

[[fault]]
kind = "disk_slow"
takes = "3s"
at = "5min"
for = "10min"
"""


def recorded(folder: Path, seed: int, hash_seed: str, cwd: Path = ROOT) -> dict[str, bytes]:
    """Record an hour of the greenhouse in a fresh process; return the segments by name."""
    program = Path("tests/journal/run_greenhouse.py")
    path = os.pathsep.join(str(cwd / each) for each in (".", "devices", "boards"))
    subprocess.run(
        [sys.executable, str(cwd / program), str(folder), "3600", str(seed)],
        cwd=folder.parent,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path},
        check=True,
    )
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def test_same_bytes(tmp_path: Path) -> None:
    """An hour of the greenhouse with requests, failures and steps of the wall time is the same in
    fresh processes with other hash seeds, in other folders."""
    runs = [recorded(tmp_path / f"run-{n}", 7, str(n)) for n in range(3)]
    assert runs[0] == runs[1] == runs[2]
    assert sum(map(len, runs[0].values())) > 50_000
    records = list(SegmentSource(tmp_path / "run-0"))
    assert not any(isinstance(record, OpaqueRecord) for record in records)
    assert sum(isinstance(record, CommandRecord) for record in records) == 3
    for content in runs[0].values():
        assert str(ROOT).encode() not in content
        assert str(tmp_path).encode() not in content
        assert b"0x7" not in content


def test_other_seed(tmp_path: Path) -> None:
    """Another seed is another run, which says so, with the same events at their times."""
    boots = []
    for seed in (1, 2):
        recorded(tmp_path / str(seed), seed, "0")
        boots.append(next(iter(SegmentSource(tmp_path / str(seed)))))
    first, second = boots
    assert isinstance(first, BootRecord)
    assert isinstance(second, BootRecord)
    assert (first.seed, second.seed) == (1, 2)
    assert first.boot_id != second.boot_id


def test_other_place(tmp_path: Path) -> None:
    """The same program in another folder of the machine writes the same bytes."""
    tree = tmp_path / "elsewhere" / "tree"
    for name in ("edgekernel", "devices", "boards", "examples"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    (tree / "tests" / "journal").mkdir(parents=True)
    program = "tests/journal/run_greenhouse.py"
    shutil.copy(ROOT / program, tree / program)
    here = recorded(tmp_path / "here", 7, "0")
    there = recorded(tmp_path / "there", 7, "0", tree)
    assert here == there


ZONES = "UTC", "Asia/Kathmandu", "America/St_Johns"


def simulated(folder: Path, plan: Path, seed: int, hash_seed: int) -> dict[str, bytes]:
    """Simulate 40 minutes of the greenhouse in a fresh process; return its journal."""
    program = "from edgekernel.cli import main; main()"
    where = ("--faults", str(plan), "--journal", str(folder))
    args = ("simulate", str(GREENHOUSE), "--json", "--for", "40min", "--seed", str(seed), *where)
    subprocess.run(
        [sys.executable, "-c", program, *args],
        env={
            **os.environ,
            "PYTHONHASHSEED": str(hash_seed),
            "TZ": ZONES[hash_seed % 3],
            "LC_ALL": ("C", "C.UTF-8")[hash_seed % 2],
        },
        cwd=folder.parent if hash_seed % 2 else None,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def test_twenty_processes(tmp_path: Path) -> None:
    """Twenty runs of `edgekernel simulate` with faults by chance, each in a process with another
    hash seed, time zone, locale and folder, write the same bytes; another seed writes others."""
    plan = tmp_path / "plan.toml"
    plan.write_text(CHANCES)
    with ThreadPoolExecutor(2) as pool:
        begun = [pool.submit(simulated, tmp_path / f"run-{n}", plan, 7, n) for n in range(20)]
        other = pool.submit(simulated, tmp_path / "other", plan, 8, 0)
        first, *more = [each.result() for each in begun]
    assert all(each == first for each in more)
    assert other.result() != first
    kinds = {
        record.payload["kind"]
        for record in SegmentSource(tmp_path / "run-0")
        if isinstance(record, EventRecord) and record.name == "fault.began"
    }
    assert kinds >= {"spike", "noise", "stuck", "garbage", "bounce", "clock_step"}
    boots = [each for each in SegmentSource(tmp_path / "run-0") if isinstance(each, BootRecord)]
    assert len({boot.boot_id for boot in boots}) > 3
