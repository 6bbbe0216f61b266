"""Control: what has set an output, so that the output falls back when that fails (promise P8).

An effect keeps for itself what it has set. Of all other code of an application it is the handler,
the call of a command or the run of a service that sets an output, and with it the part to which
that belongs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING

from edgekernel.core.call import running
from edgekernel.core.effect import Effect, running_effect
from edgekernel.core.errors import of_user_code

if TYPE_CHECKING:
    from edgekernel.core.turns import TurnQueue

Fallback = Callable[[], object]


class Control:
    """The fallbacks of the outputs that a handler, a call or a part has set; for any thread.

    What one handler has set is noted of its part too, the `whole`.
    """

    __slots__ = ("_fallbacks", "_whole")

    def __init__(self, whole: Control | None = None) -> None:
        """Have set nothing yet."""
        self._fallbacks: dict[Fallback, None] = {}
        self._whole = whole

    def when_failed(self, fallback: Fallback) -> None:
        """Call `fallback` once if this fails."""
        self._fallbacks[fallback] = None
        if self._whole is not None:
            self._whole.when_failed(fallback)

    def take(self) -> list[Fallback]:
        """Return the fallbacks, and forget them."""
        fallbacks, self._fallbacks = self._fallbacks, {}
        return list(fallbacks)

    def take_over(self, other: Control) -> None:
        """Go on with what the other one has set."""
        self._fallbacks |= dict.fromkeys(other.take())

    def fail(self, label: str, report: Callable[[str, BaseException], object]) -> None:
        """Call the fallbacks; of one that raises the others hear nothing, it is reported."""
        for fallback in self.take():
            try:
                fallback()
            except BaseException as error:
                report(f"{label}: fallback", of_user_code(error))


current: ContextVar[Control | None] = ContextVar("edgekernel_control", default=None)
"""What has control where no turn and no command runs: the part to which a thread belongs."""


def in_control(turns: TurnQueue) -> Effect | Control | None:
    """Return what runs here and has to answer for the outputs that it sets, if that is known."""
    effect = running_effect()
    if effect is not None:
        return effect
    call = running.get()
    if call is not None:
        return call.control
    turn = turns.current()
    return current.get() if turn is None else turn.control
