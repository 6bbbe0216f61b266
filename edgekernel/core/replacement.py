"""Replacement: one unit takes the place of another, all or nothing."""

from __future__ import annotations

from enum import Enum
from typing import Any

from edgekernel.core.context import Host
from edgekernel.core.errors import LifecycleError, TurnTimeoutError
from edgekernel.core.lifecycle import Lifecycle
from edgekernel.core.markers import hook
from edgekernel.core.messages import Message
from edgekernel.core.signals import Signal, batch
from edgekernel.core.unit import Unit, UnitState, call_hook

START_LIMIT_S = 10.0
"""Seconds that the new version has to start; a service's `start` runs on its own thread."""

_PLAIN = (type(None), bool, int, float, complex, str, bytes, Enum, Message)


class Replacement:
    """The new version starts beside the old one; then they change places within one turn.

    Hardware can be held by one only, and a service ticks on one thread: there the old one lets
    go first, and takes it again if the new one fails.
    """

    def __init__(self, runtime: Host, lifecycle: Lifecycle, old: Unit, part: Any) -> None:
        self.old = old
        self.new = Unit(
            runtime, part, old.name,
            properties=_own_properties(old), optional=old.optional, parent=old.parent,
        )  # fmt: skip
        self._runtime = runtime
        self._lifecycle = lifecycle
        self._lock = runtime.clock.Lock()
        self._in_place = self._given_up = False
        if old.kind is not self.new.kind:
            raise LifecycleError(
                f"{old.name}: a {old.kind.name.lower()} cannot become a "
                f"{self.new.kind.name.lower()}; remove it and add the other"
            )

    def carry_out(self) -> None:
        """Put the new unit in the old one's place; raises, with the old one back at work."""
        old, new = self.old, self.new
        if old.state is not UnitState.ACTIVE:
            raise LifecycleError(f"{old.name}: it is {old.state}; only an active part is updated")
        self._check_consumers()
        self._let_go()
        try:
            new.attach()
            if new.is_service:
                self._set_to_work()
            else:
                new.begin()
                self._change_places()
        except BaseException:
            self._back_to_old()
            raise
        self._lifecycle.put_in_place(old, new)
        self._lifecycle.stopping().finish(old)

    def take_back(self) -> None:
        """Undo a replacement that was carried out: another one of the same update has failed."""
        Replacement(self._runtime, self._lifecycle, self.new, self.old.part).carry_out()

    def _check_consumers(self) -> None:
        old, new = self.old.provider, self.new.provider
        for unit in self._lifecycle.units.values():
            for each in unit.requirements:
                if not each.optional and each.fits(old) and not each.fits(new):
                    raise LifecycleError(
                        f"{old.name}: not updated: {unit.name} requires a {each}, which the new "
                        "version does not provide"
                    )

    def _let_go(self) -> None:
        old = self.old
        if old.supervised is not None:
            old.supervised.cancel()
            if not old.supervised.join(START_LIMIT_S):
                raise LifecycleError(f"{old.name}: not updated: its tick does not end")
        if old.is_device:
            old.part.detach()

    def _change_places(self) -> None:
        """Do it as one turn: no event is handled between the versions, none by both."""
        try:
            label = f"update of {self.old.name}"
            self._runtime.turns.call(self._change_places_now, label, START_LIMIT_S)
        except TurnTimeoutError:
            with self._lock:
                self._given_up = not self._in_place
            if self._given_up:
                raise

    def _change_places_now(self) -> None:
        old, new = self.old, self.new
        old.fall_silent()
        try:
            hand_over(old, new)
            with batch():  # consumers see one version or the other
                new.enter_now()
                self._runtime.registry.exchange(old.provider, new.provider)
            with self._lock:
                self._in_place = not self._given_up
            if not self._in_place:
                raise LifecycleError(f"{old.name}: its update took too long")
        except BaseException:
            new.fall_silent()
            self._runtime.registry.exchange(new.provider, old.provider)
            old.enter_now()
            raise

    def _set_to_work(self) -> None:
        """Let a new service tick; raises what its `start` raises."""
        old, new = self.old, self.new
        first = _FirstStart(self._runtime, old, new)
        self._lifecycle.supervise(new, begin=first.begin)
        if new.part.enabled:
            self._lifecycle.set_ticking(new)
            first.wait()
        else:
            hand_over(old, new)
        self._runtime.registry.exchange(old.provider, new.provider)

    def _back_to_old(self) -> None:
        old, new = self.old, self.new
        if new.supervised is not None:
            new.supervised.cancel()
            new.supervised.join(START_LIMIT_S)
        self._lifecycle.stopping().finish(new)
        if old.is_device:
            old.part.attach(old.context)
        self._lifecycle.set_ticking(old)


class _FirstStart:
    """Waits for the outcome of a service's first start."""

    def __init__(self, runtime: Host, old: Unit, unit: Unit) -> None:
        self._old = old
        self._unit = unit
        self._done = runtime.clock.Event()
        self._error: BaseException | None = None

    def begin(self) -> None:
        """Start the service, on its thread; the first time it takes over from the old one."""
        try:
            self._unit.begin()
            if not self._done.is_set():
                hand_over(self._old, self._unit)
        except BaseException as error:
            self._error = error
            raise
        finally:
            self._done.set()

    def wait(self) -> None:
        """Return when it has started; raises what it raised."""
        if not self._done.wait(START_LIMIT_S):
            raise LifecycleError(f"{self._unit.name}: not started within {START_LIMIT_S:g} s")
        if self._error is not None:
            raise self._error


def hand_over(old: Unit, new: Unit) -> None:
    """Give the new version what the old one knows."""
    snapshot, restore = hook(old.part, "snapshot"), hook(new.part, "restore")
    known = _plain_data(old) if snapshot is None else call_hook(snapshot, old.context)
    if restore is not None:
        call_hook(restore, new.context, known)
        return
    with batch():
        for name, value in _plain_data(old).items():
            present = new.part.__dict__.get(name)
            if isinstance(present, Signal):
                present.set(value)
            elif name in new.part.__dict__ and _is_plain(present):
                setattr(new.part, name, value)


def _plain_data(unit: Unit) -> dict[str, Any]:
    """Return copies of the attributes that hold plain data, signals by their value."""
    from copy import deepcopy  # loads re and more: only for an update

    meta = unit.meta
    not_state = {
        "name", "id", "ctx", *(each.name for each in meta.requirements),
        *(each.name for each in meta.properties), *meta.computeds,
    }  # fmt: skip
    found = {}
    for name, value in unit.part.__dict__.items():
        held = value.peek() if isinstance(value, Signal) else value
        if name not in not_state and _is_plain(held):
            found[name] = deepcopy(held)
    return found


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(key) and _is_plain(each) for key, each in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_plain, value))
    return isinstance(value, _PLAIN)


def _own_properties(unit: Unit) -> dict[str, object]:
    return {key: value for key, value in unit.provider.properties.items() if key != "id"}
