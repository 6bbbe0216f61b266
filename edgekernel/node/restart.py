"""Why the agent has been started: how its run before has ended, as far as that left traces.

A run notes at its beginning that it runs, and at its end why it ends. What a run that could not do
that has ended of, the service manager tells `edgekernel safe-state`, which notes it (`note_end`);
and where nothing is noted, another boot of the computer says that it lost its power.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edgekernel.core import message
from edgekernel.core.memory import Memory
from edgekernel.core.messages import Event, Message
from edgekernel.core.runtime import Runtime
from edgekernel.core.version import VERSION
from edgekernel.hal.disk import Disk
from edgekernel.node.update_state import UpdateState

_RUNNING, _REASON = "agent/boot", "agent/end"
_SLOT, _VERSION, _TOLD = "agent/slot", "agent/version", "agent/update"
_NOTE, _NEW_NOTE = "last-end.json", "last-end.new.json"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_BOOT_STATUS = Path("/sys/class/watchdog/watchdog0/bootstatus")
_CARD_RESET = 0x20  # WDIOF_CARDRESET, include/uapi/linux/watchdog.h

_OF_RESULT = {
    "watchdog": "watchdog",
    "oom-kill": "out-of-memory",
    "core-dump": "crash",
    "exit-code": "crash",
    "timeout": "killed",
    "signal": "killed",
    "resources": "crash",
    "protocol": "crash",
}
"""Causes by $SERVICE_RESULT of systemd.exec(5)."""

_OF_A_FAULT = frozenset({"ABRT", "BUS", "FPE", "ILL", "SEGV", "SYS", "TRAP"})
"""Signals that say of a process that it has crashed. Where no core is kept (LimitCORE=0) systemd
tells them as it tells `kill -9`: as "signal"."""


@dataclass(frozen=True, slots=True)
class RestartCause:
    """Why the run before has ended.

    `kind` is "first" (there was none), "clean", "operator", "update", "critical" (a critical
    service was given up), "crash", "killed", "out-of-memory", "watchdog", "power-loss", or
    "unknown" for a node that keeps nothing (no `data` folder). `detail` says more, or is "".
    """

    kind: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}" if self.detail else self.kind


BOOT_FAILED = "the boot failed"
"""The reason that a runtime gives for its end when it could not boot."""

NOTHING_KEPT = RestartCause("unknown", "the node has no data folder")


class AgentStarted(Message):
    """The agent has started; `cause` is why, and `detail` says more: see `RestartCause`."""

    cause: str
    detail: str


def note_run(
    runtime: Runtime,
    folder: Path,
    disk: Disk,
    boot: str | None = None,
    *,
    slot: str = "",
    update: UpdateState | None = None,
) -> RestartCause:
    """Return why the runtime is started anew, and let it note how its own run ends.

    To be called before it boots; once it has, AgentStarted is emitted. `folder` is where `note_end`
    writes, and `boot` the id of the computer's boot, which the kernel tells otherwise. `slot` is
    that which runs, of an image with two, and `update` how its latest update went.
    """
    memory = runtime.outputs.memory
    boot = boot_id() if boot is None else boot
    cause = _cause(memory, _take_note(folder, disk), boot)
    if cause.kind != "first" and memory.get(_RUNNING) != boot:
        cause = _of_update(memory, slot, update) or cause
    run = {_RUNNING: boot, _REASON: "", _SLOT: slot, _VERSION: VERSION, _TOLD: _mark(update)}
    memory.put_all(run)
    runtime.subscribe(message.RuntimeShuttingDown, partial(_ended, memory))
    told = AgentStarted(cause.kind, cause.detail)
    runtime.subscribe(message.RuntimeBooted, lambda event: runtime.emit(told))
    return cause


def note_end(folder: Path, disk: Disk, environment: Mapping[str, str], boot: str) -> None:
    """Note how the service manager says that a run has ended (systemd.exec(5), $SERVICE_RESULT).

    Nothing is noted without one, or of a good end. Raises OSError.
    """
    result = environment.get("SERVICE_RESULT", "")
    kind = _OF_RESULT.get(result)
    if kind is None:
        return
    if result == "signal" and environment.get("EXIT_STATUS") in _OF_A_FAULT:
        kind = "crash"
    status = " ".join(filter(None, (environment.get(n, "") for n in ("EXIT_CODE", "EXIT_STATUS"))))
    cause = RestartCause(kind, f"{result} ({status})" if status else result)
    data = json.dumps({"boot": boot, **asdict(cause)}).encode() + b"\n"
    disk.make_folder(folder)
    file = disk.create(folder / _NEW_NOTE, anew=True)
    try:
        file.write(data)
        file.sync()
    finally:
        file.close()
    disk.replace(folder / _NEW_NOTE, folder / _NOTE)
    disk.sync_folder(folder)


def boot_id() -> str:
    """Return the id of this boot of the computer, as the kernel gives it; "" if it does not."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _cause(memory: Memory, note: Mapping[str, Any], boot: str) -> RestartCause:
    before, reason = memory.get(_RUNNING), memory.get(_REASON)
    if before is None:
        return RestartCause("first")
    if isinstance(reason, str) and reason:
        return _clean(reason)
    if note.get("boot") == before:
        return RestartCause(str(note.get("kind")), str(note.get("detail")))
    if before == boot:
        return RestartCause("crash", "it ended without a word")
    if _reset_by_watchdog():
        return RestartCause("watchdog", "the computer's own watchdog has reset it")
    return RestartCause("power-loss", "the computer has started anew without a shutdown")


