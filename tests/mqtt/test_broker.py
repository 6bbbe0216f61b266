"""The embedded broker."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgekernel.core.errors import BusyError, ConfigError
from edgekernel.mqtt import EmbeddedBroker
from edgekernel.mqtt.broker import Kind
from tests.brokers import HOST, LIMIT_S, free_port, watching
from tests.mqtt.parts import node

KINDS: tuple[Kind, ...] = ("mosquitto", "amqtt")


def accepts(port: int) -> bool:
    """Say whether somebody listens."""
    with socket.socket() as attempt:
        return attempt.connect_ex((HOST, port)) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_and_a_client_meet_on_it(kind: Kind) -> None:
    """Status, state, requests and the offline status pass through either broker."""
    with EmbeddedBroker(free_port(), kind=kind) as broker:
        assert broker.kind == kind
        with watching(broker.port) as watcher:
            with node(broker.port):
                watcher.on("edge/n1/status", state="online")
                watcher.publish("edge/n1/set/lamp/power", "on")
                watcher.on("edge/n1/state/lamp", power=True)
                with watching(broker.port) as late:
                    assert late.on("edge/n1/state/lamp", power=True).retained
            watcher.on("edge/n1/status", state="offline")
    assert not accepts(broker.port)


@pytest.mark.parametrize("kind", KINDS)
def test_it_publishes_last_wills(kind: Kind) -> None:
    """The first run shows what happens when a node is cut off."""
    with EmbeddedBroker(free_port(), kind=kind) as broker, watching(broker.port) as watcher:
        program = (
            "import sys\n"
            "from edgekernel.core.runtime import Runtime\n"
            "from edgekernel.mqtt import MqttInterface, Settings\n"
            "runtime = Runtime(name='n1')\n"
            "runtime.register(MqttInterface(Settings('127.0.0.1', int(sys.argv[1]))))\n"
            "runtime.run()\n"
        )
        process = subprocess.Popen([sys.executable, "-c", program, str(broker.port)])
        try:
            watcher.on("edge/n1/status", state="online")
        finally:
            process.kill()
            process.wait(LIMIT_S)
        watcher.on("edge/n1/status", state="offline", cause="connection lost")


@pytest.mark.parametrize("kind", KINDS)
def test_it_listens_on_the_loopback_only(kind: Kind) -> None:
    """Nobody beyond this machine reaches the open broker."""
    with EmbeddedBroker(free_port(), kind=kind) as broker:
        listening = [
            line.split()[1]
            for table in ("/proc/net/tcp", "/proc/net/tcp6")
            if Path(table).exists()
            for line in Path(table).read_text().splitlines()[1:]
            if line.split()[3] == "0A" and line.split()[1].endswith(f":{broker.port:04X}")
        ]
    assert listening in ([f"0100007F:{broker.port:04X}"], [])  # [] where there is no /proc


@pytest.mark.parametrize("kind", KINDS)
def test_it_ends_when_its_parent_is_killed(kind: Kind, tmp_path: Path) -> None:
    """No broker and no file stays behind, however the agent ends."""
    program = (
        "import sys, time\n"
        "from edgekernel.mqtt import EmbeddedBroker\n"
        "broker = EmbeddedBroker(int(sys.argv[1]), kind=sys.argv[2])\n"
        "broker.start()\n"
        "print('up', flush=True)\n"
        "time.sleep(60)\n"
    )
    port = free_port()
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(port), kind],
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"up\n"
    assert list(tmp_path.iterdir())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait(LIMIT_S)
    parent.stdout.close()
    end = time.monotonic() + LIMIT_S
    while (accepts(port) or list(tmp_path.iterdir())) and time.monotonic() < end:
        time.sleep(0.02)  # another process: there is nothing to wait on
    assert not accepts(port)
    assert not list(tmp_path.iterdir())


def test_the_port_is_the_standard_one_or_a_free_one() -> None:
    """Without a port given it is 1883 unless that is taken."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((HOST, 1883))
        except OSError:
            pass  # somebody has it already: as good
        else:
            taken.listen()
        assert EmbeddedBroker().port not in (0, 1883)


def test_a_taken_port_is_told() -> None:
    """A port that somebody has is an error before anything is started."""
    with socket.create_server((HOST, 0)) as taken:
        broker = EmbeddedBroker(taken.getsockname()[1])
        with pytest.raises(BusyError, match="is in use"):
            broker.start()


def test_without_any_broker_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names both ways to get one."""
    monkeypatch.setattr("edgekernel.mqtt.broker.find_mosquitto", lambda: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"apt install mosquitto.*edgekernel\[demo\]"):
        EmbeddedBroker(free_port()).start()


def test_stopping_twice_and_unstarted_is_harmless() -> None:
    """Stop can be called at any time."""
    broker = EmbeddedBroker(free_port())
    broker.stop()
    broker.start()
    broker.stop()
    broker.stop()
