"""What an agent, and who comes after its end, say to the standby: see `edgekernel.node.standby`."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgekernel.core.context import Context
from edgekernel.core.errors import EdgekernelError, UnavailableError
from edgekernel.core.messages import Message, Severity
from edgekernel.core.process import Process
from edgekernel.core.runtime import Runtime
from edgekernel.node.difference import plain
from edgekernel.node.plan import Plan
from edgekernel.node.secrets import without_secrets

VARIABLE = "EDGEKERNEL_STANDBY"
"""Names the socket in the environment of the agent, of its standby and of `safe-state`."""

MISSING_AFTER_S = 60.0
"""How long a node may be without its standby before it is degraded: a small board takes seconds to
start one."""
ANSWER_LIMIT_S = 60.0
"""How long a standby may take to make everything ready, in seconds, before it counts as hung."""
_RETRY_S, _RETRY_LIMIT_S = 0.1, 5.0


class StandbyReady(Message):
    """A standby has everything ready to make the node safe, should the agent be killed."""

    name = "standby.ready"


class StandbyLost(Message):
    """No standby watches the agent now: after a kill outputs are safe later, by `safe-state`."""

    name = "standby.lost"
    severity = Severity.WARNING
    reason: str


class MissingStandby(Process):
    """Stands for a standby that is not there: the node goes on without it, degraded."""

    name = "standby"

    def __init__(self, reason: str) -> None:
        """Say why it is not there."""
        self._reason = reason

    def start(self, ctx: Context) -> None:
        """Raise UnavailableError: it is missing until there is a standby again."""
        raise UnavailableError(self._reason)


class StandbyLink:
    """Keeps a standby told of what the agent drives, for as long as the agent runs.

    The standby is looked for again whenever it is gone.
    """

    def __init__(
        self,
        runtime: Runtime,
        path: Path,
        plan: Plan,
        missing_after_s: float = MISSING_AFTER_S,
        answer_limit_s: float = ANSWER_LIMIT_S,
    ) -> None:
        """Speak to the standby at a socket, of an agent that begins to drive what a plan says."""
        self._answer_limit_s = answer_limit_s
        self._runtime = runtime
        self._path = path
        self._missing_after_s = missing_after_s
        self._documents = _documents([plan])
        self._lock = runtime.clock.Lock()  # around the documents and their sending
        self._channel: socket.socket | None = None
        self._ready = self._degraded = False
        self._since_s = runtime.clock.monotonic()
        self._is_safe = runtime.clock.Event()

    @classmethod
    def of(cls, environ: Mapping[str, str], runtime: Runtime, plan: Plan) -> StandbyLink | None:
        """Return the link to the standby that an environment names; None if it names none."""
        path = environ.get(VARIABLE, "")
        return cls(runtime, Path(path), plan) if path else None

    def start(self) -> None:
        """Begin to look for the standby, beside all else; before the outputs are driven."""
        self._runtime.clock.Thread(self._run, f"{self._runtime.name}:standby").start()

    def watch(self, plans: Sequence[Plan]) -> None:
        """Say that the agent may drive what these plans say from now on, and nothing else."""
        with self._lock:
            self._documents = _documents(plans)
            self._tell()

    def stand_down(self) -> None:
        """Say that all is safe and the agent ends: nothing is to be touched after that."""
        with self._lock:
            self._is_safe.set()
            self._documents = []
            self._tell()

    def _tell(self) -> None:
        """Send what is watched; a standby that is gone hears it when it is there again."""
        if self._channel is not None:
            try:
                self._channel.sendall(_line({"watch": self._documents}))
            except OSError:  # who reads from it notices
                return

    def _run(self) -> None:
        wait_s, clock = 0.0, self._runtime.clock
        while not self._is_safe.wait(wait_s):
            wait_s = min(max(2 * wait_s, _RETRY_S), _RETRY_LIMIT_S)
            try:
                self._attend()
                reason = "it has ended"
            except OSError as error:
                reason = f"{self._path}: {error.strerror or error}"
            except (ValueError, LookupError, TypeError) as error:
                reason = f"{self._path}: it has said what no standby says: {error}"
            if self._ready:
                self._ready = False
                self._since_s, wait_s = clock.monotonic(), _RETRY_S
                self._runtime.post(StandbyLost(reason))
            if clock.monotonic() - self._since_s >= self._missing_after_s:
                self._miss(reason)

    def _attend(self) -> None:
        """Speak to the standby until it is gone. Raises OSError, or what its answers are not."""
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(self._answer_limit_s)  # of its first answer
            channel.connect(str(self._path))
            self._hand_over_pidfd(channel)
            with self._lock:
                self._channel = channel
                self._tell()
            try:
                for line in channel.makefile("rb"):
                    channel.settimeout(None)
                    self._hear(json.loads(line)["problems"])
            finally:
                with self._lock:
                    self._channel = None

    @staticmethod
    def _hand_over_pidfd(channel: socket.socket) -> None:
        own = os.pidfd_open(os.getpid())
        try:
            socket.send_fds(channel, [_line({})], [own])
        finally:
            os.close(own)

    def _hear(self, problems: Sequence[str]) -> None:
        if problems:
            raise ConnectionError("; ".join(problems))
        if not self._ready:
            self._ready = True
            self._runtime.post(StandbyReady())
            self._mend()

    def _miss(self, reason: str) -> None:
        """Let the node be degraded without a standby."""
        if not self._degraded:
            with suppress(EdgekernelError):  # it does not run yet, or not any more
                self._runtime.hot_add(MissingStandby(reason), optional=True)
                self._degraded = True

    def _mend(self) -> None:
        if self._degraded:
            with suppress(EdgekernelError):
                self._runtime.hot_remove(MissingStandby.name)
                self._degraded = False


def wait_for(path: Path, limit_s: float) -> str:
    """Wait, after the end of an agent, until its standby has done what is to be done.

    Returns at once if there is no standby, or none that has anything to do. Returns "", or what
    keeps it from being known.
    """
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(limit_s)
        try:
            channel.connect(str(path))
            channel.sendall(_line({"wait": True}))
            channel.recv(1)
        except TimeoutError:
            return f"the standby has not ended within {limit_s:g} s"
        except OSError:  # it is not there, or has just ended
            return ""
    return ""


def _documents(plans: Sequence[Plan]) -> list[dict[str, Any]]:
    """Return what is to be known of plans to make them safe: without secrets, and the link."""
    found = [without_secrets(plain(plan.document))[0] for plan in plans]
    return [{key: each for key, each in made.items() if key != "mqtt"} for made in found]


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"
