"""Freshness: a signed request counts once, in its time, and not before this start of the node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.core.errors import ForbiddenError, UnavailableError
from edgekernel.mqtt.payloads import ExpiredError

MAX_AHEAD_S = 5.0
"""How far the clock of who signs may be ahead."""
MAX_TTL_S = 3600.0
MAX_IDS = 1000
"""Of each principal, that may be in their time at once."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a signed request says of itself: who, which id, when, for how long, for which start."""

    principal: str
    id: str | int
    issued_at: datetime
    ttl_s: float
    boot: str | None = None

    @property
    def issued_ns(self) -> int:
        """When it was signed, in nanoseconds since 1970."""
        return (self.issued_at - _EPOCH) // timedelta(microseconds=1) * 1000

    @property
    def until_ns(self) -> int:
        """Until when it counts."""
        return self.issued_ns + round(self.ttl_s * NANOSECONDS)


@dataclass(slots=True)
class _Known:
    """What is known of one principal."""

    ids: dict[str | int, int] = field(default_factory=dict)  # until when each counts
    ahead_ns: int | None = None  # its clock before our monotonic one, at least


class Freshness:
    """Judges stamps. Used by one thread at a time.

    With a clock that is synchronised, time decides; a request of before this start, which may have
    been carried out then, needs none of it to be refused. Without, it must have the id of this
    boot in it, which the retained `status` tells and nobody knew before; and time is that of who
    signs, as the newest of its requests has told, carried on by the monotonic clock: what is kept
    back for longer than its `ttl` is refused, unless it is the first that arrives.
    """

    def __init__(self, clock: Clock, boot: str, is_synchronised: Callable[[], bool]) -> None:
        """Begin at this start of the node; `boot` is its id."""
        self._clock = clock
        self._boot = boot
        self._is_synchronised = is_synchronised
        self._since_ns = clock.monotonic_ns()
        self._known: dict[str, _Known] = {}

    def check(self, stamp: Stamp) -> None:
        """Take a request whose signature is right; raise what speaks against it.

        Raises ExpiredError, ForbiddenError (not of this start, of the future, or seen before) and
        UnavailableError for more requests than can be told apart. Its id is used up even if it is
        refused later on, for another reason.
        """
        known = self._known.setdefault(stamp.principal, _Known())
        synchronised = self._is_synchronised()
        self._check_boot(stamp, synchronised)
        now_ns = self._clock.time_ns() if synchronised else self._time_of(stamp, known)
        ahead_s = (stamp.issued_ns - now_ns) / NANOSECONDS
        if ahead_s > MAX_AHEAD_S:
            raise ForbiddenError(f"issued_at is {ahead_s:.1f} s in the future here")
        if now_ns > stamp.until_ns:
            late_s = (now_ns - stamp.until_ns) / NANOSECONDS
            raise ExpiredError(f"expired {late_s:.1f} s ago, by issued_at + ttl")
        self._use_up(stamp, known, now_ns)
        ahead_ns = stamp.issued_ns - self._clock.monotonic_ns()
        known.ahead_ns = ahead_ns if known.ahead_ns is None else max(known.ahead_ns, ahead_ns)

    def _check_boot(self, stamp: Stamp, synchronised: bool) -> None:
        if stamp.boot is not None:
            if stamp.boot != self._boot:
                raise ForbiddenError("signed for another start of the node: see boot in its status")
        elif not synchronised:
            raise ForbiddenError(
                "the clock of this node is not synchronised: sign the boot of its status with it"
            )
        elif stamp.issued_ns <= self._started_ns + round(MAX_AHEAD_S * NANOSECONDS):
            raise ForbiddenError(
                "issued before this start of the node, or within 5 s of it: sign it anew, or sign "
                "the boot of its status with it"
            )

    @property
    def _started_ns(self) -> int:
        """When this start was, by what the clock says now: it may have been wrong then."""
        clock = self._clock
        return clock.time_ns() - (clock.monotonic_ns() - self._since_ns)

    def _time_of(self, stamp: Stamp, known: _Known) -> int:
        """Return the time as who has signed has told it."""
        if known.ahead_ns is None:
            return stamp.issued_ns
        return max(stamp.issued_ns, self._clock.monotonic_ns() + known.ahead_ns)

    def _use_up(self, stamp: Stamp, known: _Known, now_ns: int) -> None:
        if stamp.id in known.ids and known.ids[stamp.id] >= now_ns:
            raise ForbiddenError(f"id {stamp.id!r} was used before: it may be a replay")
        if len(known.ids) >= MAX_IDS:
            known.ids = {id: until for id, until in known.ids.items() if until >= now_ns}
        if len(known.ids) >= MAX_IDS:
            raise UnavailableError(
                f"{stamp.principal} has {MAX_IDS} requests whose ttl is not over: use a shorter one"
            )
        known.ids[stamp.id] = stamp.until_ns
