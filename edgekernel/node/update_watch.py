"""The part of a node that tells how an update of its image goes, and bears witness in its trial."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgekernel.core.clock import ThreadLike
from edgekernel.core.context import Context
from edgekernel.core.errors import describe
from edgekernel.core.markers import on
from edgekernel.core.message import BackgroundError, RuntimeBooted, ServiceRestart
from edgekernel.core.messages import Event, Message, Severity
from edgekernel.core.process import Process
from edgekernel.core.runtime import Runtime
from edgekernel.node.trial import complaints
from edgekernel.node.update_state import UpdateState, read_state
from edgekernel.node.update_table import UpdateTable
from edgekernel.node.witness import Witness, bear_witness, counts, unmet_by

STATE = "node.update"
"""Where the update is in the state of the runtime."""
LOOK_S = 1.0
"""How often it is looked how an update goes."""
_ON_TRIAL = ("rebooting", "trial")
"""The phases in which a trial may go on: "rebooting" where root cannot keep that it does."""
_END_S = 1.0
_KEPT_BACK = ("boot", "bad_before")


class UpdateChanged(Message):
    """An update goes on: `phase` is that of `UpdateState`, and `reason` why it waits or stays."""

    name = "update.changed"
    phase: str
    id: str
    versions: str
    reason: str


class UpdateFailed(Message):
    """An update was not installed ("failed"; "refused" by RAUC), or the system before it runs again
    ("fell_back")."""

    name = "update.failed"
    severity = Severity.ERROR
    phase: str
    id: str
    versions: str
    reason: str


class UpdateWatch(Process):
    """Follows the file of the update, and puts it into the runtime's state.

    While an update is on trial it says what is not well with the node: root reads that before it
    confirms the update.
    """

    name = "update"

    def __init__(
        self,
        runtime: Runtime,
        path: Path,
        terms: UpdateTable,
        witness: Path | None = None,
        run: str = "",
    ) -> None:
        """Follow the file at `path`, and write into the file `witness` how the node is; `run` says
        which start of the agent this is."""
        self._runtime = runtime
        self._path = path
        self._terms = terms
        self._witness = witness
        self._run_id = run
        self._restarts: dict[str, tuple[int, float]] = {}  # of services: how many, and the last
        self._shown: UpdateState | None = None
        self._stopping = runtime.clock.Event()
        self._thread: ThreadLike | None = None

    @property
    def shown(self) -> UpdateState:
        """How the update goes, as far as this node has seen."""
        return self._shown or UpdateState()

    @on(RuntimeBooted)
    def begin(self, event: Event) -> None:
        """Look at it from now on."""
        clock = self._runtime.clock
        self._thread = clock.Thread(self._run, f"{self._runtime.name}:update")
        self._thread.start()

    def stop(self, ctx: Context) -> None:
        """Look no more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_END_S)

    @on(ServiceRestart)
    def restarted(self, event: Event) -> None:
        """Note that a service is started anew."""
        assert isinstance(event.payload, ServiceRestart)
        count, _ = self._restarts.get(event.payload.service, (0, 0.0))
        self._restarts[event.payload.service] = (count + 1, event.monotonic)

    def complaints(self) -> dict[str, str]:
        """Return what is not well with the node, but for readings that need not be good."""
        return {
            what: why
            for what, why in complaints(self._runtime).items()
            if self._has_to_be_well(what)
        }

    def bad_before(self) -> tuple[str, ...]:
        """Return what an update is not to blame for that begins now: what is not well, and services
        that have been started anew in the time for which a trial asks."""
        since_s = self._runtime.clock.monotonic() - self._terms.healthy_for
        restarts = list(self._restarts.items())
        restless = [f"part {name}" for name, (_, last_s) in restarts if last_s >= since_s]
        unwell = [what for what in self.complaints() if not what.startswith("link ")]
        return tuple(dict.fromkeys([*unwell, *restless]))

    def goes_on(self, found: UpdateState) -> UpdateState:
        """Do what is next and return how it goes then; `found` is what root says."""
        return found

    def _run(self) -> None:
        while True:
            try:
                found = self.goes_on(read_state(self._path) or UpdateState())
                self._show(found)
                self._bear_witness(found)
            except Exception as error:  # it is looked again
                self._runtime.post(BackgroundError(self.name, *describe(error)), self.name)
            if self._runtime.clock.sleep(LOOK_S, self._stopping):
                return

    def _show(self, found: UpdateState) -> None:
        before, self._shown = self._shown, found
        self._runtime.state.set(STATE, _document(found))
        if before is None or (before.phase, before.id) == (found.phase, found.id):
            return
        kind = UpdateFailed if found.phase in ("failed", "refused", "fell_back") else UpdateChanged
        self._runtime.post(kind(found.phase, found.id, found.versions, found.reason), self.name)

    def _has_to_be_well(self, what: str) -> bool:
        kind, _, name = what.partition(" ")
        if kind not in ("device", "reading"):
            return True
        device, _, reading = name.partition(".")
        return self._terms.requires(device, reading)

    def _bear_witness(self, found: UpdateState) -> None:
        if self._witness is None or found.phase not in _ON_TRIAL:
            return
        before = found.bad_before
        worse = {what: why for what, why in self.complaints().items() if counts(what, before)}
        restarts = sum(
            count
            for name, (count, _) in list(self._restarts.items())
            if counts(f"part {name}", before)
        )
        now_s = self._runtime.clock.monotonic()
        bear_witness(Witness(self._run_id, now_s, restarts, unmet_by(worse)), self._witness)


def _document(state: UpdateState) -> dict[str, Any]:
    return {name: each for name, each in asdict(state).items() if name not in _KEPT_BACK}
