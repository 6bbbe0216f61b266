"""Carrier: lets a call's command run where it is to run, and takes back what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from edgekernel.core.call import Call, running
from edgekernel.core.clock import Clock
from edgekernel.core.errors import UnavailableError
from edgekernel.core.tasks import Tasks
from edgekernel.core.turn import Turn
from edgekernel.core.turns import TurnQueue
from edgekernel.core.workers import Workers


class Carrier:
    """Runs commands as turns, on worker threads and on the event loop."""

    def __init__(self, clock: Clock, turns: TurnQueue, tasks: Tasks, name: str) -> None:
        self._turns = turns
        self._tasks = tasks
        self._workers = Workers(clock, f"{name}:worker", turns.failed)

    def run(self, call: Call, waits: bool) -> None:
        """Let the command begin where it is to run; inside a turn, a quick one begins at once."""
        assert call.command is not None
        runs_on = call.command.runs_on
        if runs_on == "loop":
            run = self._carry_out_async(call)
            done, label = partial(self._ended, call), f"command {call.name}"
            call.run_by(self._turns.within(self._tasks.start, run, done, label))
        elif runs_on == "worker":
            work = partial(self._turns.within, self._carry_out, call)
            self._workers.submit(work, lambda: not call.done)
        elif self._turns.inside():
            self._carry_out(call)
        elif waits and call.limit_s is None:
            self._turns.submit(_CommandTurn(self._carry_out, call))
        else:
            self._turns.submit_elsewhere(_CommandTurn(self._carry_out, call))

    def _carry_out(self, call: Call) -> None:
        if not call.begin():
            return
        assert call.make is not None
        token = running.set(call)
        try:
            result = call.make()
        except BaseException as error:
            call.over(well=False, report=self._turns.failed)
            self._end(call, None, error)
            if not isinstance(error, Exception):
                raise
        else:
            call.over(well=True, report=self._turns.failed)
            self._end(call, result, None)
        finally:
            running.reset(token)

    async def _carry_out_async(self, call: Call) -> Any:
        if not call.begin():
            return None
        assert call.make is not None
        running.set(call)  # in the context of this task only
        try:
            result = await call.make()
        except BaseException:
            call.over(well=False, report=self._turns.failed)
            raise
        call.over(well=True, report=self._turns.failed)
        return result

    def _ended(self, call: Call, result: Any, error: BaseException | None) -> None:
        import asyncio

        if isinstance(error, asyncio.CancelledError):
            call.settle(error=UnavailableError(f"{call.name}: it was cancelled"))
        else:
            self._end(call, result, error)

    def _end(self, call: Call, result: Any, error: BaseException | None) -> None:
        if not call.settle(result, error) and error is not None:
            self._turns.failed(f"command {call.name}, after it was given up", error)

    def close(self) -> None:
        """End the worker threads, each after what it does."""
        self._workers.close()


class _CommandTurn(Turn):
    """Carries out a call as a turn."""

    __slots__ = ("_call", "_carry_out", "_cause", "_submitter", "correlation")

    def __init__(self, carry_out: Callable[[Call], object], call: Call) -> None:
        self._carry_out = carry_out
        self._call = call
        self.correlation = call.request.key or None

    @property
    def label(self) -> str:
        return f"command {self._call.name}"

    def step(self) -> None:
        self._carry_out(self._call)

    def cut(self) -> None:
        self._call.give_up(UnavailableError(f"{self._call.name}: the turn queue is full"))
