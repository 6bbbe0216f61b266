"""Busy: the locks of a node that say "not now", for its operators and for whoever looks."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Field

from edgekernel.core.busy import LONGEST_S, BusyLock
from edgekernel.core.call import running
from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.context import Context, Host
from edgekernel.core.effect import Effect
from edgekernel.core.errors import RefusedError
from edgekernel.core.markers import command, on
from edgekernel.core.message import ComponentStopped, HotRemoved, ServiceStopped
from edgekernel.core.messages import Event, Message
from edgekernel.core.process import Process

STATE = "node.busy"
"""Where the locks that are held are in the state of the runtime, as a list."""
_KEY = "busy.locks"
_UNNAMED = ("", "mqtt")

Seconds = Annotated[float, Field(gt=0, le=LONGEST_S)]


class BusyChanged(Message):
    """The node is busy for another reason than before, or free: then `why` is empty."""

    name = "busy.changed"
    why: str


class Busy(Process):
    """Lets operators hold a node busy, and tells by whom, why and until when it is.

    What an operator holds outlives a restart where the node has a place for what it is to know: for
    what is left of its time by the wall clock, and never for longer than was asked for.
    """

    name = "busy"

    def __init__(self, host: Host) -> None:
        """Hold again what operators held before a restart."""
        self._locks = host.busy
        self._memory = host.outputs.memory
        self._clock = host.clock
        self._restore(str(self._memory.get(_KEY) or ""))
        self._effect: Effect | None = None
        self._told = ""

    @command
    def hold(self, reason: str, seconds: Seconds, holder: str = "", lock: str = "") -> str:
        """Say "not now" for so many seconds, a week at most; return the id of the lock.

        An update, a pushed configuration and a restart from afar wait meanwhile. With the id of a
        `lock` that is held, that one is prolonged, or shortened.
        """
        who = _caller(holder)
        held = self._locks.hold(who, reason, seconds, id=lock, kept=True)
        self._keep()
        return held.id

    @command
    def release(self, lock: str = "") -> list[str]:
        """Give up the lock of an id; without one all that operators hold. Return their ids."""
        gone = [
            each.id
            for each in self._locks.held()
            if (each.id == lock if lock else each.kept) and self._locks.release(each.id)
        ]
        self._keep()
        return gone

    @command
    def locks(self) -> list[dict[str, Any]]:
        """Return the locks that are held, the one that ends first at the beginning."""
        return [_document(each) for each in self._locks.held()]

    def start(self, ctx: Context) -> None:
        """Follow the locks."""
        self._effect = Effect(self._tell, name="busy.state")

    def stop(self, ctx: Context) -> None:
        """Follow them no more."""
        if self._effect is not None:
            self._effect.dispose()

    @on(ComponentStopped, HotRemoved, ServiceStopped)
    def let_go(self, event: Event) -> None:
        """What a part held ends with it."""
        for stopped in event.payload.to_dict().values():
            self._locks.release_of(str(stopped))

    def _tell(self) -> None:
        held = self._locks.held()
        self.ctx.state.set(STATE, [_document(each) for each in held])
        if (why := "; ".join(map(str, held))) != self._told:
            self._told = why
            self.ctx.runtime.post(BusyChanged(why), self.name)

    def _keep(self) -> None:
        """Remember what operators hold: with the time that it may last at most, since the clock of
        a board may be wrong after a restart."""
        now_ns = self._clock.monotonic_ns()
        held = [
            [each.id, each.holder, each.reason, each.until_ns, (each.due_ns - now_ns) / NANOSECONDS]
            for each in self._locks.held()
            if each.kept
        ]
        self._memory.put(_KEY, json.dumps(held))

    def _restore(self, text: str) -> None:
        try:
            kept = json.loads(text or "[]")
            for id, holder, reason, until_ns, most_s in kept:
                left_s = min(float(most_s), (until_ns - self._clock.time_ns()) / NANOSECONDS)
                if left_s > 0:
                    self._locks.hold(holder, reason, left_s, id=str(id), kept=True)
        except (ValueError, TypeError, RefusedError):  # not written by this version
            self._memory.put(_KEY, "[]")


class GuardedBusy(Busy):
    """The same where the node file grants roles: it takes an operator."""

    @command(role="operator")
    def hold(self, reason: str, seconds: Seconds, holder: str = "", lock: str = "") -> str:
        """Say "not now" for so many seconds, a week at most; return the id of the lock.

        An update, a pushed configuration and a restart from afar wait meanwhile. With the id of a
        `lock` that is held, that one is prolonged, or shortened.
        """
        return super().hold(reason, seconds, holder, lock)

    @command(role="operator")
    def release(self, lock: str = "") -> list[str]:
        """Give up the lock of an id; without one all that operators hold. Return their ids."""
        return super().release(lock)


def _caller(holder: str) -> str:
    """Return who asks: the name that they have signed with, and that which they give."""
    call = running.get()
    principal = "" if call is None else call.request.principal
    if principal in _UNNAMED:
        return holder or "an operator"
    return f"{principal} ({holder})" if holder else principal


def _document(lock: BusyLock) -> dict[str, Any]:
    until = lock.until.isoformat(timespec="seconds")
    return {
        "id": lock.id,
        "holder": lock.holder,
        "reason": lock.reason,
        "until": until,
        "kept": lock.kept,
    }
