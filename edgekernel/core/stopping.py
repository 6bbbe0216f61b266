"""Shutdown: safe first, then everything in reverse, within a bound (promise P6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from edgekernel.core import message
from edgekernel.core.beside import Beside, Step
from edgekernel.core.context import Host
from edgekernel.core.errors import describe, of_user_code
from edgekernel.core.gate import Gate
from edgekernel.core.messages import Message
from edgekernel.core.order import stopping_groups
from edgekernel.core.unit import LEAVE_LIMIT_S, Unit, UnitState

SAFE_LIMIT_S = 2.0
_LEAST_S = 0.05


class Stopping:
    """Takes units down, from now within the limit; what raises or hangs is passed over."""

    def __init__(self, runtime: Host, gate: Gate, limit_s: float) -> None:
        self._runtime = runtime
        self._gate = gate
        self._limit_s = limit_s
        self._end = runtime.clock.monotonic() + limit_s

    def stop(self, standing: list[Unit], reason: str) -> None:
        """Make the outputs safe, then stop services, then all others in reverse."""
        held = standing.copy()
        self._hold_safe(held, reason)
        if not self._gate.close(self._left(0.5)):
            self._passed_over("boot or hot change", "still going on")
        self._hold_safe([unit for unit in standing if unit not in held], reason)
        self.tell(message.RuntimeShuttingDown(reason))
        groups = stopping_groups(standing)
        self._stop_services([unit for group in groups for unit in group if unit.supervised])
        turns = self._runtime.turns
        running = turns.running
        idle = turns.wait_idle(min(1.0, self._left(0.5)))
        hangs = not idle and running is not None and turns.running is running
        leave_s = _LEAST_S if hangs else min(LEAVE_LIMIT_S, self._left(0.25))
        for group in groups:
            units = [unit for unit in group if not unit.supervised]
            self._end_units(units, leave_s, ahead=not idle)

    def retire(self, unit: Unit) -> None:
        """Take down one unit of a runtime that goes on; bounded like a shutdown."""
        if unit.supervised is not None:
            unit.state = UnitState.STOPPING
            unit.supervised.close()
            self._gate.look_again()  # it may wait there for a change of its own
            self._join([unit])
            unit.supervised.dismiss()
        self._end_units([unit], LEAVE_LIMIT_S)

    def finish(self, unit: Unit) -> None:
        """End a unit that another one has replaced, or that could not replace it."""
        if unit.supervised is not None:
            unit.supervised.dismiss()
        step = partial(self._let_go, unit, LEAVE_LIMIT_S)
        self._all_at_once([(f"end of {unit.name}", step)], self._left(0.5))
        unit.unbind()
        unit.state = UnitState.STOPPED

    def tell(self, what: Message) -> None:
        """Emit in a thread of its own: a handler that hangs is passed over like any step."""
        emit = partial(self._runtime.emit, what)
        self._all_at_once([(f"handling of {what.name}", emit)], min(1.0, self._left(0.25)))

    def _stop_services(self, services: Sequence[Unit]) -> None:
        for unit in services:
            if unit.supervised is not None:
                unit.supervised.close()
        self._join(services)
        self._end_units(services, _LEAST_S)

    def _join(self, services: Sequence[Unit]) -> None:
        """Wait until services have stopped; all of them together have half of what is left."""
        clock, limit_s = self._runtime.clock, self._left(0.5)
        end = clock.monotonic() + limit_s
        for unit in services:
            left_s = max(0.0, end - clock.monotonic())
            if unit.supervised is not None and not unit.supervised.join(left_s):
                text = f"still running after {limit_s:.1f} s"
                self._passed_over(f"stop of service {unit.name}", text)

    def _end_units(self, units: Sequence[Unit], leave_s: float, *, ahead: bool = False) -> None:
        """End units that do not need one another, the first one first; see `Unit.leave`."""
        steps: list[Step] = []
        for unit in units:
            unit.state = UnitState.STOPPING
            step = "detach of service" if unit.is_service else "stop of"
            name = f"{'detach of' if unit.is_device else step} {unit.name}"
            steps.append((name, partial(self._take_down, unit, leave_s, ahead)))
        limit_s = self._left(0.5)
        self._pass_over(self._beside(steps, limit_s).in_their_order(), limit_s)
        for unit in units:
            unit.state = UnitState.STOPPED

    def _take_down(self, unit: Unit, leave_s: float, ahead: bool) -> None:
        unit.withdraw()
        try:
            self._let_go(unit, leave_s, ahead, partial(unit.let_go, gone=True))
        finally:
            unit.gone()

    @staticmethod
    def _let_go(
        unit: Unit,
        leave_s: float,
        ahead: bool = False,
        afterwards: Callable[[], object] = lambda: None,
    ) -> None:
        try:
            unit.leave(leave_s, ahead=ahead)
        finally:
            try:
                afterwards()  # before its stop, which may hang
            finally:
                unit.end()

    def _hold_safe(self, standing: Sequence[Unit], reason: str) -> None:
        text = f"the node is stopping: {reason}"
        holds = [
            (f"safe state of {unit.name}", partial(unit.part.hold_safe, text))
            for unit in reversed(standing)
            if unit.is_device
        ]
        self._all_at_once(holds, min(SAFE_LIMIT_S, self._limit_s / 2))

    def _left(self, part: float = 1.0) -> float:
        """Return a part of the time that is left, or the least that is given to each step."""
        return max(_LEAST_S, (self._end - self._runtime.clock.monotonic()) * part)

    def _all_at_once(self, steps: Sequence[Step], limit_s: float) -> None:
        """Run steps beside one another; report those that raise or take longer than the limit."""
        self._pass_over(self._beside(steps, limit_s).all_at_once(), limit_s)

    def _beside(self, steps: Sequence[Step], limit_s: float) -> Beside:
        clock = self._runtime.clock
        caller = clock.flow()
        reported = [(name, partial(self._reported, name, step, caller)) for name, step in steps]
        return Beside(clock, reported, limit_s)

    def _reported(self, name: str, step: Callable[[], object], caller: object) -> None:
        try:
            with self._gate.shared(caller):
                self._runtime.turns.within(step)
        except BaseException as error:
            self._passed_over(name, describe(of_user_code(error))[0])

    def _pass_over(self, unfinished: Sequence[str], limit_s: float) -> None:
        for name in unfinished:
            self._passed_over(name, f"not done within {limit_s:.1f} s")

    def _passed_over(self, step: str, error: str) -> None:
        told = message.ShutdownStepFailed(step, error)
        self._beside([("report", partial(self._runtime.emit, told))], _LEAST_S).all_at_once()
