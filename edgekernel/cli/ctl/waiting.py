"""What a person sees while nodes are waited for: how far it is, on a line that goes again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rich.console import Console, RenderableType
from rich.progress import Progress

from edgekernel.cli.console import err

SHOWN_AFTER_S = 1.0
"""What takes no longer shows nothing."""


class Waiting(Progress):
    """How far one thing is that is waited for: a line on standard error if that is a terminal.

    Use it as a context manager. While it is not known how much there is to do (`begin`), it only
    shows that it goes on.
    """

    def __init__(
        self, what: str, console: Console = err, get_time: Callable[[], float] | None = None
    ) -> None:
        """Show `what` on a console, by a time in seconds, that of this machine unless given."""
        terminal = console.is_terminal
        super().__init__(console=console, transient=True, get_time=get_time, disable=not terminal)
        self._task = self.add_task(what, total=None)

    def begin(self, total: int) -> None:
        """Show how much there is to do."""
        self.update(self._task, total=total)

    def step(self) -> None:
        """Show that one more is done."""
        self.advance(self._task)

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return what is drawn: nothing at first."""
        if any((each.elapsed or 0.0) >= SHOWN_AFTER_S for each in self.tasks):
            yield from super().get_renderables()
