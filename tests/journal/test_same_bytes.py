"""A simulated run writes the same journal, byte for byte, in every process (promise P10)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from edgekernel.journal import SegmentSource
from edgekernel.journal.records import BootRecord, CommandRecord, OpaqueRecord

ROOT = Path(__file__).parents[2]


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
