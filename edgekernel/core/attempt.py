"""Attempt: one try of a device to reach its hardware, in steps that may each take their time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.core.errors import StillConnectingError, unless_unwound

Step = tuple[str, Callable[[], object]]
"""What it is called in a report, and what it does."""

_GOES_ON = "it goes on in the background"
CONNECT = "connect"
"""What the steps up to the return of `connect` are called."""


class Attempt:
    """Connects one device, once: what is begun is never begun a second time beside it.

    After each step it goes on only while somebody waits for it: see `Connector`. If a step raises,
    the device lets go at once, on the same thread.
    """

    def __init__(
        self,
        device: str,
        limit_s: float,
        clock: Clock,
        steps: Iterable[Step],
        undo: Callable[[BaseException | None], object],
    ) -> None:
        """`steps` come one after the other; `undo` lets go of what they have, whatever that is.

        `undo` is called at most once, with what a step has raised, or None; it raises nothing.
        """
        self.device = device
        self.limit_s = limit_s
        """Seconds for which a start waits for it."""
        self.error: BaseException | None = None
        """What a step has raised; the device has let go then."""
        self.flow: object = None
        """What identifies the thread on which it runs."""
        self.thread = ""
        """The name of that thread."""
        self.moved = clock.Event()
        """Is set when it does not run any more, or when who waits for it is to look again."""
        self.is_running = False
        self.is_waited_for = False
        self.is_dropped = False
        """Whether nobody wants the device any more: it lets go as soon as the step has ended."""
        self.when_late: Callable[[], object] = lambda: None
        """Is called when a step has ended for which nobody has waited any more."""
        self.reason = ""
        """Which step hangs, and since when, while nobody waits for it any more."""
        self._clock = clock
        self._steps = deque(steps)
        self._undo: Callable[[BaseException | None], object] | None = undo
        self._doing = ""
        self._begun_ns = 0

    @property
    def has_begun(self) -> bool:
        """Whether a step was taken, so that the hardware may have been touched."""
        return bool(self._doing)

    @property
    def is_over(self) -> bool:
        """Whether the device has let go."""
        return self._undo is None

    @property
    def has_ended(self) -> bool:
        """Whether there is nothing more to do: the hardware is reached, or let go."""
        return not (self._steps or self.is_running)

    @property
    def hangs_connecting(self) -> bool:
        """Whether nobody waits any more for a `connect` that has yet to return."""
        return bool(self.reason) and self._doing == CONNECT

    def run(self) -> None:
        """Take the steps that are left, while somebody waits; keep what one of them raises."""
        try:
            while self._steps and self.is_waited_for:
                self._doing, step = self._steps.popleft()
                self._begun_ns = self._clock.monotonic_ns()
                step()
        except BaseException as error:
            self.error = unless_unwound(error)
            self._doing = "disconnect"
            self.give_up()

    def give_up(self) -> None:
        """Let the device let go; once."""
        undo, self._undo = self._undo, None
        self._steps.clear()
        if undo is not None:
            undo(self.error)

    def raise_error(self) -> None:
        """Raise what a step has raised, if one has."""
        error, self.error = self.error, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # its traceback leads to this frame

    def stays_away(self, what_then: str = _GOES_ON) -> StillConnectingError:
        """Return, and note, which step has not ended, and since when; and say `what_then`."""
        seconds = (self._clock.monotonic_ns() - self._begun_ns) / NANOSECONDS
        self.reason = f"its {self._doing} has not returned for {seconds:.3g} s"
        return StillConnectingError(f"{self.device}: {self.reason}; {what_then}")


def run_here(attempt: Attempt) -> None:
    """Carry out an attempt on the calling thread, however long it takes."""
    attempt.is_waited_for = True
    attempt.run()
    attempt.raise_error()
