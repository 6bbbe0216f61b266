"""Control: who has set which output, so that it falls back when that fails (promise P8).

An effect keeps for itself what it has set. What handlers, commands and the thread of a part have
set is kept here, for each part by who of it did.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Hashable
from contextvars import ContextVar
from typing import TYPE_CHECKING

from edgekernel.core.call import running
from edgekernel.core.effect import Effect, running_effect
from edgekernel.core.errors import of_user_code

if TYPE_CHECKING:
    from edgekernel.core.turns import TurnQueue

Fallback = Callable[[], object]
Report = Callable[[str, BaseException], object]

ITSELF = ""
"""Who has set what the thread of a part has set, and commands that ended well."""


class Control:
    """The outputs that one part has set, by who of it did; for any thread.

    By the names of the outputs: one whose device was replaced takes the place of the old one.
    """

    def __init__(self) -> None:
        """Have set nothing yet."""
        self._lock = threading.Lock()  # around the fields; never while a driver is called
        self._held: dict[Hashable, dict[str, Fallback]] = {}
        self._successor: Control | None = None

    def note(self, who: Hashable, output: str, fallback: Fallback) -> None:
        """Note that `who` has set an output, and how that falls back."""
        with self._lock:
            successor = self._successor
            if successor is None:
                self._held.setdefault(who, {})[output] = fallback
        if successor is not None:  # such as by a command that had begun before the update
            successor.note(ITSELF, output, fallback)

    def take(self, who: Hashable) -> dict[str, Fallback]:
        """Return what `who` has set, and forget it."""
        with self._lock:
            return self._held.pop(who, {})

    def take_all(self, but: Collection[str] = ()) -> list[Fallback]:
        """Return the fallbacks of all that was set, `but` of these outputs, and forget it."""
        with self._lock:
            held, self._held = self._held, {}
        found = {name: each for outputs in held.values() for name, each in outputs.items()}
        return [each for name, each in found.items() if name not in but]

    def outputs(self) -> set[str]:
        """Return the names of the outputs that were set."""
        with self._lock:
            return {name for outputs in self._held.values() for name in outputs}

    def hand_over(self, successor: Control) -> None:
        """Let another one answer for all of this from now on."""
        with self._lock:
            held, self._held, self._successor = self._held, {}, successor
        for who, outputs in held.items():
            for name, fallback in outputs.items():
                successor.note(who, name, fallback)


class Holder:
    """One handler, one call of a command, or the thread of a part."""

    __slots__ = ("_control", "_who")

    def __init__(self, control: Control, who: Hashable = ITSELF) -> None:
        """Hold nothing yet."""
        self._control = control
        self._who = who

    def note(self, output: str, fallback: Fallback) -> None:
        """Note that this has set an output."""
        self._control.note(self._who, output, fallback)

    def ended_well(self) -> None:
        """Let the part answer for what this has set."""
        for name, fallback in self._control.take(self._who).items():
            self._control.note(ITSELF, name, fallback)

    def let_go(self, label: str, report: Report) -> None:
        """Let fall back what this has set; what raises is reported, and keeps no other from it."""
        for fallback in self._control.take(self._who).values():
            try:
                fallback()
            except BaseException as error:
                report(f"{label}: fallback", of_user_code(error))


current: ContextVar[Holder | None] = ContextVar("edgekernel_holder", default=None)
"""Who sets outputs where no turn and no command runs: the part to which a thread belongs."""


def in_control(turns: TurnQueue) -> Effect | Holder | None:
    """Return who runs here and has to answer for the outputs that it sets, if that is known."""
    effect = running_effect()
    if effect is not None:
        return effect
    call = running.get()
    if call is not None:
        return call.holder
    turn = turns.current()
    return current.get() if turn is None else turn.holder
