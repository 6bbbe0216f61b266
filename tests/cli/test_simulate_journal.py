"""`edgekernel simulate --journal`: the run is recorded, the same bytes for the same run."""

from __future__ import annotations

from pathlib import Path

from edgekernel.journal import BootRecord, BusRecord, EventRecord, SegmentSource
from tests.cli.conftest import Write
from tests.cli.test_simulate import PLAN, simulate, told


def segments(folder: Path) -> dict[str, bytes]:
    """Return the content of each segment of a journal."""
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def test_what_is_recorded(write: Write, tmp_path: Path) -> None:
    """The journal has the boot with its seed, what went over the buses, every event with the faults
    of the plan, and the end of the run."""
    plan, folder = tmp_path / "plan.toml", tmp_path / "journal"
    plan.write_text(PLAN)
    args = ("--for", "5min", "--seed", "3", "--faults", plan, "--journal", folder)
    run = told(write(), *args)
    records = list(SegmentSource(folder))
    (boot,) = (each for each in records if isinstance(each, BootRecord))
    assert (boot.node, boot.clock, boot.seed) == ("bench-1", "simulated", 3)
    assert any(isinstance(each, BusRecord) and each.name == "i2c1" for each in records)
    events = [each.name for each in records if isinstance(each, EventRecord)]
    assert events.count("fault.began") == len(run["faults"]) > 1
    assert events[-1] == "runtime.shutdown"


def test_same_run_same_bytes(write: Write, tmp_path: Path) -> None:
    """The same node, plan and seed give the same bytes in new folders, another seed others."""
    plan, node = tmp_path / "plan.toml", write()
    plan.write_text(PLAN)
    for name, seed in (("first", "1"), ("second", "1"), ("other", "2")):
        args = ("--for", "10min", "--seed", seed, "--faults", plan, "--journal", tmp_path / name)
        assert simulate(node, *args).returncode == 0
    assert segments(tmp_path / "first") == segments(tmp_path / "second")
    assert segments(tmp_path / "first") != segments(tmp_path / "other")


def test_the_table_alone_does_not_record(write: Write, tmp_path: Path) -> None:
    """The journal of the real node is not touched by a simulation; --journal follows its table."""
    node = write()
    with node.open("a") as file:
        file.write('[journal]\nfolder = "real"\nwhat = ["events"]\n')
    assert simulate(node, "--for", "1min", "--journal", tmp_path / "journal").returncode == 0
    assert not (tmp_path / "real").exists()
    records = list(SegmentSource(tmp_path / "journal"))
    assert any(isinstance(each, EventRecord) for each in records)
    assert not any(isinstance(each, BusRecord) for each in records)


def test_folder_that_cannot_be_used(write: Write, tmp_path: Path) -> None:
    """A folder that cannot be made ends the run before it starts, exit 1, with its path."""
    (tmp_path / "file").write_text("")
    done = simulate(write(), "--for", "1min", "--journal", tmp_path / "file" / "journal")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("--journal: Not a directory: ")
