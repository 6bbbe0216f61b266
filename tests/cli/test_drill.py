"""`edgekernel run --drill`: faults on purpose, asked for, told, and ended."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.brokers import HOST, Mosquitto, watching
from tests.cli.conftest import LIMIT_S, Agent, Write, command

PLAN = """
[[fault]]
at = "500ms"
device = "room"
kind = "nack"
for = "3s"
"""

Start = Callable[..., Agent]


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A real broker."""
    made = Mosquitto(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A plan of one fault."""
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    return path


def test_drill(write: Write, plan: Path, start: Start) -> None:
    """On the real clock the fault comes, is told as a drill, and ends; the node lives on."""
    agent = start("run", write(), "--sim", "--json", "--drill", plan, "--yes")
    assert json.loads(agent.until('"drill.began"'))["fields"] == {"faults": 1}
    began = json.loads(agent.until('"fault.began"'))
    assert began["fields"]["target"] == "device room"
    agent.until('"device.offline"')
    ended = json.loads(agent.until('"fault.ended"'))
    assert ended["monotonic"] - began["monotonic"] >= 3
    agent.until('"device.online"')
    code, out, err = agent.end(signal.SIGTERM)
    assert (code, err) == (0, "")
    assert '"drill.ended"' in out


AWAY = """
[[fault]]
at = "1s"
kind = "broker_away"
keeps = true
for = "3s"
"""


def test_broker_away(write: Write, tmp_path: Path, start: Start, mosquitto: Mosquitto) -> None:
    """The link to a real broker is cut without a goodbye, so that the broker publishes the last
    will; no link is made until the drill is over, and then the node is back."""
    path = write(f'[mqtt]\nhost = "{HOST}"\nport = {mosquitto.port}\n')
    (tmp_path / "away.toml").write_text(AWAY)
    with watching(mosquitto.port, "edge/bench-1/status") as others:
        agent = start("run", path, "--sim", "--json", "--drill", tmp_path / "away.toml", "--yes")
        others.on("edge/bench-1/status", state="online")
        # The network's thread tells of the cut by itself: either may be the first.
        began, _ = agent.until_each('"fault.began"', '"mqtt.disconnected"')
        assert json.loads(began)["fields"]["kind"] == "broker_away"
        others.on("edge/bench-1/status", state="offline", cause="connection lost")
        others.forget()
        ended, back = map(json.loads, agent.until_each('"fault.ended"', '"mqtt.connected"'))
        assert back["seq"] > ended["seq"]
        others.on("edge/bench-1/status", state="online", cause="reconnected")
        code, _, err = agent.end(signal.SIGTERM)
    assert (code, err) == (0, "")


def test_the_broker_is_asked_to_forget(write: Write, tmp_path: Path) -> None:
    """A drill cannot make the broker forget, and says what to write instead."""
    path = write(f'[mqtt]\nhost = "{HOST}"\n')
    (tmp_path / "away.toml").write_text(AWAY.replace("keeps = true\n", ""))
    asked = command("run", path, "--sim", "--drill", tmp_path / "away.toml", "--yes")
    done = subprocess.run(asked, check=False, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 1
    assert "away.toml: fault.1.kind: broker_away: keeps: a drill cuts the link" in done.stderr


def test_stopped_within_a_drill(write: Write, plan: Path, start: Start) -> None:
    """Ctrl-C ends the drill with the node, faults first, outputs safe."""
    agent = start("run", write(), "--sim", "--drill", plan, "--yes")
    assert "This is a DRILL: the faults of plan.toml happen to it." in agent.until("DRILL")
    agent.until("fault.began")
    code, out, err = agent.end(signal.SIGINT)
    assert (code, err) == (0, "")
    assert out.index("fault.ended") < out.index("drill.ended")
    assert "outputs are safe" in out


def test_it_asks(write: Write, plan: Path) -> None:
    """Without --yes it asks first, and whoever says no starts nothing."""
    done = subprocess.run(
        command("run", write(), "--sim", "--drill", plan),
        input="n\n",
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "A drill: the 1 fault of plan.toml will happen to bench-1. Go on? [y/N]" in done.stderr


def test_only_in_simulation(write: Write, tmp_path: Path) -> None:
    """A plan with a fault that only a simulation can do is refused: file, fault and kind."""
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN + '\n[[fault]]\nkind = "power_cut"\nat = "1s"\n')
    done = subprocess.run(
        command("run", write(), "--sim", "--drill", plan, "--yes"),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    text = "plan.toml: fault.2.kind: power_cut: only a simulation can do this; take it out of the"
    assert done.stderr.startswith(text)
    assert len(done.stderr.splitlines()) == 1


def test_agent_killed(write: Write, tmp_path: Path, start: Start) -> None:
    """The agent ends by a real SIGKILL, which is told before."""
    plan = tmp_path / "plan.toml"
    plan.write_text('[[fault]]\nkind = "agent_killed"\nat = "500ms"\nfor = "5s"\n')
    agent = start("run", write(), "--sim", "--json", "--drill", plan, "--yes")
    agent.until('"agent_killed"')
    assert agent.process.wait(LIMIT_S) == -signal.SIGKILL
