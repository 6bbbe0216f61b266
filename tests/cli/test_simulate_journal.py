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


DEATHS = """
[[fault]]
at = "100s"
kind = "agent_killed"
for = "50s"

[[fault]]
at = "200s"
kind = "power_cut"
for = "60s"

[[fault]]
at = "20s"
kind = "disk_full"
for = "30s"
"""


def test_agent_that_dies(write: Write, tmp_path: Path) -> None:
    """An agent that is killed, and one whose power is cut, come back: the summary counts the starts
    and shows the time without an agent as BAD, the picture shows the faults, and the journal has
    each run. All of it is the same in each run of the same."""
    node, plan = write(), tmp_path / "plan.toml"
    plan.write_text(DEATHS)
    runs, folders, pictures = [], [], []
    for name in ("first", "second"):
        folder, report = tmp_path / name, tmp_path / f"{name}.svg"
        args = ("--for", "6min", "--faults", plan, "--journal", folder, "--report", report)
        run = told(node, *args)
        del run["wall_s"], run["speed"]
        runs.append(run)
        folders.append(segments(folder))
        pictures.append(report.read_text(encoding="utf-8"))
    assert runs[0] == runs[1]
    assert folders[0] == folders[1]
    assert pictures[0] == pictures[1]
    assert (runs[0]["ok"], runs[0]["starts"]) == (True, 3)
    faults = {each["kind"]: each["ended_s"] - each["began_s"] for each in runs[0]["faults"]}
    assert faults == {"disk_full": 30, "agent_killed": 50, "power_cut": 60}
    for reading in runs[0]["readings"]:
        assert 110 <= reading["bad_s"] <= 115
    assert ">agent_killed<" in pictures[0]
    assert ">power_cut<" in pictures[0]
    records = list(SegmentSource(tmp_path / "first"))
    boots = [each.boot_id for each in records if isinstance(each, BootRecord)]
    assert len(set(boots)) == 3
    names = [each.name for each in records if isinstance(each, EventRecord)]
    assert names.count("runtime.booted") == 3
    assert names.count("runtime.shutdown") == 1
    assert "journal.failed" in names


def test_agent_that_stays_dead(write: Write, tmp_path: Path) -> None:
    """A run whose agent is dead at the end says so, and is summed up as any other."""
    plan = tmp_path / "plan.toml"
    plan.write_text('[[fault]]\nkind = "power_cut"\nat = "1min"\n')
    done = simulate(write(), "--for", "5min", "--faults", plan)
    assert (done.returncode, done.stderr) == (0, "")
    assert "starts           1, and no agent runs at the end" in done.stdout


def test_agent_that_does_not_come_back(write: Write, tmp_path: Path) -> None:
    """An agent that does not boot any more is a critical failure: exit 1, with what its boot
    says."""
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[[fault]]\nkind = "agent_killed"\nat = "1min"\nfor = "5s"\n'
        '[[fault]]\nkind = "unplug"\ndevice = "room"\nat = "62s"\n'
    )
    done = simulate(write(), "--for", "5min", "--faults", plan)
    assert done.returncode == 1
    assert "bench-1: the agent did not boot again" in done.stderr
    assert "no acknowledge" in done.stderr
