"""Pain 23: power goes while a file is written, and the program does not start any more, or starts
with nonsense; and a card is written to death.

raspberrypi/firmware#397; raspberrypi/documentation#1155;
aws-greengrass/aws-greengrass-nucleus#1168, PR#1497.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel import message
from edgekernel.sim import SimClock
from tests.pains.conftest import MakeNode

NODE = """
data = "kept"

[devices.pump]
driver = "relay"
pin = "GPIO17"

[devices.pump.outputs.power]
initial = "restore"
"""


def files(folder: Path) -> list[Path]:
    """What the node keeps."""
    return sorted(each for each in (folder / "kept").iterdir() if each.is_file())


def switched(make_node: MakeNode, clock: SimClock, *values: bool) -> None:
    """Let a node run for a minute with each of these values, then end."""
    node = make_node(NODE, remember=True)
    with node.runtime:
        for value in values:
            node.output("pump.power").set(value)
            clock.advance(60)


@pytest.mark.parametrize("rest", [0, 1, 20, 40])
def test_cut_file(make_node: MakeNode, clock: SimClock, tmp_path: Path, rest: int) -> None:
    """After a power cut the file is cut off, and the node does not start: here it starts with the
    state before that, says so, and writes a whole file again."""
    switched(make_node, clock, True)  # one file each
    switched(make_node, clock, False)
    newest = tmp_path / "kept/memory.json"
    newest.write_bytes(newest.read_bytes()[:rest])
    node = make_node(NODE, remember=True)
    with node.runtime:
        assert node.output("pump.power").value is True
        clock.advance(60)
        (failed,) = node.told(message.MemoryFailed)
        assert "the state before it is used" in str(failed)
        node.output("pump.power").set(False)
        clock.advance(60)
    again = make_node(NODE, remember=True)
    with again.runtime:
        assert again.output("pump.power").value is False
        clock.advance(1)
        assert again.told(message.MemoryFailed) == []


def test_nothing_is_left(make_node: MakeNode, clock: SimClock, tmp_path: Path) -> None:
    """Everything that was kept is garbage: the pump begins safe, and the node says why."""
    switched(make_node, clock, False, True)
    for each in files(tmp_path):
        each.write_bytes(b"\x00" * 4096)
    node = make_node(NODE, remember=True)
    with node.runtime:
        clock.advance(1)
        assert node.output("pump.power").value is False
        assert node.backend.line("GPIO17").levels == (False,)
        (failed,) = node.told(message.MemoryFailed)
        assert "nothing is restored" in str(failed)


def test_wear(make_node: MakeNode, clock: SimClock, tmp_path: Path) -> None:
    """A log that is written each second kills a card in a year: however often an output is
    switched, its state is written every 30 s at most, some hundred bytes each time."""
    node = make_node(NODE, remember=True)
    written = set()
    with node.runtime:
        for second in range(3600):
            node.output("pump.power").set(second % 2 == 0)
            clock.advance(1)
            written |= {(each.stat().st_ino, each.stat().st_mtime_ns) for each in files(tmp_path)}
    assert 2 <= len(written) <= 3600 / 30 + 1
    assert sum(each.stat().st_size for each in files(tmp_path)) < 1000
