"""A node that updates its system: asked, kept waiting, handed over, and followed to its end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgekernel import InvalidValueError, Runtime, UnavailableError, message
from edgekernel.node.busy import Busy
from edgekernel.node.memory import FileMemory
from edgekernel.node.update_request import UpdateRequest, take_request
from edgekernel.node.update_state import UpdateState, after_boot, read_state, write_state
from edgekernel.node.update_table import UpdateTable
from edgekernel.node.update_watch import STATE, UpdateChanged, UpdateFailed
from edgekernel.node.updating import ROOM_BYTES, Update
from edgekernel.sim import SimClock
from tests.core.parts import messages_of

BUNDLE = "https://updates.example/v2.raucb"


class Board:
    """A node with two slots, and root, which takes what the agent hands over when told to."""

    def __init__(self, folder: Path, clock: SimClock, stack: ExitStack) -> None:
        self.folder = folder
        self.clock = clock
        self._stack = stack
        self.state_file = folder / "update/state.json"
        self.request_file = folder / "run-request.json"
        self.write(UpdateState())
        self.start()

    def start(self, **how: Any) -> None:
        """Start the agent."""
        memory = FileMemory(self.folder / "memory", self.clock)
        self.runtime = Runtime(clock=self.clock, memory=memory)
        self.runtime.register(Busy(self.runtime))
        self.update = Update(
            self.runtime,
            self.state_file,
            UpdateTable(remote=True),
            **{"requests": self.request_file, "comes_back": True, **how},
        )
        self.runtime.register(self.update)
        self.failed = messages_of(self.runtime, UpdateFailed)
        self.changed = messages_of(self.runtime, UpdateChanged)
        self._stack.enter_context(self.runtime)

    def write(self, state: UpdateState, boot: str = "this") -> UpdateState:
        """Let root say how it goes."""
        write_state(state, self.state_file, boot=boot)
        return state

    def ask(self, busy: str = "wait") -> str:
        """Ask for an update; return its id."""
        asked = self.runtime.invoke("update.install", {"bundle": BUNDLE, "busy": busy})
        return str(asked["id"])

    def taken(self) -> UpdateRequest:
        """Let root take what was handed over."""
        return take_request(self.request_file)

    @property
    def shown(self) -> dict[str, Any]:
        """What everybody sees of the update."""
        found: dict[str, Any] = self.runtime.state.get(STATE)
        return found


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """Give a simulated clock."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def board(tmp_path: Path, clock: SimClock) -> Iterator[Board]:
    """Give a board whose agent runs."""
    with ExitStack() as stack:
        yield Board(tmp_path, clock, stack)


def test_from_asked_to_confirmed(board: Board, clock: SimClock) -> None:
    """What is asked for is handed over, followed while root installs it, and the computer is to
    start anew when it is installed; each step is shown and told."""
    id = board.ask()
    clock.advance(2)
    assert board.shown["phase"] == "asked"
    request = board.taken()
    assert (request.action, request.id, request.bundle) == ("install", id, BUNDLE)
    going = board.write(UpdateState(id=id, slot="B").moved("installing", doing="Copying"))
    clock.advance(1)
    board.write(replace(going, percent=40))
    clock.advance(1)
    assert (board.shown["phase"], board.shown["percent"]) == ("installing", 40)
    board.write(going.moved("installed"))
    clock.advance(2)
    assert board.taken() == UpdateRequest("reboot", id)
    board.write(going.moved("rebooting"))
    clock.advance(2)
    assert board.shown["phase"] == "rebooting"
    board.write(going.moved("trial"))
    clock.advance(2)
    board.write(going.moved("confirmed", reason="the node was healthy for 300 s"))
    clock.advance(2)
    assert board.shown["reason"] == "the node was healthy for 300 s"
    phases = [each.phase for each in board.changed]
    assert phases == ["asked", "installing", "installed", "rebooting", "trial", "confirmed"]
    assert board.failed == []


def test_waits_while_busy(board: Board, clock: SimClock) -> None:
    """It waits before it is installed, and again before the computer starts anew; who holds the
    node busy, why and until when is shown."""
    board.runtime.busy.hold("kiln", "firing", 100)
    id = board.ask()
    clock.advance(10)
    assert not board.request_file.exists()
    assert board.shown["phase"] == "waiting"
    assert board.shown["reason"].startswith("kiln: firing (until ")
    clock.advance(95)
    assert board.taken().action == "install"
    board.runtime.busy.hold("anna", "watching", 50)
    board.write(UpdateState(id=id).moved("installed"))
    clock.advance(10)
    assert not board.request_file.exists()
    assert board.shown["reason"].startswith("it is installed; anna: watching (until ")
    clock.advance(45)
    assert board.taken().action == "reboot"


