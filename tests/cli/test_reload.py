"""`edgekernel run` and SIGHUP: the node file is read again, and applied while the node runs."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekernel.node.config_record import RecordFile
from tests.brokers import Mosquitto
from tests.cli.conftest import NODE, Agent, Write

Start = Callable[..., Agent]

CONFIG = '[config]\nhealthy_for = "{}"\ngrace = 0\n'
DATA = NODE.replace('board = "sim"', 'board = "sim"\ndata = "data"')


def hang_up(agent: Agent, path: Path, text: str) -> None:
    """Write the file anew and send SIGHUP."""
    path.write_text(text)
    agent.process.send_signal(signal.SIGHUP)


def test_sighup(write: Write, start: Start) -> None:
    """On SIGHUP a device with another interval goes on, a new one starts, and a file with mistakes
    changes nothing."""
    node = write(text=DATA + CONFIG.format("50ms"))
    agent = start("run", node, "--sim", "--json")
    agent.until("runtime.booted")
    new = DATA.replace('"1s"', '"2s"') + '[devices.lamp]\ndriver = "led"\npin = "GPIO22"\n'
    hang_up(agent, node, new + CONFIG.format("50ms"))
    applied = json.loads(agent.until('"config.applied"'))
    assert applied["fields"]["keys"] == ["devices.room.every", "devices.lamp"]
    told = [json.loads(line) for line in agent.lines]
    assert [e["fields"]["device"] for e in told if e["name"] == "device.detached"] == []
    hang_up(agent, node, DATA.replace("relay", "rely"))
    rejected = json.loads(agent.until('"config.rejected"'))
    assert "rely" in rejected["fields"]["problems"][0]
    code, _, err = agent.end(signal.SIGTERM)
    assert (code, err) == (0, "")


def test_another_user_of_the_broker(write: Write, start: Start, tmp_path: Path) -> None:
    """User name and password are both changed, on the broker and in the node's files: on SIGHUP the
    agent comes back as the new user, without a restart."""
    (tmp_path / "broker").mkdir()
    broker = Mosquitto(tmp_path / "broker", {"one": "first"})
    broker.start()
    mqtt = f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\npassword_file = "secret"\n'
    old, new = (DATA + mqtt + f'username = "{name}"\n' for name in ("one", "two"))
    try:
        node = write(text=old)
        secret = node.parent / "secret"
        secret.write_text("first")
        agent = start("run", node, "--sim", "--json")
        agent.until('"mqtt.connected"')
        assert "u'one'" in broker.log()
        broker.let_in({"one": "first", "two": "second"})
        secret.write_text("second")
        hang_up(agent, node, new)
        agent.until_each('"config.applied"', '"mqtt.connected"')
        assert "u'two'" in broker.log()
        agent.end(signal.SIGTERM)
    finally:
        broker.stop()


@pytest.mark.parametrize("proven", [False, True])
def test_killed(write: Write, start: Start, proven: bool) -> None:
    """A node that is killed before or after its trial has ended starts again, with a record that
    is whole: the old configuration or the new one."""
    node = write(text=DATA + CONFIG.format("50ms"))
    agent = start("run", node, "--sim", "--json")
    agent.until('"config.kept"')
    new = DATA.replace("GPIO17", "GPIO22")
    hang_up(agent, node, new + CONFIG.format("50ms" if proven else "1h"))
    agent.until('"config.applied"' if proven else "device.detached")
    agent.end(signal.SIGKILL)
    record = RecordFile(node.parent / "data" / "sim").read()
    assert record.problem == ""
    assert record.good is not None
    assert record.good.document["devices"]["fan"]["pin"] == ("GPIO22" if proven else "GPIO17")
    node.write_bytes(b"")
    (node.parent / "node.toml").write_text('[node]\ndata = "data"\n')
    again = start("run", node, "--sim", "--json")
    told = json.loads(again.until('"config.fallback"'))
    assert told["fields"]["source"] == "last good"
    assert again.end(signal.SIGTERM)[0] == 0
