"""Children: what parts have spawned, under the supervision that their parents declare (P7)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from edgekernel.core.assembly import Assembly
from edgekernel.core.context import Host
from edgekernel.core.degraded import Caretaker
from edgekernel.core.errors import EscalationError, LifecycleError, describe, unless_unwound
from edgekernel.core.gate import Gate
from edgekernel.core.markers import hook
from edgekernel.core.parts import Parts
from edgekernel.core.unit import Unit, UnitState

if TYPE_CHECKING:
    from edgekernel.core.supervisor import Supervisor

_DECISION_LIMIT_S = 5.0


class Children:
    """The supervisors of the parts that have `@lifecycle.supervision`.

    A fault is whatever a child raises where nobody else is told: a handler, an effect, a
    command that fails unexpectedly, a restart, a service that is given up. A supervisor that
    gives up is a fault of its part; with no supervisor above, the part is tried again as an
    optional one is, and the runtime is degraded meanwhile.
    """

    def __init__(
        self, runtime: Host, parts: Parts, assembly: Assembly, caretaker: Caretaker, gate: Gate
    ) -> None:
        self._runtime = runtime
        self._parts = parts
        self._assembly = assembly
        self._caretaker = caretaker
        self._gate = gate
        self._supervisors: dict[str, Supervisor] = {}  # by the name of the part that supervises

    def adopt(self, unit: Unit) -> None:
        """Supervise a unit that has started, if its parent supervises."""
        supervisor = self._above(unit, make=True)
        if supervisor is not None and unit.name not in supervisor.names():
            supervisor.add(_Spawned(self, unit.name))

    def forget(self, unit: Unit) -> None:
        """Hear that a unit has gone for good."""
        above = self._above(unit)
        if above is not None:
            above.remove(unit.name)
        own = self._supervisors.pop(unit.name, None)
        if own is not None:
            own.close()

    def fault(self, name: str, error: BaseException) -> None:
        """Hear that a part has failed where nobody else is told; from any thread."""
        unit = self._parts.units.get(name)
        above = None if unit is None else self._above(unit)
        if above is not None:
            above.failed(name, error)

    def close(self) -> None:
        """Restart nothing from now on."""
        for supervisor in list(self._supervisors.values()):
            supervisor.close()

    def _above(self, unit: Unit, *, make: bool = False) -> Supervisor | None:
        parent = self._parts.units.get(unit.parent)
        if parent is None or parent.meta.supervision is None:
            return None
        if make and parent.name not in self._supervisors:
            from edgekernel.core.supervisor import Supervisor  # needed by few

            self._supervisors[parent.name] = Supervisor(
                self._runtime,
                parent.name,
                parent.meta.supervision,
                escalate=partial(self._escalated, parent.name),
                decide=partial(self._decide, parent.name),
            )
        return self._supervisors.get(parent.name)

    def _decide(self, by: str, name: str, error: BaseException, attempt: int) -> bool:
        parent = self._parts.units.get(by)
        method: Any = None if parent is None else hook(parent.part, "supervision")
        if method is None:
            return True
        answer = self._runtime.turns.call(
            partial(method, name, error, attempt),
            f"supervision by {by}",
            _DECISION_LIMIT_S,
        )
        return answer is None or bool(answer)

    def _escalated(self, by: str, error: EscalationError) -> None:
        parent = self._parts.units.get(by)
        if parent is None:
            return
        above = self._above(parent)
        if above is not None:
            above.failed(parent.name, error)
            return
        with self._gate.passing() as alone:
            if alone and parent.state is UnitState.ACTIVE:
                self._gate.begin(f"stop of {parent.name}")
                self._caretaker.retry_later(parent, error)
                self._caretaker.settle()

    def start(self, name: str) -> None:
        """Start a child anew, as it is now; raises what keeps it from starting."""
        with self._gate.passing() as alone:
            unit = self._parts.units.get(name)
            if not alone or unit is None:
                raise LifecycleError(f"{name}: not started again: it has gone")
            if unit.state is UnitState.ACTIVE:
                return
            self._gate.begin(f"restart of {unit.name}")
            self._assembly.start(unit)
            self._assembly.set_ticking(unit)
            self._caretaker.settle()

    def stop(self, name: str, error: str = "stopped by its supervisor") -> None:
        """Take a child down; it stays on the list of parts, and may be started again."""
        with self._gate.passing() as alone:
            unit = self._parts.units.get(name)
            if not alone or unit is None:
                return
            self._gate.begin(f"stop of {unit.name}")
            try:
                self._assembly.undo(unit)
            except BaseException as failure:  # a supervisor goes on whatever happens
                error = describe(unless_unwound(failure))[0]
            unit.state, unit.error, unit.retry_ns = UnitState.FAILED, error, None
            self._caretaker.settle()


class _Spawned:
    """A spawned part as its supervisor sees it."""

    def __init__(self, children: Children, name: str) -> None:
        self._children = children
        self.name = name

    def start(self) -> None:
        self._children.start(self.name)

    def stop(self) -> None:
        self._children.stop(self.name)
