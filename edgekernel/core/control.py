"""Control: who has set which output, so that it falls back when that fails (promise P8).

An effect keeps for itself what it has set. What handlers, commands and the thread of a part have
set is kept here, for each part by who of it did.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable
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

    By the names of the outputs: what is set again, also on another device of that name, takes the
    place of what was noted before.
    """

    def __init__(self) -> None:
        """Have set nothing yet."""
        self._lock = threading.Lock()  # around the fields; never while a driver is called
        self._held: dict[Hashable, dict[str, Fallback]] = {}
        self._successor: Control | None = None
        self._closed = False

    def note(self, who: Hashable, output: str, fallback: Fallback) -> None:
        """Note that `who` has set an output, and how that falls back."""
        with self._lock:
            if self._successor is None:
                self._held.setdefault(who, {})[output] = fallback
            else:  # such as by a command that had begun before an update
                self._successor.note(who, output, fallback)

    def take(self, who: Hashable) -> list[Fallback]:
        """Return the fallbacks of what `who` has set, and forget it."""
        with self._lock:
            if self._successor is not None:
                return self._successor.take(who)
            return list(self._held.pop(who, {}).values())

    def keep(self, who: Hashable) -> list[Fallback]:
        """Let the part itself answer for what `who` has set; return it if the part has gone."""
        with self._lock:
            if self._successor is not None:
                return self._successor.keep(who)
            held = self._held.pop(who, {})
            if self._closed:
                return list(held.values())
            self._held.setdefault(ITSELF, {}).update(held)
            return []

    def fallbacks(self) -> list[Fallback]:
        """Return the fallbacks of all that was set."""
        with self._lock:
            held = list(self._held.values())
            return list(dict.fromkeys(each for outputs in held for each in outputs.values()))

    def take_all(self) -> list[Fallback]:
        """Return the fallbacks of all that was set, and forget it."""
        with self._lock:
            held, self._held = self._held, {}
        return list(dict.fromkeys(each for outputs in held.values() for each in outputs.values()))

    def hand_over(self, successor: Control) -> None:
        """Let another one answer for all of this from now on."""
        with self._lock:
            for who, outputs in self._held.items():
                for name, fallback in outputs.items():
                    successor.note(who, name, fallback)
            self._held, self._successor = {}, successor

    def set_closed(self, closed: bool) -> None:
        """Hear that the part has gone, or is there again."""
        self._closed = closed


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

    def end(self, label: str, report: Report, *, well: bool) -> None:
        """Hear that a call has ended: if it did well its part answers from now on."""
        who, self._who = self._who, ITSELF  # what it has left running is the part's
        fallbacks = self._control.keep(who) if well else self._control.take(who)
        call_each(fallbacks, f"{label}: fallback", report)

    def let_go(self, label: str, report: Report) -> None:
        """Let fall back what this has set."""
        call_each(self._control.take(self._who), f"{label}: fallback", report)


def call_each(fallbacks: Iterable[Fallback], label: str, report: Report) -> None:
    """Call fallbacks; what raises is reported, and keeps no other from it."""
    for fallback in fallbacks:
        try:
            fallback()
        except BaseException as error:
            report(label, of_user_code(error))


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
