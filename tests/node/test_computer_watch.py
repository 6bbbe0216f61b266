"""The warnings of a node about its computer."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from edgekernel import Event, Runtime
from edgekernel.node.computer_watch import ComputerWatch, SystemRecovered, SystemWarning
from edgekernel.sim import SimClock
from tests.node.computers import computer, disk, lay, lay_pi4

ALARM = "/sys/class/hwmon/hwmon1/in0_lcrit_alarm"


class Watched:
    """A Raspberry Pi that a node watches, with what the node has told of it."""

    def __init__(self, root: Path, folder: Path | None = Path("/var/lib/bench")) -> None:
        lay_pi4(root)
        self.root = root
        self.read_only = False
        self.clock = SimClock()
        self.told: list[SystemWarning | SystemRecovered] = []
        runtime = Runtime(name="bench", clock=self.clock)
        runtime.register(ComputerWatch(computer(root, statvfs=self._statvfs), folder))
        runtime.subscribe(SystemWarning, self._note)
        runtime.subscribe(SystemRecovered, self._note)
        self.runtime = runtime

    def run(self, body: Callable[[Watched], None]) -> None:
        """Let the node run while something happens to its computer."""
        with self.runtime:
            body(self)

    def weak(self, alarm: bool) -> None:
        """Let the supply be weak, or not."""
        lay(self.root, {ALARM: f"{alarm:d}\n"})

    def _statvfs(self, path: Path) -> os.statvfs_result:
        return disk(flags=os.ST_RDONLY if self.read_only else 0)(path)

    def _note(self, event: Event) -> None:
        assert isinstance(event.payload, SystemWarning | SystemRecovered)
        self.told.append(event.payload)


def test_once_for_each_spell(tmp_path: Path) -> None:
    """A supply that fails again and again is told once, and that it is over after a minute; the
    next spell is told anew."""

    def body(watched: Watched) -> None:
        watched.clock.advance(10)
        assert watched.told == []
        for _ in range(5):
            watched.weak(True)
            watched.clock.advance(10)
            watched.weak(False)
            watched.clock.advance(30)
        (warning,) = watched.told
        assert isinstance(warning, SystemWarning)
        assert (warning.problem, warning.name) == ("under-voltage", "system.warning")
        watched.clock.advance(60)
        recovered = watched.told[-1]
        assert isinstance(recovered, SystemRecovered)
        assert 160 <= recovered.lasted_s <= 172
        watched.weak(True)
        watched.clock.advance(3)
        assert [each.name for each in watched.told] == [
            "system.warning",
            "system.recovered",
            "system.warning",
        ]

    Watched(tmp_path).run(body)


def test_a_disk_that_can_only_be_read(tmp_path: Path) -> None:
    """The disk of the data folder that is remounted is told, beside what else is wrong."""

    def body(watched: Watched) -> None:
        watched.weak(True)
        watched.clock.advance(3)
        watched.read_only = True
        watched.clock.advance(3)
        problems = [each.problem for each in watched.told]
        assert problems == ["under-voltage", "read-only"]

    Watched(tmp_path).run(body)


def test_without_a_data_folder(tmp_path: Path) -> None:
    """A node that keeps nothing may live on a system that is read only."""

    def body(watched: Watched) -> None:
        watched.read_only = True
        watched.clock.advance(10)
        assert watched.told == []

    Watched(tmp_path, None).run(body)
