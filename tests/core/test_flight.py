"""Asynchronous effects: runs that go on while values change (promise P4, SEEDS A1.13-A1.19)."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from edgekernel import (
    Computed,
    Effect,
    Process,
    Runtime,
    Signal,
    batch,
    effect,
    is_stale,
    message,
    untracked,
)
from edgekernel.core import flight
from edgekernel.sim import SimClock
from tests.core.threads import Place

MakeRuntime = Callable[..., Runtime]
Until = Callable[[Callable[[], bool]], None]


@pytest.fixture
def clock() -> Iterator[SimClock]:
    with SimClock() as clock:
        yield clock


class House:
    """A runtime on simulated time with effects made by hand."""

    def __init__(self, clock: SimClock) -> None:
        self.clock = clock
        self.runtime = Runtime(clock=clock)
        self.errors: list[str] = []
        self.runtime.subscribe(
            message.EffectError,
            lambda event: self.errors.append(event.payload.error),  # type: ignore[attr-defined]
        )
        self.runtime.boot()

    def watched(self) -> tuple[object, ...]:
        return self.runtime.services.watchdog._watched

    def effect(self, function: Callable[[], object], **how: Any) -> Effect:
        made: Effect = self.runtime.turns.call(lambda: Effect(function, **how), "make")
        self.clock.advance(0.0)
        return made


@pytest.fixture
def house(clock: SimClock) -> Iterator[House]:
    house = House(clock)
    yield house
    house.runtime.shutdown()


def test_one_that_lags_behind_is_told(house: House) -> None:
    """P7: a run that goes on for a minute after what it has read has changed is told once, and is
    no problem of the runtime; one that has yet to follow nothing may take any time."""
    level, clock = Signal(1), house.clock
    lags: list[tuple[float, object]] = []
    house.runtime.subscribe(
        message.EffectLags, lambda event: lags.append((clock.monotonic(), event.payload))
    )

    async def follow() -> None:
        if level.get() % 2:
            await asyncio.sleep(1000.0)

    house.effect(follow, name="follow")
    clock.advance(500.0)
    assert lags == []
    level.set(2)
    clock.advance(30.0)
    level.set(4)
    clock.advance(400.0)
    told = message.EffectLags("effect follow", 60.0)
    assert lags == [(560.0, told)]
    assert house.runtime.health()["healthy"]
    clock.advance(100.0)  # it has landed
    assert house.runtime.services.watchdog._told == {}
    level.set(3)
    clock.advance(1.0)
    level.set(6)
    clock.advance(1000.0)
    assert [each for _, each in lags] == [told, told]
    assert not any(isinstance(each, flight.Flight) for each in house.watched())


def test_one_that_follows_in_time_is_not_watched_any_more(house: House) -> None:
    """P7: nothing is told of, or kept for, a run that has landed before its limit."""
    level = Signal(1)
    lags: list[object] = []
    house.runtime.subscribe(message.EffectLags, lags.append)

    async def follow() -> None:
        level.get()
        await asyncio.sleep(50.0)

    effect = house.effect(follow)
    for value in range(2, 20):
        level.set(value)
        house.clock.advance(50.0)
    assert lags == []
    assert len([each for each in house.watched() if isinstance(each, flight.Flight)]) <= 1
    effect.dispose()
    house.clock.advance(100.0)
    assert not any(isinstance(each, flight.Flight) for each in house.watched())


def test_it_runs_again_when_what_it_read_changes(house: House) -> None:
    """It runs at once, and once more for each change of what its latest run has read."""
    level, seen = Signal(1), list[int]()

    async def follow() -> None:
        seen.append(level.get())

    house.effect(follow)
    assert seen == [1]
    level.set(2)
    house.clock.advance(0.0)
    level.set(2)
    house.clock.advance(0.0)
    assert seen == [1, 2]


def test_reads_after_an_await_count(house: House) -> None:
    """R12: what is read after an `await` is tracked as what was read before it."""
    before, after, seen = Signal(1), Signal(10), list[int]()

    async def follow() -> None:
        value = before.get()
        await asyncio.sleep(1.0)
        seen.append(value + after.get())

    house.effect(follow)
    house.clock.advance(1.5)
    after.set(20)
    house.clock.advance(1.5)
    before.set(2)
    house.clock.advance(1.5)
    assert seen == [11, 21, 22]


def test_a_change_meanwhile_is_not_dropped(house: House) -> None:
    """A run goes to its end, and however many changes came meanwhile, one more run follows."""
    url, opened = Signal("a"), list[str]()

    async def connect() -> None:
        wanted = url.get()
        await asyncio.sleep(2.0)
        opened.append(wanted)

    house.effect(connect)
    house.clock.advance(0.5)
    for name in "bcd":
        url.set(name)
    house.clock.advance(1.6)
    assert opened == ["a"]
    house.clock.advance(2.0)
    assert opened == ["a", "d"]
    house.clock.advance(10.0)
    assert opened == ["a", "d"]


def test_a_change_while_it_lands_is_not_dropped(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P4: a change that comes when a run has looked for the last time makes it run again."""
    settled = Place(monkeypatch, flight.Flight, "settle", after=True)
    level, seen = Signal(0), list[int]()

    async def follow() -> None:
        seen.append(level.get())

    settled.arm(lambda: level.set(1))
    house.effect(follow)
    house.clock.advance(1.0)
    assert seen == [0, 1]
    level.set(2)
    house.clock.advance(1.0)
    assert seen == [0, 1, 2]


