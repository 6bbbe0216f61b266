"""Why the agent was started: the traces of the run before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from edgekernel import Device, Runtime
from edgekernel.backends.disk import SystemDisk
from edgekernel.core.errors import BootError
from edgekernel.core.memory import Memory
from edgekernel.core.messages import Event
from edgekernel.node import FileMemory
from edgekernel.node.restart import AgentStarted, RestartCause, note_end, note_run
from edgekernel.sim import SimClock


class Broken(Device):
    """A part that cannot be started."""

    def connect(self) -> None:
        raise OSError("no such hardware")


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock, closed at the end."""
    with SimClock() as clock:
        yield clock


def started(folder: Path, clock: SimClock, boot: str = "first") -> tuple[Runtime, RestartCause]:
    """Return a runtime that keeps its memory in a folder, and why it was started."""
    memory: Memory = FileMemory(folder, clock)
    runtime = Runtime(clock=clock, memory=memory)
    return runtime, note_run(runtime, folder, SystemDisk(), boot)


def killed(folder: Path, clock: SimClock, boot: str = "first") -> None:
    """Run an agent that ends without a word."""
    runtime, _ = started(folder, clock, boot)
    runtime.boot()
    clock.advance(1)  # nobody stops it; its memory is on the disk


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("SIGTERM", RestartCause("clean", "SIGTERM")),
        ("operator: anna", RestartCause("operator", "anna")),
        ("update: 1.2 to 1.3", RestartCause("update", "1.2 to 1.3")),
        (
            "critical service heat failed: x",
            RestartCause("critical", "critical service heat failed: x"),
        ),
    ],
)
def test_an_end_that_was_told(
    tmp_path: Path, clock: SimClock, reason: str, cause: RestartCause
) -> None:
    """A run that could end by itself has said why; the next one knows it, and the first of all
    knows that it is the first."""
    runtime, first = started(tmp_path, clock)
    assert first == RestartCause("first")
    with runtime:
        runtime.shutdown(reason)
    assert started(tmp_path, clock)[1] == cause


def test_no_word(tmp_path: Path, clock: SimClock) -> None:
    """A run that ended without a word while the computer ran on has crashed."""
    killed(tmp_path, clock)
    assert started(tmp_path, clock)[1].kind == "crash"


def test_another_boot(tmp_path: Path, clock: SimClock) -> None:
    """If the computer was started anew meanwhile, it has lost its power."""
    killed(tmp_path, clock)
    assert started(tmp_path, clock, "second")[1].kind == "power-loss"


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            {"SERVICE_RESULT": "watchdog", "EXIT_CODE": "killed", "EXIT_STATUS": "ABRT"},
            RestartCause("watchdog", "watchdog (killed ABRT)"),
        ),
        (
            {"SERVICE_RESULT": "signal", "EXIT_CODE": "killed", "EXIT_STATUS": "KILL"},
            RestartCause("killed", "signal (killed KILL)"),
        ),
        ({"SERVICE_RESULT": "oom-kill"}, RestartCause("out-of-memory", "oom-kill")),
        (
            {"SERVICE_RESULT": "exit-code", "EXIT_CODE": "exited", "EXIT_STATUS": "4"},
            RestartCause("crash", "exit-code (exited 4)"),
        ),
    ],
)
def test_what_the_service_manager_says(
    tmp_path: Path, clock: SimClock, said: Mapping[str, str], cause: RestartCause
) -> None:
    """What systemd says of an end that the agent could not tell is what the next run knows."""
    killed(tmp_path, clock)
    note_end(tmp_path, SystemDisk(), said, "first")
    assert started(tmp_path, clock)[1] == cause


def test_an_old_note(tmp_path: Path, clock: SimClock) -> None:
    """What was noted of an earlier end says nothing of one after it."""
    killed(tmp_path, clock)
    note_end(tmp_path, SystemDisk(), {"SERVICE_RESULT": "watchdog"}, "first")
    killed(tmp_path, clock)
    assert started(tmp_path, clock, "second")[1].kind == "power-loss"


def test_a_damaged_note(tmp_path: Path, clock: SimClock) -> None:
    """A note that is no JSON says nothing, and keeps nobody from starting."""
    killed(tmp_path, clock)
    (tmp_path / "last-end.json").write_bytes(b"\xff{")
    assert started(tmp_path, clock)[1].kind == "crash"


def test_a_good_end_is_no_note(tmp_path: Path) -> None:
    """Of an end that is none of the bad ones nothing is noted, nor without a service manager."""
    note_end(tmp_path / "data", SystemDisk(), {"SERVICE_RESULT": "success"}, "first")
    note_end(tmp_path / "data", SystemDisk(), {}, "first")
    assert not (tmp_path / "data").exists()


def test_a_boot_that_fails(tmp_path: Path, clock: SimClock) -> None:
    """A run that could not boot has crashed."""
    runtime, _ = started(tmp_path, clock)
    runtime.attach_device(Broken("broken"))
    with pytest.raises(BootError):
        runtime.boot()
    assert started(tmp_path, clock)[1] == RestartCause("crash", "the boot failed")


def test_it_is_told(tmp_path: Path, clock: SimClock) -> None:
    """The cause is a message, so that it is in journals, and applications know it."""
    killed(tmp_path, clock)
    runtime, _ = started(tmp_path, clock)
    told: list[Event] = []
    runtime.subscribe(AgentStarted, told.append)
    with runtime:
        clock.advance(1)
    assert [each.payload for each in told] == [AgentStarted("crash", "it ended without a word")]
