"""An update on trial is kept if the node is healthy, and given up if not."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.cli import main
from edgekernel.core.clock import SystemClock
from edgekernel.node.slot_trial import Slot, Terms, Verdict, booted_slot, shown, unmet, watch
from edgekernel.node.update_state import read_state
from edgekernel.node.witness import STALE_S, Witness, bear_witness
from edgekernel.sim import SimClock

HEALTHY = {"LoadState": "loaded", "ActiveState": "active", "InvocationID": "1"}


def slots(booted: str = "B", primary: str = "root.1", count: int = 2) -> str:
    """Return what RAUC 1.13 says of two slots, of which B was updated."""
    installed = {
        "slot_status": {"installed": {"timestamp": "2026-11-29T00:00:00Z", "count": count}}
    }
    first = {"root.0": {"class": "root", "bootname": "A", "slot_status": {}}}
    second = {"root.1": {"class": "root", "bootname": "B", **(installed if count else {})}}
    return json.dumps({"booted": booted, "boot_primary": primary, "slots": [first, second]})


@pytest.mark.parametrize(
    ("status", "slot"),
    [
        (slots(), Slot("B", "2 2026-11-29T00:00:00Z")),
        (slots("A"), Slot("A", "", primary=False)),
        (slots("A", "root.0"), Slot("A", "")),
        (slots(count=0), Slot("B", "")),
    ],
)
def test_the_slot_that_runs(status: str, slot: Slot) -> None:
    """It is known with the update in it, and whether it is the one that was to be started."""
    assert booted_slot(status) == slot


@pytest.mark.parametrize("status", ["", "{}", slots("C")])
def test_no_slot(status: str) -> None:
    """A status that does not tell it is an error."""
    with pytest.raises(ValueError, match=r"which slot|Expecting"):
        booted_slot(status)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, ()),
        ({"LoadState": "not-found"}, ("agent: the node has no unit",)),
        ({"ActiveState": "activating"}, ("agent: it is activating",)),
        ({"InvocationID": "2"}, ("agent: it has not said how it is",)),
        ({"NRestarts": "4"}, ()),
        ({"NRestarts": "5"}, ("starts: the agent was started 6 times, 5 are allowed",)),
        (
            {"NRestarts": "9", "ActiveState": "failed"},
            ("starts: the agent was started 10 times", "agent: it is failed"),
        ),
    ],
)
def test_criteria(changed: dict[str, str], told: tuple[str, ...]) -> None:
    """Each criterion that is not met is named: the agent runs, was not started too often, and has
    said how it is."""
    found = unmet({**HEALTHY, **changed}, Witness("1", 50.0), 50.0)
    assert len(found) == len(told)
    assert all(each.startswith(begin) for each, begin in zip(found, told, strict=True))


def test_what_the_agent_says() -> None:
    """What it says of the other criteria counts for as long as it is fresh; if nothing is known of
    it, that is not healthy."""
    broker = ("broker: it is not reached",)
    said = Witness("1", 50.0, unmet=broker)
    assert unmet(HEALTHY, said, 50.0 + STALE_S) == broker
    assert unmet(HEALTHY, Witness("1", 50.0), 50.1 + STALE_S) == (
        "agent: it has not said how it is for more than 30 s",
    )
    assert unmet(HEALTHY, Witness("1", float("nan")), 50.0) != ()
    assert unmet(HEALTHY, None, 50.0) == ("agent: it has not said how it is",)
    assert unmet({}, said, 50.0) == ("agent: systemd does not say how it is",)


@given(st.text())
def test_what_systemd_shows(text: str) -> None:
    """Whatever systemd writes is read, and values may hold anything but a new line."""
    assert "" not in shown(text)
    line = text.replace("\n", "").replace("\r", "")
    if line == "".join(line.splitlines()):
        assert shown(f"A=1\nB={line}\n") == {"A": "1", "B": line}


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock, closed at the end."""
    with SimClock() as clock:
        yield clock