def test_what_is_read_to_make_the_coroutine_counts(house: House) -> None:
    """P4: a plain function that returns a coroutine follows what it has read itself as well."""
    level, limit, sent = Signal(1), Signal(10), list[int]()

    async def send(value: int) -> None:
        sent.append(min(value, limit.get()))

    house.effect(lambda: send(level.get()))
    for value in (2, 30):
        level.set(value)
        house.clock.advance(1.0)
    limit.set(20)
    house.clock.advance(1.0)
    assert sent == [1, 2, 10, 20]


def test_a_value_that_comes_before_it_is_read_is_no_reason(house: House) -> None:
    """A change of something that the run reads only later is seen by it: no second run."""
    first, second, runs = Signal(1), Signal(1), list[tuple[int, int]]()

    async def follow() -> None:
        one = first.get()
        await asyncio.sleep(1.0)
        runs.append((one, second.get()))

    house.effect(follow)
    house.clock.advance(0.5)
    second.set(2)
    house.clock.advance(5.0)
    assert runs == [(1, 2)]


def test_a_set_from_another_thread_reaches_it(make_runtime: MakeRuntime, until: Until) -> None:
    """R1: a set in a thread that has no event loop wakes the effect, now and later."""
    runtime, level, seen = make_runtime(), Signal(0), list[int]()

    class Follower(Process):
        name = "follower"

        @effect
        async def follow(self) -> None:
            seen.append(level.get())

    runtime.register(Follower())
    runtime.boot()
    until(lambda: seen == [0])
    for n in (1, 2):
        thread = threading.Thread(target=level.set, args=(n,))
        thread.start()
        thread.join()
        until(lambda n=n: seen[-1] == n)  # type: ignore[misc]
    assert seen == [0, 1, 2]


class TestIsStale:
    def test_in_flight(self, house: House) -> None:
        """It is True from the moment at which something that was read has changed."""
        documents, notes = Signal(1), list[tuple[int, bool]]()

        async def index() -> None:
            wanted = documents.get()
            for _ in range(3):
                await asyncio.sleep(1.0)
                notes.append((wanted, is_stale()))
                if is_stale():
                    return

        house.effect(index)
        house.clock.advance(1.5)
        documents.set(2)
        house.clock.advance(1.0)
        assert notes == [(1, False), (1, True)]
        house.clock.advance(10.0)
        assert notes[2:] == [(2, False)] * 3

    def test_within_a_computed(self, house: House) -> None:
        """A computed that the run reads sees the same answer."""
        level, notes = Signal(1), list[bool]()

        async def follow() -> None:
            level.get()
            await asyncio.sleep(1.0)
            notes.append(Computed(is_stale).peek())

        house.effect(follow)
        level.set(2)
        house.clock.advance(1.5)
        assert notes[:1] == [True]

    def test_elsewhere(self) -> None:
        """Outside of effects, and in those that are no coroutines, it is False."""
        level, notes = Signal(1), list[bool]()

        def follow() -> None:
            if level.get() == 1:
                level.set(2)
            notes.append(is_stale())

        Effect(follow).dispose()
        assert notes == [False, False]
        assert is_stale() is False


