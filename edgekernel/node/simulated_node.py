"""A simulated node whose agent can die: it is booted again on the same board, in the same world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Generic, Protocol, TypeVar

from edgekernel.backends.backend import Backend
from edgekernel.backends.sim import SimBackend, SimDisk
from edgekernel.core.clock import Clock, EventLike
from edgekernel.core.errors import BootError
from edgekernel.core.phase import Phase
from edgekernel.core.runtime import Runtime
from edgekernel.hal.disk import Disk
from edgekernel.node.plan import Plan
from edgekernel.node.simulate import Outside, assemble_inside, make_outside
from edgekernel.sim.agent_clock import AgentClock
from edgekernel.sim.bench import Bench
from edgekernel.sim.broker import SimBroker
from edgekernel.sim.clock import SimClock
from edgekernel.sim.faults import Fault, FaultPlayer

R = TypeVar("R", bound=Runtime)

_RESTART_S = 5.0
"""After which time a service manager tries again what did not start."""


class Recording(Protocol):
    """Who records one run of the agent: a journal."""

    def around(self, backend: Backend) -> Backend:
        """Return a backend whose boundaries are recorded."""
        ...

    def record(self, runtime: Runtime, plan: Plan | None = None) -> None:
        """Begin to record a runtime that has not booted."""
        ...

    def close(self) -> bool:
        """Write what waits, and end; say whether that was possible."""
        ...


class SimulatedNode(Generic[R]):
    """A node on the simulated board: the agent, and what stays when it dies.

    The board with its chips, the worlds, the disk and the fault plan are made once; each start of
    the agent makes a runtime of its own, on threads that end with the agent. Modules stay loaded:
    what an application keeps in them is not forgotten, as it would be by a new process.
    """

    def __init__(
        self,
        plan: Plan,
        clock: SimClock,
        kind: type[R],
        board: SimBackend | None = None,
        *,
        faults: Sequence[Fault] = (),
        seed: int = 0,
        disk: SimDisk | None = None,
        broker: SimBroker | None = None,
        record: Callable[[Clock, Disk], Recording] | None = None,
        prepare: Callable[[R], object] = lambda runtime: None,
    ) -> None:
        """Make the first runtime; nothing starts. Raises what `assemble_simulated` raises.

        Without a `board` or `disk` it has new ones. On a `broker` its links end with the agent;
        `prepare` is to connect it (`edgekernel.mqtt.simulated`). `record` makes a recording of each
        run of the agent, and `prepare` sees each runtime before it boots.
        """
        self.board = SimBackend(clock) if board is None else board
        self.disk = SimDisk(clock) if disk is None else disk
        self.starts = 0
        """How often the agent was started."""
        self.died: list[Callable[[], object]] = []
        """Who is to know at once when the agent has died."""
        self.recording: Recording | None = None
        """That of the present run of the agent, or of its last one."""
        self.failures: list[BootError] = []
        """The restarts that have failed; each was tried again after 5 s."""
        self._runs = self._is_to_be_dead = False
        self._broker = broker
        self._plan, self._clock, self._kind = plan, clock, kind
        self._record, self._prepare = record, prepare
        self._agent_clock = AgentClock(clock)
        self._settled = clock.Event()
        self._has_power = True
        self._ended = False
        self._away: EventLike | None = None
        self.board.vacate(self._agent_clock)
        self.runtime: R = self._assemble()
        """That of the present run of the agent, or of its last one."""
        self._outside: Outside = make_outside(
            plan, self.board, faults, seed, self.disk, self, broker
        )
        self._join()

    @property
    def alive(self) -> bool:
        """Whether the agent runs: it was started, and has neither died nor ended by itself."""
        return self._runs and self.runtime.phase is not Phase.STOPPED

    @property
    def ending(self) -> bool:
        """Whether the agent ends by itself, or has."""
        return self._runs and self.runtime.phase.ending

    @property
    def bench(self) -> Bench:
        """The outside of the board."""
        return self._outside.bench

    @property
    def player(self) -> FaultPlayer | None:
        """Who plays the fault plan, if there is one."""
        return self._outside.player

    def start(self) -> None:
        """Boot, and return when that is done or the agent has died of it. Raises BootError."""
        self._launch(self._boot)
        self._settled.wait()

    def stop(self, reason: str) -> None:
        """Heal all faults, shut the agent down if it runs, and end what is outside.

        Stopping twice is harmless.
        """
        if self._ended:
            return
        self._ended = True
        if self.player is not None:
            self.player.end()
        self._stay_away(False)
        if self._runs:
            self.runtime.shutdown(reason)
            self._close_recording()
        self.bench.end()
        self.disk.close()

    def kill(self) -> None:
        """End the agent as SIGKILL does; power that was away is back. Harmless if it is dead.

        Raises SimulationError in a thread of the agent.
        """
        self._is_to_be_dead = True
        self._restore_power()
        self._die()

    def cut_power(self, random: Random) -> None:
        """Take the power away from the whole node; chance decides what was on the disk.

        Raises SimulationError in a thread of the agent.
        """
        self._is_to_be_dead = True
        self._die(silently=True)
        if self._has_power and not self._ended:
            self._has_power = False
            self.disk.power_lost(random)
            self.board.power_off()
            self.bench.cut_power()

    def start_again(self) -> None:
        """Bring the power back, and start the agent. Harmless if it runs.

        A boot that fails is one of the `failures`, and tried again after 5 s.
        """
        self._is_to_be_dead = False
        self._restore_power()
        if not self._runs and not self._ended:
            self._launch(self._boot_again)

    def _launch(self, boot: Callable[[], None]) -> None:
        self._runs = True
        self.starts += 1
        self._agent_clock.Thread(boot, f"{self._plan.name}:agent").start()

    def _boot(self) -> None:
        self.runtime.boot()
        self._settled.set()

    def _boot_again(self) -> None:
        self._stay_away(False)
        self.runtime = self._assemble()
        self._join()
        try:
            self._boot()
        except BootError as error:
            self.failures.append(error)
            self._close_recording()
            self.bench.later(0, self._give_up)  # by a thread that is not the agent's

    def _give_up(self) -> None:
        self._die()
        self.bench.later(_RESTART_S, self._try_again)

    def _try_again(self) -> None:
        if not self._is_to_be_dead:  # by another fault, which has begun meanwhile
            self.start_again()

    def _close_recording(self) -> None:
        if self.recording is not None:
            self.recording.close()

    def _assemble(self) -> R:
        clock, backend = self._agent_clock, self.board
        if self._record is not None:
            self.recording = self._record(clock, self.disk)
        around = backend if self.recording is None else self.recording.around(backend)
        return assemble_inside(self._plan, around, clock, self._kind, self.disk)

    def _join(self) -> None:
        self._outside.join(self.runtime)
        if self.recording is not None:
            self.recording.record(self.runtime, self._plan)
        self._prepare(self.runtime)

    def _die(self, *, silently: bool = False) -> None:
        """End the agent; `silently` if nobody is left to close its connections."""
        if not self._runs or self._ended:
            return
        self._agent_clock.check_outside()
        if self._broker is not None:
            self._broker.client_died(self._agent_clock, silently=silently)
        self.disk.agent_ended()
        self.board.cut_off()
        self._agent_clock.end()
        self.board.vacate(self._agent_clock)
        self._runs = False
        self._outside.leave()
        for tell in self.died:
            tell()
        self._settled.set()
        self._stay_away(True)

    def _restore_power(self) -> None:
        if not self._has_power:
            self._has_power = True
            self.bench.restore_power()

    def _stay_away(self, away: bool) -> None:
        """Let the worlds go on while no agent is there to step them."""
        if self._away is not None:
            self._away.set()
            self._away = None
        service = self._outside.service
        if away and service is not None and service.at_s is not None:
            self._away = self._clock.Event()
            back, worlds = self._away, self._outside.worlds

            def step() -> None:
                while not back.wait(worlds.step_s):
                    service.step_to(self._clock.monotonic())

            self._clock.Thread(step, f"{self._plan.name}:world").start()
