"""Seeds: another order for each, the same in every run."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edgekernel import Context, Process, Runtime, Service, command
from edgekernel.core.clock import LockLike
from edgekernel.sim import SimClock, try_seeds
from tests.sim.conftest import go

NAMES = "abcdef"


def order_of(seed: int | None) -> str:
    """The order in which six threads run that are due at the same moments."""
    order: list[str] = []
    with SimClock(seed=seed) as clock:

        def sleeper(name: str) -> None:
            for _ in range(3):
                clock.sleep(1)
                order.append(name)

        for name in NAMES:
            go(clock, name, sleeper, name)
        clock.advance(10)
    return "".join(order)


def test_without_a_seed_it_is_the_order_of_waiting() -> None:
    """No seed: who began to wait first goes on first."""
    assert order_of(None) == NAMES * 3


def test_each_seed_is_one_order() -> None:
    """A seed gives the same order again and again, and others give others; nobody is lost."""
    orders = [order_of(seed) for seed in range(50)]
    assert orders == [order_of(seed) for seed in range(50)]
    assert len(set(orders)) > 45
    assert {"".join(sorted(order)) for order in orders} == {"".join(sorted(NAMES * 3))}


def test_the_same_order_in_every_process() -> None:
    """A seed gives one order whatever the process, its hash seed included."""
    program = "from tests.sim.test_seeds import order_of; print(order_of(7))"
    orders = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": str(hash_seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in (1, 2)
    }
    assert orders == {order_of(7)}


@pytest.mark.parametrize("place", ["lock", "condition", "queue"])
def test_any_of_those_who_wait_may_be_the_first(place: str) -> None:
    """With seeds, each of those who wait for the same thing gets it first in some order."""

    def first_of(seed: int) -> str:
        order: list[str] = []
        with SimClock(seed=seed) as clock:
            lock, condition, queue = clock.Lock(), clock.Condition(), clock.Queue()
            lock.acquire()

            def wait(name: str) -> None:
                if place == "lock":
                    lock.acquire()
                elif place == "condition":
                    with condition:
                        condition.wait()
                else:
                    queue.get()
                order.append(name)

            for name in NAMES:
                go(clock, name, wait, name)
            clock.advance(1)
            if place == "lock":
                lock.release()
            elif place == "condition":
                with condition:
                    condition.notify()
            else:
                queue.put(1)
            clock.advance(1)
        (first,) = order
        return first

    assert {first_of(seed) for seed in range(60)} == set(NAMES)


class Account:
    """A balance that a withdrawal checks, lets time pass, and changes."""

    def __init__(self, clock: SimClock, *, guarded: bool) -> None:
        self.balance = 10
        self._clock = clock
        self._lock: LockLike = clock.Lock()
        self._guarded = guarded

    def withdraw(self) -> None:
        """Take 10 if they are there."""
        with self._turn():
            enough = self.balance >= 10
            self._clock.sleep(0)
            if enough:
                self.balance -= 10

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._guarded:
            yield
            return
        with self._lock:
            yield


def withdraw_twice(clock: SimClock, *, guarded: bool) -> None:
    """Two who withdraw at moments that the seed decides on; the balance must not go below 0."""
    account = Account(clock, guarded=guarded)

    def customer() -> None:
        for _ in range(3):
            clock.sleep(0)
        account.withdraw()

    threads = [go(clock, name, customer) for name in "xy"]
    for thread in threads:
        thread.join()
    assert account.balance >= 0


def test_a_planted_race_is_found_and_its_seed_named() -> None:
    """Among the seeds is one in which the race shows, and the error names it; with that seed it
    fails again, and with the race mended no seed fails."""
    with pytest.raises(AssertionError) as caught:
        try_seeds(lambda clock: withdraw_twice(clock, guarded=False), range(200))
    (note,) = caught.value.__notes__
    seed = int(note.partition("with seed ")[2].partition(":")[0])
    with SimClock(seed=seed) as clock, pytest.raises(AssertionError):
        withdraw_twice(clock, guarded=False)
    assert try_seeds(lambda clock: withdraw_twice(clock, guarded=True), range(1000)) == 1000


class Well(Process):
    """Holds water for one watering; who draws first looks whether it is there."""

    name = "well"
    litres = 10
    reserves = False

    @command
    async def draw(self, litres: int) -> bool:
        """Open the valve, which takes a second, and let the water out; False if there is none."""
        if self.litres < litres:
            return False
        if self.reserves:
            self.litres -= litres
        await asyncio.sleep(1)
        if not self.reserves:
            self.litres -= litres
        return True


class Watering(Service):
    """Draws water once, at its tick of a number."""

    def __init__(self, name: str, interval: float, draws_at: int) -> None:
        self.name = name
        self.interval = interval
        self.ticks = 0
        self.draws_at = draws_at

    def tick(self, ctx: Context) -> None:
        """Draw, if it is time."""
        self.ticks += 1
        if self.ticks == self.draws_at:
            ctx.runtime.invoke("well.draw", {"litres": 10}, principal="local")


def water_garden(clock: SimClock, *, reserves: bool) -> None:
    """Water the beds at once and the trees a second later: when the valve has just opened."""
    well = Well()
    well.reserves = reserves
    runtime = Runtime(clock=clock)
    runtime.register(well)
    runtime.register(Watering("beds", 10.0, draws_at=1))
    runtime.register(Watering("trees", 0.5, draws_at=3))
    with runtime:
        clock.advance(5)
        assert not list(runtime.errors)
    assert well.litres >= 0


def test_a_race_in_a_process_is_found() -> None:
    """A process that checks, waits and acts is right in the order of waiting; among a few seeds is
    one in which two services come at the same moment and meet in it, and it fails each time."""
    with SimClock() as clock:
        water_garden(clock, reserves=False)
    with pytest.raises(AssertionError) as caught:
        try_seeds(lambda clock: water_garden(clock, reserves=False), range(50))
    (note,) = caught.value.__notes__
    seed = int(note.partition("with seed ")[2].partition(":")[0])
    for _ in range(3):
        with SimClock(seed=seed) as clock, pytest.raises(AssertionError):
            water_garden(clock, reserves=False)


def test_the_process_without_the_race_passes_1000_seeds() -> None:
    """Acting before it waits mends it: none of 1,000 orders finds anything."""
    assert try_seeds(lambda clock: water_garden(clock, reserves=True), range(1000)) == 1000
