"""`edgekernel replay`: a journal through the same application, or a changed one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgekernel.journal.folder import segment_files
from tests.cli.conftest import LIMIT_S, command
from tests.journal.replay.recorded import APP, NODE, record, write_shed
from tests.node.conftest import modules_are_forgotten
from tests.testing.conftest import use_these_sources

__all__ = ["modules_are_forgotten"]


@pytest.fixture
def shed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The node file of the shed, its application with the bug beside it."""
    use_these_sources(monkeypatch)
    return write_shed(tmp_path / "shed")


@pytest.fixture
def journal(shed: Path, tmp_path: Path) -> Path:
    """The journal of four seconds in the shed, on simulated time."""
    record(shed, tmp_path / "journal")
    return tmp_path / "journal"


def replay(*args: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `edgekernel replay` in a process of its own."""
    return subprocess.run(
        command("replay", *args),
        capture_output=True, text=True, timeout=4 * LIMIT_S, check=False, cwd=cwd,
    )  # fmt: skip


def test_no_difference(shed: Path, journal: Path) -> None:
    """What is as it was exits with 0; without a node file it is the recorded one, with the
    application of the current folder."""
    for done in (replay(journal, shed), replay(journal, cwd=shed.parent)):
        assert (done.returncode, done.stderr) == (0, "")
        head, count = done.stdout.splitlines()
        assert head == (
            "shed-1: replayed from 2026-01-01 00:00:00 to 2026-01-01 00:00:04, "
            "the application is as it was"
        )
        assert count.startswith("no differences, ")


def test_differences(shed: Path, journal: Path) -> None:
    """What differs is a line each, with its sign, exit 1."""
    write_shed(shed.parent, APP.replace("celsius > 24", "celsius > 28"))
    done = replay(journal, shed)
    assert (done.returncode, done.stderr) == (1, "")
    head, count, *lines = done.stdout.splitlines()
    assert head.endswith("the application has changed")
    assert count.startswith("4 differences, ")
    assert [" ".join(line.split()) for line in lines] == [
        "2026-01-01 00:00:01.522 fan (GPIO17) - line high",
        "2026-01-01 00:00:01.522 fan.power - set to on",
        "2026-01-01 00:00:02.522 fan (GPIO17) + line high",
        "2026-01-01 00:00:02.522 fan.power + set to on",
    ]
    later = replay(journal, shed, "--from", "00:00:02")
    assert len(later.stdout.splitlines()) == 2 + 2
    assert replay(journal, shed, "--to", "00:00:01").returncode == 0
    assert replay(journal, shed, "--tolerance", "2").returncode == 0


def test_json(shed: Path, journal: Path) -> None:
    """As JSON it is one object."""
    write_shed(shed.parent, APP.replace("celsius > 24", "celsius > 28"))
    done = replay(journal, shed, "--json", "--rate", "20")
    assert (done.returncode, done.stderr) == (1, "")
    told = json.loads(done.stdout)
    assert told["whole"] is True
    assert told["differences"][0] == {
        "time": "2026-01-01T00:00:01.522600000Z",
        "monotonic_ns": 1522600000,
        "where": "fan (GPIO17)",
        "recorded": "line high",
        "now": None,
    }


def test_damage(shed: Path, journal: Path) -> None:
    """A damaged journal is replayed as far as it can be, and the note says what is missing."""
    (path,) = segment_files(journal)
    path.write_bytes(path.read_bytes()[:-100])
    done = replay(journal, shed)
    assert done.stderr == ""
    assert "note: " in done.stdout
    assert "cannot be understood and are passed over" in done.stdout


def test_what_cannot_be_replayed(shed: Path, journal: Path, tmp_path: Path) -> None:
    """A journal or node file that cannot be used exits with 3 and says why."""
    done = replay(tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"{tmp_path}: no journal: there is no segment (*.ekj) in it\n"
    done = replay(journal, tmp_path / "gone.toml", "--json")
    assert done.returncode == 3
    assert "there is no such file" in json.loads(done.stdout)["error"]["message"]
    done = replay(journal, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith('the recorded node file: node.app: "shed_app": there is no such')
    record(shed, tmp_path / "without", what=["events"])
    done = replay(tmp_path / "without", shed)
    assert done.returncode == 3
    assert 'let [journal] record "bus"' in done.stderr
    broken = write_shed(tmp_path / "broken", node=NODE.replace("GPIO17", "GPIO99"))
    done = replay(journal, broken)
    assert (done.returncode, "GPIO99" in done.stderr) == (3, True)


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        (["--from", "2027-01-01"], "nothing was recorded at 2027-01-01T00:00:00; this run is from"),
        (["--to", "2025-01-01"], "nothing was recorded at 2025-01-01T00:00:00; this run is from"),
        (["--from", "00:00:03", "--to", "00:00:02"], "00:00:02 is not after --from 00:00:03"),
    ],
)
def test_no_time_of_the_run(shed: Path, journal: Path, limits: list[str], problem: str) -> None:
    """Where nothing would be compared that is no agreement: exit 2, with what there is."""
    done = replay(journal, shed, *limits)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in " ".join(done.stderr.split())


def test_help_teaches() -> None:
    """The help says what is compared, what the signs and the exit codes mean, and what is next."""
    text = " ".join(replay("--help").stdout.split())
    for words in (
        "is compared with what it did then",
        "A line with - is what was recorded, one with + what happens now",
        "Exits with 0",
        "edgekernel incident export",
    ):
        assert words in text


def test_ctrl_c(shed: Path, journal: Path) -> None:
    """Ctrl-C ends a replay that goes slowly."""
    begun = 'import time; print("begun", flush=True); from edgekernel.cli import main; main()'
    process = subprocess.Popen(
        [sys.executable, "-c", begun, "replay", str(journal), str(shed), "--rate", "0.01"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, err.strip()) == (1, "Aborted!")


def test_the_run_that_is_meant(shed: Path, journal: Path) -> None:
    """Of several runs the latest is replayed, or the one that goes on at a time."""
    record(shed, journal, lambda runtime, bench, clock: clock.sleep(1))
    assert "to 2026-01-01 00:00:01" in replay(journal, shed).stdout
