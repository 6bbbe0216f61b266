"""Shutdown: safe first, then everything in reverse, within a bound (promise P6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from edgekernel.core import message
from edgekernel.core.clock import ThreadLike
from edgekernel.core.context import Host
from edgekernel.core.errors import describe, of_user_code
from edgekernel.core.gate import Gate
from edgekernel.core.messages import Message
from edgekernel.core.order import stopping_last
from edgekernel.core.unit import LEAVE_LIMIT_S, Unit, UnitState

SAFE_LIMIT_S = 2.0
_LEAST_S = 0.05

Step = tuple[str, Callable[[], object]]


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
        standing = stopping_last(standing)
        self._stop_services([unit for unit in reversed(standing) if unit.supervised is not None])
        idle = self._runtime.turns.wait_idle(min(1.0, self._left(0.5)))
        leave_s = min(LEAVE_LIMIT_S, self._left(0.25)) if idle else _LEAST_S
        for unit in reversed(standing):
            if unit.supervised is None:
                self._end_unit(unit, leave_s)

    def retire(self, unit: Unit) -> None:
        """Take down one unit of a runtime that goes on; bounded like a shutdown."""
        if unit.supervised is not None:
            unit.state = UnitState.STOPPING
            unit.supervised.close()
            self._gate.look_again()  # it may wait there for a change of its own
            self._join(unit)
            unit.supervised.dismiss()
        self._end_unit(unit, LEAVE_LIMIT_S)

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
        for unit in services:
            self._join(unit)
            self._end_unit(unit, _LEAST_S)

    def _join(self, unit: Unit) -> None:
        left = self._left(0.5)  # those that come after have to have their share
        if unit.supervised is not None and not unit.supervised.join(left):
            self._passed_over(f"stop of service {unit.name}", f"still running after {left:.1f} s")

    def _end_unit(self, unit: Unit, leave_s: float) -> None:
        step = "detach of service" if unit.is_service else "stop of"
        name = f"{'detach of' if unit.is_device else step} {unit.name}"
        unit.state = UnitState.STOPPING
        self._all_at_once([(name, partial(self._take_down, unit, leave_s))], self._left(0.5))
        unit.state = UnitState.STOPPED

    def _take_down(self, unit: Unit, leave_s: float) -> None:
        unit.withdraw()
        try:
            self._let_go(unit, leave_s)
        finally:
            unit.gone()

    @staticmethod
    def _let_go(unit: Unit, leave_s: float) -> None:
        try:
            unit.leave(leave_s)
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
        for name in self._unfinished(steps, limit_s):
            self._passed_over(name, f"not done within {limit_s:.1f} s")

    def _unfinished(self, steps: Sequence[Step], limit_s: float) -> list[str]:
        clock = self._runtime.clock
        threads: list[tuple[str, ThreadLike]] = []
        for name, step in steps:
            run = partial(self._reported, name, step, clock.flow())
            thread = clock.Thread(run, f"stop:{name}")
            thread.start()
            threads.append((name, thread))
        end = clock.monotonic() + limit_s
        for _, thread in threads:
            thread.join(max(0.0, end - clock.monotonic()))
        return [name for name, thread in threads if thread.is_alive()]

    def _reported(self, name: str, step: Callable[[], object], caller: object) -> None:
        try:
            with self._gate.shared(caller):
                self._runtime.turns.within(step)
        except BaseException as error:
            self._passed_over(name, describe(of_user_code(error))[0])

    def _passed_over(self, step: str, error: str) -> None:
        told = message.ShutdownStepFailed(step, error)
        self._unfinished([("report", partial(self._runtime.emit, told))], _LEAST_S)
