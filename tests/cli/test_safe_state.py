"""`edgekernel safe-state` after a configuration that the node file does not say."""

from __future__ import annotations

import json
import subprocess
import tomllib

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