def told(clock: SimClock, story: dict[float, dict[str, str]]) -> Callable[[], dict[str, str]]:
    """Return what systemd says as time goes on: from each moment on something else."""
    began = clock.monotonic()

    def show() -> dict[str, str]:
        now = clock.monotonic() - began
        return {**HEALTHY, **story[max(at for at in story if at <= now)]}

    return show


def watched(
    clock: SimClock,
    story: dict[float, dict[str, str]],
    terms: Terms,
    tell: Callable[[float, tuple[str, ...]], object] = lambda passed, unmet: None,
) -> Verdict:
    """Watch a node of which systemd says this; in the story, `unmet` and `restarts` are what the
    agent itself says."""
    show = told(clock, story)

    def hear() -> Witness:
        now = show()
        unmet = (now["unmet"],) if "unmet" in now else ()
        restarts = int(now.get("restarts", 0))
        return Witness(now["InvocationID"], clock.monotonic(), restarts, unmet)

    return watch(show, hear, clock, terms, tell)


@pytest.mark.parametrize(
    ("story", "verdict", "seconds"),
    [
        ({0: {}}, Verdict(True, "the node was healthy for 60 s"), 60),
        ({0: {"ActiveState": "activating"}, 40: {}}, Verdict(True, "the node was healthy"), 95),
        ({0: {}, 50: {"InvocationID": "2"}}, Verdict(True, "the node was healthy"), 110),
        ({0: {}, 50: {"unmet": "services: x"}, 60: {}}, Verdict(True, "the node was"), 115),
        ({0: {}, 50: {"restarts": "1"}}, Verdict(True, "the node was"), 110),
        ({0: {"ActiveState": "failed"}}, Verdict(False, "agent: it is failed"), 200),
        ({0: {}, 70: {"ActiveState": "failed"}}, Verdict(True, "the node was healthy"), 60),
        ({0: {}, 30: {"NRestarts": "5"}}, Verdict(False, "starts: the agent was"), 30),
    ],
)
def test_the_verdict(
    clock: SimClock, story: dict[float, dict[str, str]], verdict: Verdict, seconds: float
) -> None:
    """The node has to be healthy for the whole time without a break or a restart, of the agent or
    of a service."""
    began = clock.monotonic()
    found = watched(clock, story, Terms(60, 200))
    assert found.good is verdict.good
    assert verdict.reason in found.reason
    assert clock.monotonic() - began == pytest.approx(seconds, abs=5)


