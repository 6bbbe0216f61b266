"""Changes that come at the worst moment: between two steps of the signal graph (promise P4)."""

from __future__ import annotations

import threading

import pytest

from edgekernel import Computed, Effect, Signal, batch
from edgekernel.core import computed, graph
from tests.core.threads import LONG_S, Beside, Place


def test_a_value_read_while_its_change_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """P4: an effect hears of a change that a reader has seen before all marks were in place."""
    marked = Place(monkeypatch, graph, "spread", after=True)
    guarded = Place(monkeypatch, graph.Guard, "take")
    source, other = Signal(0), Signal(0)
    top = Computed(Computed(source.get).get)
    seen: list[tuple[int, int]] = []
    Effect(lambda: seen.append((other.get(), top.get())))
    other.set(1)  # the effect runs later than `top` was computed
    readers: list[Beside] = []

    def read_beside() -> None:
        come = threading.Event()  # to its end, or to where it waits for the change
        guarded.arm(come.set)

        def read() -> None:
            top.peek()
            come.set()

        readers.append(Beside(read))
        assert come.wait(LONG_S)

    marked.arm(read_beside)
    source.set(7)
    readers[0].end()
    assert (top.peek(), seen) == (7, [(0, 0), (1, 0), (1, 7)])


def test_a_reader_that_comes_while_another_stores_its_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """P4: a computed follows what its latest run has read, whoever computes it as well."""
    following = Place(monkeypatch, computed, "follow")
    switch = Signal(0)
    parts = [Signal(n) for n in range(3)]
    slow, late = threading.Event(), threading.Event()
    slow_goes_on, late_goes_on = threading.Event(), threading.Event()
    role = threading.local()

    def add() -> int:
        doing = getattr(role, "name", "")
        if doing == "slow":
            slow.set()
            assert slow_goes_on.wait(LONG_S)
        if doing == "overtaken":
            Beside(lambda: switch.set(1)).end()
        total = switch.get() or sum(part.get() for part in parts)
        if doing == "overtaken":
            Beside(lambda: switch.set(0)).end()
        if doing == "late":
            late.set()
            assert late_goes_on.wait(LONG_S)
        return total

    total = Computed(add)
    assert total.get() == 3

    def read_as(name: str) -> None:
        role.name = name
        total.peek()

    readers: list[Beside] = []

    def come_late() -> None:
        readers.append(Beside(lambda: read_as("late")))
        assert late.wait(LONG_S)

    switch.set(1)
    readers.append(Beside(lambda: read_as("slow")))
    assert slow.wait(LONG_S)
    following.arm(come_late)
    Beside(lambda: read_as("overtaken")).end()
    late_goes_on.set()
    readers[1].end()
    parts[0].set(10)
    assert total.peek() == 13
    slow_goes_on.set()
    readers[0].end()
    assert total.peek() == 13


def test_overtaken_by_batches_that_put_everything_back() -> None:
    """P4: a value that was there only in the middle of another thread's batch is not kept."""
    source, begin, busy, runs = Signal(0), Signal(0), [False], [0]

    def follow() -> int:
        begin.get()
        runs[0] += 1
        if not busy[0]:
            return source.get()
        changed, go_on = threading.Event(), threading.Event()

        def there_and_back() -> None:
            with batch():
                source.set(runs[0])
                changed.set()
                assert go_on.wait(LONG_S)
                source.set(0)

        other = Beside(there_and_back)
        assert changed.wait(LONG_S)
        value = source.get()
        go_on.set()
        other.end()
        return value

    value = Computed(follow)
    assert value.get() == 0
    busy[0] = True
    begin.set(1)
    value.get()  # it may get any of them: all were there
    busy[0] = False
    assert value.get() == source.peek() == 0


def test_an_effect_that_computes_beside_a_slow_reader() -> None:
    """P4: an effect runs once for a change, whoever else computes what it reads at that time."""
    source = Signal(0)
    slow: list[Beside] = []
    entered, go_on = threading.Event(), threading.Event()
    is_slow = threading.local()

    def compute() -> int:
        value = source.get()
        if getattr(is_slow, "now", False):
            entered.set()
            assert go_on.wait(LONG_S)
        return value

    inner = Computed(compute)
    outer = Computed(inner.get)

    def read_slowly() -> None:
        is_slow.now = True
        outer.peek()

    def let_it_begin() -> None:
        if source.get() == 1:
            slow.append(Beside(read_slowly))
            assert entered.wait(LONG_S)

    seen: list[int] = []
    Effect(let_it_begin)
    Effect(lambda: seen.append(outer.get()))
    source.set(1)
    go_on.set()
    slow[0].end()
    assert seen == [0, 1]
