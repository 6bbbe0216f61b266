"""`edgekernel run`: the agent as a process, from its first event to its exit code."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgekernel.backends.disk import SystemDisk
from edgekernel.cli import main
from edgekernel.cli.live import for_journald
from edgekernel.cli.run import _note_run
from edgekernel.core import message
from edgekernel.core.errors import describe
from edgekernel.core.messages import Event
from edgekernel.core.runtime import Runtime
from edgekernel.node import make_plan
from tests.brokers import HOST, free_port
from tests.cli.conftest import LIMIT_S, NODE, Agent, Write, command
from tests.greenhouse import greenhouse_on

Start = Callable[..., Agent]


def run(*args: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `edgekernel run` to its end."""
    return subprocess.run(
        command("run", *args),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env={**os.environ, **env},
        check=False,
    )


def events(text: str) -> list[dict[str, Any]]:
    """Return the events of a run from its lines of JSON."""
    return [json.loads(line) for line in text.splitlines()]


def test_greenhouse(tmp_path: Path) -> None:
    """The example runs on the simulated board without a broker: from boot to shutdown every
    event is a line of JSON, in order, and the exit code is 0."""
    node = greenhouse_on(free_port(), tmp_path)
    done = run(node, "--sim", "--for", "1", "--json")
    assert done.returncode == 0, done.stderr
    told = events(done.stdout)
    names = [event["name"] for event in told]
    assert names[0] == "runtime.booting"
    assert names[-1] == "runtime.shutdown"
    assert {"runtime.booted", "heater.switched", "mqtt.problem", "device.detached"} <= set(names)
    assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
    assert told[-1]["fields"] == {"reason": "--for 1"}
    assert all(event["severity"] in ("info", "warning") for event in told)


def test_without_mqtt(write: Write) -> None:
    """A node without [mqtt] has no interface and misses none."""
    done = run(write(), "--sim", "--for", "0.2", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    names = [event["name"] for event in events(done.stdout)]
    assert "runtime.booted" in names
    assert not [name for name in names if name.startswith(("mqtt", "interface"))]


def test_text(write: Write) -> None:
    """Without --json there is a line per event, and at the end what became of the outputs."""
    done = run(write(), "--sim", "--for", "0.2")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("bench-1 runs on a simulated board.")
    assert any("device.attached" in line and "device=fan" in line for line in lines)
    assert lines[-1] == "bench-1: stopped (--for 0.2), outputs are safe"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_in_order(write: Write, start: Start, how: signal.Signals) -> None:
    """SIGTERM and SIGINT end the agent in good order, with the signal as the reason, exit 0."""
    agent = start("run", write(), "--sim", "--json")
    agent.until("runtime.booted")
    code, out, err = agent.end(how)
    assert (code, err) == (0, "")
    rest = events(out)
    names = [event["name"] for event in rest]
    assert names.index("runtime.shutting_down") < names.index("device.detached")
    assert (names[-1], rest[-1]["fields"]) == ("runtime.shutdown", {"reason": how.name})


def test_signal_again(write: Write, start: Start) -> None:
    """A second signal during the shutdown changes nothing."""
    agent = start("run", write(), "--sim", "--json")
    agent.until("runtime.booted")
    for _ in range(3):
        agent.process.send_signal(signal.SIGTERM)
    code, out, err = agent.end(signal.SIGINT)
    assert (code, err) == (0, "")
    assert [event["name"] for event in events(out)].count("runtime.shutdown") == 1


def test_boot_failure(write: Write) -> None:
    """What keeps a node from booting is a tree of all that failed, each by its device, exit 4."""
    text = '[node]\nname = "bench-1"\nboard = "raspberrypi/4b"\n'
    for name in ("one", "two"):
        text += f'[devices.{name}]\ndriver = "gps"\nport = "/dev/no-such-port-{name}"\n'
    done = run(write(text=text), "--json")
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    head, *tree = done.stderr.splitlines()
    assert head.endswith(":")
    assert len(tree) == 2
    for name, line in zip(("one", "two"), tree, strict=True):
        assert line.startswith("  ")
        assert name in line
        assert f"/dev/no-such-port-{name}" in line
    assert events(done.stdout)[-1]["name"] != "runtime.booted"


@pytest.mark.parametrize("where", [["--sim"], []])
def test_wrong_node_file(write: Write, where: list[str]) -> None:
    """A mistake in the node file ends the run before anything starts, exit 1."""
    done = run(write('[devices.lamp]\ndriver = "led"\npin = "GPIO17"\n'), *where)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "node.toml: devices.lamp.pin: GPIO17 is already used by devices.fan.pin\n"
    )