def test_never_for_long(clock: SimClock) -> None:
    """An agent that is healthy again and again, but never for long, is no healthy one."""
    story = {at: {"InvocationID": str(at), "NRestarts": str(at // 50)} for at in range(0, 1000, 20)}
    found = watched(clock, dict(story.items()), Terms(60, 200))
    assert found == Verdict(
        False, "not healthy for long enough, after 200 s; the agent was started 5 times"
    )


def test_told_at_each_look(clock: SimClock) -> None:
    """How much of the time has passed is told, and what keeps it from passing."""
    seen: list[tuple[float, tuple[str, ...]]] = []
    story: dict[float, dict[str, str]]
    story = {0: {}, 10: {"unmet": "broker: it is not reached"}, 15: {}}
    watched(clock, story, Terms(20, 200), lambda *each: seen.append(each))
    assert [round(passed, 2) for passed, _ in seen] == [0, 0.25, 0, 0.25, 0.5, 0.75, 1]
    assert [bool(missing) for _, missing in seen] == [False, False, True, *[False] * 4]


class Computer:
    """Its programs `rauc` and `systemctl`: they say what a file says, and note what was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.status = slots()
        self.unit = "LoadState=loaded\nActiveState=active\nInvocationID=1\n"
        self.witness = folder / "witness.json"
        self.config = folder / "config"
        self.config.mkdir()
        (self.config / "node.toml").touch()
        self.kept = folder / "confirmed"
        self.update = folder / "update/state.json"
        self.fails = folder / "fails"
        self.fails.touch()
        for name in ("rauc", "systemctl"):
            program = folder / name
            program.write_text(
                f'#!/bin/sh\necho "{name} $*" >>{folder}/asked\n'
                f"case $2 in mark-*) exit 0$(cat {folder}/fails) ;; esac\n"
                f"cat {folder}/{name}.says\n"
            )
            program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def confirm(self, *options: str) -> Result:
        """Run `edgekernel image confirm`."""
        (self.folder / "rauc.says").write_text(self.status)
        (self.folder / "systemctl.says").write_text(self.unit)
        (self.folder / "asked").write_text("")
        bear_witness(Witness("1", SystemClock().monotonic()), self.witness)
        places = ["--config", str(self.config), "--kept", str(self.kept)]
        places += ["--state", str(self.update), "--witness", str(self.witness)]
        return CliRunner().invoke(main, ["image", "confirm", *places, *options])

    def asked(self) -> list[str]:
        """Return what RAUC was asked to do."""
        lines = (self.folder / "asked").read_text().splitlines()
        return [line for line in lines if "mark-" in line]


@pytest.fixture
def computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Computer:
    """Give a computer whose slot B has an update."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return Computer(tmp_path)


def test_confirmed(computer: Computer) -> None:
    """An update whose node is healthy is marked as good, and is no longer on trial then."""
    done = computer.confirm("--healthy-for", "0.1")
    assert (done.exit_code, computer.asked()) == (0, ["rauc status mark-good booted"])
    assert "slot B is on trial" in done.output
    state = read_state(computer.update)
    assert state is not None
    assert (state.phase, state.slot, state.percent) == ("confirmed", "B", 100)
    computer.unit = "LoadState=loaded\nActiveState=failed\n"
    again = computer.confirm("--healthy-for", "0.1", "--limit", "0.1")
    assert (again.exit_code, computer.asked()) == (0, ["rauc status mark-good booted"])
    assert "trial" not in again.output
    computer.status = slots(count=3)
    newer = computer.confirm("--healthy-for", "0.1", "--limit", "0.1")
    assert (newer.exit_code, "on trial" in newer.output) == (1, True)


def test_given_up(computer: Computer) -> None:
    """One whose node is not is marked as bad, with the reason, and stays on trial."""
    computer.unit = "LoadState=loaded\nActiveState=activating\nInvocationID=1\n"
    done = computer.confirm("--healthy-for", "0.1", "--limit", "0.1")
    assert (done.exit_code, computer.asked()) == (1, ["rauc status mark-bad booted"])
    assert "not confirmed yet: agent: it is activating" in done.output
    assert not computer.kept.exists()
    state = read_state(computer.update)
    assert state is not None
    assert (state.phase, state.unmet) == ("trial", ("agent: it is activating",))
    assert state.reason.startswith("agent: it is activating, after 0.1 s")


def test_times_of_the_node_file(computer: Computer) -> None:
    """The node file says how long a trial lasts and how often the agent may start; one that cannot
    be read says nothing, and options and the environment say it in its place."""
    (computer.config / "node.toml").write_text(
        '[node]\nname = "n"\nboard = "sim"\n[update]\nhealthy_for = 0.2\nmax_starts = 2\n'
    )
    computer.unit += "NRestarts=1\n"
    assert "was healthy for 0 s" in computer.confirm().output
    computer.kept.unlink()
    computer.unit = computer.unit.replace("NRestarts=1", "NRestarts=2")
    done = computer.confirm()
    assert "starts: the agent was started 3 times, 2 are allowed" in done.output
    assert done.exit_code == 1


def test_a_state_that_cannot_be_kept(computer: Computer) -> None:
    """That nobody can see how the trial goes is told once, and restarts no node that works."""
    computer.update.parent.write_text("in the way")
    done = computer.confirm("--healthy-for", "0.1")
    assert (done.exit_code, computer.asked()) == (0, ["rauc status mark-good booted"])
    assert done.output.count("cannot be kept") == 1


def test_after_a_fall_back(computer: Computer) -> None:
    """The slot that runs instead is good at once, and it is told why it runs."""
    computer.status = slots("A")
    done = computer.confirm()
    assert (done.exit_code, computer.asked()) == (0, ["rauc status mark-good booted"])
    assert "the other one was given up" in done.output


def test_without_a_node(computer: Computer) -> None:
    """Where nobody has put a configuration yet there is nothing to wait for."""
    (computer.config / "node.toml").unlink()
    done = computer.confirm()
    assert (done.exit_code, computer.asked()) == (0, ["rauc status mark-good booted"])


def test_without_rauc(computer: Computer) -> None:
    """If RAUC does not answer nothing is restarted: that may be a node that works."""
    computer.status = "not JSON"
    done = computer.confirm()
    assert (done.exit_code, computer.asked()) == (0, [])
    assert "the slots are not known" in done.output


def test_not_noted(computer: Computer) -> None:
    """That a good slot cannot be marked is told, and restarts no node that works."""
    computer.fails.write_text("1")
    done = computer.confirm("--healthy-for", "0.1")
    assert (done.exit_code, computer.kept.exists()) == (0, False)
    assert "is good, but that is not noted" in done.output


@pytest.mark.parametrize("damage", [b"\xff\xfe", None])
def test_what_was_confirmed_is_not_known(computer: Computer, damage: bytes | None) -> None:
    """A file that cannot be read is no reason to restart a node that works: the update is tried
    out once more, and the file is right then, if it can be."""
    if damage is None:
        computer.kept.mkdir()
    else:
        computer.kept.write_bytes(damage)
    done = computer.confirm("--healthy-for", "0.1")
    assert (done.exit_code, computer.asked()) == (0, ["rauc status mark-good booted"])
    assert "which update was confirmed is not known" in done.output
    assert "slot B is on trial" in done.output
    assert damage is None or computer.kept.read_text() == "2 2026-11-29T00:00:00Z"


@pytest.mark.parametrize("text", ["5min", "0", "nan", "-1", "1e9", "\N{SNOWMAN}"])
def test_a_mistake_in_the_environment(
    computer: Computer, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """It is told, and the node file says it in its place: it must not restart both slots."""
    (computer.config / "node.toml").write_text(
        '[node]\nname = "n"\nboard = "sim"\n[update]\nhealthy_for = 0.2\nlimit = 60\n'
    )
    monkeypatch.setenv("EDGEKERNEL_HEALTHY_FOR_S", text)
    monkeypatch.setenv("EDGEKERNEL_TRIAL_LIMIT_S", text)
    done = computer.confirm()
    assert (done.exit_code, computer.asked()) == (0, ["rauc status mark-good booted"])
    assert f"EDGEKERNEL_HEALTHY_FOR_S='{text}' does not count" in done.output


def test_the_environment(computer: Computer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says comes before the node file, and an option before both."""
    computer.unit = "LoadState=loaded\nActiveState=activating\nInvocationID=1\n"
    monkeypatch.setenv("EDGEKERNEL_TRIAL_LIMIT_S", "0.2")
    assert "activating, after 0.2 s" in computer.confirm().output
    assert "activating, after 0.1 s" in computer.confirm("--limit", "0.1").output


def test_programs_that_fail(computer: Computer) -> None:
    """That systemd does not answer is not healthy, and no crash; what a program says in no UTF-8
    is read."""
    rauc = computer.folder / "rauc"
    rauc.write_text(rauc.read_text().replace("exit 0", "printf '\\377'; exit 0"))
    done = computer.confirm("--healthy-for", "0.1")
    assert (done.exit_code, computer.asked()) == (0, ["rauc status mark-good booted"])
    (computer.folder / "systemctl").write_text("#!/bin/sh\necho no bus; exit 1\n")
    computer.kept.unlink(missing_ok=True)
    done = computer.confirm("--healthy-for", "0.1", "--limit", "0.2")
    assert "agent: systemd does not say how it is" in done.output
    assert computer.asked() == ["rauc status mark-bad booted"]
