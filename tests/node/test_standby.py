"""The standby: what it does at the end of an agent, which here is any process that ends."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekernel.backends.sim import SimBackend
from edgekernel.core.clock import SystemClock
from edgekernel.node import make_plan
from edgekernel.node.difference import plain
from edgekernel.node.plan import Plan
from edgekernel.node.safe_state import SafeOutput, SafeState
from edgekernel.node.standby import Documents, Standby
from edgekernel.node.standby_link import wait_for
from edgekernel.node.starting import read_document

NodeFile = Callable[..., Path]
LIMIT_S = 30.0
PUMP = '[devices.pump]\ndriver = "relay"\npin = "GPIO17"\n'
DOOR = '[devices.door]\ndriver = "relay"\npin = "GPIO27"\nsafe = "on"\n'


class Rig:
    """A board, a standby for it, and a process that stands for the agent."""

    def __init__(self, folder: Path, path: Path) -> None:
        self.path, self.socket = path, folder / "socket"
        self.clock = SystemClock()
        self.board = SimBackend(self.clock)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.socket))
        self.listener.listen()
        self.standby = Standby(self.listener, self.prepare)
        self.agent = subprocess.Popen(["sleep", "600"])
        self.callers: list[socket.socket] = []
        self.waiting: threading.Thread | None = None

    def prepare(self, documents: Documents) -> SafeState:
        """Make ready what the documents say, on the board."""
        plans = [read_document(self.path, each, None, {}) for each in documents]
        return SafeState(plans, lambda plan: self.board, self.clock)

    def call(self, *messages: object, pidfd: bool = True) -> socket.socket:
        """Connect as an agent, and say these messages."""
        caller = socket.socket(socket.AF_UNIX)
        self.callers.append(caller)
        caller.settimeout(LIMIT_S)
        caller.connect(str(self.socket))
        if pidfd:
            own = os.pidfd_open(self.agent.pid)
            socket.send_fds(caller, [b"{}\n"], [own])
            os.close(own)
        for message in messages:
            caller.sendall(json.dumps(message).encode() + b"\n")
        return caller

    def on(self, *pins: str) -> None:
        """Let lines have the level that an agent has left them with."""
        for pin in pins:
            line = self.board.digital_output(make_plan(self.path).board.line(pin))
            line.open(True)
            line.close()

    def begin(self) -> None:
        """Let the standby wait for the end of the agent."""
        self.waiting = threading.Thread(target=self.standby.wait)
        self.waiting.start()

    def kill(self) -> None:
        """Kill the agent, and let the standby see it."""
        self.agent.kill()
        self.agent.wait(LIMIT_S)
        if self.waiting is not None:
            self.waiting.join(LIMIT_S)

    def end(self) -> list[SafeOutput]:
        """Kill the agent, and let the standby do what it does then."""
        self.kill()
        return self.standby.drive()

    def close(self) -> None:
        """End all of it."""
        self.kill()
        self.standby.close()
        self.listener.close()
        for caller in self.callers:
            caller.close()
        self.board.close()


def watch(*plans: Plan) -> dict[str, Any]:
    """Return what an agent says that may drive what these plans say."""
    return {"watch": [plain(plan.document) for plan in plans]}


@pytest.fixture
def rig(node_file: NodeFile, tmp_path: Path) -> Iterator[Rig]:
    """Give a board with a pump and a door, and who stands by for it."""
    made = Rig(tmp_path, node_file(PUMP + DOOR))
    yield made
    made.close()


def test_killed(rig: Rig) -> None:
    """P8: when the agent has ended without a word, each output has its safe value."""
    rig.on("GPIO17")
    rig.call(watch(make_plan(rig.path)))
    rig.begin()
    found = rig.end()
    assert found == [SafeOutput("pump.power", False), SafeOutput("door.power", True)]
    pump, door = rig.board.line("GPIO17"), rig.board.line("GPIO27")
    assert (pump.level, door.level) == (False, True)


@pytest.mark.parametrize("late", [False, True], ids=["in-time", "late"])
@pytest.mark.parametrize("heard", [False, True], ids=["in-a-hurry", "in-peace"])
def test_clean_end(rig: Rig, late: bool, heard: bool) -> None:
    """An agent that has made all safe itself says so, and then nothing is touched; also if the
    standby sees its end before it has read that, or the agent did not wait for an answer."""
    caller = rig.call(watch(make_plan(rig.path)))
    rig.begin()
    assert select.select([caller], [], [], LIMIT_S)[0]
    if heard:
        assert caller.recv(100) == b'{"problems": []}\n'
    if late:
        rig.kill()
    caller.sendall(b'{"watch": []}\n')
    caller.close()
    assert rig.end() == []
    assert rig.board.line("GPIO27").function == "input"


def test_another_configuration(rig: Rig, node_file: NodeFile) -> None:
    """What the agent said last counts; what cannot be made ready is told to it, and what was ready
    before stays so."""
    pump = make_plan(node_file(PUMP))
    both = make_plan(node_file(PUMP + DOOR))
    wrong = {"watch": [{"node": {"name": "bench", "board": "none"}}]}
    caller = rig.call(watch(pump), watch(pump, both), wrong)
    rig.begin()
    answers = caller.makefile()
    told = [json.loads(answers.readline())["problems"] for _ in range(3)]
    answers.close()
    assert told[:2] == [[], []]
    assert "none" in told[2][0]
    assert [each.output for each in rig.end()] == ["pump.power", "door.power"]


def test_the_last_word(rig: Rig, node_file: NodeFile) -> None:
    """What the agent began to drive right before its end is made safe too, after all that was
    ready."""
    caller = rig.call(watch(make_plan(node_file(PUMP))))
    rig.begin()
    assert caller.recv(100)
    rig.kill()
    caller.sendall(json.dumps(watch(make_plan(node_file(DOOR)))).encode() + b'\n{"watch": [')
    assert [each.output for each in rig.standby.drive()] == ["pump.power", "door.power"]


def test_who_is_no_agent(rig: Rig) -> None:
    """Who hands over no pidfd is told so, who speaks otherwise is hung up on, and a second agent
    beside one that lives is refused: the one that was first is watched."""
    first = rig.call(watch(make_plan(rig.path)))
    rig.begin()
    assert first.recv(100) == b'{"problems": []}\n'
    assert b"another agent" in rig.call({"watch": []}).recv(100)
    assert rig.call("nonsense", pidfd=False).recv(100) == b""
    assert len(rig.end()) == 2


def test_an_agent_that_calls_again(rig: Rig, node_file: NodeFile) -> None:
    """An agent that was hung up on, and calls again, is watched as before."""
    caller = rig.call(watch(make_plan(rig.path)))
    rig.begin()
    assert caller.recv(100)
    caller.close()
    assert rig.call(watch(make_plan(node_file(DOOR)))).recv(100) == b'{"problems": []}\n'
    assert [each.output for each in rig.end()] == ["door.power"]


def test_who_waits(rig: Rig) -> None:
    """Who comes after the end, as `safe-state` does, waits until all is done, and for no longer
    than its limit; beside a standby that has nothing to do nobody waits."""
    rig.begin()
    assert wait_for(rig.socket, LIMIT_S) == ""
    assert rig.call(watch(make_plan(rig.path))).recv(100)
    assert wait_for(rig.socket, LIMIT_S) == ""
    rig.kill()
    assert wait_for(rig.socket, 0.01) == "the standby has not ended within 0.01 s"
    said: list[str] = []
    waiter = threading.Thread(target=lambda: said.append(wait_for(rig.socket, LIMIT_S)))
    waiter.start()
    rig.standby.drive()
    assert said == []
    rig.standby.close()
    rig.listener.close()
    waiter.join(LIMIT_S)
    assert said == [""]
    assert wait_for(rig.socket, LIMIT_S) == ""
