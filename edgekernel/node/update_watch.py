"""The part of a node that tells how an update of its image goes, and bears witness in its trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgekernel.core.clock import ThreadLike
from edgekernel.core.context import Context
from edgekernel.core.errors import describe
from edgekernel.core.markers import on
from edgekernel.core.message import BackgroundError, RuntimeBooted
from edgekernel.core.messages import Event, Message, Severity
from edgekernel.core.process import Process
from edgekernel.core.runtime import Runtime
from edgekernel.node.slot_trial import BAD_READINGS
from edgekernel.node.trial import bad_readings
from edgekernel.node.update_state import UpdateState, read_state
from edgekernel.node.update_table import UpdateTable

STATE = "node.update"
"""Where the update is in the state of the runtime."""
LOOK_S = 1.0
"""How often it is looked how an update goes."""
MAX_NAMED = 5
"""Bad readings that are named; of more their number is told."""
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

    While an update is on trial it says, with how the node is, which readings are bad: root reads
    that before it confirms the update.
    """

    name = "update"

    def __init__(
        self,
        runtime: Runtime,
        path: Path,
        terms: UpdateTable,
        remark: Callable[[str], object] = lambda text: None,
    ) -> None:
        """Follow the file at `path`; `remark` tells whoever started the agent what it should know
        beside how the node is."""
        self._runtime = runtime
        self._path = path
        self._terms = terms
        self._remark = remark
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

    def bad_readings(self) -> dict[str, str]:
        """Return which readings of devices that are online are bad, of those that have to be good,
        and why."""
        return {
            label: why
            for label, why in bad_readings(self._runtime).items()
            if self._terms.requires(*label.split(".", 1))
        }

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

    def _bear_witness(self, found: UpdateState) -> None:
        if found.phase != "trial":
            self._remark("")
            return
        bad = [
            f"{label} ({why})"
            for label, why in self.bad_readings().items()
            if label not in found.bad_before
        ]
        more = f" and {len(bad) - MAX_NAMED} more" if len(bad) > MAX_NAMED else ""
        self._remark(f"{BAD_READINGS}{', '.join(bad[:MAX_NAMED])}{more}" if bad else "")


def _document(state: UpdateState) -> dict[str, Any]:
    return {name: each for name, each in asdict(state).items() if name not in _KEPT_BACK}
