"""Hot changes: parts added to, removed from and replaced in a runtime as it runs (promise P12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from edgekernel.core import message
from edgekernel.core.commands import nearest
from edgekernel.core.component import describe_class
from edgekernel.core.context import Host
from edgekernel.core.errors import (
    BootError,
    LifecycleError,
    UnavailableError,
    UnknownTargetError,
    describe,
)
from edgekernel.core.lifecycle import Lifecycle, Phase, part_name
from edgekernel.core.order import needs_of
from edgekernel.core.replacement import Replacement
from edgekernel.core.unit import Unit, UnitState


class HotChanges:
    """Adds, removes and replaces parts, one change at a time."""

    def __init__(self, runtime: Host, lifecycle: Lifecycle) -> None:
        self._runtime = runtime
        self._lifecycle = lifecycle
        self._spawned_late: dict[str, list[Callable[[], object]]] = {}
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
        made = part() if isinstance(part, type) else part
        label = name or part_name(made)
        known = self._lifecycle.units.get(label)
        late = self._spawned_late.get(parent)
        if late is None and known is not None and known.parent == parent:
            return known.part
        how = {"properties": properties, "parent": parent}
        step = partial(self._add, made, label, how)
        if late is not None:
            late.append(step)
        else:
            self._change(f"spawn of {label}", step)
        return made

    def remove(self, name: str, *, force: bool = False) -> None:
        """See `Runtime.hot_remove`."""
        unit = self._find(name)
        itself = unit.supervised is not None and unit.supervised.is_here()
        self._change(f"hot remove of {name}", partial(self._remove, name, force), apart=itself)

    def update(self, part: Any) -> list[Any]:
        """See `Runtime.hot_update`."""
        made: list[Any] = []
        step = partial(self._update, part, made)
        self._change(f"hot update of {_called(part)}", step)
        return made

    def _change(self, label: str, step: Callable[[], object], *, apart: bool = False) -> None:
        """Do one change with the runtime to oneself; inside a turn, beside it."""
        gate = self._lifecycle.gate

        def alone() -> None:
            self._must_run(label)
            with gate.passing():
                self._must_run(label)
                step()

        def reported() -> None:
            try:
                alone()
            except Exception as error:
                self._runtime.emit(message.HotChangeFailed(label, *describe(error)))

        if (apart or self._runtime.turns.inside()) and not gate.held():
            self._runtime.clock.Thread(reported, label).start()
        else:
            alone()

    def _must_run(self, label: str) -> None:
        phase = self._lifecycle.phase
        running = phase in (Phase.RUNNING, Phase.DRAINING)
        if not running and not (phase is Phase.BOOTING and self._lifecycle.gate.held()):
            raise LifecycleError(f"{label}: the runtime is {phase}; it has to be running")

    def _find(self, name: str) -> Unit:
        units = self._lifecycle.units
        if name not in units:
            raise UnknownTargetError(f"no part {name!r}{nearest(name, list(units))}")
        return units[name]

    # Add

    def _add(self, made: Any, name: str, how: Mapping[str, Any]) -> None:
        lifecycle = self._lifecycle
        unit = lifecycle.make_unit(made, name, **how)
        _, failures = needs_of(unit, [*lifecycle.units.values(), unit])
        if failures:
            raise failures[0] if len(failures) == 1 else BootError(f"{name} not added", failures)
        lifecycle.enlist(unit)
        if unit.optional:
            lifecycle.try_to_start(unit)
        else:
            self._start_or_forget(unit)
        poller = lifecycle.poll(made) if unit.is_device else None
        if poller is not None:
            lifecycle.try_to_start(poller)
            lifecycle.set_ticking(poller)
        lifecycle.set_ticking(unit)
        self._runtime.emit(message.HotAdded(name))
        lifecycle.settle()

    def _start_or_forget(self, unit: Unit) -> None:
        try:
            missing = unit.unmet()
            if missing:
                raise UnavailableError(f"{unit.name}: nobody provides {', '.join(missing)}")
            self._lifecycle.start(unit)
        except BaseException:
            self._lifecycle.undo(unit)
            self._lifecycle.strike(unit)
            raise

    # Remove

    def _remove(self, name: str, force: bool) -> None:
        lifecycle = self._lifecycle
        family = lifecycle.family(self._find(name))
        needing = self._needing(family)
        if needing and not force:
            names = ", ".join(unit.name for unit in needing)
            raise LifecycleError(
                f"{name}: not removed: {names} cannot do without it. Remove what needs it first, "
                "or use force=True to stop it until somebody else provides what it needs."
            )
        for unit in reversed(lifecycle.standing.copy()):
            if unit in needing:
                self._suspend(unit, name)
        lifecycle.take_out(family[0])
        self._runtime.emit(message.HotRemoved(name))
        lifecycle.settle()

    def _needing(self, gone: list[Unit]) -> list[Unit]:
        """Return the active units that cannot do without these, and without one another."""
        found: list[Unit] = []
        units = [unit for unit in self._lifecycle.units.values() if unit not in gone]
        while True:
            lost = [*gone, *found]
            more = [unit for unit in units if unit not in found and unit.misses(lost)]
            if not more:
                return found
            found += more

    def _suspend(self, unit: Unit, gone: str) -> None:
        self._lifecycle.undo(unit)
        unit.state, unit.error = UnitState.WAITING, f"{gone} was removed"
        self._runtime.emit(message.ComponentWaiting(unit.name, tuple(map(str, unit.requirements))))

    # Update

    def _update(self, part: Any, made: list[Any]) -> None:
        olds = self._replaced_by(part)
        instances = [part() for _ in olds] if isinstance(part, type) else [part]
        failed: Exception | None = None
        done: list[Replacement] = []
        for old, instance in zip(olds, instances, strict=True):
            replacement = Replacement(self._runtime, self._lifecycle, old, instance)
            late: list[Callable[[], object]] = []
            self._spawned_late[old.name] = late
            try:
                replacement.carry_out()
                done.append(replacement)
            except Exception as error:
                failed = error
                break
            finally:
                del self._spawned_late[old.name]
            self._exchange_children(replacement, late)
        if failed is not None:
            for replacement in reversed(done):
                replacement.take_back()
            self._runtime.emit(message.HotUpdateFailed(_called(part), describe(failed)[0]))
            raise failed
        made += instances
        for replacement in done:
            self._runtime.emit(message.HotUpdated(replacement.new.name))

    def _replaced_by(self, part: Any) -> list[Unit]:
        units = self._lifecycle.units
        if not isinstance(part, type):
            return [self._find(part_name(part))]
        component = describe_class(part).name
        name = getattr(part, "name", "")
        found = [
            unit
            for unit in units.values()
            if unit.meta.name == component or (isinstance(name, str) and name == unit.name)
        ]
        if not found:
            known = sorted({unit.meta.name for unit in units.values()})
            raise UnknownTargetError(
                f"no part is a component {component!r}{nearest(component, known)}"
            )
        return found

    def _exchange_children(
        self, replacement: Replacement, late: list[Callable[[], object]]
    ) -> None:
        for child in self._lifecycle.family(replacement.new)[1:]:
            self._lifecycle.take_out(child)
        for spawn in late:
            try:
                spawn()
            except Exception as error:
                label = f"children of {replacement.new.name}"
                self._runtime.emit(message.HotChangeFailed(label, *describe(error)))


def _called(part: Any) -> str:
    return describe_class(part).name if isinstance(part, type) else part_name(part)
