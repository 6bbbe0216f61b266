"""Root's part of an update, with programs that speak as RAUC 1.13 and systemctl do."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.cli import main
from edgekernel.cli.image_update import note_boot
from edgekernel.node import rauc
from edgekernel.node.update_request import UpdateRequest, write_request
from edgekernel.node.update_state import UpdateState, read_state, write_state
from edgekernel.node.update_work import UpdateWork
from edgekernel.sim import SimClock
from tests.node.test_slot_trial import slots

ID = "0123456789abcdef" * 2
# What RAUC 1.13 prints of a bundle, and while it installs one.
INFO = {"compatible": "edgekernel-arm64", "version": "2.0", "format": "verity", "images": []}
STEPS = """\
installing
  0% Installing
  0% Determining slot states
 20% Determining slot states done.
 20% Checking bundle
 20% Verifying signature
 40% Verifying signature done.
 40% Checking bundle done.
 40% Checking manifest contents
 60% Checking manifest contents done.
 60% Determining target install group
 80% Determining target install group done.
"""
WRITES = """\
 80% Updating slots
 80% Checking slot root.0 (A)
 90% Checking slot root.0 (A) done.
 90% Copying image to root.0
 95% Copying image to root.0
 99% Copying image to root.0 done.
 99% Updating slots done.
"""
SUCCEEDED = "100% Installing done.\nidle\nInstalling `/data/x.raucb` succeeded\n"
FOREIGN = (
    "rauc-Message: 01:54:58.344: Reading bundle: /data/x.raucb\n"
    "rauc-Message: 01:54:58.352: Verifying bundle signature... \n"
    "signature verification failed: Verify error: self-signed certificate\n"
)
MISMATCH = "Compatible mismatch: Expected 'edgekernel-arm64' but bundle manifest has 'toaster'"


class Computer:
    """A computer whose `rauc` and `systemctl` say what is put beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state.json"
        self.request = folder / "request.json"
        self.history = folder / "history"
        self.says("status", slots("B"))
        self.says("info", json.dumps(INFO))
        self.says("install", STEPS + WRITES + SUCCEEDED)
        for name, arguments in (("rauc", '"$1"'), ("systemctl", "systemctl")):
            program = folder / name
            program.write_text(
                f'#!/bin/sh\necho "{name} $*" >>{folder}/asked\n'
                f"cat {folder}/{arguments}.says 2>/dev/null\n"
                f"cat {folder}/{arguments}.complains >&2 2>/dev/null\n"
                f"exit $(cat {folder}/{arguments}.code 2>/dev/null || echo 0)\n"
            )
            program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def says(self, what: str, text: str, complaint: str = "", code: int = 0) -> None:
        """Let the program say something, and end with a code."""
        (self.folder / f"{what}.says").write_text(text)
        (self.folder / f"{what}.complains").write_text(complaint)
        (self.folder / f"{what}.code").write_text(str(code))

    def asked(self) -> list[str]:
        """Return which programs were run."""
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def update(self, request: UpdateRequest | None = None) -> Result:
        """Run `edgekernel image update`."""
        if request is not None:
            write_request(request, self.request)
        places = ["--request", str(self.request), "--state", str(self.state)]
        return CliRunner().invoke(main, ["image", "update", *places])

    def install(self) -> UpdateState:
        """Ask for an installation; return how it has ended."""
        done = self.update(UpdateRequest("install", ID, "/data/x.raucb", ("room.light",)))
        assert (done.exit_code, self.request.exists()) == (0, False)
        found = read_state(self.state)
        assert found is not None
        return found


@pytest.fixture
def computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Computer:
    """Give a computer that runs slot B."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return Computer(tmp_path)


def test_installed(computer: Computer) -> None:
    """A bundle is looked at and then installed into the other slot; what was bad before is kept."""
    found = computer.install()
    assert (found.phase, found.slot, found.after, found.percent) == ("installed", "A", "2.0", 100)
    assert (found.id, found.bad_before) == (ID, ("room.light",))
    assert computer.asked() == [
        "rauc status --detailed --output-format=json",
        "rauc info --output-format=json /data/x.raucb",
        "rauc install /data/x.raucb",
    ]
    assert stat.S_IMODE(computer.state.stat().st_mode) & 0o044 == 0o044


def test_progress(computer: Computer, tmp_path: Path) -> None:
    """Each step of RAUC's is told with its percentage."""
    told: list[tuple[int, str]] = []
    rauc.install("/data/x.raucb", lambda percent, doing: told.append((percent, doing)))
    assert (told[0], told[-1]) == ((0, "Installing"), (100, "Installing done."))
    assert (95, "Copying image to root.0") in told
    assert [percent for percent, _ in told] == sorted(percent for percent, _ in told)


