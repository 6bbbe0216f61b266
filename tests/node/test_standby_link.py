"""What an agent says to its standby, and of it; the standby here is a socket that listens."""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Runtime
from edgekernel.core.message import RuntimeDegraded, RuntimeRecovered
from edgekernel.core.messages import Event, Message
from edgekernel.node import make_plan
from edgekernel.node.plan import Plan
from edgekernel.node.standby_link import StandbyLink, StandbyLost, StandbyReady

NodeFile = Callable[..., Path]
LIMIT_S = 30.0
PUMP = '[devices.pump]\ndriver = "relay"\npin = "GPIO17"\n'
LINKED = '[mqtt]\nhost = "b"\nusername = "u"\npassword = "secret"\n'


class Listener:
    """A socket to which the agent speaks."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.settimeout(LIMIT_S)
        self._listener.bind(str(path))
        self._listener.listen()
        self.path = path
        self._channel: socket.socket | None = None
        self.pidfd = -1

    def accept(self) -> None:
        """Wait for the agent, and take what it hands over."""
        self._channel, _ = self._listener.accept()
        self._channel.settimeout(LIMIT_S)
        data, (self.pidfd,), _, _ = socket.recv_fds(self._channel, 3, 1)
        assert data == b"{}\n"

    def hear(self) -> Any:
        """Return what the agent wants to be watched for."""
        assert self._channel is not None
        line = b""
        while not line.endswith(b"\n"):
            line += self._channel.recv(1)
        return json.loads(line)["watch"]

    def say(self, *problems: str) -> None:
        """Answer."""
        assert self._channel is not None
        self._channel.sendall(json.dumps({"problems": problems}).encode() + b"\n")

    def hang_up(self) -> None:
        """Be gone for the agent, as a standby that has ended."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
        if self._channel is not None:
            self._channel.close()

    def close(self) -> None:
        """Be gone for good."""
        self.hang_up()
        self._listener.close()
        self.path.unlink(missing_ok=True)


@pytest.fixture
def plan(node_file: NodeFile) -> Plan:
    """Give a plan with a pump."""
    return make_plan(node_file(PUMP))


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    """Give a runtime that runs, in real time as what it speaks to."""
    with Runtime() as runtime:
        yield runtime


@pytest.fixture
def told(runtime: Runtime) -> list[Message]:
    """Give what is told of the standby, as it comes."""
    found: list[Message] = []

    def note(event: Event) -> None:
        found.append(event.payload)

    for kind in (StandbyReady, StandbyLost, RuntimeDegraded, RuntimeRecovered):
        runtime.subscribe(kind, note)
    return found


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    """Give somebody to speak to."""
    made = Listener(tmp_path / "socket")
    yield made
    made.close()


@pytest.fixture
def link(runtime: Runtime, plan: Plan, tmp_path: Path) -> Iterator[StandbyLink]:
    """Give a link that has begun to look for its standby."""
    link = StandbyLink(runtime, tmp_path / "socket", plan, missing_after_s=0.3)
    link.start()
    yield link
    link.stand_down()


def wait_until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def kinds(told: list[Message]) -> list[type[Message]]:
    """Return of which kinds the messages are."""
    return [type(each) for each in told]


@pytest.mark.usefixtures("link")
def test_it_hands_over(listener: Listener, told: list[Message]) -> None:
    """The standby is handed what becomes readable at the agent's end, and what the agent drives;
    that it has all ready is told."""
    listener.accept()
    assert select.select([listener.pidfd], [], [], 0)[0] == []
    (document,) = listener.hear()
    assert document["devices"]["pump"]["pin"] == "GPIO17"
    listener.say()
    wait_until(lambda: kinds(told) == [StandbyReady])


def test_no_secrets(node_file: NodeFile, runtime: Runtime, listener: Listener) -> None:
    """Neither a password nor anything else of the link to the broker is handed over."""
    link = StandbyLink(runtime, listener.path, make_plan(node_file(PUMP + LINKED)))
    link.start()
    listener.accept()
    assert "secret" not in json.dumps(listener.hear())
    link.stand_down()


def test_changes(link: StandbyLink, plan: Plan, listener: Listener) -> None:
    """Of a change it hears before, of a safe end too, each as a whole."""
    listener.accept()
    assert len(listener.hear()) == 1
    link.watch([plan, plan])
    assert len(listener.hear()) == 2
    link.stand_down()
    assert listener.hear() == []


@pytest.mark.usefixtures("link")
def test_lost_and_found(listener: Listener, told: list[Message]) -> None:
    """A standby that ends is told of at once, and is looked for again; it hears all again."""
    listener.accept()
    listener.hear()
    listener.say()
    listener.hang_up()
    wait_until(lambda: kinds(told)[:2] == [StandbyReady, StandbyLost])
    listener.accept()
    assert len(listener.hear()) == 1
    listener.say()
    wait_until(lambda: StandbyReady in kinds(told)[2:])


@pytest.mark.usefixtures("link")
def test_missing(runtime: Runtime, tmp_path: Path, told: list[Message]) -> None:
    """A node that goes without a standby for too long is degraded, by the name of what is missing,
    until there is one that is ready."""
    wait_until(lambda: runtime.status()["degraded"] == ["standby"])
    assert "No such file" in runtime.status()["components"]["standby"]["error"]
    listener = Listener(tmp_path / "socket")
    listener.accept()
    listener.hear()
    listener.say("devices.pump: no such driver")
    listener.hang_up()
    listener.accept()
    assert runtime.status()["degraded"] == ["standby"]
    listener.hear()
    listener.say()
    wait_until(lambda: runtime.status()["degraded"] == [])
    wait_until(lambda: StandbyReady in kinds(told))
    assert kinds(told)[0] is RuntimeDegraded
    listener.close()


def test_silent(runtime: Runtime, plan: Plan, listener: Listener) -> None:
    """One that is there and says nothing is missing as well, and is spoken to anew."""
    link = StandbyLink(runtime, listener.path, plan, missing_after_s=0.3, answer_limit_s=0.1)
    link.start()
    wait_until(lambda: runtime.status()["degraded"] == ["standby"])
    assert "timed out" in runtime.status()["components"]["standby"]["error"]
    link.stand_down()


def test_only_where_one_is_named(runtime: Runtime, plan: Plan) -> None:
    """Without the variable in its environment an agent looks for no standby."""
    assert StandbyLink.of({}, runtime, plan) is None
    assert StandbyLink.of({"EDGEKERNEL_STANDBY": "/run/x"}, runtime, plan) is not None
