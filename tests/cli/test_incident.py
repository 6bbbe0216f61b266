"""`edgekernel incident`: a live run fails, its journal becomes a test that fails, and passes when
the application is mended."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekernel import Runtime
from edgekernel.core.clock import Clock
from edgekernel.sim import Bench
from tests.cli.conftest import LIMIT_S, command
from tests.journal.replay.recorded import APP, BUG, FIX, MQTT, NODE, record, write_shed
from tests.node.conftest import modules_are_forgotten
from tests.testing.conftest import PLUGIN, use_these_sources

__all__ = ["modules_are_forgotten"]


def edgekernel(*args: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `edgekernel` in a process of its own."""
    return subprocess.run(
        command(*args), capture_output=True, text=True, timeout=4 * LIMIT_S, check=False
    )


def run_pytest(test: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on one file, in its folder."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *PLUGIN, *options, test.name],
        cwd=test.parent, capture_output=True, text=True, timeout=4 * LIMIT_S, check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


@pytest.fixture
def shed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The node file of the shed, its application with the bug beside it."""
    use_these_sources(monkeypatch)
    (tmp_path / "tests").mkdir()
    return write_shed(tmp_path / "shed")


@pytest.fixture
def journal(shed: Path, tmp_path: Path) -> Path:
    """The journal of four seconds in the shed, on simulated time."""
    record(shed, tmp_path / "journal")
    return tmp_path / "journal"


def test_from_the_field_to_the_fix(shed: Path, tmp_path: Path) -> None:
    """A live run meets a bug; the exported test fails with the same error, in the same line of the
    application, and passes with the mended one."""
    journal, test = tmp_path / "journal", tmp_path / "tests" / "test_incident.py"
    done = edgekernel("run", shed, "--sim", "--for", "4", "--journal", journal)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ZeroDivisionError" in done.stdout

    done = edgekernel("incident", "export", journal, shed, "-o", test)
    assert (done.returncode, done.stderr) == (0, "")
    fails = "process.error process='airing' event='button.pressed' came once"
    assert f"it fails: {fails}\n" in done.stdout

    failed = run_pytest(test)
    assert failed.returncode == 1
    assert fails in failed.stdout
    assert f"self.ctx.emit(Aired({BUG}))" in failed.stdout
    assert "ZeroDivisionError: division by zero" in failed.stdout

    write_shed(shed.parent, APP.replace(BUG, FIX))
    passed = run_pytest(test, "-rP")
    assert (passed.returncode, "1 passed" in passed.stdout) == (0, True)
    assert "+ aired share=0.5" in passed.stdout  # what differs is shown


def test_the_file(shed: Path, tmp_path: Path) -> None:
    """Beside its data it is a page of plain code, without secrets; it needs no other file."""
    write_shed(shed.parent, node=NODE + MQTT)
    journal = tmp_path / "journal"
    record(shed, journal)
    test = tmp_path / "tests" / "test_incident.py"
    assert edgekernel("incident", "export", journal, shed, "-o", test).returncode == 0
    text = test.read_text(encoding="utf-8")
    ast.parse(text)
    code, data = text.split("\n\n\nRECORDS = ")
    body = code.split('NODE = """')[0] + code.split('\n"""\n\n\n')[1]
    assert len(body.splitlines()) < 22
    assert 'run.assert_none("process.error", process="airing", event="button.pressed")' in code
    assert 'APP = Path(__file__).parent / "../shed"' in code
    for secret in ("hush-hush", "password", "broker.local", str(tmp_path)):
        assert secret not in text
    assert max(map(len, data.splitlines())) <= 100


def test_expectations(shed: Path, journal: Path, tmp_path: Path) -> None:
    """What is to be is said in sentences; the test fails until it is so."""
    test = tmp_path / "tests" / "test_fan.py"
    sentence = "fan.power is on within 500ms after 00:00:00.2"
    done = edgekernel("incident", "export", journal, shed, "-o", test, "--expect", sentence)
    assert (done.returncode, done.stderr) == (0, "")
    assert "it fails: fan.power was not set to True within 0.5 s after 2026-01-01T" in done.stdout
    call = 'run.assert_output("fan.power", True, within=0.5, after="2026-01-01T00:00:00.200")'
    assert call in test.read_text(encoding="utf-8")
    assert "fan.power was not set to True" in run_pytest(test).stdout
    write_shed(shed.parent, APP.replace("celsius > 24", "celsius > 19"))
    assert run_pytest(test).returncode == 0


def test_strict(shed: Path, journal: Path, tmp_path: Path) -> None:
    """A strict test fails on every difference: for an application that is to stay as it is."""
    test = tmp_path / "tests" / "test_same.py"
    done = edgekernel(
        "incident", "export", journal, shed, "-o", test, "--strict", "--no-check",
        "--expect", "process.error",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert run_pytest(test).returncode == 0
    write_shed(shed.parent, APP.replace("celsius > 24", "celsius > 28"))
    failed = run_pytest(test)
    assert failed.returncode == 1
    assert "fan.power              - set to on" in failed.stdout


def test_secrets(shed: Path, tmp_path: Path) -> None:
    """A secret of a request is in no part of the test, which lacks the request and says so."""

    def ask(runtime: Runtime, bench: Bench, clock: Clock) -> None:
        clock.sleep(1)
        runtime.invoke("airing.sign_in", {"password": "open sesame"}, "mqtt:anonymous")
        clock.sleep(2)

    record(shed, tmp_path / "journal", ask)
    test = tmp_path / "tests" / "test_incident.py"
    assert edgekernel("incident", "export", tmp_path / "journal", shed, "-o", test).returncode == 0
    code = (
        "import pathlib; from test_incident import RECORDS\n"
        "from edgekernel.journal.replay.embed import unembed\n"
        "print(unembed(RECORDS))"
    )
    inside = subprocess.run(
        [sys.executable, "-c", code], cwd=test.parent, capture_output=True, text=True, check=True
    ).stdout
    assert "airing.sign_in" in inside
    assert "sesame" not in inside
    assert "sign_in of mqtt:anonymous was not given again" in run_pytest(test).stdout


def test_a_part_of_it(shed: Path, tmp_path: Path) -> None:
    """With --cut the test begins at --from; what was asked before is in it."""

    def ask(runtime: Runtime, bench: Bench, clock: Clock) -> None:
        clock.sleep(300)
        bench.press("knob")
        clock.sleep(5)

    write_shed(shed.parent, APP.replace(BUG, "1 / (2 - self.presses)"))
    record(shed, tmp_path / "journal", ask)
    sizes = []
    for name, options in (("whole", ()), ("part", ("--from", "10s", "--cut"))):
        test = tmp_path / "tests" / f"test_{name}.py"
        edgekernel(
            "incident", "export", tmp_path / "journal", shed, "-o", test, "--no-check", *options
        )
        assert run_pytest(test).returncode in (0, 1)
        sizes.append(test.stat().st_size)
    assert sizes[1] < sizes[0] / 4


def test_an_agent_that_began_anew(shed: Path, journal: Path, tmp_path: Path) -> None:
    """Of several runs it is the latest in which code has failed."""
    record(shed, journal, lambda runtime, bench, clock: clock.sleep(1))
    test = tmp_path / "tests" / "test_incident.py"
    done = edgekernel("incident", "export", journal, shed, "-o", test)
    assert (done.returncode, done.stderr) == (0, "")
    assert "process.error process=airing" in done.stdout


def test_nothing_to_assert(shed: Path, tmp_path: Path) -> None:
    """Without a failure of code there is nothing to assert: what there is is listed, exit 1."""
    write_shed(shed.parent, APP.replace(BUG, FIX))
    record(shed, tmp_path / "journal")
    test = tmp_path / "tests" / "test_incident.py"
    done = edgekernel("incident", "export", tmp_path / "journal", shed, "-o", test)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("shed-1: no failure of code in this time: say with --expect")
    assert not test.exists()


def test_it_does_not_fail_here(shed: Path, journal: Path, tmp_path: Path) -> None:
    """An application that is mended already is told: the test is written, exit 1."""
    write_shed(shed.parent, APP.replace(BUG, FIX))
    test = tmp_path / "tests" / "test_incident.py"
    done = edgekernel("incident", "export", journal, shed, "-o", test)
    assert done.returncode == 1
    assert "it passes here" in done.stderr
    assert run_pytest(test).returncode == 0


def test_wrong_usage(shed: Path, journal: Path, tmp_path: Path) -> None:
    """A sentence that means nothing is told with one that does, and one that cannot come true with
    the reason, exit 2; no journal, exit 3."""
    done = edgekernel("incident", "export", journal, shed, "-o", "x.py", "--expect", "it works")
    assert done.returncode == 2
    assert 'write "fan.power is on within 30s after 12:04:10"' in " ".join(done.stderr.split())
    for sentence, problem in (
        ("fan.powr is on", "no output 'fan.powr' in this node; did you mean 'fan.power'?"),
        ("fan.power is on after 2027-01-01", "nothing was recorded at 2027-01-01T00:00:00; this"),
        ("aired within 1s after 12:00", "nothing was recorded at 2025-12-31T12:00:00; this run"),
    ):
        done = edgekernel(
            "incident", "export", journal, shed, "-o", tmp_path / "x.py", "--expect", sentence
        )
        assert (done.returncode, problem in " ".join(done.stderr.split())) == (2, True)
        assert not (tmp_path / "x.py").exists()
    done = edgekernel("incident", "export", tmp_path, "-o", "x.py")
    assert (done.returncode, "no journal" in done.stderr) == (3, True)


def test_help_teaches() -> None:
    """The help says what the test asserts, what is in it, and shows how it goes on."""
    text = " ".join(edgekernel("incident", "--help").stdout.split())
    assert "now mend the application" in text
    text = " ".join(edgekernel("incident", "export", "--help").stdout.split())
    for words in ("exceptions in handlers", "--expect", "Secrets that the journal hides", "Exits"):
        assert words in text
