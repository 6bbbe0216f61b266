"""What processes, interfaces and services have in common."""

from __future__ import annotations

from edgekernel.core.context import Context
from edgekernel.core.errors import LifecycleError
from edgekernel.core.messages import Event


class Role:
    """A part of a runtime with a unique `name`; its class is its role.

    The order of calls is attach, start, any number of handlers and ticks, stop, detach. No
    handler runs before `start` has ended or after `stop` has begun.
    """

    name: str = ""
    depends: tuple[str, ...] = ()
    """Names of parts that start before it, beside those that provide what it requires."""
    _context: Context | None = None

    @property
    def ctx(self) -> Context:
        """The runtime's context; raises LifecycleError before attach and after detach."""
        if self._context is None:
            raise LifecycleError(
                f"{self.name}: no context: it is not attached to a runtime. "
                "Use self.ctx from start() on, not in __init__()."
            )
        return self._context

    def attach(self, ctx: Context) -> None:
        """Enter a runtime. A subclass that overrides this calls `super().attach(ctx)`."""
        self._context = ctx

    def start(self, ctx: Context) -> None:
        """Make ready; raise to say that it cannot work."""

    def handle_event(self, ctx: Context, evt: Event) -> None:
        """Handle any message, in the order of their emission. Mark methods with `@on` instead
        to handle some classes of messages only."""

    def stop(self, ctx: Context) -> None:
        """Give back what `start` took; also called after a `start` that failed."""

    def detach(self) -> None:
        """Leave the runtime. A subclass that overrides this calls `super().detach()`."""
        self._context = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
