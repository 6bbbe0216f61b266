"""How a message reaches its handlers, however many there are (promises P1 to P3)."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from edgekernel import Computed, Event, Message, Runtime, Signal, message

LONG_S = 10.0

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


def test_a_slow_one_of_a_few_is_named(make_runtime: MakeRuntime) -> None:
    """P3: each of a few handlers is timed: the report names the slow one."""
    runtime = make_runtime(slow_turn_s=0.01)
    slow: list[str] = []
    pause = threading.Event()
    for n in range(8):
        wait_s = 0.05 if n == 5 else 0.0
        runtime.subscribe(Number, named(f"handler {n}", lambda _, s=wait_s: pause.wait(s)))  # type: ignore[misc]
    runtime.subscribe(message.SlowTurn, lambda event: slow.append(event.payload.turn))  # type: ignore[attr-defined]
    runtime.boot()
    slow.clear()
    runtime.emit(Number())
    assert slow == ["handler 5 (number)"]


def test_a_slow_one_of_many_is_named_at_the_second_time(make_runtime: MakeRuntime) -> None:
    """P3: of many handlers the first report names all, the next one the slow one."""
    runtime = make_runtime(slow_turn_s=0.01)
    slow: list[str] = []
    pause = threading.Event()
    for n in range(100):
        wait_s = 0.05 if n == 40 else 0.0
        runtime.subscribe(Number, named(f"handler {n}", lambda _, s=wait_s: pause.wait(s)))  # type: ignore[misc]
    runtime.subscribe(message.SlowTurn, lambda event: slow.append(event.payload.turn))  # type: ignore[attr-defined]
    runtime.boot()
    slow.clear()
    runtime.emit(Number())
    runtime.emit(Number())
    first, second = slow
    assert "handler 40" in first
    assert second == "handler 40 (number)"


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
