"""Why the agent was started: the traces of the run before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Device, Runtime
from edgekernel.backends.disk import SystemDisk
from edgekernel.core.errors import BootError
from edgekernel.core.memory import Memory
from edgekernel.core.messages import Event
from edgekernel.node import FileMemory
from edgekernel.node.restart import AgentStarted, RestartCause, note_end, note_run
from edgekernel.node.update_state import UpdateState
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


def started(
    folder: Path, clock: SimClock, boot: str = "first", **image: Any
) -> tuple[Runtime, RestartCause]:
    """Return a runtime that keeps its memory in a folder, and why it was started."""
    memory: Memory = FileMemory(folder, clock)
    runtime = Runtime(clock=clock, memory=memory)
    return runtime, note_run(runtime, folder, SystemDisk(), boot, **image)


def killed(folder: Path, clock: SimClock, boot: str = "first", **image: Any) -> None:
    """Run an agent that ends without a word."""
    runtime, _ = started(folder, clock, boot, **image)
    runtime.boot()
    clock.advance(1)  # nobody stops it; its memory is on the disk


def stopped(folder: Path, clock: SimClock, boot: str, **image: Any) -> RestartCause:
    """Run an agent that is stopped with the computer; return why it was started."""
    runtime, cause = started(folder, clock, boot, **image)
    with runtime:
        runtime.shutdown("SIGTERM")
    return cause


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


@pytest.mark.parametrize("name", ["ABRT", "BUS", "FPE", "ILL", "SEGV", "SYS", "TRAP"])
def test_a_fault_without_a_core(tmp_path: Path, clock: SimClock, name: str) -> None:
    """A signal that a fault raises is a crash, though systemd tells it as a kill where no core is
    kept."""
    killed(tmp_path, clock)
    said = {"SERVICE_RESULT": "signal", "EXIT_CODE": "killed", "EXIT_STATUS": name}
    note_end(tmp_path, SystemDisk(), said, "first")
    assert started(tmp_path, clock)[1] == RestartCause("crash", f"signal (killed {name})")


@pytest.mark.parametrize(
    ("boot", "slot", "kind"),
    [("first", "A", "crash"), ("second", "A", "power-loss"), ("second", "B", "power-loss")],
)
def test_an_end_soon_after_the_start(
    tmp_path: Path, clock: SimClock, boot: str, slot: str, kind: str
) -> None:
    """A run that ends without a word in its first second is known as such, also after one that
    ended well, and when something else was kept just before it noted that it runs."""
    stopped(tmp_path, clock, "first", slot="A")
    runtime = Runtime(clock=clock, memory=FileMemory(tmp_path, clock))
    runtime.outputs.memory.put("busy.locks", "[]")
    clock.advance(0.1)
    note_run(runtime, tmp_path, SystemDisk(), boot, slot=slot)
    runtime.boot()
    clock.advance(0.1)
    again = boot if kind == "crash" else "third"
    assert started(tmp_path, clock, again, slot=slot)[1].kind == kind


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


UPDATE = UpdateState(id="1", before="1.2", after="1.3", slot="B")


def test_an_update(tmp_path: Path, clock: SimClock) -> None:
    """The first start in the new slot says so, from which version to which; those after it have
    their own causes."""
    stopped(tmp_path, clock, "first", slot="A", update=UpdateState())
    on_trial = UPDATE.moved("trial")
    cause = stopped(tmp_path, clock, "second", slot="B", update=on_trial)
    assert cause == RestartCause("update", "1.2 to 1.3, in slot B")
    again = stopped(tmp_path, clock, "second", slot="B", update=on_trial)
    assert again == RestartCause("clean", "SIGTERM")
    killed(tmp_path, clock, "second", slot="B", update=UPDATE.moved("confirmed"))
    later = started(tmp_path, clock, "third", slot="B", update=UPDATE.moved("confirmed"))[1]
    assert later.kind == "power-loss"


def test_an_update_that_was_cut_short(tmp_path: Path, clock: SimClock) -> None:
    """If the computer loses its power on the way into the new slot, that start too is an update."""
    killed(tmp_path, clock, "first", slot="A", update=UPDATE.moved("installed"))
    cause = started(tmp_path, clock, "second", slot="B", update=UPDATE.moved("trial"))[1]
    assert cause.kind == "update"


@pytest.mark.parametrize("ran", [True, False])
def test_a_fall_back(tmp_path: Path, clock: SimClock, ran: bool) -> None:
    """The start in the old slot after it says from what it fell back, and why, once; whether or
    not the agent has run in the new one."""
    stopped(tmp_path, clock, "first", slot="A", update=UPDATE.moved("installed"))
    if ran:
        stopped(tmp_path, clock, "second", slot="B", update=UPDATE.moved("trial"))
    back = UPDATE.moved("fell_back", reason="broker: it is not reached")
    cause = stopped(tmp_path, clock, "third", slot="A", update=back)
    expected = "fell back from 1.3 in slot B: broker: it is not reached"
    assert cause == RestartCause("update", expected)
    assert stopped(tmp_path, clock, "fourth", slot="A", update=back).kind == "clean"


def test_an_update_by_hand(tmp_path: Path, clock: SimClock) -> None:
    """Another slot than before is an update, also when nobody has asked the agent for it."""
    stopped(tmp_path, clock, "first", slot="A")
    cause = stopped(tmp_path, clock, "second", slot="B")
    assert (cause.kind, "from slot A to slot B" in cause.detail) == ("update", True)
    assert stopped(tmp_path, clock, "third", slot="B").kind == "clean"
