"""Which broker a link is tried with next, and how long that waits."""

from __future__ import annotations

from random import Random

from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.mqtt.settings import Settings
from edgekernel.mqtt.transport import Server

_MAX_BACK_AFTER_S = 3600.0


class Rounds:
    """Goes round the brokers, in the order of preference.

    A round has one attempt with each, without a pause between them; the delays are counted over
    rounds. A link that has lasted begins anew, with the most preferred; one that has not is a
    failed attempt.
    """

    def __init__(self, settings: Settings, clock: Clock, random: Random) -> None:
        self._settings = settings
        self._clock = clock
        self._random = random
        self._index = self._failures = 0
        self._up_since_ns = 0
        self._back_to: int | None = None
        self._came_back = False
        self._patience = 1.0
        self.short_links = 0
        """How many links in a row have not lasted."""

    @property
    def server(self) -> Server:
        """The broker of this attempt."""
        return self._settings.servers[self._index]

    @property
    def preferred(self) -> tuple[Server, ...]:
        """Those that would be better."""
        return self._settings.servers[: self._index]

    @property
    def back_after_s(self) -> float:
        """How long a better one has to be reachable: twice as long after each return that did not
        last as long, an hour at most."""
        usual_s = self._settings.back_after_s
        return min(usual_s * self._patience, max(usual_s, _MAX_BACK_AFTER_S))

    def up(self) -> None:
        """The link is up."""
        self._up_since_ns = self._clock.monotonic_ns()

    def go_back(self, index: int) -> None:
        """Let the next attempt be with a better one."""
        self._back_to = index

    def ended(self, *, was_up: bool) -> bool:
        """Judge a link that has ended; return whether it has lasted.

        Two clients of one id would throw each other off at full speed if the delays began anew
        with every link.
        """
        lasted_s = (self._clock.monotonic_ns() - self._up_since_ns) / NANOSECONDS if was_up else 0.0
        if self._came_back:
            self._came_back = False
            self._patience = 1.0 if lasted_s >= self.back_after_s else 2.0 * self._patience
        if not was_up:
            return False
        lasted = lasted_s >= self._settings.stable_s
        self._failures = 0 if lasted else self._failures
        self.short_links = 0 if lasted else self.short_links + 1
        return lasted

    def move_on(self, *, lasted: bool, same: bool) -> float:
        """Choose the next broker, the `same` if that is wanted; return after how many seconds."""
        back_to, self._back_to = self._back_to, None
        if back_to is not None:
            self._index = back_to
            self._came_back = True
            return 0.0
        if same:
            return self._delay_s()
        self._index = 0 if lasted else (self._index + 1) % len(self._settings.servers)
        return 0.0 if self._index else self._delay_s()

    def _delay_s(self) -> float:
        settings = self._settings
        doubled = settings.reconnect_min_s * 2.0 ** min(self._failures, 30)
        self._failures += 1
        return min(doubled, settings.reconnect_max_s) * self._random.uniform(0.5, 1.0)
