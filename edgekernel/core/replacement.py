"""Replacement: new versions take the places of parts, all of them or none (promise P12)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from edgekernel.core import handover
from edgekernel.core.context import Host
from edgekernel.core.errors import LifecycleError, TurnTimeoutError, of_user_code
from edgekernel.core.first_start import START_LIMIT_S, FirstStart
from edgekernel.core.lifecycle import Lifecycle
from edgekernel.core.unit import Unit, UnitState

_ALIVE = ("starting", "running")
"""States of a service that drives what it is to drive."""


class Exchange:
    """Several replacements as one: the new versions start, then all change places in one turn."""

    def __init__(
        self,
        runtime: Host,
        replacements: Sequence[Replacement],
        rolling_back: Callable[[], object],
    ) -> None:
        """`rolling_back` is called when it fails, before the old ones go to work again."""
        self._runtime = runtime
        self._rolling_back = rolling_back
        self._replacements = replacements
        self._lock = threading.Lock()
        self._in_place = self._given_up = False
        self._label = f"update of {', '.join(each.old.name for each in replacements)}"

    def carry_out(self) -> None:
        """Put the new units in the places of the old ones; raises, with the old ones at work."""
        begun: list[Replacement] = []
        try:
            for each in self._replacements:
                each.check()
            for each in self._replacements:
                begun.append(each)
                each.prepare()
            self._change_places()
        except BaseException:
            self._rolling_back()
            for each in reversed(begun):
                each.roll_back()
            raise
        for each in self._replacements:
            each.settle()

    def _change_places(self) -> None:
        try:
            self._runtime.turns.call(self._change_places_now, self._label, START_LIMIT_S)
        except TurnTimeoutError:
            with self._lock:
                self._given_up = not self._in_place
            if self._given_up:
                raise

    def _change_places_now(self) -> None:
        """Do it within one turn: no event is handled between the versions, none by both."""
        begun: list[Replacement] = []
        try:
            for each in self._replacements:
                begun.append(each)
                each.swap()
            for each in self._replacements:  # their effects see all of the new ones
                each.enter()
            with self._lock:
                self._in_place = not self._given_up
            if not self._in_place:
                raise LifecycleError(f"{self._label}: it took too long")
        except BaseException:
            for each in reversed(begun):
                each.swap_back()
            raise
        for each in self._replacements:
            each.old.leave_now()


class Replacement:
    """The new version starts beside the old one; then they change places.

    Hardware can be held by one only, and a service ticks on one thread: there the old one lets
    go first, and takes it again if the new one fails.
    """

    def __init__(self, runtime: Host, lifecycle: Lifecycle, old: Unit, part: Any) -> None:
        if part is old.part:
            raise LifecycleError(f"{old.name}: the new version is the very part that is there")
        self.old = old
        self.new = lifecycle.parts.renewed(
            part, old.name,
            properties=_own_properties(old), optional=old.optional, parent=old.parent,
        )  # fmt: skip
        self._runtime = runtime
        self._lifecycle = lifecycle
        self._assembly = lifecycle.assembly
        self._known: handover.Known | None = None  # of one that has let go
        self._first: FirstStart | None = None
        self._let_go = self._attached = self._was_ticking = False

    @property
    def is_down(self) -> bool:
        """Whether nothing of the old version stands."""
        return self.old.state in (UnitState.FAILED, UnitState.WAITING)

    def start_instead(self) -> None:
        """Put the new version in the place of one that is down, and start it.

        What it lacks it waits for, as the old one may have. Raises what keeps it from starting:
        then the old one has its place again, and is tried again as before.
        """
        old, new, lifecycle = self.old, self.new, self._lifecycle
        self._check_kind()
        lifecycle.parts.replace(old, new)
        try:
            if new.unmet():
                lifecycle.caretaker.try_to_start(new)
            else:
                self._assembly.start(new)
        except BaseException:
            self._assembly.undo(new)
            lifecycle.parts.replace(new, old)
            raise
        self._assembly.set_ticking(new)
        lifecycle.children.forget(old)
        lifecycle.children.adopt(new)

    def _check_kind(self) -> None:
        old, new = self.old, self.new
        if old.kind is not new.kind:
            raise LifecycleError(
                f"{old.name}: a {old.kind.name.lower()} cannot become a "
                f"{new.kind.name.lower()}; remove it and add the other"
            )

    def check(self) -> None:
        """Raise LifecycleError if the new version cannot take this place."""
        old, new = self.old, self.new
        self._check_kind()
        if old.state is not UnitState.ACTIVE:
            raise LifecycleError(f"{old.name}: it is {old.state}; only an active part is updated")
        missing = new.unmet()
        if missing:
            raise LifecycleError(f"{old.name}: not updated: nobody provides {', '.join(missing)}")
        self._check_consumers()

    def _check_consumers(self) -> None:
        old, new = self.old.provider, self.new.provider
        for unit in self._lifecycle.parts.in_state(UnitState.ACTIVE):
            for each in unit.requirements:
                if each.optional or not each.fits(old) or each.fits(new):
                    continue
                others = self._runtime.registry.providers(each.contract, each.where)
                if all(other in (old, unit.provider) for other in others):
                    raise LifecycleError(
                        f"{old.name}: not updated: {unit.name} requires a {each}, which the new "
                        "version does not provide"
                    )

    def prepare(self) -> None:
        """Start the new version, as far as it can be beside the old one."""
        new = self.new
        if self.old.is_service:
            self._stop_ticking()
        if self.old.is_device:
            self._disconnect()
        self._must_go_on()
        new.attach()
        self._attached = True
        self._must_go_on()
        if new.is_service:
            self._begin_to_tick()
        else:
            new.begin()
        self._must_go_on()

    def _must_go_on(self) -> None:
        if self._runtime.phase.ending:
            raise LifecycleError(f"{self.old.name}: not updated: the runtime is stopping")

    def _stop_ticking(self) -> None:
        old = self.old
        if old.supervised is None:
            return
        self._was_ticking = not old.supervised.join(0.0)
        old.state = UnitState.STOPPING
        old.supervised.cancel()
        self._lifecycle.gate.look_again()  # it may wait there for a change of its own
        if not old.supervised.join(START_LIMIT_S):
            raise LifecycleError(f"{old.name}: not updated: its tick does not end")
        self._known = handover.ask(old)

    def _disconnect(self) -> None:
        """Let the old driver go: nothing polls it, and nothing of it runs any more."""
        old = self.old
        self._known = handover.ask(old)
        self._assembly.poll_no_more(old.part)
        self._let_go = True
        self._lifecycle.parts.held_back.append(old)
        self._in_turn(old.fall_silent)
        old.part.detach()

    def _begin_to_tick(self) -> None:
        new = self.new
        if not new.part.enabled:
            self._assembly.supervise(new)
            self._tell(new)
            return
        self._lifecycle.parts.coming.append(new)
        self._first = first = FirstStart(self._runtime, self._lifecycle, new, self._tell)
        self._assembly.supervise(new, begin=first.begin, enter=first.enter)
        self._assembly.set_ticking(new)
        first.wait()

    def _tell(self, new: Unit) -> None:
        handover.tell(new, handover.ask(self.old) if self._known is None else self._known)

    def swap(self) -> None:
        """Silence the old version and put the new one where it was; within a turn."""
        if not self.new.is_service:  # a service has entered with its first start
            self.old.fall_silent()
            self._tell(self.new)
        self._runtime.registry.exchange(self.old.provider, self.new.provider)

    def enter(self) -> None:
        """Let the new version be called; within the same turn."""
        if not self.new.is_service:
            self.new.enter_now()

    def swap_back(self) -> None:
        """Undo `swap` and `enter`, as far as they went; within a turn."""
        self._runtime.registry.exchange(self.new.provider, self.old.provider)
        if not self.new.is_service:
            self.new.leave_now()
            if not self._let_go and self.old.state is UnitState.ACTIVE:
                self.old.enter_now()

    def settle(self) -> None:
        """End the old version: the new one is in its place."""
        old, new = self.old, self.new
        self._is_settled()
        self._lifecycle.parts.replace(old, new)
        new.state = UnitState.ACTIVE
        if new.is_device:
            if new.part.polled:
                self._assembly.poll(new.part)
            self._assembly.drop_idle_pollers()
        if new.control is not None and old.control is not None:
            old.control.hand_over(new.control)
        self._assembly.stopping().finish(old)
        driven = [] if new.control is None else new.control.fallbacks()
        old.fall_back(but=[*new.fallbacks(), *driven])
        supervised = new.supervised
        if supervised is not None and supervised.state not in _ALIVE:
            ended_well = new.part.finished and not supervised.has_failed
            if not ended_well:  # its first tick has failed or hangs, or it is disabled
                new.let_go()

    def _is_settled(self) -> None:
        """Note that it is settled which version has the place."""
        parts = self._lifecycle.parts
        if self.new in parts.coming:
            parts.coming.remove(self.new)
        if self.old in parts.held_back:
            parts.held_back.remove(self.old)

    def roll_back(self) -> None:
        """Put the old version to work again, and end what there is of the new one."""
        old, new = self.old, self.new
        if new.supervised is not None:
            new.state = UnitState.STOPPING
            new.supervised.cancel()
            self._lifecycle.gate.look_again()  # it may wait there for a change of its own
            new.supervised.join(START_LIMIT_S)
        if self._first is not None:
            self._first.give_back()
        if self._attached:
            self._assembly.stopping().finish(new)
        new.unbind()
        if self._runtime.phase.ending:
            return  # the shutdown has the old one among those that it stops
        new.lose_control()
        kept = [] if old.control is None else old.control.fallbacks()
        drive_again = new.fall_back(but=kept)  # before the old one sets anything
        if self._let_go:
            self._connect_again()
        self._is_settled()
        if self._was_ticking:
            self._tick_again()
        elif old.state is UnitState.STOPPING:
            old.state = UnitState.ACTIVE
        if drive_again:
            old.drive_again()

    def _connect_again(self) -> None:
        old = self.old
        try:
            old.part.attach(old.context)
        except BaseException as error:  # neither version can drive it: then it is missing
            for unit in reversed(self._lifecycle.parts.needing([old])):
                self._assembly.suspend(unit, f"{old.name} is gone")
            self._lifecycle.caretaker.retry_later(old, of_user_code(error))
            return
        self._in_turn(old.enter_now)
        if old.part.polled:
            self._assembly.poll(old.part)

    def _tick_again(self) -> None:
        old, assembly = self.old, self._assembly
        supervised = old.supervised
        assert supervised is not None
        old.state = UnitState.ACTIVE
        if supervised.join(0.0):
            assembly.set_ticking(old)
        else:  # its last tick has yet to end
            supervised.start()

    def _in_turn(self, step: Callable[[], object]) -> None:
        label = f"update of {self.old.name}"
        try:
            self._runtime.turns.call(step, label, START_LIMIT_S)
        except TurnTimeoutError:
            step()


def _own_properties(unit: Unit) -> dict[str, object]:
    return {key: value for key, value in unit.provider.properties.items() if key != "id"}
