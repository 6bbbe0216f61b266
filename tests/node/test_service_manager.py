"""What a service manager is told, over a real socket, in simulated time."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekernel import Runtime
from edgekernel.core.errors import ConfigError
from edgekernel.core.messages import Message
from edgekernel.node.config_messages import ConfigApplied, ConfigRejected, ConfigRolledBack
from edgekernel.node.service_manager import ServiceManager
from edgekernel.sim import SimClock


class Manager:
    """The socket of a service manager."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)

    def told(self) -> list[dict[str, str]]:
        """Return what has arrived since."""
        found: list[dict[str, str]] = []
        while True:
            try:
                text = self._socket.recv(4096).decode()
            except BlockingIOError:
                return found
            found.append(dict(line.split("=", 1) for line in text.splitlines()))

    def close(self) -> None:
        """Give it back."""
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """Give the socket of a manager."""
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock, closed at the end."""
    with SimClock() as clock:
        yield clock


def test_from_ready_to_stopping(manager: Manager, clock: SimClock) -> None:
    """It is told that the node is ready once it has booted, then fed, and told of the stop."""
    runtime = Runtime(clock=clock)
    ServiceManager(manager.address, watchdog_s=20.0).attend(runtime)
    assert manager.told() == []
    runtime.boot()
    clock.advance(0)
    assert {"READY": "1", "STATUS": "running"} in manager.told()
    fed = []
    for _ in range(61):  # a socket may have room for ten messages only
        clock.advance(1)
        fed += manager.told()
    assert fed == [{"WATCHDOG": "1"}] * 12
    runtime.shutdown("it is\nevening")
    assert manager.told() == [{"STOPPING": "1", "STATUS": "stopping: it is evening"}]


def test_it_does_not_read(manager: Manager) -> None:
    """A manager that hears nothing more keeps nobody who tells it: it is told as an error."""
    teller = ServiceManager(manager.address)
    told = 0

    def tell() -> None:
        nonlocal told
        while told < 10_000:
            teller.tell(STATUS=str(told))
            told += 1

    with pytest.raises(TimeoutError):
        tell()
    assert manager.told() == [{"STATUS": str(number)} for number in range(told)]


def test_without_a_watchdog(manager: Manager, clock: SimClock) -> None:
    """Who wants no food gets none."""
    runtime = Runtime(clock=clock)
    ServiceManager(manager.address).attend(runtime)
    with runtime:
        clock.advance(3600)
        assert manager.told() == [{"READY": "1", "STATUS": "running"}]


class Up(Message):
    """The link is up."""


class Down(Message):
    """The link is gone."""


def test_with_a_link(manager: Manager, clock: SimClock) -> None:
    """A node that is to have a link says so until it is up, and when it is gone."""
    runtime = Runtime(clock=clock)
    ServiceManager(manager.address).attend(runtime, (Up, Down))
    with runtime:
        clock.advance(0)
        assert manager.told()[-1] == {"READY": "1", "STATUS": "running, without its broker"}
        runtime.emit(Up())
        clock.advance(1)
        assert manager.told() == [{"STATUS": "running"}]
        runtime.emit(Down())
        clock.advance(1)
        assert manager.told() == [{"STATUS": "running, without its broker"}]


def test_of_the_environment(manager: Manager) -> None:
    """It is found where systemd says so; the watchdog only if it is meant for this process."""
    own, other = str(os.getpid()), str(os.getpid() + 1)
    assert ServiceManager.of({}) is None
    environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "30000000"}
    found = ServiceManager.of(environment)
    assert found is not None
    assert found.watchdog_s == 30.0
    mine = ServiceManager.of({**environment, "WATCHDOG_PID": own})
    assert mine is not None
    assert mine.watchdog_s == 30.0
    theirs = ServiceManager.of({**environment, "WATCHDOG_PID": other})
    assert theirs is not None
    assert theirs.watchdog_s is None
    found.tell(STATUS="here")
    assert manager.told() == [{"STATUS": "here"}]


@pytest.mark.parametrize(
    "environment",
    [{"NOTIFY_SOCKET": "vsock:2"}, {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "soon"}],
)
def test_wrong_variables(environment: dict[str, str]) -> None:
    """Variables that no service manager sets are refused, with what is expected."""
    with pytest.raises(ConfigError, match=r"sd_notify|sd_watchdog_enabled"):
        ServiceManager.of(environment)


def test_a_manager_that_is_gone(tmp_path: Path, clock: SimClock) -> None:
    """A socket that nobody listens on is told as an error, and keeps the node from nothing."""
    runtime = Runtime(clock=clock)
    ServiceManager(str(tmp_path / "gone")).attend(runtime)
    with runtime:
        clock.advance(1)
        assert runtime.status()["state"] == "running"
        assert runtime.error_count


def test_what_has_come_of_a_change(manager: Manager, clock: SimClock) -> None:
    """A configuration that was refused stands in the status until another one is applied."""
    runtime = Runtime(clock=clock)
    ServiceManager(manager.address).attend(runtime)
    with runtime:
        manager.told()
        problems = ("node.toml: devices.fan.pin:\n unknown", "node.toml: mqtt.host: missing")
        runtime.emit(ConfigRejected("file", "", "", problems))
        runtime.emit(ConfigRolledBack("remote", "7", "anna", ("device room: " + 500 * "x",)))
        runtime.emit(ConfigApplied("file", "", "", "1234", ()))
        told = [each["STATUS"] for each in manager.told()]
    assert told[0] == (
        "running; the changed node file was rejected: node.toml: devices.fan.pin: unknown "
        "(and 1 more)"
    )
    assert told[1].startswith("running; the configuration sent from afar was rolled back: device")
    assert len(told[1]) < 300
    assert told[2] == "running"
