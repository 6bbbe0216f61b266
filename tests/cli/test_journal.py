"""`edgekernel journal`: a journal as a table or as JSON, filtered; what is unreadable is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edgekernel.cli import main
from edgekernel.journal import SegmentSink
from edgekernel.journal.folder import segment_files
from edgekernel.journal.records import BusRecord, EventRecord
from tests.cli.conftest import LIMIT_S, Agent, Write, command
from tests.cli.test_run import run

BEGIN_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
SECOND = 1_000_000_000
Start = Callable[..., Agent]


def event(number: int, source: str = "climate") -> EventRecord:
    """Return an event, a second after the one before."""
    now = number * SECOND, BEGIN_NS + number * SECOND
    return EventRecord(*now, number, source, None, None, "heater.switched", 20, {"heating": True})


def transaction(number: int) -> BusRecord:
    """Return a transaction of that second."""
    now = number * SECOND, BEGIN_NS + number * SECOND
    return BusRecord(*now, "i2c", "i2c1", "read", [0x76, 1], b"\x60", None, "", 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal with an event and a transaction a second, for ten seconds, each its own block."""
    sink = SegmentSink(tmp_path / "journal")
    for number in range(10):
        for record in (event(number, "climate" if number % 2 else "pulse"), transaction(number)):
            sink.write(record)
            sink.flush()
    sink.close()
    return tmp_path / "journal"


def show(*args: str | Path) -> Result:
    """Run `edgekernel journal show` in this process."""
    return CliRunner().invoke(main, ["journal", "show", *map(str, args)])


def test_reader_that_has_seen_enough(folder: Path) -> None:
    """Who reads through `head` ends it well, as table and as JSON."""
    for option in ([], ["--json"]):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            command("journal", "show", folder, *option),
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        os.close(writing)
        assert (done.returncode, done.stderr) == (0, "")


def numbers(*args: str | Path) -> list[int]:
    """Return the numbers of the records that are shown as JSON."""
    result = show(*args, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    return [json.loads(line)["number"] for line in result.stdout.splitlines()]


def test_table(folder: Path) -> None:
    """A line has number, time, type, source and words."""
    result = show(folder)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert len(lines) == 20
    assert lines[2] == [
        "2", "2026-01-01", "00:00:01.000", "event", "climate", "heater.switched", "heating=on",
    ]  # fmt: skip
    assert lines[3][3:] == ["bus", "i2c1", "read(118,", "1)", "=", "[60]"]


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ([], list(range(20))),
        (["--type", "event"], list(range(0, 20, 2))),
        (["--type", "event", "--source", "climate"], [2, 6, 10, 14, 18]),
        (["--type", "event", "--type", "bus", "--source", "cl*", "--source", "i2c?"],
         [n for n in range(20) if n % 4]),
        (["--since", "2026-01-01T00:00:08"], [16, 17, 18, 19]),
        (["--since", "2026-01-01T01:00:08+01:00"], [16, 17, 18, 19]),
        (["--since", "2s", "--until", "1s"], [14, 15]),
        (["--until", "2026-01-01T00:00:01Z"], [0, 1]),
        (["--since", "2027-01-01"], []),
    ],
)  # fmt: skip
def test_filters(folder: Path, options: list[str], shown: list[int]) -> None:
    """Type, source and time choose; what is given twice widens the choice."""
    assert numbers(folder, *options) == shown


def test_damage(folder: Path) -> None:
    """What can be read is shown, what cannot is told in its place and in sum, exit 1."""
    (path,) = segment_files(folder)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    result = show(folder)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert len(lines) == 19 + 2
    assert sum("cannot be read" in line for line in lines) == 1
    assert sum("1 records are missing: damaged" in line for line in lines) == 1
    assert result.stderr.startswith(f"{folder}: not readable: 1 records, 1 places with ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--since", "soon"], "'soon' is not allowed"),
        (["--type", "evnet"], "'evnet' is not one of"),
        (["--nothing"], "No such option"),
    ],
)
def test_wrong_usage(folder: Path, options: list[str], said: str) -> None:
    """Options that mean nothing are told with what is allowed, exit 2."""
    result = show(folder, *options)
    assert result.exit_code == 2
    assert said in result.stderr


