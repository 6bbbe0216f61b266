"""`edgekernel run --live`: the picture of a node in a terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.brokers import free_port
from tests.cli.terminal import Terminal, plain
from tests.greenhouse import greenhouse_on

_LEFT = "\x1b[?1049l"  # the terminal is as before again


def pictures(node: Path, columns: int, lines: int, *more: str | Path) -> str:
    """Return what a run on a terminal of a size has drawn, without control sequences."""
    run = ("run", node, "--sim", "--broker", "--live", "--for", "1.5", *more)
    with Terminal(columns, lines, *run) as terminal:
        assert terminal.end() == 0, terminal.drawn
        return plain(terminal.drawn.partition(_LEFT)[0])


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (130, 46), (80, 12)])
def test_what_to_do_next_is_visible(tmp_path: Path, columns: int, lines: int) -> None:
    """In a terminal of any usual size the hints are seen in full."""
    drawn = " ".join(pictures(greenhouse_on(free_port(), tmp_path), columns, lines).split())
    for hint in ("Ctrl-C stops it", "MQTT broker: ", " watch greenhouse-1", "set greenhouse-1 "):
        assert hint in drawn
    assert " sim.press device=airing" in drawn


def test_what_is_proposed_changes_something(tmp_path: Path) -> None:
    """The value that is proposed for an output is another one than it has: the lamp comes on with
    the heater, and from then on it is proposed to switch it off, which it is at first."""
    drawn = pictures(greenhouse_on(free_port(), tmp_path), 130, 46)
    assert "set greenhouse-1 lamp/light off" in drawn.rpartition("MQTT broker: ")[2]


def test_last_events_are_visible(tmp_path: Path) -> None:
    """A terminal of 80 x 24 shows all devices and at least the newest event."""
    drawn = pictures(greenhouse_on(free_port(), tmp_path), 80, 24)
    last_picture = drawn.rpartition("MQTT broker: ")[2]
    assert "satellites" in last_picture
    assert re.search(r"\d\d:\d\d:\d\d  [a-z]+\.[a-z]+", last_picture)


def test_quality_is_visible(tmp_path: Path) -> None:
    """A value that is not GOOD has its reason beside it, of readings and of outputs."""
    (tmp_path / "blind.py").write_text(
        "from edgekernel import Process, Runtime\n\n\n"
        "class Blind(Process):\n"
        '    name = "blind"\n\n'
        "    def start(self, ctx):\n"
        '        ctx.devices["fan"].power.readback.fail("the contact is welded")\n\n\n'
        "def setup(runtime: Runtime) -> None:\n"
        "    runtime.register(Blind())\n"
    )
    node = tmp_path / "node.toml"
    node.write_text(
        '[node]\nname = "shed-1"\nboard = "sim"\napp = "blind"\n\n'
        '[devices.fan]\ndriver = "relay"\npin = "GPIO17"\n\n'
        '[devices.yard]\ndriver = "pir"\npin = "GPIO27"\n\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {free_port()}\n'
    )
    drawn = pictures(node, 130, 46)
    assert re.search(r"fan +power +- .*the contact is welded", drawn)
    assert re.search(r"yard +motion +off .*warming up", drawn)


def test_a_drill_is_visible(tmp_path: Path) -> None:
    """A drill stands before the name of the node, as long as it lasts."""
    plan = tmp_path / "plan.toml"
    plan.write_text('[[fault]]\ndevice = "room"\nkind = "nack"\nat = "100ms"\n')
    node = greenhouse_on(free_port(), tmp_path)
    drawn = pictures(node, 120, 40, "--drill", plan, "--yes")
    assert "DRILL with plan.toml · greenhouse-1" in drawn
    assert "happen to it." in drawn
