"""The watch over the computer of a node: a warning when its supply or its disk fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgekernel.core.context import Context
from edgekernel.core.messages import Message, Severity
from edgekernel.core.service import Service
from edgekernel.node.machine import Machine
from edgekernel.node.vitals import room, throttling, under_voltage

OVER_AFTER_S = 60.0
"""How long nothing may have been wrong before a spell is over: a weak supply fails with every
load."""

_TOLD = {
    "under-voltage": (
        "the supply of the computer is too weak: it may fail or lose data any time",
        "a supply and a cable that hold 5.1 V under load",
    ),
    "read-only": (
        "the disk of the data folder can only be read: nothing of the node survives a restart",
        "see sudo dmesg; after disk errors: back up, fsck, and replace the card",
    ),
}


class SystemWarning(Message):
    """The computer below the node fails: `problem` is "under-voltage" or "read-only".

    It comes once for each spell; SystemRecovered ends one.
    """

    name = "system.warning"
    severity = Severity.WARNING
    problem: str
    text: str
    fix: str


class SystemRecovered(Message):
    """A problem of the computer has not been seen for a minute; `lasted_s` is how long it was."""

    name = "system.recovered"
    problem: str
    lasted_s: float


class ComputerWatch(Service):
    """Looks at the computer every 2 s, as often as its kernel does, by a few small files."""

    name = "computer"
    interval = 2.0

    def __init__(self, machine: Machine, folder: Path | None) -> None:
        """Watch a machine, and the disk of a folder of the node if it has one."""
        self._machine = machine
        self._folder = None if folder is None else str(folder.absolute())
        self._spells: dict[str, tuple[float, float]] = {}  # since when, and when seen last

    def tick(self, ctx: Context) -> None:
        """Look, and tell of what has begun and what is over."""
        now_s = ctx.clock.monotonic()
        for problem in self._problems():
            if problem not in self._spells:
                ctx.emit(SystemWarning(problem, *_TOLD[problem]))
            since_s, _ = self._spells.get(problem, (now_s, now_s))
            self._spells[problem] = since_s, now_s
        for problem, (since_s, seen_s) in list(self._spells.items()):
            if now_s - seen_s >= OVER_AFTER_S:
                del self._spells[problem]
                ctx.emit(SystemRecovered(problem, round(seen_s - since_s, 1)))

    def _problems(self) -> Iterator[str]:
        if under_voltage(self._machine, throttling(self._machine)):
            yield "under-voltage"
        found = None if self._folder is None else room(self._machine, self._folder)
        if found is not None and found.read_only:
            yield "read-only"
