"""The node of `edgekernel simulate`, with who looks at it: recorder, journal, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekernel.backends.sim import SimDisk
from edgekernel.cli.ending import Ending
from edgekernel.cli.recording import close_recording
from edgekernel.cli.run import tree
from edgekernel.core.clock import Clock
from edgekernel.core.runtime import Runtime
from edgekernel.hal.disk import Disk
from edgekernel.journal import Journal, open_journal
from edgekernel.node.plan import Plan
from edgekernel.node.simulated_node import SimulatedNode
from edgekernel.sim.broker import SimBroker
from edgekernel.sim.clock import SimClock
from edgekernel.sim.faults import Fault
from edgekernel.sim.record import Recorder


class SimulatedRun:
    """The node of a run, with who looks at it."""

    def __init__(
        self,
        plan: Plan,
        clock: SimClock,
        faults: Sequence[Fault],
        seed: int,
        disk: SimDisk,
        folder: Path | None,
        span_s: float,
        broker: SimBroker | None,
    ) -> None:
        self.span_s = span_s
        self.broker = broker
        self._seed = seed
        self._recorder: Recorder | None = None
        self._journal: Journal | None = None
        self.lived_on = False
        """Whether the agent has run to the end."""
        self.services: dict[str, dict[str, Any]] = {}
        """How its services were then."""
        self._folder = folder
        self._plan = plan
        if folder is not None:
            disk.mount(folder)
        self.node = SimulatedNode(
            plan, clock, Runtime, faults=faults, seed=seed, disk=disk, broker=broker,
            record=self._record if folder else None, prepare=self._prepare,
        )  # fmt: skip
        if self.node.player is not None:
            self.recorder.hear(self.node.player)
        self.node.died.append(self.recorder.lose)

    @property
    def recorder(self) -> Recorder:
        """What the run was like."""
        assert self._recorder is not None, "the first runtime has been made"
        return self._recorder

    def problems(self) -> list[str]:
        """Return, after the end, what keeps the run from having ended well."""
        if self.lived_on:
            return [f"outputs may NOT be safe: {each}" for each in self._ending.unsafe()]
        failed = (tree(each)[1:] for each in self.node.failures[-1:])
        return [f"the agent did not boot again:{'; '.join(lines)}" for lines in failed]

    def __enter__(self) -> SimulatedRun:
        try:
            self.node.start()
        except BaseException as error:
            self.__exit__(None, error)
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        self.lived_on = self.node.alive or self.node.ending
        if self.lived_on:
            self.services = self.node.runtime.status()["services"]
        self.node.stop("done" if raised[1] is None else str(raised[1]))
        self.recorder.end()
        if self._journal is not None and self.lived_on:
            close_recording(self._journal)

    def _record(self, clock: Clock, disk: Disk) -> Journal:
        journal = open_journal(self._plan, clock, self._folder, disk)
        assert journal is not None, "the folder is named"
        self._journal = journal
        return journal

    def _prepare(self, runtime: Runtime) -> None:
        if self._recorder is None:
            self._recorder = Recorder(runtime, self.span_s)
        else:
            self._recorder.follow(runtime)
        if self.broker is not None:
            from edgekernel.mqtt.simulated import connect_simulated

            connect_simulated(self._plan, runtime, self.broker, self._seed)
        runtime.register(self._recorder)
        self._ending = Ending(runtime)
