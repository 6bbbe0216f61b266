"""Which version of MQTT is spoken with a server: 5, and 3.1.1 where it does not take 5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.mqtt.transport import (
    WRONG_VERSION,
    Around,
    Inbound,
    Login,
    MakeTransport,
    Server,
    TransportObserver,
    Version,
)

Protocol = Literal["auto", "5", "3.1.1"]
"""What is to be spoken; "auto" is 5, and 3.1.1 where the server does not take it."""

_AGAIN_NS = 3600 * NANOSECONDS
"""After this time a server that did not take 5 is asked again when the link is made anew."""

PATIENCE_S = 3.0
"""How long a server that may not know 5 has to answer it."""


@dataclass(slots=True)
class _Known:
    """What is known of one server."""

    spoken: Version | None = None
    """With which it has taken the client last."""
    old_since_ns: int | None = None
    """When it was found to speak 3.1.1 and not 5; None if it was not."""
    guessed: bool = False
    """Whether it has ended 5 without an answer, and taken 3.1.1 then."""
    silent: Version | None = None
    """What the latest connection spoke, if that ended without an answer."""
    mute: bool = False
    """Whether it has answered neither version."""
    falls_back: bool = False
    """Whether 3.1.1 is to be tried at once."""

    def version(self, now_ns: int) -> Version:
        """Return what to try next."""
        if self.old_since_ns is not None and now_ns - self.old_since_ns < _AGAIN_NS:
            return "3.1.1"
        return "3.1.1" if self.silent == "5" else "5"


class Versions:
    """Chooses a version for each connection, by what became of those before.

    A server that does not take 5 says so, or ends the connection, or waits for the rest of what it
    does not understand; then 3.1.1 is tried at once. The first is remembered. The others may have
    been an accident: 5 is tried first with the next link too, and only if that ends like it again
    it is remembered. What is remembered is forgotten when the server cannot be reached, for it may
    come back as another, and with the first link that is made after an hour. Every method is for
    any thread.
    """

    def __init__(self, wanted: Protocol, clock: Clock, patience_s: float = PATIENCE_S) -> None:
        """Speak `wanted`; a server that may not know 5 has `patience_s` to answer it."""
        self._patience_s = patience_s
        self._wanted: Protocol = wanted
        self._clock = clock
        self.lock = clock.Lock()
        self._known: dict[str, _Known] = {}

    def over(self, make: MakeTransport) -> MakeTransport:
        """Return what makes the same transports, each with the version that is chosen for it."""
        return partial(_Versioned, self, make)

    def spoken(self, server: Server) -> Version | None:
        """Return with which version a server has taken the client last."""
        with self.lock:
            return self._of(server).spoken

    def falls_back(self, server: Server) -> bool:
        """Say whether the latest connection to a server has ended only for the version, so that
        nothing is to be told or waited for before the next."""
        with self.lock:
            return self._of(server).falls_back

    def choose(self, server: Server) -> Version:
        """Return what to speak on the next connection to a server."""
        with self.lock:
            known = self._of(server)
            known.falls_back = False
            if self._wanted != "auto":
                return self._wanted
            return known.version(self._clock.monotonic_ns())

    def patience_s(self, server: Server) -> float | None:
        """Return how long the next connection may stay without an answer; None for as long as any
        question may."""
        with self.lock:
            known = self._of(server)
            if self._wanted != "auto" or known.mute or known.spoken == "5":
                return None
            return self._patience_s if known.version(self._clock.monotonic_ns()) == "5" else None

    def accepted(self, server: Server, version: Version) -> None:
        """A server has taken the client."""
        with self.lock:
            known = self._of(server)
            if version == "5":
                known.old_since_ns, known.guessed = None, False
            elif known.silent == "5":
                if known.guessed:
                    known.old_since_ns = self._clock.monotonic_ns()
                known.guessed = True
            known.spoken, known.silent, known.mute = version, None, False

    def refused(self, server: Server, version: Version, reason: str) -> None:
        """A server has not taken the client, and said why."""
        with self.lock:
            known = self._of(server)
            known.silent, known.mute = None, False
            if self._wanted == "auto" and version == "5" and reason.startswith(WRONG_VERSION):
                known.old_since_ns = self._clock.monotonic_ns()
                known.falls_back = True

    def unanswered(self, server: Server, version: Version) -> None:
        """A connection was over before there was an answer."""
        with self.lock:
            known = self._of(server)
            known.silent = version
            if version == "3.1.1":
                known.mute, known.old_since_ns = True, None
            elif self._wanted == "auto":
                known.falls_back = not known.mute

    def unreachable(self, server: Server) -> None:
        """A server could not be reached."""
        with self.lock:
            self._known[str(server)] = _Known(spoken=self._of(server).spoken)

    def _of(self, server: Server) -> _Known:
        return self._known.setdefault(str(server), _Known())


class _Versioned(Around):
    """A transport that speaks the version which is chosen when it connects."""

    def __init__(
        self, versions: Versions, make: MakeTransport, observer: TransportObserver
    ) -> None:
        self._versions = versions
        self._observer = observer
        super().__init__(make(self))
        self._server: Server | None = None
        self._version: Version = "5"
        """Where it connects to, until there is an answer."""

    def connect(self, server: Server, login: Login) -> None:
        self._version = self._versions.choose(server)
        self._server = server
        try:
            self._inner.connect(server, replace(login, version=self._version))
        except BaseException as error:
            self._server = None
            if isinstance(error, OSError):
                self._versions.unreachable(server)
            raise

    def close(self, timeout_s: float, *, goodbye: bool) -> bool:
        if (server := self._answered()) is not None:
            self._versions.unanswered(server, self._version)
        return super().close(timeout_s, goodbye=goodbye)

    def accepted(self, session_present: bool, notes: Sequence[str] = ()) -> None:
        if (server := self._answered()) is not None:
            self._versions.accepted(server, self._version)
        self._observer.accepted(session_present, notes)

    def refused(self, reason: str) -> None:
        if (server := self._answered()) is not None:
            self._versions.refused(server, self._version, reason)
        self._observer.refused(reason)

    def arrived(self, message: Inbound) -> None:
        self._observer.arrived(message)

    def lost(self, reason: str) -> None:
        if (server := self._answered()) is not None:
            self._versions.unanswered(server, self._version)
        self._observer.lost(reason)

    def failed(self, where: str, error: Exception) -> None:
        self._observer.failed(where, error)

    def _answered(self) -> Server | None:
        """Return the server if it had not answered yet; it counts as if it had now."""
        with self._versions.lock:
            server, self._server = self._server, None
            return server
