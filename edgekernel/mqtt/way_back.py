"""The way back to a preferred broker: whether it can be reached again, and stays so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.transport import Inbound, Login, MakeTransport, Server

_LOOKS = 6
"""How often a broker is tried within the time for which it has to be reachable."""
_MAX_EVERY_S = 30.0
_ANSWER_S = 5.0
_END_S = 1.0


class WayBack:
    """Tries the better brokers while a link to another one is up.

    An attempt is a whole one: connect, with the same user, until the broker accepts, and a goodbye.
    It has an id of its own, `<id>-probe`, since brokers that form a cluster know a client in all
    places, and would end its link. Who answers every attempt over `after_s` seconds is `found`.
    """

    def __init__(
        self,
        clock: Clock,
        make: MakeTransport,
        random: Random,
        login: Login,
        servers: Sequence[Server],
        after_s: float,
        *,
        found: Callable[[int], object],
        refused: Callable[[Server, str], object],
        failed: Callable[[str, Exception], object],
    ) -> None:
        """Prepare; `servers` are in the order of preference. What is called is called in a thread
        of its own: `found`, once and at the end, with the place of a server, and `refused` with one
        that does not let the client in, and why."""
        self._clock = clock
        self._make = make
        self._random = random
        self._login = replace(login, client_id=f"{login.client_id}-probe", will=None)
        self._servers = servers
        self._after_ns = round(after_s * NANOSECONDS)
        self._every_s = min(after_s / _LOOKS, _MAX_EVERY_S)
        self._found = found
        self._refused = refused
        self._failed = failed
        self._since_ns: dict[int, int] = {}
        self._over = clock.Event()
        self._thread = clock.Thread(self._run, "edgekernel-mqtt-way-back")

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; an attempt that hangs is left to its end."""
        self._over.set()
        self._thread.join(_END_S)

    def _run(self) -> None:
        try:
            while not self._clock.sleep(self._every_s * self._random.uniform(0.5, 1.0), self._over):
                better = self._look()
                if better is not None and not self._over.is_set():
                    self._found(better)
                    return
        except Exception as error:
            self._failed("way back", error)

    def _look(self) -> int | None:
        """Try each; return the first that has been reachable for long enough."""
        for index, server in enumerate(self._servers):
            begun_ns = self._clock.monotonic_ns()
            if self._over.is_set() or not self._reaches(server):
                self._since_ns.pop(index, None)
            elif begun_ns - self._since_ns.setdefault(index, begun_ns) >= self._after_ns:
                return index
        return None

    def _reaches(self, server: Server) -> bool:
        answer = _Answer(self._clock, self._failed)
        transport = self._make(answer)
        try:
            transport.connect(server, self._login)
            answer.came.wait(_ANSWER_S)
        except (OSError, ConfigError):
            return False
        finally:
            transport.close(_END_S, goodbye=answer.accepts)
        if answer.refusal:
            self._refused(server, answer.refusal)
        return answer.accepts


class _Answer:
    """What a broker says to an attempt; `edgekernel.mqtt.transport.TransportObserver`."""

    def __init__(self, clock: Clock, failed: Callable[[str, Exception], object]) -> None:
        self.came = clock.Event()
        self.accepts = False
        self.refusal = ""
        self._failed = failed

    def accepted(self, session_present: bool, notes: Sequence[str] = ()) -> None:
        self.accepts = True
        self.came.set()

    def refused(self, reason: str) -> None:
        self.refusal = reason
        self.came.set()

    def arrived(self, message: Inbound) -> None:
        """Nothing is subscribed to."""

    def lost(self, reason: str) -> None:
        self.came.set()

    def failed(self, where: str, error: Exception) -> None:
        self._failed(where, error)
