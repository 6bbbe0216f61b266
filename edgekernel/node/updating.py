"""Updates that are asked for: a node lets root install a bundle, and start into it when it may."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from edgekernel.core.call import running
from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.errors import InvalidValueError, UnavailableError
from edgekernel.core.markers import command
from edgekernel.core.runtime import Runtime
from edgekernel.core.version import VERSION
from edgekernel.node.update_request import (
    MAX_BAD,
    UpdateRequest,
    write_request,
    wrong_bundle,
)
from edgekernel.node.update_state import UpdateState
from edgekernel.node.update_table import UpdateTable
from edgekernel.node.update_watch import UpdateWatch

IfBusy = Literal["wait", "refuse", "ignore"]
"""What is done while somebody says "not now"."""
TAKEN_WITHIN_S = 60.0
"""How long root may take until it has taken a request."""
ROOM_BYTES = 16 * 2**20
"""What has to be free on the data partition: RAUC and the trial keep there how they go."""
_ASKED = "update.asked"
_MAX_REASON = 200

NO_IMAGE = (
    "this node cannot update its system: it does not run from an image with two slots and RAUC "
    "({path} is not there). Update edgekernel as it was installed, such as with pip, and then "
    "restart the node: edgekernel ctl restart"
)


class Update(UpdateWatch):
    """Takes updates that it is asked for, and restarts; both wait while the node is busy.

    What waits is not lost with the agent, where the node has a place for what it is to know.
    """

    def __init__(
        self,
        runtime: Runtime,
        path: Path,
        terms: UpdateTable,
        witness: Path | None = None,
        run: str = "",
        *,
        requests: Path | None = None,
        comes_back: bool = False,
    ) -> None:
        """Follow the file at `path`, and hand requests over in the file `requests`; `comes_back`
        says whether somebody starts the agent again when it ends. `witness` and `run` as in
        `UpdateWatch`."""
        super().__init__(runtime, path, terms, witness, run)
        self._requests = requests
        self._comes_back = comes_back
        self._lock = runtime.clock.Lock()  # around what is asked for
        self._memory = runtime.outputs.memory
        self._wanted = self._restored()
        self._handed: UpdateState | None = None
        self._due_ns = 0
        self._over: UpdateState | None = None
        self._restart: tuple[str, bool] | None = None

    @command(destructive=True)
    def install(self, bundle: str, busy: IfBusy = "wait") -> dict[str, Any]:
        """Install a signed bundle into the other slot and start into it on trial; return its id.

        The bundle is an address (https) or a path on the node. While the node is `busy` it waits,
        or is refused, or goes on. How it goes is published.
        """
        self._check_place()
        if wrong := wrong_bundle(bundle):
            raise InvalidValueError(wrong)
        with self._lock:
            if self._handed is not None or self._current().under_way:
                raise UnavailableError(f"an update is under way already: {_brief(self._current())}")
            self._refuse_if(busy)
            id = os.urandom(16).hex()
            self._set_wanted(UpdateRequest("install", id, bundle, now=busy == "ignore"))
            self._over = None
        return {"id": id, "phase": "asked", "before": VERSION}

    @command(destructive=True)
    def cancel(self) -> None:
        """Give up an update that waits to be installed; one that is installed cannot be."""
        with self._lock:
            if self._wanted is None:
                raise UnavailableError(f"no update waits: {_brief(self._current())}")
            self._over = _state(self._wanted).moved("cancelled", reason="cancelled by an operator")
            self._set_wanted(None)

    @command(destructive=True)
    def restart(self, reason: str, busy: IfBusy = "wait") -> None:
        """End the agent, so that it is started again; the outputs are safe in between.

        While the node is `busy` it waits, or is refused, or goes on.
        """
        text = " ".join(reason.split())
        if not text or len(text) > _MAX_REASON:
            raise InvalidValueError(f"a reason has 1 to {_MAX_REASON} characters")
        if not self._comes_back:
            raise UnavailableError("nobody would start the agent again: it is not run as a service")
        with self._lock:
            self._refuse_if(busy)
            call = running.get()
            who = "" if call is None else call.request.principal
            self._restart = f"operator: {who}: {text}", busy == "ignore"

    def goes_on(self, found: UpdateState) -> UpdateState:
        """Hand over what is asked for as soon as it may be; so with the start into it."""
        bad = self.bad_before()[:MAX_BAD] if self._wanted is not None else ()
        with self._lock:
            self._restart_if_free()
            if self._handed is not None:
                found = self._follow(self._handed, found)
            elif self._wanted is not None:
                found = self._hand_over(self._wanted, bad)
            elif found.phase == "installed":
                found = self._start_into(found)
            if self._over is None or found.under_way:
                self._over = None
                return found
            return self._over

    def _hand_over(self, wanted: UpdateRequest, bad: tuple[str, ...]) -> UpdateState:
        state = _state(wanted)
        if (why := self._runtime.busy.why()) and not wanted.now:
            return self._waiting(state, why)
        self._set_wanted(None)
        return self._give(replace(wanted, bad_before=bad), state)

    def _start_into(self, found: UpdateState) -> UpdateState:
        if (why := self._runtime.busy.why()) and not found.now:
            return self._waiting(found, f"it is installed; {why}")
        return self._give(UpdateRequest("reboot", found.id), found)

    def _give(self, request: UpdateRequest, state: UpdateState) -> UpdateState:
        """Hand a request over; return how the update stands then."""
        assert self._requests is not None, "asked of a node that can"
        try:
            write_request(request, self._requests)
        except OSError as error:
            self._over = state.moved("failed", reason=f"it cannot be handed over: {error}")
            return self._over
        self._handed = state
        self._due_ns = self._runtime.clock.monotonic_ns() + round(TAKEN_WITHIN_S * NANOSECONDS)
        return state

    def _follow(self, handed: UpdateState, found: UpdateState) -> UpdateState:
        """Return what root says once it has taken the request; fail if it does not."""
        if found.id == handed.id and found.phase != handed.phase:
            self._handed = None
            return found
        if self._runtime.clock.monotonic_ns() < self._due_ns:
            return handed
        self._handed = None
        assert self._requests is not None
        self._requests.unlink(missing_ok=True)
        reason = (
            f"nobody has taken the request within {TAKEN_WITHIN_S:g} s: is the unit "
            "edgekernel-update.path active?"
        )
        if handed.phase == "installed":  # it starts into it sometime: it is asked for again
            return replace(handed, reason=reason)
        self._over = handed.moved("failed", reason=reason)
        return self._over

    def _restart_if_free(self) -> None:
        if self._restart is None or (self._runtime.busy.why() and not self._restart[1]):
            return
        reason, _ = self._restart
        self._restart = None
        clock, name = self._runtime.clock, self._runtime.name
        clock.Thread(lambda: self._runtime.shutdown(reason), f"{name}:restart").start()

    def _check_place(self) -> None:
        """Raise UnavailableError unless this node can update its system now."""
        if self._requests is None or not self._path.exists():
            raise UnavailableError(NO_IMAGE.format(path=self._path))
        try:
            disk = os.statvfs(self._path.parent)
        except OSError as error:
            raise UnavailableError(f"{self._path.parent}: {error}") from None
        free = disk.f_bavail * disk.f_frsize
        if free < ROOM_BYTES:
            raise UnavailableError(
                f"only {free / 2**20:.1f} MiB are free on the data partition, and an update needs "
                f"{ROOM_BYTES / 2**20:.0f} there to keep how it goes: make room first"
            )

    def _refuse_if(self, busy: IfBusy) -> None:
        if busy == "refuse" and (why := self._runtime.busy.why()):
            raise UnavailableError(f"the node is busy: {why}")

    def _waiting(self, state: UpdateState, why: str) -> UpdateState:
        if self.shown.phase == "waiting" and self.shown.reason == why:
            return self.shown
        return state.moved("waiting", reason=why)

    def _current(self) -> UpdateState:
        """Return how it stands, also what has changed since the last look."""
        if self._wanted is not None:
            return _state(self._wanted)
        over = self._over
        return self.shown if over is None or over.id != self.shown.id else over

    def _set_wanted(self, wanted: UpdateRequest | None) -> None:
        self._wanted = wanted
        self._memory.put_all({_ASKED: "" if wanted is None else json.dumps(asdict(wanted))})

    def _restored(self) -> UpdateRequest | None:
        """Return what was asked of the agent before a restart, and waited."""
        try:
            kept = json.loads(str(self._memory.get(_ASKED) or "null"))
            return None if kept is None else UpdateRequest(**{**kept, "bad_before": ()})
        except (ValueError, TypeError):
            return None


class GuardedUpdate(Update):
    """The same where the node file grants roles: it takes an administrator."""

    @command(role="admin", destructive=True)
    def install(self, bundle: str, busy: IfBusy = "wait") -> dict[str, Any]:
        """Install a signed bundle into the other slot and start into it on trial; return its id.

        The bundle is an address (https) or a path on the node. While the node is `busy` it waits,
        or is refused, or goes on. How it goes is published.
        """
        return super().install(bundle, busy)

    @command(role="admin", destructive=True)
    def cancel(self) -> None:
        """Give up an update that waits to be installed; one that is installed cannot be."""
        super().cancel()

    @command(role="admin", destructive=True)
    def restart(self, reason: str, busy: IfBusy = "wait") -> None:
        """End the agent, so that it is started again; the outputs are safe in between.

        While the node is `busy` it waits, or is refused, or goes on.
        """
        super().restart(reason, busy)


def _state(request: UpdateRequest) -> UpdateState:
    made = UpdateState(id=request.id, bundle=request.bundle, now=request.now, before=VERSION)
    return made.moved("asked")


def _brief(state: UpdateState) -> str:
    what = f"{state.phase} {state.bundle}".rstrip()
    return f"{what} ({state.reason})" if state.reason else what