class TestCancel:
    def test_a_superseded_run_is_cancelled(self, house: House) -> None:
        """The body sees CancelledError where it waits, cleans up, and runs with the new value."""
        url, steps = Signal("a"), list[str]()

        async def stream() -> None:
            wanted = url.get()
            steps.append(f"open {wanted}")
            try:
                await asyncio.sleep(1000.0)
            finally:
                steps.append(f"close {wanted}")

        made = house.effect(stream, cancel_on_supersede=True)
        house.clock.advance(5.0)
        url.set("b")
        house.clock.advance(0.1)
        assert steps == ["open a", "close a", "open b"]
        made.dispose()
        house.clock.advance(0.1)
        assert steps[3:] == ["close b"]
        assert house.errors == []

    def test_run_while_it_flies(self, house: House) -> None:
        """R26: asking for runs before the first has ended gives one more, and no dead effect."""
        runs = list[float]()

        async def work() -> None:
            await asyncio.sleep(1.0)
            runs.append(house.clock.monotonic())

        made = house.effect(work, cancel_on_supersede=True)
        made.run()
        made.run()
        house.clock.advance(1.5)
        assert len(runs) == 1
        made.run()
        house.clock.advance(1.5)
        assert len(runs) == 2

    def test_cancelled_by_somebody_else(self, house: House) -> None:
        """A cancellation that the effect has not asked for is reported; it goes on living."""
        level, seen = Signal(1), list[int]()

        async def follow() -> None:
            seen.append(level.get())
            if level.peek() == 1:
                raise asyncio.CancelledError

        house.effect(follow)
        assert len(house.errors) == 1
        assert "cancelled by somebody else" in house.errors[0]
        level.set(2)
        house.clock.advance(0.0)
        assert seen == [1, 2]


def test_dispose_ends_a_run(house: House) -> None:
    """R10, K33: a disposed effect's run is cancelled, and nothing of it goes on."""
    level, ticks = Signal(1), list[int]()

    async def tick() -> None:
        while True:
            ticks.append(level.get())
            await asyncio.sleep(1.0)

    made = house.effect(tick)
    house.clock.advance(2.5)
    made.dispose()
    house.clock.advance(10.0)
    level.set(2)
    house.clock.advance(10.0)
    assert ticks == [1, 1, 1]


def test_cleanup(house: House) -> None:
    """What a run returns is called before the next run and at the end."""
    level, steps = Signal(1), list[str]()

    async def follow() -> Callable[[], None]:
        value = level.get()
        await asyncio.sleep(1.0)
        steps.append(f"run {value}")
        return lambda: steps.append(f"clean {value}")

    made = house.effect(follow)
    house.clock.advance(1.5)
    level.set(2)
    house.clock.advance(1.5)
    made.dispose()
    assert steps == ["run 1", "clean 1", "run 2", "clean 2"]


def test_errors(house: House) -> None:
    """What it raises, before or after an await, is reported; it runs again at the next change."""
    level, seen = Signal(1), list[int]()

    async def follow() -> None:
        if level.get() == 1:
            raise ValueError("at once")
        await asyncio.sleep(1.0)
        if level.peek() == 2:
            raise ValueError("later")
        seen.append(level.peek())

    house.effect(follow)
    level.set(2)
    house.clock.advance(2.0)
    level.set(3)
    house.clock.advance(2.0)
    assert house.errors == ["ValueError: at once", "ValueError: later"]
    assert seen == [3]


def test_an_error_hook(house: House) -> None:
    """`on_error` is given what it raises, instead of the runtime."""
    caught = list[Exception]()

    async def fail() -> None:
        await asyncio.sleep(1.0)
        raise ValueError("no")

    house.effect(fail, on_error=caught.append)
    house.clock.advance(2.0)
    assert [str(error) for error in caught] == ["no"]
    assert house.errors == []


