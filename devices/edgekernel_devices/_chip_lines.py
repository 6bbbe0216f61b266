"""The lines of a simulated chip, electrically: what drives each, and what level that gives."""

from collections.abc import Callable

from edgekernel.hal import LineOutside


class ChipLines:
    """The lines of one simulated chip. Masks have bit n for line n."""

    def __init__(self, names: tuple[str, ...], changed: Callable[[], object]) -> None:
        self.levels = 0
        """The electrical levels. A line that nothing drives keeps the one that it had."""
        self._names = names
        self._changed = changed
        self._latch = self._outputs = self._pull_ups = 0
        self._outside = dict[int, bool]()
        self._watchers = dict[int, list[Callable[[bool], None]]]()

    def line(self, name: str) -> "ChipLine":
        """Return the outside of a line. Raises ValueError for one that is not there."""
        return ChipLine(self, self._names.index(name))

    def set(self, latch: int, outputs: int, pull_ups: int) -> None:
        """Let the chip drive its outputs to the latch, and hold inputs up."""
        self._latch, self._outputs, self._pull_ups = latch, outputs, pull_ups
        self._settle()

    def drive(self, line: int, level: bool | None) -> None:
        """Let the outside drive a line, or stop doing so."""
        self._outside.pop(line, None)
        if level is not None:
            self._outside[line] = level
        self._settle()
        self._changed()

    def watch(self, line: int, changed: Callable[[bool], None]) -> None:
        """Call `changed` with the new level whenever a line has one."""
        self._watchers.setdefault(line, []).append(changed)

    def _settle(self) -> None:
        before, kept = self.levels, self.levels & ~self._outputs
        self.levels = kept | self._latch & self._outputs | self._pull_ups & ~self._outputs
        for line, level in self._outside.items():
            self.levels = self.levels & ~(1 << line) | level << line
        for line, watchers in self._watchers.items():
            level = bool(self.levels >> line & 1)
            for watcher in watchers if level != bool(before >> line & 1) else ():
                watcher(level)


class ChipLine(LineOutside):
    """A line of a simulated chip from outside: what a meter on it shows, and a wire on it."""

    def __init__(self, lines: ChipLines, line: int) -> None:
        self._lines = lines
        self._line = line

    @property
    def level(self) -> bool:
        """The electrical level; True is high."""
        return bool(self._lines.levels >> self._line & 1)

    def drive(self, level: bool) -> None:
        """Put a level on the line; it stays, also against an output: that is a short circuit."""
        self._lines.drive(self._line, level)

    def release(self) -> None:
        """Stop driving: the chip decides, and if it does not either the level stays."""
        self._lines.drive(self._line, None)

    def watch(self, changed: Callable[[bool], None]) -> None:
        """Call `changed` with the new level whenever the line has one."""
        self._lines.watch(self._line, changed)
