"""What root does of an update: it installs a bundle that was asked for, and starts into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edgekernel.core.clock import Clock, SystemClock
from edgekernel.core.version import VERSION
from edgekernel.node import rauc
from edgekernel.node.update_request import UpdateRequest
from edgekernel.node.update_state import UpdateState, read_state, write_state

PAUSE_S = 3.0
"""So long before the computer starts anew, so that the agent can tell of it."""


class UpdateWork:
    """Carries requests out, one at a time, and keeps how they go in a file."""

    def __init__(
        self, path: Path, boot: str, tell: Callable[[str], object], clock: Clock | None = None
    ) -> None:
        """Keep the state at `path`; `boot` is the id of this boot, `tell` says what is done."""
        self._clock = clock or SystemClock()
        self._path = path
        self._boot = boot
        self._tell = tell
        self.state = read_state(path) or UpdateState()
        self._writes = False  # into the slot: up to then RAUC only looks at the bundle

    def carry_out(self, request: UpdateRequest) -> None:
        """Do what is asked for; what comes of it is in `state`. Raises OSError if it cannot be
        kept."""
        if request.action == "install":
            self._install(request)
        else:
            self._reboot(request)

    def _install(self, request: UpdateRequest) -> None:
        before = self.state
        if before.phase in ("rebooting", "trial"):  # its tries are not to be given to another one
            self._tell(f"{request.bundle} is not installed: another update is on trial")
            return
        new = UpdateState(
            id=request.id, bundle=request.bundle, bad_before=request.bad_before, now=request.now
        )
        self._keep(new.moved("installing", before=VERSION))
        self._tell(f"installing {request.bundle}")
        try:
            slot = rauc.other_slot(rauc.status())
            self._keep(replace(self.state, slot=slot, after=rauc.version_of(request.bundle)))
            rauc.install(request.bundle, self._progress)
        except (OSError, ValueError) as error:
            refused = isinstance(error, rauc.RaucError) and not self._writes
            self._keep(self.state.moved("refused" if refused else "failed", reason=str(error)))
            self._tell(f"{request.bundle} is not installed: {error}")
            return
        self._keep(self.state.moved("installed", percent=100))
        self._tell(f"{request.bundle} is installed in slot {self.state.slot}")

    def _progress(self, percent: int, doing: str) -> None:
        self._writes = self._writes or doing.startswith(rauc.WRITING)
        if (percent, doing) != (self.state.percent, self.state.doing):
            self._keep(replace(self.state, percent=percent, doing=doing), lasts=False)

    def _reboot(self, request: UpdateRequest) -> None:
        if self.state.phase != "installed" or self.state.id != request.id:
            self._tell(f"no restart: update {request.id} is not installed")
            return
        self._keep(self.state.moved("rebooting", percent=100))
        self._tell(f"starting anew into slot {self.state.slot}")
        self._clock.sleep(PAUSE_S)
        try:
            rauc.run("systemctl", "reboot")
        except OSError as error:
            self._keep(self.state.moved("failed", reason=f"no restart: {error}"))

    def _keep(self, state: UpdateState, *, lasts: bool = True) -> None:
        self.state = state
        write_state(state, self._path, boot=self._boot, lasts=lasts)
