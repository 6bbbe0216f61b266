"""`edgekernel config show`: what a node would start with, and where each value is from."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from click.testing import CliRunner, Result

from edgekernel.cli import main
from edgekernel.node.config_record import Judged, Kept, Record, RecordFile, digest_of
from tests.cli.conftest import NODE, Write

MQTT = '[mqtt]\nhost = "h"\nusername = "u"\npassword = "hush"\nhistory = "5s"\n'
DATA = NODE.replace('board = "sim"', 'board = "sim"\ndata = "data"') + MQTT


def show(*args: str | Path, **env: str) -> Result:
    """Run `edgekernel config show` to its end."""
    environ = {"COLUMNS": "160", **env}
    return CliRunner().invoke(main, ["config", "show", *map(str, args)], env=environ)


def rows(done: Result) -> list[list[str]]:
    """Return the rows of the table."""
    return [line.split() for line in done.stdout.splitlines()]


def test_show(write: Write) -> None:
    """It is a node file, with what the environment says and without secrets."""
    done = show(write(text=DATA), EDGEKERNEL_MQTT_HOST="other")
    document = tomllib.loads(done.stdout)
    assert document["mqtt"] == {"host": "other", "username": "u", "password": "***", "history": 5.0}
    assert (done.exit_code, done.stderr) == (0, "")


def test_origin(write: Write, tmp_path: Path) -> None:
    """Each value has a row with where it is from."""
    (tmp_path / "mqtt-password").write_text("quiet")
    environ = {"EDGEKERNEL_NODE_NAME": "n7", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    done = show(write(text=DATA), "--origin", **environ)
    found = rows(done)
    assert ["node.name", '"n7"', "EDGEKERNEL_NODE_NAME"] in found
    assert ["devices.fan.pin", '"GPIO17"', "node.toml"] in found
    assert ["mqtt.password_file", '"***"', "credential", "mqtt-password"] in found
    assert not {"hush", "quiet"} & set(done.stdout.split('"'))


def test_from_afar(write: Write) -> None:
    """What was applied from afar since the file was written is what the node starts with; its link
    is as the file says."""
    node = write(text=DATA)
    tables = tomllib.loads(DATA)
    tables["devices"] = {"lamp": {"driver": "led", "pin": "GPIO22"}}
    tables["mqtt"] = {"host": "old", "username": "u", "history": 9.0}
    good = Kept(tables, "h", "remote", "v2")
    RecordFile(node.parent / "data").write(Record(good, digest_of(node.read_bytes())))
    found = rows(show(node, "--origin"))
    assert ["devices.lamp.pin", '"GPIO22"', "remote", "v2"] in found
    assert ["mqtt.host", '"h"', "node.toml"] in found
    assert ["mqtt.history", "9.0", "remote", "v2"] in found
    node.write_text(DATA + "# changed\n")
    assert ["devices.fan.pin", '"GPIO17"', "node.toml"] in rows(show(node, "--origin"))


def test_the_last_good_one(write: Write) -> None:
    """Where the file is no good it is the last good one, with a warning; without one it is
    refused."""
    node = write(text=DATA)
    kept = Kept(tomllib.loads(NODE), "h", "file")
    digest = digest_of(node.read_bytes())
    bad = Judged(digest, "rolled_back", problems=("it is cold",), at="today")
    RecordFile(node.parent / "data").write(Record(kept, "", bad))
    done = show(node, "--json")
    found = json.loads(done.stdout)
    assert found["source"] == "last good"
    assert "was rolled back today: it is cold" in found["problems"][0]
    assert show(node).stderr.startswith("warning: node.toml: was rolled back")
    node.write_text(DATA.replace("[devices.fan]", "[devices.fan"))
    assert json.loads(show(node, "--json").stdout)["source"] == "last good"
    (node.parent / "data" / "config.json").unlink()
    refused = show(node)
    assert (refused.exit_code, "is not TOML" in refused.stderr) == (1, True)
