"""`edgekernel plan`: what a new node file would do."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from click.testing import CliRunner, Result

from edgekernel.cli import main
from edgekernel.node.config_record import Kept, Record, RecordFile
from tests.cli.conftest import NODE, Write


def plan(*args: str | Path) -> Result:
    """Run `edgekernel plan` to its end."""
    return CliRunner().invoke(main, ["plan", *map(str, args)], env={"COLUMNS": "160"})


def other(path: Path, text: str) -> Path:
    """Write another node file beside one."""
    made = path.with_name("new.toml")
    made.write_text(text)
    return made


def test_nothing_to_do(write: Write) -> None:
    """The same file is nothing to do, with exit code 0 in any case."""
    node = write()
    done = plan(node, node, "--exit-code")
    assert (done.exit_code, done.output) == (0, "bench-1: nothing to do\n")


def test_what_would_happen(write: Write) -> None:
    """Each device that starts, stops, is replaced or adjusted is a line, and so is each key; the
    outputs have their safe value meanwhile."""
    node = write(text=NODE.replace("[devices.room]", "[devices.x]"))
    text = node.read_text().replace("GPIO17", "GPIO22").replace('"1s"', '"3s"')
    new = other(node, text.replace("[devices.door]", "[devices.gate]"))
    done = plan(node, new)
    rows = [line.split() for line in done.output.splitlines()]
    assert ["fan", "replace", "power", "=", "off", "-"] in rows
    assert ["x", "adjust", "-", "-"] in rows
    assert ["door", "stop", "-", "-"] in rows
    assert ["gate", "start", "-", "-"] in rows
    assert ["devices.fan.pin", "GPIO17", "GPIO22"] in rows
    assert rows[-1][:4] == ["bench-1:", "can", "be", "applied"]
    assert done.exit_code == 0
    assert plan(node, new, "--exit-code").exit_code == 5


def test_json(write: Write) -> None:
    """With --json it is one object; passwords are not in it."""
    mqtt = '[mqtt]\nhost = "h"\nusername = "u"\npassword = "{}"\n'
    node = write(mqtt.format("hush"))
    new = other(node, NODE.replace('name = "bench-1"', 'name = "b2"') + mqtt.format("quiet"))
    done = plan(node, new, "--json")
    found = json.loads(done.output)
    assert found["restart"] == [{"key": "node.name", "why": "the node has another name"}]
    assert found["link"] == ["mqtt.password"]
    assert {"key": "mqtt.password", "old": "***", "new": "***"} in found["keys"]
    assert "hush" not in done.output
    assert "quiet" not in done.output


def test_the_link(write: Write) -> None:
    """A node that loses its [mqtt] is told that its link ends, one that gets it that one is made,
    and one whose broker is another that it is made anew; no two lines in a row are empty."""
    mqtt = '[mqtt]\nhost = "{}"\n'
    without = other(write(), NODE)
    linked = without.with_name("linked.toml")
    linked.write_text(NODE + mqtt.format("a"))
    moved = without.with_name("moved.toml")
    moved.write_text(NODE.replace("GPIO17", "GPIO22") + mqtt.format("b"))
    said = {
        (linked, without): "mqtt: the link to the broker is ended, and none is made\n",
        (without, linked): "mqtt: the link to the broker is made\n",
        (linked, moved): "mqtt: the link to the broker is made anew\n",
    }
    for (old, new), text in said.items():
        output = plan(old, new).output
        assert f"\n{text}" in output
        assert "\n\n\n" not in "\n".join(line.rstrip() for line in output.splitlines())


def test_who_uses_a_device(write: Write) -> None:
    """The parts of the application that require a device which moves are named."""
    node = write()
    (node.parent / "using_app.py").write_text(
        "from edgekernel import Process, requires\n"
        "from edgekernel_devices.relay import Relay\n\n\n"
        "class Airing(Process):\n    name = 'airing'\n    fan = requires(Relay, id='fan')\n\n\n"
        "def setup(runtime):\n    runtime.register(Airing())\n"
    )
    node.write_text(node.read_text().replace("bench_app", "using_app"))
    new = other(node, node.read_text().replace("GPIO17", "GPIO22"))
    assert "airing" in plan(node, new).output


def test_every_mistake_is_told(write: Write) -> None:
    """A new file with mistakes is refused with all of them, as by check, and exit code 1."""
    node = write()
    new = other(node, NODE.replace("GPIO17", "GPIO99").replace('"bme280"', '"bmx"'))
    done = plan(node, new)
    assert done.exit_code == 1
    assert [line.split(":")[1] for line in done.output.splitlines()] == [
        " devices.fan.pin",
        " devices.room.driver",
    ]
    assert json.loads(plan(node, new, "--json").output)["ok"] is False


def test_against_what_runs(write: Write) -> None:
    """With one file it is compared with what the node has kept of what it runs."""
    text = NODE.replace('board = "sim"', 'board = "sim"\ndata = "data"')
    node = write(text=text)
    refused = plan(node)
    assert (refused.exit_code, "nothing that a node has run" in refused.output) == (1, True)
    kept = Kept(tomllib.loads(text), "h", "file")
    RecordFile(node.parent / "data").write(Record(kept))
    assert plan(node).output == "bench-1: nothing to do\n"
    node.write_text(text.replace("GPIO17", "GPIO22"))
    assert "devices.fan.pin" in plan(node).output
    without = plan(write())
    assert (without.exit_code, "node.data is missing" in without.output) == (1, True)
    assert plan(node, node, node).exit_code == 2