def test_no_journal(tmp_path: Path) -> None:
    """A folder that is not there, or has no journal in it, is told, exit 1."""
    result = show(tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"{tmp_path}: no journal: there is no segment (*.ekj) in it\n"
    result = show(tmp_path / "nowhere")
    assert (result.exit_code, result.stderr) == (
        1,
        f"{tmp_path}/nowhere: No such file or directory\n",
    )


def test_follow(folder: Path, start: Start) -> None:
    """With --follow what is recorded later is shown as well, until Ctrl-C, exit 0."""
    agent = start("journal", "show", folder, "--follow", "--json", "--since", "2026-01-01T00:00:09")
    agent.until('"number":19,')
    sink = SegmentSink(folder)
    sink.write(event(10))
    sink.flush()
    agent.until('"number":20,')
    sink.close()
    code, out, err = agent.end(signal.SIGINT)
    assert (code, out, err) == (0, "", "")
    assert len(agent.lines) == 3


def test_help_teaches() -> None:
    """The help says what a time is and what the exit codes mean."""
    text = show("--help").stdout
    for word in ("2026-01-31T12:00:00", "10min", "Exits with 1", "--follow"):
        assert word in text


def test_recorded_run(write: Write, tmp_path: Path) -> None:
    """`run --journal` records a run from its boot to its end, and so does the table."""
    done = run(write(), "--sim", "--for", "0.5", "--journal", tmp_path / "by-option")
    assert (done.returncode, done.stderr) == (0, "")
    table = '[journal]\nfolder = "by-table"\n'
    done = run(write(table), "--sim", "--for", "0.5")
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("by-option", "by-table"):
        result = show(tmp_path / name, "--json")
        assert result.exit_code == 0
        records = [json.loads(line) for line in result.stdout.splitlines()]
        assert [each["type"] for each in records[:2]] == ["boot", "config"]
        assert records[0]["node"] == "bench-1"
        events = [each["name"] for each in records if each["type"] == "event"]
        assert (events[0], events[-1]) == ("runtime.booting", "runtime.shutdown")
        assert {"bus", "output"} <= {each["type"] for each in records}


def shown(folder: Path) -> list[dict[str, Any]]:
    """Return the records of a folder, none while it has none."""
    return [json.loads(line) for line in show(folder, "--json").stdout.splitlines()]


def test_killed_agent(write: Write, tmp_path: Path, start: Start) -> None:
    """Of an agent that was killed the boot is there, and the next run goes on in the folder."""
    folder = tmp_path / "journal"
    agent = start("run", write(), "--sim", "--json", "--journal", folder)
    agent.until("runtime.booted")
    end = time.monotonic() + 30.0
    while "boot" not in (each["type"] for each in shown(folder)):
        assert time.monotonic() < end, "nothing is written"
        time.sleep(0.01)
    agent.end(signal.SIGKILL)
    run(tmp_path / "node.toml", "--sim", "--for", "0.2", "--journal", folder)
    records = shown(folder)
    assert [each["number"] for each in records] == list(range(len(records)))
    assert [each["type"] for each in records].count("boot") == 2


def test_folder_in_use(write: Write, tmp_path: Path) -> None:
    """A folder that another agent writes to is refused before anything starts, exit 1."""
    sink = SegmentSink(tmp_path / "journal")
    done = run(write(), "--sim", "--journal", tmp_path / "journal")
    sink.close()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (f"--journal: {tmp_path}/journal: another agent writes there\n")


def test_disk_that_takes_nothing(write: Write, tmp_path: Path) -> None:
    """An agent whose disk takes nothing runs all the same: it tells so once, and at its end."""
    args = command("run", write(), "--sim", "--json", "--for", "2.5", "--journal", tmp_path / "j")
    limited = ["bash", "-c", 'ulimit -f 0; exec "$@"', "-", *args]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stderr) == (
        0, "the journal is not complete: the journal cannot be written: File too large\n",
    )  # fmt: skip
    names = [json.loads(line)["name"] for line in done.stdout.splitlines()]
    assert names.count("journal.failed") == 1
    assert names[-1] == "runtime.shutdown"