@pytest.mark.parametrize(
    ("what", "said", "complaint", "phase", "reason"),
    [
        ("info", "", FOREIGN, "refused", "signature verification failed: Verify error"),
        ("info", "", "No such file: /data/x.raucb\n", "refused", "No such file: /data/x.raucb"),
        ("info", "[]", "", "refused", "what cannot be read"),
        ("install", f"{STEPS}LastError: {MISMATCH}\nidle\n", "", "refused", MISMATCH),
        (
            "install",
            f"{STEPS}{WRITES}LastError: Failed updating slot root.0: No space left\nidle\n",
            "",
            "failed",
            "Failed updating slot root.0: No space left",
        ),
        ("install", "", "", "refused", "RAUC has failed and says nothing"),
        ("status", "", "the service is not there\n", "failed", "the service is not there"),
        (
            "status",
            json.dumps({"booted": "B", "slots": []}),
            "",
            "failed",
            "no other slot than 'B'",
        ),
    ],
)
def test_not_installed(
    computer: Computer, what: str, said: str, complaint: str, phase: str, reason: str
) -> None:
    """RAUC's own words are the reason; refused is what was not written, failed what was."""
    computer.says(what, said, complaint, code=0 if said.startswith(("[", "{")) else 1)
    found = computer.install()
    assert (found.phase, reason in found.reason) == (phase, True), found.reason


def test_starts_anew(computer: Computer) -> None:
    """The computer starts anew only into what was installed for the same request."""
    computer.install()
    with SimClock() as clock:
        work = UpdateWork(computer.state, "boot", lambda text: None, clock)
        work.carry_out(UpdateRequest("reboot", "f" * 32))
        assert "systemctl reboot" not in computer.asked()
        work.carry_out(UpdateRequest("reboot", ID))
    assert computer.asked()[-1] == "systemctl reboot"
    found = read_state(computer.state)
    assert found is not None
    assert found.phase == "rebooting"


def test_no_restart(computer: Computer) -> None:
    """A computer that does not start anew is a failure that is told."""
    computer.install()
    computer.says("systemctl", "", "Access denied\n", code=1)
    with SimClock() as clock:
        work = UpdateWork(computer.state, "boot", lambda text: None, clock)
        work.carry_out(UpdateRequest("reboot", ID))
    assert (work.state.phase, "Access denied" in work.state.reason) == ("failed", True)


@pytest.mark.parametrize("phase", ["rebooting", "trial"])
def test_never_over_a_trial(computer: Computer, phase: str) -> None:
    """While an update is on trial the slot before it is what keeps the node: it is not written."""
    write_state(UpdateState(id="other", slot="B").moved(phase), computer.state, boot="boot")
    assert computer.install().id == "other"
    assert computer.asked() == []


def test_after_a_start(computer: Computer) -> None:
    """The start of the computer makes the file, by which an agent knows that it can be updated, and
    ends what it has cut short."""
    note_boot(computer.state)
    assert read_state(computer.state) is not None
    write_state(UpdateState(slot="A").moved("installing"), computer.state, boot="before")
    note_boot(computer.state)
    found = read_state(computer.state)
    assert found is not None
    assert (found.phase, "started anew" in found.reason) == ("failed", True)


def test_no_request(computer: Computer) -> None:
    """Without a request nothing is done, and what is none is refused."""
    assert computer.update().exit_code == 0
    computer.request.write_text("{")
    done = computer.update()
    assert (done.exit_code, "no update" in done.output) == (1, True)
    assert (computer.asked(), computer.request.exists()) == ([], False)


@given(st.text())
def test_whatever_rauc_says(text: str) -> None:
    """The last words of a program that has failed are never empty and have no time stamp."""
    found = rauc.last_words(text)
    assert found
    assert "\n" not in found
