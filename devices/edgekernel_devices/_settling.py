"""When the level of a line that is only looked at now and then counts as changed."""

from edgekernel.hal import Edge


class Settling:
    """What was told of an input, and what was seen of it since. Knows no clock and no line.

    A level counts when it was seen for `settle_ns` without another one in between; with 0 every
    level that was seen counts.
    """

    def __init__(self, level: bool, at_ns: int, settle_ns: int) -> None:
        """Begin settled at a level."""
        self.level = level
        """The level that counts."""
        self._seen = level
        self._since_ns = at_ns
        self._settle_ns = settle_ns

    @property
    def seen(self) -> bool:
        """The level that was seen last."""
        return self._seen

    @property
    def due_ns(self) -> int | None:
        """When to look again, at the latest, so that what was seen can count."""
        return None if self._seen == self.level else self._since_ns + self._settle_ns

    def see(self, level: bool, since_ns: int, now_ns: int) -> Edge | None:
        """Take a level that the line has now, and if it is another one has since `since_ns`.

        Returns the change that now counts.
        """
        if level != self._seen:
            self._seen, self._since_ns = level, max(since_ns, self._since_ns)
        lasted_ns = max(now_ns - self._since_ns, 0)
        if self._seen == self.level or lasted_ns < self._settle_ns:
            return None
        self.level = self._seen
        return Edge(self.level, self._since_ns)
