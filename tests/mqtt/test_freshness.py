"""A signed request counts once, in its time, and for one start of the node."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from edgekernel.core.errors import ForbiddenError, UnavailableError
from edgekernel.mqtt.freshness import MAX_AHEAD_S, MAX_IDS, Freshness, Stamp
from edgekernel.mqtt.payloads import ExpiredError
from edgekernel.sim import SimClock

BOOT = "0123456789abcdef"
TTL_S = 30.0


class Door:
    """A judge on a simulated clock, which may be synchronised or not; it has run for a minute."""

    def __init__(self, clock: SimClock, synchronised: bool = True) -> None:
        self.clock, self.synchronised = clock, synchronised
        self.judge = Freshness(clock, BOOT, lambda: self.synchronised)
        clock.advance(60)

    def stamp(
        self, id: str | int = 1, *, ago_s: float = 0.0, boot: str | None = None, by: str = "anna"
    ) -> Stamp:
        """Return a stamp that was made some seconds ago."""
        return Stamp(by, id, self.clock.now_utc() - timedelta(seconds=ago_s), TTL_S, boot)


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """Give a simulated clock."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def door(clock: SimClock) -> Door:
    """Give a judge whose clock is synchronised."""
    return Door(clock)


def test_a_request_counts_once(door: Door) -> None:
    """The second time its id is used up, for this principal alone, in time and after it."""
    stamp = door.stamp()
    door.judge.check(stamp)
    with pytest.raises(ForbiddenError, match="id 1 was used before: it may be a replay"):
        door.judge.check(stamp)
    door.judge.check(door.stamp("1"))
    door.judge.check(door.stamp(by="bert"))
    door.clock.advance(TTL_S)
    with pytest.raises(ForbiddenError, match="replay"):
        door.judge.check(stamp)
    door.clock.advance(0.001)
    with pytest.raises(ExpiredError, match=r"expired 0\.0 s ago"):
        door.judge.check(stamp)
    door.judge.check(door.stamp())


def test_too_late_and_too_early(door: Door) -> None:
    """What is over is refused, and what is of the future by more than a clock may be ahead."""
    with pytest.raises(ExpiredError, match=r"expired 1\.0 s ago"):
        door.judge.check(door.stamp(ago_s=TTL_S + 1))
    with pytest.raises(ForbiddenError, match=r"issued_at is 6\.0 s in the future"):
        door.judge.check(door.stamp(ago_s=-6))
    door.judge.check(door.stamp(ago_s=-MAX_AHEAD_S))


def test_a_restart_makes_no_replay_possible(clock: SimClock) -> None:
    """What was signed before this start is refused, though the node knows nothing of it; what was
    signed for this start is not."""
    before = Door(clock)
    stamp = before.stamp()
    before.judge.check(stamp)
    after = Freshness(clock, "another boot", lambda: True)
    with pytest.raises(ForbiddenError, match="issued before this start of the node"):
        after.check(stamp)
    ahead = before.stamp(2, ago_s=-MAX_AHEAD_S)
    before.judge.check(ahead)
    with pytest.raises(ForbiddenError, match="issued before this start of the node"):
        after.check(ahead)
    with pytest.raises(ForbiddenError, match="signed for another start of the node"):
        after.check(before.stamp(3, boot=BOOT))
    after.check(before.stamp(4, boot="another boot"))


def test_a_start_with_a_wrong_clock(clock: SimClock) -> None:
    """The clock was years behind at the start and is set right later: what was signed before the
    start is refused even then."""
    stamp = Stamp("anna", 1, clock.now_utc() + timedelta(days=3650), TTL_S)
    judge = Freshness(clock, BOOT, lambda: True)
    clock.advance(10)
    clock.step_wall(timedelta(days=3650).total_seconds())
    with pytest.raises(ForbiddenError, match="issued before this start of the node"):
        judge.check(stamp)
    judge.check(Stamp("anna", 1, clock.now_utc(), TTL_S))


def test_without_a_synchronised_clock_the_boot_is_needed(clock: SimClock) -> None:
    """Without the id of this boot it is refused; with it, it counts once, whatever time it says."""
    door = Door(clock, synchronised=False)
    with pytest.raises(ForbiddenError, match="not synchronised: sign the boot of its status"):
        door.judge.check(door.stamp())
    with pytest.raises(ForbiddenError, match="signed for another start"):
        door.judge.check(door.stamp(boot="another"))
    years = 10 * 365 * 86400.0
    stamp = door.stamp(ago_s=-years, boot=BOOT)
    door.judge.check(stamp)
    with pytest.raises(ForbiddenError, match="replay"):
        door.judge.check(stamp)


def test_without_a_synchronised_clock_time_is_that_of_who_signs(clock: SimClock) -> None:
    """What was kept back for longer than its ttl is refused, by the newest that came and by the
    time that has passed since; the others of it are too old for a replay."""
    door = Door(clock, synchronised=False)
    years = 10 * 365 * 86400.0
    kept_back = door.stamp(1, ago_s=-years, boot=BOOT)
    clock.advance(1)
    door.judge.check(door.stamp(2, ago_s=-years, boot=BOOT))
    clock.advance(TTL_S - 1)
    door.judge.check(kept_back)
    late = door.stamp(3, ago_s=-years, boot=BOOT)
    clock.advance(TTL_S + 0.001)
    with pytest.raises(ExpiredError):
        door.judge.check(late)
    with pytest.raises(ExpiredError):
        door.judge.check(kept_back)
    door.judge.check(door.stamp(4, ago_s=-years, boot=BOOT))
    door.judge.check(door.stamp(5, boot=BOOT, by="bert"))


def test_the_clock_becomes_good(clock: SimClock) -> None:
    """What was used up without a good clock stays so when there is one."""
    door = Door(clock, synchronised=False)
    stamp = door.stamp(boot=BOOT)
    door.judge.check(stamp)
    door.synchronised = True
    with pytest.raises(ForbiddenError, match="replay"):
        door.judge.check(stamp)
    door.judge.check(door.stamp(2))


def test_ids_are_bounded_and_none_is_forgotten_in_its_time(door: Door) -> None:
    """When there are too many to tell apart, new ones are refused until the oldest are over."""
    first = door.stamp(0)
    for number in range(MAX_IDS):
        door.judge.check(door.stamp(number))
    with pytest.raises(UnavailableError, match="anna has 1000 requests whose ttl is not over"):
        door.judge.check(door.stamp("more"))
    with pytest.raises(ForbiddenError, match="replay"):
        door.judge.check(first)
    door.judge.check(door.stamp(by="bert"))
    door.clock.advance(TTL_S + 1)
    door.judge.check(door.stamp("more"))
