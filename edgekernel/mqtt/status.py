"""The status of a node: online, degraded, safe or offline, retained, and the last will."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from edgekernel.core import message
from edgekernel.core.context import Context
from edgekernel.core.messages import Message
from edgekernel.mqtt.encoding import encode, timestamp
from edgekernel.node.safety import SafetyHeld, SafetyResumed

MAX_PARTS = 8
"""Parts that a degraded status names, each with why; `cause` says how many there are."""
MAX_REASON = 120
"""Characters of why, at most."""

_MISSING = (
    message.RuntimeDegraded,
    message.RuntimeRecovered,
    message.ComponentFailed,
    message.ComponentWaiting,
)
"""After these other parts may be missing, or for another reason."""

Retain = Callable[[str, bytes], object]


class Status:
    """Retains how the node is, behind the states that it vouches for.

    `degraded` names the parts that the runtime goes on without; the node is online again by itself
    when they work. `safe` is a node whose outputs an operator holds at their safe values, or one
    that a critical service has halted: then `offline` follows when it has stopped. Its methods are
    for any thread.
    """

    def __init__(self, ctx: Context, topic: str, boot: str, retain: Retain) -> None:
        """Prepare; `retain` publishes what is kept on a topic, after what was given before."""
        self._ctx = ctx
        self._topic = topic
        self._boot = boot
        self._retain = retain
        self._lock = ctx.clock.Lock()  # around what is retained, so that the latest is last
        self._told = False  # whether there was a link, and no goodbye yet
        self._missing: dict[str, str] = {}
        self._degraded_since: datetime | None = None
        self._held = ""  # why the outputs are held safe
        self._held_since: datetime | None = None
        self._halting = False  # a critical service was given up

    @property
    def will(self) -> bytes:
        """What the broker is to say if the node goes without a goodbye."""
        return status_payload("offline", self._boot, None, "connection lost")

    def connected(self, cause: str) -> None:
        """There is a link: tell, with this cause unless parts are missing."""
        with self._lock:
            self._told = True
            self._publish(cause)

    def noticed(self, payload: Message) -> None:
        """Follow what a message says of the runtime and its parts."""
        if isinstance(payload, _MISSING):
            self.look()
        elif isinstance(payload, SafetyHeld):
            self._hold(_held(payload))
        elif isinstance(payload, SafetyResumed):
            self._hold("")
        elif isinstance(payload, message.ServiceFailure):
            self._halting = self._halting or self._is_critical(payload.service)
        elif isinstance(payload, message.RuntimeShuttingDown) and self._halting:
            self._hold(payload.reason)

    def look(self) -> None:
        """See which parts are missing, and tell if that is something else than was told."""
        missing = _missing_parts(self._ctx.runtime.status())
        with self._lock:
            before, self._missing = self._missing, missing
            if missing and not before:
                self._degraded_since = self._ctx.clock.now_utc()
            if self._told and before != missing:
                self._publish("recovered")

    def goodbye(self, reason: str) -> None:
        """Say that the node stops; nothing is said after it."""
        with self._lock:
            self._say("offline", self._ctx.clock.now_utc(), reason)
            self._told = False

    def _hold(self, why: str) -> None:
        """Be safe from now on, or no more without a reason."""
        with self._lock:
            self._held = why
            self._held_since = self._ctx.clock.now_utc()
            if self._told:
                self._publish("resumed")

    def _publish(self, cause: str) -> None:
        missing = self._missing
        if self._held:
            self._say("safe", self._held_since, self._held, _bounded(missing))
        elif missing:
            self._say("degraded", self._degraded_since, _summary(missing), _bounded(missing))
        else:
            self._say("online", self._ctx.clock.now_utc(), cause)

    def _say(
        self, state: str, since: datetime | None, cause: str, parts: Mapping[str, str] | None = None
    ) -> None:
        self._retain(self._topic, status_payload(state, self._boot, since, cause, parts))

    def _is_critical(self, service: str) -> bool:
        """Say whether the runtime stops for a service that was given up."""
        services = self._ctx.runtime.services
        return service in services and services[service].critical


def status_payload(
    state: str,
    boot: str,
    since: datetime | None,
    cause: str,
    parts: Mapping[str, str] | None = None,
) -> bytes:
    """Return a status; `since` is None in a last will, which cannot know its hour. `parts` are
    those that are missing, with why."""
    when = timestamp(since) if since else None
    told: dict[str, Any] = {"state": state, "boot": boot, "since": when, "cause": cause}
    return encode(told | ({"parts": dict(parts)} if parts else {}))


def _held(payload: SafetyHeld) -> str:
    not_safe = f"; NOT safe: {', '.join(payload.not_safe)}" if payload.not_safe else ""
    return f"held by an operator: {payload.reason}{not_safe}"


def _missing_parts(status: Mapping[str, Any]) -> dict[str, str]:
    """Return which parts the runtime goes on without, and why."""
    parts = status["components"]
    return {name: _short(parts[name]["error"]) for name in status["degraded"] if name in parts}


def _summary(missing: Mapping[str, str]) -> str:
    """Return in a few words what is wrong."""
    if len(missing) == 1:
        [(name, why)] = missing.items()
        return _short(f"without {name}: {why}" if why else f"without {name}")
    return _short(f"without {len(missing)} parts: {', '.join(missing)}")


def _bounded(missing: Mapping[str, str]) -> dict[str, str]:
    return dict(list(missing.items())[:MAX_PARTS])


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_REASON else f"{line[: MAX_REASON - 3]}..."
