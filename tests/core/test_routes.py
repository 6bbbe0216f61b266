"""How a message reaches its handlers, however many there are (promises P1 to P3)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from edgekernel import Computed, Context, Event, Message, Process, Runtime, Signal, message
from edgekernel.core.routes import Rank
from edgekernel.core.turns import MAX_DEPTH
from tests.core.threads import LONG_S, Beside

MakeRuntime = Callable[..., Runtime]


class Number(Message):
    n: int = 0


def named(name: str, function: Callable[[Event], object]) -> Callable[[Event], object]:
    """Give a handler the name by which it is reported."""

    def handler(event: Event) -> object:
        return function(event)

    handler.__qualname__ = name
    return handler


@pytest.mark.parametrize("count", [1, 2, 8, 9, 100])
def test_all_handlers_see_an_event_in_order(count: int, make_runtime: MakeRuntime) -> None:
    """P1: every handler is called once, in the order of subscribing, however many there are."""
    runtime = make_runtime(slow_turn_s=LONG_S)
    called: list[int] = []
    for n in range(count):
        runtime.subscribe(Number, lambda event, n=n: called.append(n))  # type: ignore[misc]
    runtime.boot()
    runtime.emit(Number())
    assert called == list(range(count))


@pytest.mark.parametrize("count", [1, 2, 100])
@pytest.mark.parametrize("place", [0, -1])
def test_a_failing_handler_is_named(count: int, place: int, make_runtime: MakeRuntime) -> None:
    """P3: among many handlers it is the one that raised that is reported; the others run."""
    runtime = make_runtime(slow_turn_s=LONG_S)
    called: list[int] = []
    names = [f"handler {n}" for n in range(count)]
    for n, name in enumerate(names):

        def handle(event: Event, n: int = n) -> None:
            called.append(n)
            if n == place % count:
                raise RuntimeError("no")

        runtime.subscribe(Number, named(name, handle))
    runtime.boot()
    runtime.emit(Number())
    assert len(called) == count
    assert [record.where for record in runtime.errors] == [f"{names[place]} handling number"]


@pytest.mark.parametrize("count", [2, 100])
def test_taken_out_in_the_middle_of_an_event(count: int, make_runtime: MakeRuntime) -> None:
    """P12: handlers that one before them takes out are not called any more, by this event."""
    runtime = make_runtime(slow_turn_s=LONG_S)
    called: list[int] = []

    def first(event: Event) -> None:
        for subscription in others:
            subscription.cancel()
        runtime.subscribe(Number, lambda event: called.append(-1))

    runtime.subscribe(Number, first)
    others = [
        runtime.subscribe(Number, lambda event, n=n: called.append(n))  # type: ignore[misc]
        for n in range(1, count)
    ]
    runtime.boot()
    runtime.emit(Number())
    assert called == []
    runtime.emit(Number())
    assert called == [-1]


class Slow:
    """A runtime of which one handler of Number, the last but one, is slow."""

    def __init__(self, make_runtime: MakeRuntime, handlers: int) -> None:
        self.runtime = make_runtime(slow_turn_s=0.01)
        self.told: list[str] = []
        self.names = [f"handler {n}" for n in range(handlers)]
        self.slow = self.names[-2:][0]
        pause = threading.Event()
        self.subscriptions = [
            self.runtime.subscribe(
                Number,
                named(name, lambda _, s=0.05 if name == self.slow else 0.0: pause.wait(s)),  # type: ignore[misc]
            )
            for name in self.names
        ]
        self.runtime.subscribe(message.SlowTurn, lambda event: self.told.append(event.payload.turn))  # type: ignore[attr-defined]
        self.runtime.boot()
        self.told.clear()


def test_the_only_handler_is_named_when_it_is_slow(make_runtime: MakeRuntime) -> None:
    """P3: there is no doubt which handler was slow where there is only one."""
    slow = Slow(make_runtime, 1)
    slow.runtime.emit(Number())
    assert slow.told == ["handler 0 (number)"]


@pytest.mark.parametrize("count", [2, 8, 100])
def test_a_slow_one_of_several_is_named_at_the_second_time(
    count: int, make_runtime: MakeRuntime
) -> None:
    """P3: of several handlers the first report names all, the next one the slow one."""
    slow = Slow(make_runtime, count)
    slow.runtime.emit(Number())
    slow.runtime.emit(Number())
    slow.runtime.emit(Number())
    assert slow.told == [f"{' or '.join(slow.names)} (number)", *[f"{slow.slow} (number)"] * 2]


def test_a_slow_one_is_named_although_others_fail_or_go(make_runtime: MakeRuntime) -> None:
    """P3: the slow handler is named too when others raise, or are taken out on the way."""
    slow = Slow(make_runtime, 3)
    seen: list[str] = []

    def fail(event: Event) -> None:
        if len(slow.told) == 2:
            last.cancel()
            raise RuntimeError("no")

    slow.runtime.subscribe(Number, named("failing", fail))
    last = slow.runtime.subscribe(Number, lambda event: seen.append("last"))
    for _ in range(3):
        slow.runtime.emit(Number())
    assert slow.told[1:] == ["handler 1 (number)"] * 2
    assert [record.where for record in slow.runtime.errors] == ["failing handling number"]
    assert seen == ["last"] * 2


def test_taken_out_before_its_turn(make_runtime: MakeRuntime) -> None:
    """P12: handlers added or taken out while an event waits count when its turn comes."""
    runtime = make_runtime(slow_turn_s=LONG_S)
    called: list[str] = []

    class Begin(Message):
        pass

    def begin(event: Event) -> None:
        runtime.emit(Number())
        old.cancel()
        runtime.subscribe(Number, lambda event: called.append("new"))

    runtime.subscribe(Begin, begin)
    old = runtime.subscribe(Number, lambda event: called.append("old"))
    runtime.boot()
    runtime.emit(Number())
    runtime.emit(Begin())
    assert called == ["old", "new"]


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_chain_ends_with_its_last_turn(interrupted: bool, make_runtime: MakeRuntime) -> None:
    """P3: a chain does not count as a part of the next one, not even if Ctrl-C has ended it."""
    runtime = make_runtime(slow_turn_s=LONG_S)
    length = MAX_DEPTH * 2 // 3
    causes: list[int | None] = []

    def count_down(event: Event) -> None:
        left = event.payload.n  # type: ignore[attr-defined]
        causes.append(event.cause)
        if left > 0:
            runtime.emit(Number(left - 1))
        elif interrupted:
            raise KeyboardInterrupt

    runtime.subscribe(Number, count_down)
    runtime.boot()
    for _ in range(2):
        causes.clear()
        with pytest.raises(KeyboardInterrupt) if interrupted else nullcontext():
            runtime.emit(Number(length))
        last = runtime.routes.seq
        assert causes == [None, *range(last - length, last)]


def test_signals_are_read_while_a_handler_blocks(make_runtime: MakeRuntime) -> None:
    """P2: reading and setting signals never waits for a handler that is at work."""
    runtime = make_runtime(slow_turn_s=LONG_S)
    signal, blocked = Signal(1), Signal(0)
    double = Computed(lambda: signal.get() * 2)
    entered, go_on = threading.Event(), threading.Event()

    def block(event: Event) -> None:
        blocked.set(1)
        entered.set()
        assert go_on.wait(LONG_S)

    runtime.subscribe(Number, block)
    runtime.boot()
    emitting = threading.Thread(target=runtime.emit, args=(Number(),))
    emitting.start()
    assert entered.wait(LONG_S)
    signal.set(2)
    assert (signal.get(), double.get(), blocked.get()) == (2, 4, 1)
    go_on.set()
    emitting.join(LONG_S)
    assert not emitting.is_alive()


def test_the_feedback_report_names_the_handler_of_many(make_runtime: MakeRuntime) -> None:
    """P3: a loop is reported with the very handler that closes it, among many."""
    runtime = make_runtime(slow_turn_s=LONG_S)
    told: list[tuple[str, ...]] = []
    for n in range(40):
        runtime.subscribe(
            Number,
            named(f"handler {n}", lambda _, n=n: runtime.emit(Number()) if n == 33 else None),  # type: ignore[misc]
        )
    runtime.subscribe(message.FeedbackLoop, lambda event: told.append(event.payload.members))  # type: ignore[attr-defined]
    runtime.boot()
    runtime.emit(Number())
    assert runtime.turns.wait_idle(LONG_S)
    assert told == [("number (by handler 33)",)]


class Block(Message):
    pass


class Turnstile:
    """Stands before a lock; lets something else happen before the first one goes in."""

    def __init__(self, lock: AbstractContextManager[Any], first: Callable[[], object]) -> None:
        self._lock = lock
        self._first = [first]

    def __enter__(self) -> None:
        if self._first:
            self._first.pop()()
        self._lock.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._lock.__exit__(*error)


def test_a_handler_removed_from_an_event_that_two_threads_looked_up(
    make_runtime: MakeRuntime,
) -> None:
    """P1: a handler that has been taken out is not called by an event that waits for its turn."""
    runtime = make_runtime(slow_turn_s=LONG_S)
    called: list[int] = []
    entered, go_on = threading.Event(), threading.Event()

    def block(event: Event) -> None:
        entered.set()
        assert go_on.wait(LONG_S)

    runtime.subscribe(Block, block)
    gone = runtime.subscribe(Number, lambda event: called.append(event.payload.n))  # type: ignore[attr-defined]
    runtime.boot()
    blocked = Beside(lambda: runtime.emit(Block()))
    assert entered.wait(LONG_S)
    table: Any = runtime.routes
    table._lock = Turnstile(table._lock, lambda: Beside(lambda: runtime.emit(Number(1))).end())
    runtime.emit(Number(2))
    gone.cancel()
    go_on.set()
    blocked.end()
    assert runtime.turns.wait_idle(LONG_S)
    assert called == []


def test_recorders_come_first(make_runtime: MakeRuntime) -> None:
    """P3: who keeps a record sees an event before everybody else, and harms nobody if it fails."""
    runtime = make_runtime(slow_turn_s=LONG_S)
    called: list[str] = []
    errors: list[str] = []

    class Part(Process):
        """A part that handles the message."""

        name = "part"

        def handle_event(self, ctx: Context, evt: Event) -> None:
            """Note it."""
            if isinstance(evt.payload, Number):
                called.append("part")

    def record(event: Event) -> None:
        called.append("recorder")
        raise RuntimeError("no")

    runtime.register(Part())
    runtime.subscribe(Number, lambda event: called.append("subscriber"))
    runtime.subscribe(message.EventSubscriberError, lambda event: errors.append(event.source))
    runtime.routes.add(Rank.RECORDER, Number, "recorder", "recorder", record)
    runtime.boot()
    runtime.emit(Number())
    assert called == ["recorder", "part", "subscriber"]
    assert len(errors) == 1
