"""Journal: the part of a runtime that records it."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from edgekernel.backends.backend import Backend
from edgekernel.backends.recording import RecordingBackend
from edgekernel.core import message
from edgekernel.core.call import Call
from edgekernel.core.clock import Clock
from edgekernel.core.context import Context
from edgekernel.core.effect import Effect
from edgekernel.core.interface import Interface
from edgekernel.core.markers import command, lifecycle, on
from edgekernel.core.messages import Event, Message
from edgekernel.core.phase import Phase
from edgekernel.core.routes import Rank, Route
from edgekernel.core.runtime import Runtime
from edgekernel.journal.convert import (
    command_record,
    outcome_record,
    output_record,
    set_record,
)
from edgekernel.journal.origin import boot_record, config_record
from edgekernel.journal.protocol import JournalSink
from edgekernel.journal.recorder import COMMIT_S, ROOM, Recorder

if TYPE_CHECKING:
    from edgekernel.node.journal_table import Recorded
    from edgekernel.node.plan import Plan  # with pydantic: who only reads needs neither

EVERYTHING: tuple[Recorded, ...] = ("events", "bus", "commands", "outputs")


class Journal(Interface):
    """Records a runtime, from before its boot to after its end, and harms it in no way.

    `around` the backend it sees what drivers ask of it, from `record` on the rest. It is a part
    of that runtime, `journal`, for its health and its command. `close` it after the shutdown, or
    use it as a context manager around the run.
    """

    name = "journal"

    def __init__(
        self,
        sink: JournalSink,
        clock: Clock,
        *,
        what: Collection[Recorded] = EVERYTHING,
        commit_s: float = COMMIT_S,
        room: int = ROOM,
    ) -> None:
        """Record to `sink`, on the clock of the runtime.

        `what` is to be recorded is made safe every `commit_s` seconds; up to `room` records wait
        for that, of more the oldest are dropped and counted.
        """
        self._clock = clock
        self._what = frozenset(what)
        self._recorder = Recorder(sink, clock, commit_s=commit_s, room=room)
        self._runtime: Runtime | None = None
        self._route: Route | None = None
        self._begun: set[int] = set()
        self._outputs: dict[str, list[Effect]] = {}

    def around(self, backend: Backend) -> Backend:
        """Return a backend whose boundaries are recorded, if they are to be."""
        if "bus" not in self._what:
            return backend
        return RecordingBackend(backend, self._clock, self._recorder.put)

    def record(self, runtime: Runtime, plan: Plan | None = None) -> None:
        """Begin to record a runtime, made of this plan, that has not booted; become part of it.

        Raises ConfigError if it has a part of that name.
        """
        runtime.register(self)
        self._runtime = runtime
        put = self._recorder.put
        put(boot_record(self._clock, runtime.name, plan))
        if plan is not None:
            put(config_record(self._clock, plan))
        if "events" in self._what:
            self._route = runtime.routes.add(
                Rank.RECORDER, Message, self.name, f"{self.name}.record", put
            )
        if "commands" in self._what:
            runtime.commands.witness = self
        self._recorder.tell = self._tell
        self._recorder.start()

    def begins(self, call: Call) -> None:
        """Record a request that is about to be carried out; called by the runtime."""
        self._begun.add(call.id)
        self._recorder.put(command_record(call, self._clock))

    def ended(self, call: Call) -> None:
        """Record what came of a request; called by the runtime."""
        if call.id in self._begun:
            self._begun.discard(call.id)
        else:
            self._recorder.put(command_record(call, self._clock))
        self._recorder.put(outcome_record(call, self._clock))

    def output_set(self, output: str, value: object, principal: str) -> None:
        """Record that an output is about to be set from outside; called by the runtime."""
        self._recorder.put(set_record(output, value, principal, self._clock))

    def start(self, ctx: Context) -> None:
        """Watch the outputs of the devices that are there."""
        for id in ctx.devices:
            self._watch(ctx, id)

    @on(message.RuntimeBooted)
    def booted(self, event: Event) -> None:
        """Make the boot safe; now it can be told, too, if that does not work."""
        self._recorder.commit_soon()

    @on(message.DeviceAttached)
    def device_attached(self, event: Event) -> None:
        """Watch the outputs of a device that has come."""
        assert isinstance(event.payload, message.DeviceAttached)
        self._watch(self.ctx, event.payload.device)

    @on(message.DeviceDetached)
    def device_detached(self, event: Event) -> None:
        """Watch those of a device that has gone no more."""
        assert isinstance(event.payload, message.DeviceDetached)
        self._leave(event.payload.device)

    def stop(self, ctx: Context) -> None:
        """End it if it is taken out of a runtime that goes on; else the shutdown is recorded."""
        for id in list(self._outputs):
            self._leave(id)
        if ctx.runtime.phase is Phase.RUNNING:
            self.close()

    def close(self) -> bool:
        """Write what waits and close the sink; say whether that was done within 5 seconds."""
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            if self._route is not None:
                runtime.routes.remove(self._route)
            if runtime.commands.witness is self:
                runtime.commands.witness = None
        return self._recorder.close()

    @command
    def counters(self) -> dict[str, int]:
        """Return how many records were written, dropped and wait, and the commits so far."""
        recorder = self._recorder
        return {
            "written": recorder.written,
            "dropped": recorder.dropped,
            "waiting": recorder.waiting,
            "commits": recorder.commits,
        }

    @lifecycle.health
    def problem(self) -> str:
        """Say why the journal cannot be written."""
        why = self._recorder.problem
        return f"the journal cannot be written: {why}" if why else ""

    def _watch(self, ctx: Context, id: str) -> None:
        self._leave(id)
        device = ctx.devices.get(id)
        if device is None or "outputs" not in self._what:
            return
        self._outputs[id] = [
            ctx.runtime.turns.within(
                partial(Effect, partial(self._note, output), name=f"journal.{output.label}")
            )
            for output in device.outputs.values()
        ]

    def _leave(self, id: str) -> None:
        for effect in self._outputs.pop(id, ()):
            effect.dispose()

    def _note(self, output: Any) -> None:
        self._recorder.put(output_record(output, self._clock))

    def _tell(self, what: Message) -> bool:
        runtime = self._runtime
        if runtime is None or not runtime.phase.booted:
            return False
        runtime.post(what, self.name)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
