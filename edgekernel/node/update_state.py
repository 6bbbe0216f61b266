"""How an update goes: a file that root writes and all may read, and how a boot continues it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

STATE_FILE = Path("/data/update/state.json")
"""On the data partition of the image: below folders that are root's alone."""
UNDER_WAY = ("asked", "waiting", "installing", "installed", "rebooting", "trial")
ENDS = ("confirmed", "fell_back", "failed", "refused", "cancelled")
_FORMAT = 1
_MAX_BYTES = 262_144
_CMDLINE = Path("/proc/cmdline")


@dataclass(frozen=True, slots=True)
class UpdateState:
    """How the latest update goes, or has ended.

    `phase` is "none" (there was none yet), "asked", "waiting" (somebody says "not now"),
    "installing", "installed", "rebooting", "trial", or one of the ends: "confirmed", "fell_back"
    (the slot before runs again), "failed" (it was not installed), "refused" (by RAUC, which has
    written nothing) and "cancelled".
    """

    phase: str = "none"
    id: str = ""
    """Of the request; "" for one that was installed on the board itself."""
    bundle: str = ""
    percent: int = 0
    """Of what the phase does: RAUC's own, or how much of the trial has passed."""
    doing: str = ""
    """What RAUC says that it does."""
    before: str = ""
    """The version that ran, and `after` that of the bundle."""
    after: str = ""
    slot: str = ""
    """Where the update is."""
    reason: str = ""
    """Why it waits, has failed, was confirmed or fell back."""
    unmet: tuple[str, ...] = ()
    """The criteria of the trial that are not met, each beginning with its name."""
    bad_before: tuple[str, ...] = ()
    """What was not well before the update, which the trial does not ask for (see
    `edgekernel.node.witness`)."""
    now: bool = False
    """Whether it does not wait for busy locks."""
    at: str = ""
    """When the phase began (UTC)."""
    boot: str = ""
    """The id of the boot in which this was written."""

    @property
    def under_way(self) -> bool:
        """Whether it has not ended."""
        return self.phase in UNDER_WAY

    @property
    def versions(self) -> str:
        """From which version to which, as far as that is known."""
        return f"{self.before or 'unknown'} to {self.after or 'unknown'}"

    def moved(self, phase: str, **changes: Any) -> UpdateState:
        """Return it in another phase, which begins now."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        fresh: dict[str, Any] = {"percent": 0, "doing": "", "reason": "", **changes}
        return replace(self, **fresh, phase=phase, at=at)


def read_state(path: Path = STATE_FILE) -> UpdateState | None:
    """Return what the file says; None if it is not there, or not for us to read.

    What cannot be understood counts as no update.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES)
    except OSError:
        return None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return UpdateState()
    return state_of(found) if isinstance(found, dict) else UpdateState()


def state_of(document: Mapping[str, Any]) -> UpdateState:
    """Return a state from plain data; what has another type is left out."""
    known: dict[str, Any] = {}
    for field in fields(UpdateState):
        found, default = document.get(field.name), field.default
        if isinstance(default, tuple) and isinstance(found, list | tuple):
            known[field.name] = tuple(map(str, found))
        elif type(found) is type(default):
            known[field.name] = found
    return UpdateState(**known)


def write_state(
    state: UpdateState, path: Path = STATE_FILE, *, boot: str, lasts: bool = True
) -> None:
    """Put a state into the file, all or nothing; with `lasts` it outlives a power cut from here on.

    The folder is made if only that is missing. Raises OSError.
    """
    path.parent.mkdir(mode=0o755, exist_ok=True)
    document = {"format": _FORMAT, **asdict(replace(state, boot=boot))}
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file)
        file.flush()
        if lasts:
            os.fsync(descriptor)
    new.replace(path)
    if lasts:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def after_boot(state: UpdateState, slot: str, boot: str) -> UpdateState:
    """Return how an update goes on when the computer has started in `slot`; `boot` is this boot.

    The same if it was written in this boot, or has ended.
    """
    if state.boot == boot or not state.under_way:
        return state
    if state.phase == "installing":
        return state.moved("failed", reason="the computer started anew while it was installed")
    if state.phase not in ("installed", "rebooting", "trial"):
        return state
    if slot == state.slot:
        return state if state.phase == "trial" else state.moved("trial", unmet=())
    tries = f"slot {state.slot} did not come up in the tries that it has"
    given_up = state.reason if state.phase == "trial" else ""
    return state.moved("fell_back", reason=given_up or tries, unmet=state.unmet)


def running_slot(cmdline: Path = _CMDLINE) -> str:
    """Return the slot that this computer has started in, as the kernel was told; "" if none."""
    try:
        words = cmdline.read_text().split()
    except OSError:
        return ""
    return next((w.partition("=")[2] for w in words if w.startswith("rauc.slot=")), "")
