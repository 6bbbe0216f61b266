"""The player: lets the faults of a plan begin and end at their times."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from random import Random

from edgekernel.core import message
from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.context import Context
from edgekernel.core.errors import ConfigError, UnknownTargetError, describe
from edgekernel.core.process import Process
from edgekernel.sim.faults.fault import End, Fault
from edgekernel.sim.faults.messages import FaultBegan, FaultEnded
from edgekernel.sim.faults.stage import Stage
from edgekernel.sim.schedule import Schedule


class FaultPlayer(Process):
    """Plays a fault plan around a node: the component `faults` of a simulated one.

    The times count from the moment it starts, after the devices. Each beginning is told as a
    FaultBegan and each end as a FaultEnded. When it stops everything is healed. What chance
    decides is the same for the same seed.
    """

    name = "faults"

    def __init__(self, stage: Stage, faults: Sequence[Fault], seed: int = 0) -> None:
        """Look at every fault. Raises ConfigError that names each one that cannot be."""
        self.depends = stage.depends
        self.faults = tuple(faults)
        self.told: list[Callable[[FaultBegan | FaultEnded], object]] = []
        """Who outside of the agent hears of each beginning and end, while it is dead too."""
        self._stage = stage
        self._playing = False
        self._seed = seed
        self._schedule = Schedule(stage.clock, "sim:faults", self._failed)
        self._running: dict[int, list[End]] = {}
        problems = [
            f"fault.{number}.{problem}"
            for number, each in enumerate(faults, 1)
            for problem in self._problems(each)
        ]
        if problems:
            raise ConfigError(*problems)

    def start(self, ctx: Context) -> None:
        """Let the time of the plan begin; an agent that was started again finds it under way."""
        if self._playing:
            return
        self._playing = True
        self._begun_ns = ctx.clock.monotonic_ns()
        self._random = [Random(f"{self._seed}:{index}") for index in range(len(self.faults))]
        for index, fault in enumerate(self.faults):
            self._plan(index, 0, round(fault.at_s * NANOSECONDS))
        self._schedule.start()

    def stop(self, ctx: Context) -> None:
        """Heal what is not healed yet, what began last first; but an agent that can be started
        again finds it as it is."""
        if not self._stage.outlives_agent:
            self.end()

    def end(self) -> None:
        """Heal all, now and for good."""
        self._schedule.stop()
        self._playing = False
        for index in reversed(list(self._running)):
            while self._running.get(index):
                self._end(index, self._running[index][-1])

    @property
    def running(self) -> tuple[Fault, ...]:
        """The faults that are there now, in the order of the plan."""
        return tuple(self.faults[index] for index in sorted(self._running))

    def _problems(self, fault: Fault) -> Iterator[str]:
        mistakes = list(fault.mistakes())
        yield from mistakes
        if mistakes:
            return
        try:
            misfit = self._stage.problem(fault)
        except UnknownTargetError as error:
            yield f"{next(iter(fault.targets))}: {error}"
            return
        if misfit:
            yield f"kind: {fault.what.word}: {misfit}"

    def _plan(self, index: int, number: int, due_ns: int) -> None:
        """Let a fault begin for the `number`-th time, counted from the start of the plan."""
        self._schedule.at(self._begun_ns + due_ns, partial(self._come, index, number, due_ns))

    def _come(self, index: int, number: int, due_ns: int) -> None:
        fault = self.faults[index]
        if fault.every_s is not None and (fault.times is None or number + 1 < fault.times):
            self._plan(index, number + 1, due_ns + round(fault.every_s * NANOSECONDS))
        random = self._random[index]
        if fault.probability < 1 and random.random() >= fault.probability:
            return
        kind = fault.what
        began = FaultBegan(str(index + 1), kind.word, fault.target, kind.settings())
        if kind.ends_agent:
            self._tell(began)
        end = self._stage.begin(fault, random)
        if not kind.ends_agent:
            self._tell(began)
        if kind.lasting:
            self._running.setdefault(index, []).append(end)
            if fault.for_s is not None:
                self._schedule.later(fault.for_s, partial(self._end, index, end))

    def _end(self, index: int, end: End) -> None:
        ends = self._running[index]
        ends.remove(end)
        if not ends:
            del self._running[index]
        end()
        fault = self.faults[index]
        self._tell(FaultEnded(str(index + 1), fault.what.word, fault.target))

    def _tell(self, told: FaultBegan | FaultEnded) -> None:
        for hear in self.told:
            hear(told)
        if self._stage.agent_alive:
            self.ctx.emit(told)

    def _failed(self, error: BaseException) -> None:
        if not self._stage.agent_alive:
            raise error
        self.ctx.emit(message.BackgroundError("faults: a fault of the plan", *describe(error)))