def _of_update(memory: Memory, slot: str, update: UpdateState | None) -> RestartCause | None:
    """Return what the update says of the start of the computer; None if it is not the cause.

    It is in the first start of the agent after it: into the new slot, or back out of it.
    """
    before = memory.get(_SLOT)
    if update is not None and memory.get(_TOLD) != _mark(update):
        if update.phase in ("trial", "confirmed") and update.slot == slot:
            return RestartCause("update", f"{update.versions}, in slot {slot}")
        if update.phase == "fell_back":
            went = f"fell back from {update.after or 'the update'} in slot {update.slot}"
            return RestartCause("update", f"{went}: {update.reason}")
    if slot and before and before != slot:
        versions = f"{memory.get(_VERSION) or 'unknown'} to {VERSION}"
        return RestartCause("update", f"{versions}, from slot {before} to slot {slot}")
    return None


def _mark(update: UpdateState | None) -> str:
    """Return what tells one update, and the way back from it, from another."""
    if update is None:
        return ""
    way = {"trial": "new", "confirmed": "new", "fell_back": "back"}.get(update.phase, "")
    return f"{update.id} {update.slot} {update.before} {way}" if way else ""


def _clean(reason: str) -> RestartCause:
    kind, _, detail = reason.partition(": ")
    if kind in ("operator", "update"):
        return RestartCause(kind, detail)
    if reason.startswith("critical service "):
        return RestartCause("critical", reason)
    if reason == BOOT_FAILED:
        return RestartCause("crash", reason)
    return RestartCause("clean", reason)


def _reset_by_watchdog() -> bool:
    try:
        return bool(int(_BOOT_STATUS.read_text(), 0) & _CARD_RESET)
    except (OSError, ValueError):
        return False


def _take_note(folder: Path, disk: Disk) -> Mapping[str, Any]:
    """Return what `note_end` has noted, which counts once; {} if that is nothing, or damaged."""
    try:
        data = disk.place(folder / _NOTE).read_bytes()
        disk.remove(folder / _NOTE)
        note = json.loads(data)
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _ended(memory: Memory, event: Event) -> None:
    assert isinstance(event.payload, message.RuntimeShuttingDown)
    memory.put(_REASON, event.payload.reason or "done")