def test_does_not_wait(board: Board, clock: SimClock) -> None:
    """With "ignore" it waits for nobody, also before the start; with "refuse" it is refused."""
    board.runtime.busy.hold("kiln", "firing", 3600)
    with pytest.raises(UnavailableError, match=r"^the node is busy: kiln: firing \(until "):
        board.ask("refuse")
    id = board.ask("ignore")
    clock.advance(2)
    assert board.taken().now
    board.write(UpdateState(id=id, now=True).moved("installed"))
    clock.advance(2)
    assert board.taken().action == "reboot"


def test_one_at_a_time(board: Board, clock: SimClock) -> None:
    """A second one is refused, and told what goes on, until the first has ended."""
    id = board.ask()
    with pytest.raises(UnavailableError, match=f"under way already: asked {BUNDLE}"):
        board.ask()
    clock.advance(2)
    board.taken()
    for phase in ("installing", "installed", "rebooting", "trial"):
        board.write(UpdateState(id=id).moved(phase))
        clock.advance(2)
        with pytest.raises(UnavailableError, match=f"under way already: {phase}"):
            board.ask()
    board.write(UpdateState(id=id).moved("fell_back", reason="slot B did not come up"))
    clock.advance(2)
    assert [each.reason for each in board.failed] == ["slot B did not come up"]
    board.request_file.unlink(missing_ok=True)
    assert board.ask() != id


def test_cancelled(board: Board, clock: SimClock) -> None:
    """What waits can be given up; what is installed cannot."""
    board.runtime.busy.hold("kiln", "firing", 3600)
    id = board.ask()
    clock.advance(2)
    board.runtime.invoke("update.cancel")
    with pytest.raises(UnavailableError, match="no update waits: cancelled"):
        board.runtime.invoke("update.cancel")
    clock.advance(2)
    assert (board.shown["phase"], board.shown["id"]) == ("cancelled", id)
    board.write(UpdateState(id=id).moved("installing"))
    clock.advance(2)
    with pytest.raises(UnavailableError, match="no update waits: installing"):
        board.runtime.invoke("update.cancel")


def test_anew_after_a_cancel(board: Board, clock: SimClock) -> None:
    """Right after one was cancelled another one may be asked for."""
    board.runtime.busy.hold("kiln", "firing", 3600)
    board.ask()
    clock.advance(2)
    board.runtime.invoke("update.cancel")
    id = board.ask("ignore")
    clock.advance(2)
    assert board.taken().id == id


def test_nobody_takes_it(board: Board, clock: SimClock) -> None:
    """If root takes no request it is withdrawn, and the failure says what to look at."""
    board.ask()
    clock.advance(65)
    assert "edgekernel-update.path" in board.shown["reason"]
    assert (board.shown["phase"], board.request_file.exists()) == ("failed", False)
    board.ask()


def test_not_handed_over(board: Board, clock: SimClock) -> None:
    """A request that cannot be written is a failure with its reason."""
    board.request_file.mkdir()
    board.ask()
    clock.advance(2)
    assert (board.shown["phase"], "cannot be handed over" in board.shown["reason"]) == (
        "failed",
        True,
    )
    assert [each.phase for each in board.failed] == ["failed"]


def test_not_lost_with_the_agent(board: Board, clock: SimClock) -> None:
    """What waits when the agent ends is waited for by the next one."""
    board.runtime.busy.hold("kiln", "firing", 3600)
    id = board.ask()
    clock.advance(2)
    board.runtime.shutdown()
    board.start()
    clock.advance(2)
    assert board.taken().id == id


def test_not_lost_with_a_killed_agent(board: Board, clock: SimClock) -> None:
    """What is asked for is kept at once, also just after something else was."""
    board.runtime.busy.hold("kiln", "firing", 100)
    board.runtime.outputs.memory.put("output/lamp.power", True)
    clock.advance(0.5)
    id = board.ask()
    clock.advance(0.5)
    board.start()  # the one before was not stopped
    clock.advance(2)
    assert board.taken().id == id


