"""What a service manager such as systemd wants to know of the agent: ready, alive, stopping.

The protocol is that of sd_notify(3): datagrams of lines to the socket in $NOTIFY_SOCKET.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from functools import partial

from edgekernel.core import message
from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.errors import ConfigError
from edgekernel.core.messages import Event, Message
from edgekernel.core.runtime import Runtime
from edgekernel.node.config_messages import ConfigApplied, ConfigRejected, ConfigRolledBack

_CHANGES = {"file": "the changed node file", "remote": "the configuration sent from afar"}
_MAX_PROBLEM = 200
"""Characters of what is wrong with it, at most."""
_FEEDS_PER_LIMIT = 4
"""How often the watchdog is fed in its time; sd_watchdog_enabled(3) asks for two at least."""
_DEAF_S = 1.0
"""How long a manager is waited for that does not read; whoever tells it may be the node's turn."""


class ServiceManager:
    """Tells a service manager how the agent is; the manager ends an agent that does not feed it.

    It is fed while every critical service makes progress, and handlers and effects do, by the
    runtime's own watchdog, so that an agent of which only a thread is alive is ended.
    """

    def __init__(self, address: str, watchdog_s: float | None = None) -> None:
        """Talk to the socket at `address`; "@" at its beginning stands for an abstract one.

        `watchdog_s` is after how many seconds without food the manager ends the agent, if it does.
        """
        self._without_link = False
        self._refused = ""  # what has come of the latest change of the configuration
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = watchdog_s

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> ServiceManager | None:
        """Return the one that has started this process; None if none has.

        Raises ConfigError for variables that no service manager sets.
        """
        address = environment.get("NOTIFY_SOCKET", "")
        if not address:
            return None
        if address[0] not in "/@":
            raise ConfigError(
                f"NOTIFY_SOCKET={address!r}: a path or, with @, an abstract address (sd_notify(3))"
            )
        return cls(address, _watchdog_s(environment))

    def tell(self, **facts: str) -> None:
        """Send facts such as `STATUS="..."`.

        Raises OSError if the manager is not there, or has not read what it was told for so long
        that it can be told no more. `READY` waits for that: it would end an agent that has not
        told it.
        """
        lines = "\n".join(f"{name}={value}" for name, value in facts.items())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(None if "READY" in facts else _DEAF_S)
            channel.connect(self._address)
            channel.sendall(lines.encode())

    def attend(
        self, runtime: Runtime, link: tuple[type[Message], type[Message]] | None = None
    ) -> None:
        """Tell of a runtime from before its boot to its end, and be fed by it.

        `link` are the messages of a link that the node is to have: that it is up, and that it is
        gone. Until it is up, and while it is gone, that is told too.
        """
        subscribe = runtime.subscribe
        subscribe(message.RuntimeBooted, partial(self._booted, runtime))
        subscribe(message.RuntimeDegraded, partial(self._changed, runtime))
        subscribe(message.RuntimeRecovered, partial(self._changed, runtime))
        subscribe(message.RuntimeShuttingDown, self._stopping)
        subscribe(ConfigApplied, partial(self._configured, runtime))
        subscribe(ConfigRejected, partial(self._configured, runtime))
        subscribe(ConfigRolledBack, partial(self._configured, runtime))
        if link is not None:
            self._without_link = True
            up, down = link
            subscribe(up, partial(self._linked, runtime, True))
            subscribe(down, partial(self._linked, runtime, False))

    def _booted(self, runtime: Runtime, event: Event) -> None:
        self.tell(READY="1", STATUS=self._status(runtime))
        if self.watchdog_s is not None:
            watchdog = runtime.services.watchdog
            watchdog.feed(partial(self.tell, WATCHDOG="1"), self.watchdog_s / _FEEDS_PER_LIMIT)

    def _changed(self, runtime: Runtime, event: Event) -> None:
        self.tell(STATUS=self._status(runtime))

    def _linked(self, runtime: Runtime, up: bool, event: Event) -> None:
        self._without_link = not up
        self.tell(STATUS=self._status(runtime))

    def _configured(self, runtime: Runtime, event: Event) -> None:
        match event.payload:
            case ConfigRejected(source=source, problems=problems):
                self._refused = f"; {_CHANGES[source]} was rejected: {_told(problems)}"
            case ConfigRolledBack(source=source, problems=problems):
                self._refused = f"; {_CHANGES[source]} was rolled back: {_told(problems)}"
            case _:
                self._refused = ""
        self.tell(STATUS=self._status(runtime))

    def _status(self, runtime: Runtime) -> str:
        missing = runtime.status()["degraded"]
        parts = [f"degraded: {_one_line(', '.join(missing))}" if missing else "running"]
        parts += ["without its broker"] if self._without_link else []
        return ", ".join(parts) + self._refused

    def _stopping(self, event: Event) -> None:
        assert isinstance(event.payload, message.RuntimeShuttingDown)
        self.tell(STOPPING="1", STATUS=f"stopping: {_one_line(event.payload.reason)}")


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """Return WatchdogSec of the unit, if it is meant for this process (sd_watchdog_enabled(3))."""
    text = environment.get("WATCHDOG_USEC", "")
    if not text or environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    if not text.isdecimal() or not int(text):
        raise ConfigError(f"WATCHDOG_USEC={text!r}: microseconds above 0 (sd_watchdog_enabled(3))")
    return int(text) * 1000 / NANOSECONDS


def _told(problems: tuple[str, ...]) -> str:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{_one_line(problems[0])[:_MAX_PROBLEM]}{more}" if problems else "it does not say why"


def _one_line(text: str) -> str:
    return " ".join(text.split())
