"""Hot changes: parts added to, removed from and replaced in a runtime as it runs (promise P12)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from edgekernel.core import message
from edgekernel.core.component import describe_class
from edgekernel.core.context import Host
from edgekernel.core.errors import (
    BootError,
    LifecycleError,
    UnavailableError,
    UnknownTargetError,
    describe,
    nearest,
    of_user_code,
    unless_unwound,
)
from edgekernel.core.lifecycle import Lifecycle
from edgekernel.core.order import needs_of
from edgekernel.core.parts import part_name
from edgekernel.core.phase import Phase
from edgekernel.core.poller import Poller
from edgekernel.core.unit import Unit, UnitState

if TYPE_CHECKING:
    from edgekernel.core.replacement import Replacement

Step = Callable[[], object]


class HotChanges:
    """Adds, removes and replaces parts, one change at a time.

    What is asked for inside a turn is done beside it, in the order of asking.
    """

    def __init__(self, runtime: Host, lifecycle: Lifecycle, limit_s: float) -> None:
        """Refuse a change for which others have not made way within `limit_s` seconds."""
        self._limit_s = limit_s
        self._runtime = runtime
        self._lifecycle = lifecycle
        self._parts = lifecycle.parts
        self._lock = threading.Lock()  # around the changes that wait
        self._waiting: deque[tuple[str, Step, float]] = deque()
        self._at_work = False  # somebody takes what waits to the gate
        self._spawned_late: dict[str, list[Step]] = {}
        """What parts that are just being replaced have spawned: comes after the exchange."""

    def add(self, part: Any, name: str = "", **how: Any) -> Any:
        """See `Runtime.hot_add`."""
        made = part() if isinstance(part, type) else part
        label = name or part_name(made)
        self._change(f"hot add of {label}", partial(self._add, made, label, how))
        return made

    def spawn(
        self, parent: str, part: Any, name: str, properties: Mapping[str, object] | None
    ) -> Any:
        """See `Context.spawn`."""
        label = name or part_name(part)
        known = self._parts.units.get(label)
        late = self._spawned_late.get(parent)
        if late is None and known is not None and known.parent == parent:
            return known.part
        made = part() if isinstance(part, type) else part
        step = partial(self._add, made, label, {"properties": properties, "parent": parent})
        if late is not None:
            late.append(step)
        else:
            self._change(f"spawn of {label}", step)
        return made

    def remove(self, name: str, *, force: bool = False) -> None:
        """See `Runtime.hot_remove`."""
        affected = self._parts.family(*self._named(name))
        if force:
            affected += self._parts.needing(affected)
        self._change(f"hot remove of {name}", partial(self._remove, name, force), affected)

    def update(self, part: Any) -> list[Any]:
        """See `Runtime.hot_update`."""
        made: list[Any] = []
        label = part_name(part)
        step = partial(self._update, part, made)
        self._change(f"hot update of {label}", step, self._parts.family(*self._replaced_by(part)))
        return made

    def retry(self, name: str) -> None:
        """See `Runtime.retry`."""
        self._change(f"retry of {name}", partial(self._retry, name))

    # One at a time

    def _change(self, label: str, step: Step, affected: Collection[Unit] = ()) -> None:
        """Do one change with the runtime to oneself; in a turn or coroutine, beside it.

        Beside it too if the thread of a service asks that would be stopped by the change.
        """
        here = self._parts.on_this_thread()
        nobody_waits = self._runtime.turns.inside() or self._runtime.tasks.inside()
        if nobody_waits or (here is not None and self._stops(here, affected)):
            self._do_beside(label, step)
        else:
            self._do(label, step, here)

    def _stops(self, service: Unit, affected: Collection[Unit]) -> bool:
        if any(unit.name == service.name for unit in affected):  # it, or the one it replaces
            return True
        part = service.part
        return isinstance(part, Poller) and any(unit.part in part.devices for unit in affected)

    def _do(
        self,
        label: str,
        step: Step,
        here: Unit | None = None,
        *,
        limit_s: float | None = None,
        entered: Callable[[], object] = lambda: None,
    ) -> None:
        self._may_go_on(label)

        def unwanted() -> bool:
            return here is not None and here.state is UnitState.STOPPING

        limit_s = self._limit_s if limit_s is None else limit_s
        gate = self._lifecycle.gate
        with gate.passing(unwanted, change=label, limit_s=limit_s) as alone:
            entered()
            self._may_go_on(label)
            if not alone:
                raise LifecycleError(f"{label}: not done: who asks for it is being stopped")
            if self._runtime.phase is Phase.CREATED:
                raise LifecycleError(f"{label}: the runtime is created; it has to be running")
            gate.begin(label)
            try:
                step()
            finally:
                self._lifecycle.caretaker.settle()

    def _may_go_on(self, label: str) -> None:
        phase = self._runtime.phase
        if phase.ending:
            raise LifecycleError(f"{label}: the runtime is {phase}; it has to be running")

    def _do_beside(self, label: str, step: Step) -> None:
        asked = label, step, self._runtime.clock.monotonic() + self._limit_s
        with self._lock:
            self._waiting.append(asked)
            first, self._at_work = not self._at_work, True
        if first:
            try:
                self._begin_thread()
            except BaseException as error:  # such as no more threads
                with self._lock:
                    others = [each for each in self._waiting if each is not asked]
                    self._waiting.clear()
                    self._at_work = False
                for other, _, _ in others:
                    self._tell_failure(other, error)
                raise

    def _begin_thread(self) -> None:
        name = f"{self._runtime.name}:hot changes"
        self._runtime.clock.Thread(self._do_what_waits, name).start()

    def _do_what_waits(self) -> None:
        while self._do_next():
            pass

    def _do_next(self) -> bool:
        """Do the first that waits; say whether the next one is the caller's too.

        While it goes on the next one waits at the gate on another thread: if this one hangs, that
        one is refused in time.
        """
        with self._lock:
            label, step, end_s = self._waiting.popleft()
        left_s = max(0.0, end_s - self._runtime.clock.monotonic())
        handed_over: list[bool] = []

        def hand_over() -> None:
            if self._more_wait():
                try:
                    self._begin_thread()
                except RuntimeError:  # no more threads: the next one follows here, after this one
                    return
            handed_over.append(True)

        try:
            self._do(label, step, limit_s=left_s, entered=hand_over)
        except BaseException as error:
            self._tell_failure(label, unless_unwound(error))
        return not handed_over and self._more_wait()

    def _tell_failure(self, label: str, error: BaseException) -> None:
        self._runtime.emit(message.HotChangeFailed(label, *describe(error)))

    def _more_wait(self) -> bool:
        with self._lock:
            self._at_work = bool(self._waiting)
            return self._at_work

    # Add

    def _add(self, made: Any, name: str, how: Mapping[str, Any]) -> None:
        parts = self._parts
        parent = how.get("parent")
        if parent and parent not in parts.units:
            raise LifecycleError(f"{name}: not spawned: its parent {parent} has gone")
        unit = parts.make_unit(made, name, **how)
        _, failures = needs_of(unit, [*parts.units.values(), unit])
        if failures:
            raise failures[0] if len(failures) == 1 else BootError(f"{name} not added", failures)
        parts.enlist(unit)
        if unit.optional:
            self._lifecycle.caretaker.try_to_start(unit)
        else:
            self._start_or_forget(unit)
        self._runtime.emit(message.HotAdded(name))

    def _start_or_forget(self, unit: Unit) -> None:
        assembly = self._lifecycle.assembly
        try:
            missing = unit.unmet()
            if missing:
                raise UnavailableError(f"{unit.name}: nobody provides {', '.join(missing)}")
            assembly.start(unit)
        except BaseException:
            assembly.take_out(unit)
            raise
        assembly.set_ticking(unit)
        self._lifecycle.children.adopt(unit)

    # Remove

    def _remove(self, name: str, force: bool) -> None:
        parts, assembly = self._parts, self._lifecycle.assembly
        unit = parts.find(name)
        if isinstance(unit.part, Poller):
            names = ", ".join(device.id for device in unit.part.devices)
            raise LifecycleError(f"{name}: not removed: it polls {names}; remove those instead")
        needing = parts.needing(parts.family(unit))
        if needing and not force:
            names = ", ".join(each.name for each in needing)
            raise LifecycleError(
                f"{name}: not removed: {names} cannot do without it. Remove what needs it first, "
                "or use force=True to stop it until somebody else provides what it needs."
            )
        for each in reversed(parts.standing.copy()):
            if each in needing:
                assembly.suspend(each, f"{name} was removed")
        assembly.take_out(unit)
        self._runtime.registry.choose_again()
        self._runtime.emit(message.HotRemoved(name))

    def _named(self, name: str) -> list[Unit]:
        return [self._parts.units[name]] if name in self._parts.units else []

    # Retry

    def _retry(self, name: str) -> None:
        unit = self._parts.find(name)
        if unit.state not in (UnitState.FAILED, UnitState.WAITING):
            raise LifecycleError(f"{name}: not tried again: it is {unit.state}")
        error = self._lifecycle.caretaker.try_to_start(unit)
        if error is not None:
            raise error

    # Update

    def _update(self, part: Any, made: list[Any]) -> None:
        # Needed by few. Loaded before anything of the old version is touched, beside the turns.
        from edgekernel.core.replacement import Exchange, Replacement

        olds = self._replaced_by(part)
        if not olds:
            raise self._unknown(part)
        self._spawned_late = {old.name: [] for old in olds}
        try:
            new = [part() for _ in olds] if isinstance(part, type) else [part]
            pairs = zip(olds, new, strict=True)
            replacements = [Replacement(self._runtime, self._lifecycle, *pair) for pair in pairs]
            down = [each for each in replacements if each.is_down]
            at_work = [each for each in replacements if each not in down]
            if at_work:
                Exchange(self._runtime, at_work, self._spawned_late.clear).carry_out()
            for each in down:
                each.start_instead()
        except BaseException as error:
            failed = message.HotUpdateFailed(part_name(part), describe(of_user_code(error))[0])
            self._runtime.emit(failed)
            raise
        finally:
            late, self._spawned_late = self._spawned_late, {}
        made += new
        self._exchange_children(replacements, late)
        self._runtime.registry.choose_again()
        for replacement in replacements:
            self._runtime.emit(message.HotUpdated(replacement.new.name))

    def _replaced_by(self, part: Any) -> list[Unit]:
        """Return the units whose place a new version takes: all of a component, or one by name."""
        if not isinstance(part, type):
            return self._named(part_name(part))
        component, name = describe_class(part).name, part_name(part)
        units = self._parts.units.values()
        return [unit for unit in units if unit.meta.name == component or unit.name == name]

    def _unknown(self, part: Any) -> UnknownTargetError:
        name, units = part_name(part), self._parts.units
        if not isinstance(part, type):
            return UnknownTargetError(f"no part {name!r}{nearest(name, list(units))}")
        known = sorted({unit.meta.name for unit in units.values()})
        return UnknownTargetError(f"no part is a component {name!r}{nearest(name, known)}")

    def _exchange_children(
        self, replacements: Collection[Replacement], late: Mapping[str, Collection[Step]]
    ) -> None:
        """End the children of the old versions; start what the new ones have spawned."""
        parents = [replacement.new for replacement in replacements]
        for child in reversed(self._parts.family(*parents)[len(parents) :]):
            self._lifecycle.assembly.take_out(child)
        for parent, spawned in late.items():
            for spawn in spawned:
                try:
                    spawn()
                except BaseException as error:
                    label, failure = f"spawn by {parent}", describe(of_user_code(error))
                    self._runtime.emit(message.HotChangeFailed(label, *failure))