def test_no_image(board: Board, clock: SimClock) -> None:
    """Where there are no slots it is refused, with what to do instead."""
    board.state_file.unlink()
    with pytest.raises(UnavailableError, match=r"two slots and RAUC .* pip, and then restart"):
        board.ask()


@pytest.mark.parametrize(
    "bundle",
    [
        "",
        "v2.raucb",
        "ftp://a/b",
        "/data/../etc/shadow",
        "https://u:p@host/x",
        "https://",
        "x" * 1001,
    ],
)
def test_no_bundle(board: Board, bundle: str) -> None:
    """What is no place of a bundle is refused; an address with a password too, as all see it."""
    with pytest.raises(InvalidValueError, match=r"bundle|https|without \.\."):
        board.runtime.invoke("update.install", {"bundle": bundle})


def test_no_room(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room on the data partition it is refused, with how much is needed."""
    monkeypatch.setattr("edgekernel.node.updating.ROOM_BYTES", 2**62)
    assert ROOM_BYTES == 16 * 2**20
    with pytest.raises(UnavailableError, match="MiB are free on the data partition"):
        board.ask()


def test_restarts_when_free(board: Board, clock: SimClock) -> None:
    """A restart waits while the node is busy, and its reason says that an operator wanted it."""
    ends = messages_of(board.runtime, message.RuntimeShuttingDown)
    board.runtime.busy.hold("kiln", "firing", 30)
    board.runtime.invoke("update.restart", {"reason": "new firmware of the pump"}, "anna")
    clock.advance(20)
    assert ends == []
    clock.advance(15)
    assert [each.reason for each in ends] == ["operator: anna: new firmware of the pump"]


def test_nobody_starts_it_again(board: Board, clock: SimClock) -> None:
    """An agent that is no service is not ended from afar."""
    board.runtime.shutdown()
    board.start(comes_back=False)
    with pytest.raises(UnavailableError, match="not run as a service"):
        board.runtime.invoke("update.restart", {"reason": "x"})


@pytest.mark.parametrize(
    ("phase", "slot", "then", "reason"),
    [
        ("installing", "A", "failed", "the computer started anew while it was installed"),
        ("installed", "B", "trial", ""),
        ("rebooting", "B", "trial", ""),
        ("rebooting", "A", "fell_back", "slot B did not come up in the tries that it has"),
        ("trial", "B", "trial", "why"),
        ("trial", "A", "fell_back", "why"),
        ("confirmed", "A", "confirmed", "why"),
        ("failed", "A", "failed", "why"),
        ("none", "A", "none", "why"),
    ],
)
def test_after_a_boot(phase: str, slot: str, then: str, reason: str) -> None:
    """What was under way goes on by the slot that came up, and says why it fell back."""
    before = UpdateState(id="x", slot="B", boot="before").moved(phase, reason="why")
    after = after_boot(before, slot, "now")
    assert (after.phase, after.reason) == (then, reason)
    assert after_boot(before, slot, "before") is before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"phase": 7, "unmet": "x"}', b"\xff"])
def test_a_damaged_state(tmp_path: Path, content: bytes) -> None:
    """A file that cannot be read counts as no update; one that is not there as no image."""
    path = tmp_path / "state.json"
    assert read_state(path) is None
    path.write_bytes(content)
    assert read_state(path) == UpdateState()


def test_requests_are_not_trusted(tmp_path: Path) -> None:
    """Root takes a plain file of a few bytes, once, follows no link, and checks what is in it."""
    path = tmp_path / "request.json"
    good = {"action": "install", "id": "0" * 32, "bundle": "/data/x.raucb", "bad_before": ["a.b"]}
    path.write_text(json.dumps(good))
    assert take_request(path) == UpdateRequest("install", "0" * 32, "/data/x.raucb", ("a.b",))
    assert not path.exists()
    secret = tmp_path / "secret"
    secret.write_text(json.dumps(good))
    path.symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links"):
        take_request(path)
    mistakes: list[object] = [
        [],
        {**good, "action": "format"},
        {**good, "id": "../x"},
        {**good, "bundle": "--help"},
        {**good, "bundle": 3},
        {**good, "bad_before": "a"},
        {**good, "bad_before": [""]},
        {**good, "now": "yes"},
        {**good, "bundle": "x" * 300_000},
    ]
    for wrong in mistakes:
        path.write_text(json.dumps(wrong))
        with pytest.raises(ValueError):  # noqa: PT011 - each says something else
            take_request(path)
        assert not path.exists()
