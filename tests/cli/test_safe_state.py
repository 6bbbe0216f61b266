"""`edgekernel safe-state` after a configuration that the node file does not say."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path

from click.testing import CliRunner, Result

from edgekernel.cli import main
from edgekernel.node.config_record import Kept, Record, RecordFile, digest_of
from tests.cli.conftest import LIMIT_S, NODE, Write, command


def test_what_was_applied_from_afar(write: Write) -> None:
    """P8: the outputs of a configuration from afar are driven, and those of the node file."""
    node = write(text=NODE.replace('board = "sim"', 'board = "sim"\ndata = "data"'))
    remote = tomllib.loads(node.read_text())
    remote["devices"] = {"pump": {"driver": "relay", "pin": "GPIO22"}}
    good = Kept(remote, "h", "remote", "7")
    RecordFile(node.parent / "data" / "sim").write(Record(good, digest_of(node.read_bytes())))
    line = command("safe-state", node, "--sim", "--json")
    done = subprocess.run(line, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    assert [each["output"] for each in json.loads(done.stdout)] == ["pump.power", "fan.power"]


KILLED = {"SERVICE_RESULT": "signal", "EXIT_CODE": "killed", "EXIT_STATUS": "KILL"}
"""What systemd tells of an agent that was killed."""


def invoke(*args: str | Path) -> Result:
    """Run `safe-state` in this process, after the end of an agent that was killed."""
    return CliRunner().invoke(main, ["safe-state", *map(str, args)], env=KILLED)


def test_what_cannot_be_made(write: Write) -> None:
    """P8: a file that was changed to what a driver refuses is told of; what the node ran is driven
    all the same, each output is reported, and the exit code says that not all is well."""
    head = '[node]\nname = "bench-1"\nboard = "sim"\ndata = "data"\n'
    gate = '[devices.gate]\ndriver = "servo"\npin = "GPIO18"\nsafe = 0\n'
    fan = '[devices.fan]\ndriver = "relay"\npin = "GPIO17"\n'
    node = write(text=head + gate + "pulse_low = 0.002\n" + fan)
    good = Kept(tomllib.loads(head + gate + fan), "h", "file", "")
    RecordFile(node.parent / "data" / "sim").write(Record(good))
    done = invoke(node, "--sim")
    assert done.exit_code == 4, done.output
    first, *others = done.output.splitlines()
    assert first.startswith("gate: NOT SAFE: it cannot be made, nor can outputs that it has")
    assert others == ["fan.power: off", "gate.angle: 0.0"]


def test_the_cause_without_a_plan(write: Write) -> None:
    """P8, and why the agent has ended is noted also where nothing says what the node has: a file
    that was damaged before a last good configuration was kept."""
    node = write(text='[node]\nname = "bench-1"\ndata = "data"\n[devices')
    done = invoke(node)
    assert done.exit_code == 1
    assert "node.toml" in done.stderr
    noted = json.loads((node.parent / "data" / "last-end.json").read_text())
    assert (noted["kind"], noted["detail"]) == ("killed", "signal (killed KILL)")


def test_no_cause_of_what_is_simulated(write: Write) -> None:
    """A simulated call notes nothing: the agent that has ended may be the real one."""
    node = write(text='[node]\nname = "bench-1"\nboard = "sim"\ndata = "data"\n')
    assert invoke(node, "--sim").exit_code == 0
    assert not (node.parent / "data" / "last-end.json").exists()