@pytest.mark.parametrize(
    "args", [["--for", "-1"], ["--for", "soon"], ["--simulated"], ["x.toml", "y.toml"]]
)
def test_wrong_usage(write: Write, args: list[str]) -> None:
    """Wrong options end the run before anything starts, exit 2."""
    done = run(write(), *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: " in done.stderr


def test_critical_service_that_fails(write: Write, tmp_path: Path) -> None:
    """A critical service that fails ends the agent with its name and the cause, exit 4."""
    path = write()
    (tmp_path / "bench_app.py").write_text(
        "from edgekernel import Service\n"
        "class Guard(Service):\n"
        "    name = 'guard'\n"
        "    critical = True\n"
        "    def tick(self, ctx):\n"
        "        raise OSError('the flame is out')\n"
        "def setup(runtime):\n"
        "    runtime.register(Guard())\n"
    )
    done = run(path, "--sim", "--json", "--for", "20")
    assert done.returncode == 4
    assert "bench-1: stopped: critical service guard failed: OSError: the flame is out" in (
        done.stderr
    )
    names = [event["name"] for event in events(done.stdout)]
    assert names[-1] == "runtime.shutdown"


def test_broker_beside_another(write: Write) -> None:
    """With --broker a port that somebody has is no obstacle: another one is taken, and told."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        node = write(f'[mqtt]\nhost = "broker.invalid"\nport = {port}\n')
        done = run(node, "--sim", "--broker", "--for", "0.5")
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("MQTT broker: ")]
    where, _, why = line.partition(" (")
    other = int(where.rpartition(":")[2])
    assert (other != port, why) == (True, f"port {port} is taken)")
    assert f" ctl --port {other} watch bench-1" in done.stdout
    assert "mqtt.connected" in done.stdout


def test_broker_on_the_port_of_the_node(write: Write) -> None:
    """With --broker the port of the node file is taken if it is free."""
    port = free_port()
    node = write(f'[mqtt]\nhost = "broker.invalid"\nport = {port}\n')
    done = run(node, "--sim", "--broker", "--for", "0.1")
    assert (done.returncode, done.stderr) == (0, "")
    assert f" on {HOST}:{port}\n" in done.stdout


def test_no_hint_that_does_not_work(write: Write) -> None:
    """Of a node that speaks another dialect nothing is said that only ours understands."""
    node = write('[mqtt]\nhost = "broker.invalid"\ndialect = "homie"\n')
    done = run(node, "--sim", "--broker", "--for", "0.1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "MQTT broker: " in done.stdout
    assert " ctl " not in done.stdout


def test_broker_that_does_not_start(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that cannot be started ends the run with a line, exit 1."""
    monkeypatch.setattr(sys, "setswitchinterval", lambda seconds: None)
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("edgekernel.mqtt.broker._free_port", lambda: port)
        node = write(f'[mqtt]\nhost = "{HOST}"\nport = {port}\n')
        args = ["run", str(node), "--sim", "--broker"]
        result = CliRunner().invoke(main, args, catch_exceptions=False)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"port {port} of {HOST} is in use; is a broker running already?\n"


def test_a_second_agent(write: Write, tmp_path: Path) -> None:
    """Whoever starts an agent whose node runs already is told so, and drives nothing."""
    data = tmp_path / "data"
    node = write(text=NODE.replace("[node]\n", f'[node]\ndata = "{data}"\n'))
    SystemDisk().make_folder(data)
    taken = SystemDisk().take_folder(data)
    done = run(node, "--for", "0.1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"bench-1: runs already: another agent uses {data}\n"
    taken.close()


UNSAFE = """
from edgekernel import Device, output

class Valve(Device):
    times = 0
    power = output(bool, safe=False)

    @power.drive
    def _switch(self, on):
        self.times += 1
        if self.times > 1:
            raise OSError("the relay board [/dev/i2c-1] is gone")
        return on

def setup(runtime):
    runtime.register(Valve("valve"))
"""

LEFT_UNSAFE = (
    UNSAFE
    + """
    from edgekernel import message
    runtime.subscribe(message.RuntimeBooted, lambda event: runtime.hot_remove("valve"))
"""
)


def test_output_that_was_left_unsafe(write: Write, tmp_path: Path) -> None:
    """So is one whose device was taken out before the end without being made safe."""
    node = write()
    (tmp_path / "bench_app.py").write_text(LEFT_UNSAFE)
    done = run(node, "--sim", "--for", "0.5")
    assert done.returncode == 4
    assert "  valve.power: its device is gone, and it was not made safe" in done.stderr


HANGING = """
import threading
from edgekernel import message

def setup(runtime):
    runtime.subscribe(message.RuntimeShuttingDown, lambda event: threading.Event().wait())
"""


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_output_that_is_not_safe(write: Write, tmp_path: Path, options: list[str]) -> None:
    """An output that could not be brought to its safe value is told by name, exit 4."""
    node = write()
    (tmp_path / "bench_app.py").write_text(UNSAFE)
    done = run(node, "--sim", "--for", "0.1", *options)
    assert done.returncode == 4
    assert "outputs are safe" not in done.stdout
    head, *lines = done.stderr.splitlines()
    assert head == "bench-1: stopped (--for 0.1), outputs may NOT be safe:"
    assert lines[0].startswith("  safe state of valve: ")
    assert not [line for line in lines if "fan" in line]


def test_shutdown_that_nobody_could_follow(write: Write, tmp_path: Path) -> None:
    """When a handler hangs in the shutdown nothing is claimed about the outputs, exit 4."""
    node = write()
    (tmp_path / "bench_app.py").write_text(HANGING)
    done = run(node, "--sim", "--for", "0.1")
    assert done.returncode == 4
    assert "outputs are safe" not in done.stdout
    assert "a handler hangs" in done.stderr


WATCHED = """
from edgekernel import Message
from edgekernel.core import message


class Watched(Message):
    services: tuple[str, ...]


def setup(runtime):
    tell = lambda event: runtime.emit(Watched(tuple(runtime.status()["services"])))
    runtime.subscribe(message.RuntimeBooted, tell)
"""


@pytest.mark.parametrize(("options", "services"), [([], ["computer"]), (["--sim"], [])])
def test_the_computer_is_watched(
    write: Write, tmp_path: Path, options: list[str], services: list[str]
) -> None:
    """A node on a real board watches its computer; a simulated one is not on this computer."""
    head = '[node]\nname = "bench-1"\nboard = "raspberrypi/4b"\napp = "bench_app"\n'
    node = write(text=head)
    (tmp_path / "bench_app.py").write_text(WATCHED)
    done = run(node, *options, "--for", "0.1", "--json")
    assert done.returncode == 0, done.stderr
    told = {event["name"]: event["fields"] for event in events(done.stdout)}
    assert told["watched"]["services"] == services


WRONG_APP = """
from edgekernel import Process, effect, requires
from edgekernel_devices.bme280 import BME280


class Control(Process):
    name = "control"
    room = requires(BME280, id="room")

    @effect
    def cool(self) -> None:
        self.too_hot("a reading of the room is no number, whatever it was called in the datasheet")

    def too_hot(self, why: str) -> None:
        if self.room.temperature > 28:
            raise ValueError(why)


def setup(runtime):
    runtime.register(Control())
"""
WHAT = "error=TypeError: '>' not supported between instances of 'Reading' and 'int'"
WHERE = "(bench_app.py, line 15, in too_hot)"


def test_error_of_the_application_has_its_place(write: Write, tmp_path: Path) -> None:
    """What went wrong in the application stands in one line, whole, with file, line and function;
    in the journal too, and as journald gets it."""
    node, journal = write(), tmp_path / "journal"
    (tmp_path / "bench_app.py").write_text(WRONG_APP)
    done = run(node, "--sim", "--for", "0.5", "--journal", journal)
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = [line for line in done.stdout.splitlines() if "effect.error" in line]
    assert line.endswith(f"{WHAT}  {WHERE}")
    shown = CliRunner().invoke(main, ["journal", "show", str(journal)])
    (line,) = [line for line in shown.stdout.splitlines() if "effect.error" in line]
    assert line.endswith(f"{WHAT} {WHERE}")


def test_simulated_run_keeps_nothing(write: Write) -> None:
    """Why a simulated agent does not know what was before is no fault of its data folder."""
    plan = make_plan(write(text=NODE.replace("[devices.fan]", 'data = "kept"\n\n[devices.fan]', 1)))
    cause = _note_run(plan, Runtime(), simulated=True)
    assert (cause.kind, cause.detail) == ("unknown", "a simulated run keeps nothing")


def test_error_with_several_lines_is_one_line_for_journald() -> None:
    """journald would take each line of a text for an entry of its own, without the priority."""
    try:
        raise ValueError("the reply:\n\tno such\nregister")
    except ValueError as error:
        text, trace = describe(error)
    told = message.EffectError("control.cool", text, trace)
    said = for_journald(Event(1, 0, 0, "control", told, None))
    assert said.startswith("<3>effect.error ")
    assert "error=ValueError: the reply:  no such register  (test_run.py, line " in said
    assert said.isprintable()