def test_untracked_holds_over_an_await(house: House) -> None:
    """What is read in `untracked` is not followed, however long that takes."""
    level, other, runs = Signal(1), Signal(1), list[int]()

    async def follow() -> None:
        level.get()
        with untracked():
            await asyncio.sleep(1.0)
            other.get()
        runs.append(1)

    house.effect(follow)
    house.clock.advance(1.5)
    other.set(2)
    house.clock.advance(1.5)
    assert runs == [1]
    level.set(2)
    house.clock.advance(1.5)
    assert runs == [1, 1]


def test_two_flights_do_not_see_each_others_reads(house: House) -> None:
    """Runs that go on side by side on one event loop follow their own reads only."""
    a, b = Signal(0), Signal(0)
    runs: dict[str, int] = {"a": 0, "b": 0}

    def follower(name: str, signal: Signal[int]) -> Callable[[], object]:
        async def follow() -> None:
            for _ in range(3):
                signal.get()
                await asyncio.sleep(1.0)
            runs[name] += 1

        return follow

    house.effect(follower("a", a))
    house.effect(follower("b", b))
    house.clock.advance(10.0)
    a.set(1)
    house.clock.advance(10.0)
    assert runs == {"a": 2, "b": 1}


def test_a_batch_is_one_change(house: House) -> None:
    """Several sets of a batch cause one more run, which sees them all."""
    url, token, seen = Signal("u1"), Signal("t1"), list[tuple[str, str]]()

    async def connect() -> None:
        seen.append((url.get(), token.get()))
        await asyncio.sleep(1.0)

    house.effect(connect)
    house.clock.advance(0.5)
    with batch():
        url.set("u2")
        token.set("t2")
    house.clock.advance(5.0)
    assert seen == [("u1", "t1"), ("u2", "t2")]


def test_computeds_are_followed(house: House) -> None:
    """It runs again only if a computed that it has read has another value."""
    level = Signal(1)
    high = Computed(lambda: level.get() > 10)
    seen = list[bool]()

    async def follow() -> None:
        await asyncio.sleep(1.0)
        seen.append(high.get())

    house.effect(follow)
    house.clock.advance(2.0)
    level.set(5)
    house.clock.advance(2.0)
    level.set(20)
    house.clock.advance(2.0)
    assert seen == [False, True]


def test_its_part_ends_it(house: House) -> None:
    """K33: hot remove cancels the asynchronous effects of a component."""

    class Ticker(Process):
        name = "ticker"

        def __init__(self) -> None:
            self.ticks = 0

        @effect
        async def tick(self) -> None:
            while True:
                self.ticks += 1
                await asyncio.sleep(1.0)

    ticker = house.runtime.register(Ticker())
    house.clock.advance(3.5)
    house.runtime.hot_remove("ticker")
    ticks = ticker.ticks
    assert ticks == 4
    house.clock.advance(10.0)
    assert ticker.ticks == ticks


def test_nothing_is_left(house: House) -> None:
    """A disposed effect is freed with its coroutine and what it held."""

    class Held:
        pass

    held = Held()
    level = Signal(1)

    async def follow(held: Held = held) -> None:
        level.get()
        await asyncio.sleep(1.0)

    made = house.effect(follow)
    house.clock.advance(0.5)
    gone = weakref.ref(held), weakref.ref(made)
    made.dispose()
    house.clock.advance(5.0)
    del held, made, follow
    gc.collect()
    assert [reference() for reference in gone] == [None, None]


def test_many_threads_and_a_run_that_takes_time(make_runtime: MakeRuntime, until: Until) -> None:
    """However sets of several threads fall, the last run has the last value."""
    runtime, level, seen = make_runtime(), Signal(0), list[int]()

    class Follower(Process):
        name = "follower"

        @effect
        async def follow(self) -> None:
            value = level.get()
            await asyncio.sleep(0)
            seen.append(value)

    runtime.register(Follower())
    runtime.boot()

    def write(start: int) -> None:
        for n in range(start, start + 300):
            level.set(n)

    threads = [threading.Thread(target=write, args=(1000 * n,)) for n in range(1, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: bool(seen) and seen[-1] == level.peek())
    assert runtime.error_count == 0
