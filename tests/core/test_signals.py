"""Signals, computeds and effects (promise P4)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import threading
import weakref
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from edgekernel import Computed, Effect, Signal, batch, untracked
from edgekernel.core.errors import CycleError, ReactiveError

LONG_S = 10.0


def together(*functions: Callable[[], object]) -> None:
    """Run functions to their ends, each in a thread of its own."""
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
        assert not thread.is_alive()


def in_thread(function: Callable[[], object]) -> None:
    """Run a function to its end in another thread."""
    together(function)


def count_up(signal: Signal[int], last: int) -> None:
    """Set a signal to 1, 2, ... `last`."""
    for n in range(1, last + 1):
        signal.set(n)


def read_both(signal: Signal[int], computed: Computed[int]) -> int:
    """Read a signal and a computed."""
    return signal.get() + computed.get()


def watching(read: Callable[[], Any]) -> list[Any]:
    """Make an effect that notes what `read` returns; return the list of notes."""
    seen: list[Any] = []
    Effect(lambda: seen.append(read()))
    return seen


class TestSignal:
    def test_holds_a_value(self) -> None:
        """A signal gives what was set, through every way of reading."""
        signal = Signal(1)
        signal.set(2)
        assert (signal.get(), signal.peek(), signal.value) == (2, 2, 2)
        signal.value = 3
        assert signal.get() == 3

    def test_an_equal_set_changes_nothing(self) -> None:
        """P4: setting an equal value, though another object, runs nothing."""
        signal = Signal([1.5])
        seen = watching(signal.get)
        signal.set([1.5])
        assert seen == [[1.5]]

    def test_own_equality(self) -> None:
        """P4: `equals` decides what counts as a change."""
        signal = Signal(20.0, equals=lambda old, new: abs(old - new) < 0.5)
        seen = watching(signal.get)
        signal.set(20.4)
        signal.set(21.0)
        assert seen == [20.0, 21.0]

    def test_no_equality(self) -> None:
        """With `equals=False` every set is a change."""
        signal = Signal(1, equals=False)
        seen = watching(signal.get)
        signal.set(1)
        assert seen == [1, 1]

    def test_an_equality_that_raises_changes_nothing(self) -> None:
        """A comparison that raises is the setter's error; value and effects stay as they were."""

        def compare(old: int, new: int) -> bool:
            raise ValueError("cannot compare")

        signal = Signal(1, equals=compare)
        seen = watching(signal.get)
        with pytest.raises(ValueError, match="cannot compare"):
            signal.set(2)
        assert (signal.peek(), seen) == (1, [1])

    def test_set_from_many_threads(self, eager_switching: None) -> None:
        """P4: sets from any thread reach the effects; the last state is the one they end with."""
        signals = [Signal(0) for _ in range(4)]
        total = Computed(lambda: sum(signal.get() for signal in signals))
        seen = watching(total.get)
        together(*(partial(count_up, signal, 300) for signal in signals))
        assert seen[-1] == 1200
        assert all(a != b for a, b in pairwise(seen))

    def test_concurrent_sets_of_one_signal_lose_no_change(self, eager_switching: None) -> None:
        """P4: whatever value of several threads' sets stays, the effect has seen it last."""
        signal = Signal(-1)
        seen = watching(signal.get)

        def count(first: int) -> None:
            for n in range(300):
                signal.set(n * 4 + first)

        together(*(partial(count, first) for first in range(4)))
        assert seen[-1] == signal.peek()


class TestComputed:
    def test_is_lazy_and_cached(self) -> None:
        """P4: a computed runs when it is read first, and again only after an input changed."""
        runs: list[int] = []
        signal, other = Signal(1), Signal(1)
        double = Computed(lambda: runs.append(signal.get()) or signal.get() * 2)  # type: ignore[func-returns-value]
        assert runs == []
        assert (double.get(), double.get(), double.value, double.peek(), double()) == (2,) * 5
        other.set(2)
        assert double.get() == 2
        assert runs == [1]
        signal.set(3)
        assert runs == [1]
        assert double.get() == 6

    def test_an_equal_result_stops_the_change(self) -> None:
        """P4: an effect does not run when the computed it reads gives an equal value."""
        signal = Signal(1)
        odd = Computed(lambda: signal.get() % 2)
        seen = watching(odd.get)
        signal.set(3)
        signal.set(4)
        assert seen == [1, 0]

    def test_own_equality(self) -> None:
        """P4: `equals` of a computed decides what its dependants hear of."""
        signal = Signal(1.0)
        coarse = Computed(signal.get, equals=lambda old, new: abs(old - new) < 1)
        seen = watching(coarse.get)
        signal.set(1.5)
        signal.set(2.5)
        assert seen == [1.0, 2.5]

    def test_diamond(self) -> None:
        """P4: an effect behind two computeds of one signal runs once and sees both new."""
        signal = Signal(1)
        left = Computed(lambda: signal.get() + 1)
        right = Computed(lambda: signal.get() * 10)
        seen = watching(lambda: (left.get(), right.get(), signal.get()))
        signal.set(2)
        assert seen == [(2, 10, 1), (3, 20, 2)]

    def test_many_effects_on_one_computed(self) -> None:
        """P4: each of many effects on one computed runs once per change."""
        signal = Signal(1)
        double = Computed(lambda: signal.get() * 2)
        seen = [watching(double.get) for _ in range(10)]
        signal.set(2)
        assert seen == [[2, 4]] * 10

    def test_dynamic_dependencies(self) -> None:
        """P4: only what the latest run has read counts."""
        which, left, right = Signal("left"), Signal(1), Signal(10)
        picked = Computed(lambda: left.get() if which.get() == "left" else right.get())
        seen = watching(picked.get)
        right.set(11)
        which.set("right")
        left.set(2)
        right.set(12)
        assert seen == [1, 11, 12]

    def test_an_error_is_its_value(self) -> None:
        """P4: a computed that raises raises the same to every reader, and is run once for it."""
        runs: list[int] = []

        def divide() -> float:
            runs.append(divisor.get())
            return 1 / divisor.get()

        divisor = Signal(0)
        ratio = Computed(divide)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                ratio.get()
        assert runs == [0]
        divisor.set(2)
        assert ratio.get() == 0.5

    def test_dependants_recover_from_an_error(self) -> None:
        """P4: what depends on a computed that raised runs again when that has a value again."""
        divisor = Signal(1)
        ratio = Computed(lambda: 6 / divisor.get())
        behind = Computed(lambda: ratio.get() + 1)
        errors: list[Exception] = []
        seen: list[float] = []
        Effect(lambda: seen.append(behind.get()), on_error=errors.append)
        divisor.set(0)
        divisor.set(2)
        divisor.set(3)
        assert seen == [7.0, 4.0, 3.0]
        assert [type(error) for error in errors] == [ZeroDivisionError]

    def test_an_equality_that_raises_is_an_error_of_the_computed(self) -> None:
        """P4: a comparison that raises does not cut the dependants off."""

        def compare(old: int, new: int) -> bool:
            if new == 2:
                raise ValueError("cannot compare")
            return old == new

        signal = Signal(1)
        same = Computed(signal.get, equals=compare)
        errors: list[Exception] = []
        seen: list[int] = []
        Effect(lambda: seen.append(same.get()), on_error=errors.append)
        signal.set(2)
        signal.set(3)
        assert seen == [1, 3]
        assert [str(error) for error in errors] == ["cannot compare"]

    def test_an_error_is_told_whatever_the_value_compares_with(self) -> None:
        """P4: a value whose `==` expects its own kind hides no error that comes after it."""

        class Point:
            def __init__(self, x: int) -> None:
                self.x = x

            def __eq__(self, other: object) -> bool:
                return bool(self.x == other.x)  # type: ignore[attr-defined]

            __hash__ = None  # type: ignore[assignment]

        x = Signal(1)

        def locate() -> Point:
            if x.get() == 2:
                raise ValueError("lost")
            return Point(x.get())

        point = Computed(locate)
        seen: list[int | str] = []

        def follow() -> None:
            try:
                seen.append(point.get().x)
            except ValueError as error:
                seen.append(str(error))

        Effect(follow)
        for value in (2, 3):
            x.set(value)
        assert seen == [1, "lost", 3]

    def test_dispose_keeps_the_last_value(self) -> None:
        """A disposed computed gives its last value and follows nothing."""
        signal = Signal(1)
        double = Computed(lambda: signal.get() * 2)
        assert double.get() == 2
        double.dispose()
        signal.set(5)
        assert double.get() == 2

    def test_disposed_before_it_had_a_value(self) -> None:
        """Reading a computed that was disposed too early says so."""
        double = Computed(lambda: 1, name="double")
        double.dispose()
        with pytest.raises(ReactiveError, match="double: disposed before it had a value"):
            double.get()

    def test_a_cycle_is_named(self) -> None:
        """P4: computeds that need one another raise an error that names all members."""
        a: Computed[int] = Computed(lambda: b.get() + 1, name="a")
        b: Computed[int] = Computed(lambda: c.get() + 1, name="b")
        c: Computed[int] = Computed(lambda: a.get() + 1, name="c")
        with pytest.raises(CycleError, match=r"a -> b -> c -> a"):
            a.get()

    def test_a_cycle_that_opens_is_over(self) -> None:
        """P4: members of a cycle, and effects on them, recover when an input opens the cycle."""
        closed = Signal(False)
        a: Computed[int] = Computed(lambda: b.get() + 1 if closed.get() else 0, name="a")
        b: Computed[int] = Computed(lambda: a.get() + 1, name="b")
        errors: list[Exception] = []
        seen: list[tuple[int, int]] = []
        Effect(lambda: seen.append((a.get(), b.get())), on_error=errors.append)
        closed.set(True)
        with pytest.raises(CycleError):
            b.get()
        closed.set(False)
        assert (a.get(), b.get()) == (0, 1)
        assert seen == [(0, 1), (0, 1)]
        assert [type(error) for error in errors] == [CycleError]

    def test_what_is_read_after_a_caught_cycle_error(self) -> None:
        """P4: what a computed reads after it has caught the error of a cycle is followed too."""
        closed, source = Signal(False), Signal(1)

        def compute() -> int:
            if closed.get():
                with contextlib.suppress(CycleError):
                    around.get()
            return source.get()

        head = Computed(compute)
        around: Computed[int] = Computed(head.get)
        seen = watching(head.get)
        closed.set(True)
        source.set(2)
        assert (head.get(), seen) == (2, [1, 2])

    def test_effects_on_any_member_of_a_cycle_recover(self) -> None:
        """P4: an effect that reads only the member behind the switch recovers as well."""
        closed = Signal(True)
        a: Computed[int] = Computed(lambda: b.get() + 1 if closed.get() else 0, name="a")
        b: Computed[int] = Computed(lambda: a.get() + 1, name="b")
        errors: list[Exception] = []
        seen: list[int] = []
        Effect(a.get, on_error=errors.append)
        Effect(lambda: seen.append(b.get()), on_error=errors.append)
        closed.set(False)
        assert seen == [1]
        assert len(errors) == 2

    @pytest.mark.parametrize("depth", [100, 5000])
    def test_a_long_chain(self, depth: int) -> None:
        """P4: the length of a chain of computeds is not limited by the stack."""

        def behind(last: Computed[int]) -> Computed[int]:
            return Computed(lambda: last.get() + 1)

        signal = Signal(0)
        chain: list[Computed[int]] = [Computed(signal.get)]
        for _ in range(depth):
            chain.append(behind(chain[-1]))
        assert chain[-1].get() == depth
        seen = watching(chain[-1].get)
        signal.set(1)
        assert seen == [depth, depth + 1]

    @pytest.mark.parametrize("depth", [90, 140, 1000])
    def test_how_often_a_long_chain_runs(self, depth: int) -> None:
        """P4: a change runs each computed once; the first read begins none more than twice."""

        def behind(last: Signal[int] | Computed[int], place: int) -> Computed[int]:
            def compute() -> int:
                begun[place] += 1
                return last.get() + 1

            return Computed(compute)

        begun = [0] * depth
        signal = Signal(0)
        last = behind(signal, 0)
        for place in range(1, depth):
            last = behind(last, place)
        watching(last.get)
        assert set(begun) <= {1, 2}
        begun[:] = [0] * depth
        signal.set(1)
        assert begun == [1] * depth

    def test_a_read_in_another_thread_while_it_is_computed(self) -> None:
        """A computed that one thread is computing can be read by another, which waits for none."""
        entered, go_on = threading.Event(), threading.Event()
        slow = [True]

        def compute() -> int:
            if slow.pop() if slow else False:
                entered.set()
                assert go_on.wait(LONG_S)
            return signal.get()

        signal = Signal(7)
        value = Computed(compute)
        thread = threading.Thread(target=value.get)
        thread.start()
        assert entered.wait(LONG_S)
        assert value.get() == 7
        go_on.set()
        thread.join(LONG_S)
        assert value.get() == 7


class TestOvertaken:
    """Changes by other threads in the middle of a computation are never lost."""

    def test_by_a_change_of_something_else(self) -> None:
        """P4: an unrelated set during a check does not cut an effect off."""
        signal, noise = Signal(0), Signal(0)

        def compute() -> int:
            value = signal.get() // 10
            in_thread(lambda: noise.set(noise.peek() + 1))
            return value

        tens = Computed(compute)
        behind = Computed(tens.get)
        seen = watching(behind.get)
        signal.set(1)
        signal.set(10)
        assert seen == [0, 1]

    def test_again_and_again(self) -> None:
        """P4: a computed that is overtaken at each attempt leaves its effects subscribed."""
        signal = Signal(0)
        bothered = [False]

        def compute() -> int:
            value = signal.get() // 1000
            if bothered[0]:
                in_thread(lambda: signal.set(signal.peek() + 1))
            return value

        thousands = Computed(compute)
        runs: list[int] = []

        def follow() -> None:
            runs.append(thousands.get())
            if len(runs) > 20:
                bothered[0] = False

        effect = Effect(follow)
        attempts: list[int] = []

        def stop_after_many() -> None:
            attempts.append(signal.get())
            if len(attempts) > 20:
                bothered[0] = False

        Effect(stop_after_many)
        bothered[0] = True
        signal.set(1)
        assert bothered == [False]
        signal.set(2000)
        assert runs[-1] == 2
        effect.dispose()

    def test_a_reader_with_an_old_result(self) -> None:
        """P4: a slow reader's outdated result does not replace a newer one, nor cut effects off."""
        signal = Signal(0)
        entered, go_on = threading.Event(), threading.Event()
        reader: list[threading.Thread] = []

        def compute() -> int:
            value = signal.get()
            if reader and threading.current_thread() is reader[0] and not entered.is_set():
                entered.set()
                assert go_on.wait(LONG_S)
            return value // 10

        tens = Computed(compute)
        keep = Signal(0)
        seen: list[int] = []
        holding = threading.Event()
        hold = threading.Event()

        def blocker() -> None:
            if keep.get():
                holding.set()
                assert hold.wait(LONG_S)

        Effect(blocker)
        Effect(lambda: seen.append(tens.get()))
        runner = threading.Thread(target=lambda: keep.set(1))
        runner.start()  # the queue is busy: the set marks, but the effect does not run yet
        assert holding.wait(LONG_S)
        signal.set(1)
        reader.append(threading.Thread(target=tens.get))
        reader[0].start()  # computes with signal == 1, and is slow
        assert entered.wait(LONG_S)
        signal.set(2)
        hold.set()  # the effect checks: tens is still 0
        runner.join(LONG_S)
        assert tens.get() == 0
        go_on.set()
        reader[0].join(LONG_S)
        signal.set(30)
        assert seen == [0, 3]

    def test_by_a_batch_in_the_middle_of_a_check(self) -> None:
        """P4: a batch that sets while a reader checks a computed still tells its effects."""
        signal, other = Signal(0), Signal(0)
        did_set, finish = threading.Event(), threading.Event()
        threads: list[threading.Thread] = []

        def set_in_batch() -> None:
            with batch():
                signal.set(5)
                did_set.set()
                assert finish.wait(LONG_S)

        def compute() -> int:
            if other.get() == 1 and not threads:
                threads.append(threading.Thread(target=set_in_batch))
                threads[0].start()
                assert did_set.wait(LONG_S)
            return other.get() // 10

        tens = Computed(compute)
        both = Computed(lambda: signal.get() + tens.get())
        seen = watching(both.get)
        with batch():
            other.set(1)
            both.peek()
            finish.set()
            threads[0].join(LONG_S)
        assert seen == [0, 5]

    def test_the_reader_of_its_own_write(self) -> None:
        """A thread that sets and then reads never gets what was before its set."""
        mine, noise = Signal(0), Signal(0)
        bothered = [False]

        def compute() -> tuple[int, int]:
            got = (mine.get(), noise.get())
            if bothered[0]:
                in_thread(lambda: noise.set(noise.peek() + 1))
            return got

        both = Computed(compute)
        behind = Computed(lambda: both.get()[0])
        assert behind.get() == 0
        bothered[0] = True
        mine.set(1)
        assert both.get()[0] == 1
        assert behind.get() == 1
        bothered[0] = False
        assert behind.get() == 1


class TestEffect:
    def test_runs_at_once_and_on_change(self) -> None:
        """An effect runs when it is made, and in the thread of the set when nobody else runs."""
        signal = Signal(1)
        threads: list[int] = []

        def read() -> int:
            threads.append(threading.get_ident())
            return signal.get()

        seen = watching(read)
        signal.set(2)
        assert seen == [1, 2]
        assert set(threads) == {threading.get_ident()}

    def test_lazy(self) -> None:
        """A lazy effect runs first when it is told to."""
        signal = Signal(1)
        seen: list[int] = []
        effect = Effect(lambda: seen.append(signal.get()), lazy=True)
        signal.set(2)
        assert seen == []
        effect.run()
        signal.set(3)
        assert seen == [2, 3]

    def test_runs_when_told(self) -> None:
        """`run` runs it although nothing has changed."""
        signal = Signal(1)
        seen: list[int] = []
        effect = Effect(lambda: seen.append(signal.get()))
        effect.run()
        assert seen == [1, 1]

    def test_dynamic_dependencies(self) -> None:
        """P4: an effect hears only of what its latest run has read."""
        armed, level = Signal(False), Signal(1)
        seen = watching(lambda: level.get() if armed.get() else None)
        level.set(2)
        armed.set(True)
        level.set(3)
        armed.set(False)
        level.set(4)
        assert seen == [None, 2, 3, None]

    def test_untracked_and_peek(self) -> None:
        """What is read untracked, or with peek, is no dependency; what is read outside is."""
        a, b, c = Signal(1), Signal(10), Signal(100)

        def add() -> int:
            with untracked():
                hidden = b.get()
            return a.get() + hidden + c.peek()

        seen = watching(add)
        b.set(20)
        c.set(200)
        a.set(2)
        assert seen == [111, 222]

    def test_order_of_a_fan_out(self) -> None:
        """P4: 5,000 effects of one signal run once each, in the order of their making."""
        signal = Signal(0)
        order: list[int] = []

        def note(n: int) -> None:
            signal.get()
            order.append(n)

        effects = [Effect(partial(note, n)) for n in range(5000)]
        order.clear()
        signal.set(1)
        assert order == list(range(5000))
        for effect in effects:
            effect.dispose()

    def test_order_is_that_of_making_whatever_was_read_when(self) -> None:
        """P4: the order of making holds although the later effect began to depend earlier."""
        signal, armed = Signal(0), Signal(False)
        order: list[str] = []
        Effect(lambda: order.append(f"first {signal.get() if armed.get() else 0}"))
        Effect(lambda: order.append(f"second {signal.get()}"))
        armed.set(True)
        order.clear()
        signal.set(1)
        assert order == ["first 1", "second 1"]

    def test_an_error_leaves_it_subscribed(self, caplog: pytest.LogCaptureFixture) -> None:
        """P4: an effect that raised is reported, and runs again at the next change."""
        signal = Signal(1)
        seen: list[float] = []

        def divide() -> None:
            seen.append(1 / signal.get())

        Effect(divide, name="divide")
        signal.set(0)
        signal.set(2)
        assert seen == [1.0, 0.5]
        assert [record.message for record in caplog.records] == ["effect divide failed"]
        assert caplog.records[0].exc_info

    def test_error_hook(self) -> None:
        """P4: `on_error` is given what the function raises; other effects go on."""
        signal = Signal(1)
        errors: list[str] = []

        def fail() -> None:
            raise RuntimeError(f"at {signal.get()}")

        Effect(fail, on_error=lambda error: errors.append(str(error)))
        seen = watching(signal.get)
        signal.set(2)
        assert errors == ["at 1", "at 2"]
        assert seen == [1, 2]

    def test_cleanup_comes_before_the_next_run_and_at_dispose(self) -> None:
        """P4: what an effect returns is called once, before the next run or at dispose."""
        signal = Signal(1)
        steps: list[str] = []

        def follow() -> Callable[[], None]:
            now = signal.get()
            steps.append(f"run {now}")
            return lambda: steps.append(f"clean {now}")

        effect = Effect(follow)
        signal.set(2)
        effect.dispose()
        effect.dispose()
        signal.set(3)
        assert steps == ["run 1", "clean 1", "run 2", "clean 2"]

    def test_a_cleanup_depends_on_nothing(self) -> None:
        """What a cleanup reads is no dependency of its effect."""
        signal, other = Signal(1), Signal(1)
        seen: list[int] = []

        def follow() -> Callable[[], object]:
            seen.append(signal.get())
            return other.get

        Effect(follow)
        signal.set(2)
        other.set(2)
        assert seen == [1, 2]

    def test_a_cleanup_that_raises_stops_nothing(self) -> None:
        """P4: a failing cleanup is reported; the run it precedes, and dispose, still happen."""
        signal = Signal(1)
        seen: list[int] = []
        errors: list[str] = []

        def follow() -> Callable[[], None]:
            seen.append(signal.get())

            def clean_up() -> None:
                raise RuntimeError("stuck")

            return clean_up

        effect = Effect(follow, on_error=lambda error: errors.append(str(error)))
        signal.set(2)
        effect.dispose()
        signal.set(3)
        assert seen == [1, 2]
        assert errors == ["stuck", "stuck"]

    def test_a_cleanup_that_raises_spares_the_owned_effects(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """P4: all owned effects are disposed although the cleanup of one raises."""
        signal = Signal(1)
        seen: list[str] = []

        def bad() -> Callable[[], object]:
            return lambda: 1 / 0

        def outer() -> None:
            Effect(bad, name="bad")
            Effect(lambda: seen.append(f"inner {signal.get()}"))

        effect = Effect(outer)
        effect.dispose()
        signal.set(2)
        assert seen == ["inner 1"]
        assert "bad" in caplog.text

    def test_owns_the_effects_made_in_it(self) -> None:
        """P4: effects made in an effect go with its run, so that none accumulate."""
        outer_signal, inner_signal = Signal(1), Signal(10)
        steps: list[str] = []

        def outer() -> None:
            now = outer_signal.get()
            Effect(lambda: steps.append(f"inner {now} {inner_signal.get()}"))

        effect = Effect(outer)
        outer_signal.set(2)
        inner_signal.set(20)
        assert steps == ["inner 1 10", "inner 2 10", "inner 2 20"]
        effect.dispose()
        inner_signal.set(30)
        assert len(steps) == 3

    def test_an_owned_effect_does_not_run_for_a_change_that_reruns_its_owner(self) -> None:
        """P4: when owner and owned depend on the same change, the old owned one does not run."""
        signal = Signal(1)
        steps: list[str] = []

        def outer() -> None:
            now = signal.get()
            Effect(lambda: steps.append(f"made at {now}, sees {signal.get()}"))

        Effect(outer)
        signal.set(2)
        assert steps == ["made at 1, sees 1", "made at 2, sees 2"]

    def test_what_an_owned_effect_reads_is_not_read_by_its_owner(self) -> None:
        """P4: reads of an effect made inside another are its own."""
        signal = Signal(1)
        runs: list[str] = []

        def outer() -> None:
            runs.append("outer")
            Effect(lambda: runs.append(f"inner {signal.get()}"))

        Effect(outer)
        signal.set(2)
        assert runs == ["outer", "inner 1", "inner 2"]

    def test_an_owned_effect_that_raises_harms_not_its_owner(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """P3: the first run of an effect that raises is reported and harms not who made it."""
        steps: list[str] = []
        signal = Signal(0)

        def outer() -> None:
            Effect(lambda: steps.append(f"inner {1 // signal.get()}"), name="inner")
            steps.append("outer")

        Effect(outer)
        signal.set(1)
        assert steps == ["outer", "inner 1"]
        assert [record.message for record in caplog.records] == ["effect inner failed"]

    def test_may_dispose_itself(self) -> None:
        """P4: an effect that disposes itself while it runs runs no more and is cleaned up."""
        signal = Signal(1)
        steps: list[str] = []

        def follow() -> Callable[[], None]:
            steps.append(f"run {signal.get()}")
            if signal.get() == 2:
                effect.dispose()
            return lambda: steps.append("clean")

        effect = Effect(follow)
        signal.set(2)
        signal.set(3)
        assert steps == ["run 1", "clean", "run 2", "clean"]

    def test_may_dispose_another_that_is_queued(self) -> None:
        """P4: an effect that is disposed before its turn does not run any more."""
        signal = Signal(1)
        seen: list[int] = []

        def dispose_later() -> None:
            if signal.get() == 2:
                later.dispose()

        Effect(dispose_later)
        later = Effect(lambda: seen.append(signal.get()))
        signal.set(2)
        assert seen == [1]

    def test_disposed_by_another_thread_while_it_runs(self) -> None:
        """P4: an effect disposed in the middle of its run is cleaned up after that run."""
        signal = Signal(1)
        steps: list[str] = []

        def follow() -> Callable[[], None]:
            if signal.get() == 2:
                in_thread(effect.dispose)
            steps.append("run")
            return lambda: steps.append("clean")

        effect = Effect(follow)
        signal.set(2)
        signal.set(3)
        assert steps == ["run", "clean", "run", "clean"]

    def test_an_effect_that_joins_a_thread(self) -> None:
        """P2: an effect may wait for a thread that reads and sets signals and makes effects."""
        signal, result, done = Signal(0), Signal(0), Signal(0)
        double = Computed(lambda: signal.get() * 2)

        def work() -> None:
            with batch():
                result.set(double.get() + signal.get())
                done.set(1)
            Effect(result.get).dispose()

        def wait() -> None:
            signal.get()
            in_thread(work)

        Effect(wait)
        seen = watching(lambda: (result.get(), done.get()))
        signal.set(5)
        assert seen == [(0, 1), (15, 1)]

    def test_reads_do_not_wait_for_an_effect(self) -> None:
        """P2: while an effect blocks, other threads read and set every signal, also its own."""
        signal, other = Signal(0), Signal(0)
        triple = Computed(lambda: signal.get() * 3)
        entered, go_on = threading.Event(), threading.Event()

        def block() -> None:
            if triple.get() == 3:
                entered.set()
                assert go_on.wait(LONG_S)

        Effect(block)
        seen = watching(other.get)
        thread = threading.Thread(target=lambda: signal.set(1))
        thread.start()
        assert entered.wait(LONG_S)
        assert (signal.get(), triple.get(), other.get()) == (1, 3, 0)
        other.set(1)
        signal.set(2)
        assert triple.get() == 6
        assert seen == [0]
        go_on.set()
        thread.join(LONG_S)
        assert seen == [0, 1]

    def test_one_at_a_time(self, eager_switching: None) -> None:
        """P2: effects never run beside one another, whoever sets."""
        signals = [Signal(0) for _ in range(4)]
        inside: list[int] = []
        overlaps: list[int] = []

        def follow(signal: Signal[int]) -> None:
            inside.append(1)
            signal.get()
            if len(inside) > 1:
                overlaps.append(1)
            inside.pop()

        for signal in signals:
            Effect(partial(follow, signal))
        together(*(partial(count_up, signal, 300) for signal in signals))
        assert overlaps == []


class TestWritesInEffects:
    def test_what_one_run_sets_is_one_change(self) -> None:
        """P4: what an effect sets in one run reaches another effect as one change, after it."""
        celsius, low, high = Signal(20), Signal(15), Signal(25)
        seen: list[tuple[int, int]] = []

        def follow() -> None:
            low.set(celsius.get() - 5)
            high.set(celsius.get() + 5)

        effects = [Effect(follow), Effect(lambda: seen.append((low.get(), high.get())))]
        celsius.set(30)
        assert seen == [(15, 25), (25, 35)]
        for each in effects:
            each.dispose()

    def test_a_write_to_its_own_input_converges(self) -> None:
        """P4: an effect that sets what it reads runs until nothing changes."""
        level = Signal(0)
        seen: list[int] = []

        def rise() -> None:
            seen.append(level.get())
            level.set(min(level.get() + 1, 4))

        Effect(rise)
        assert seen == [0, 1, 2, 3, 4]
        level.set(2)
        assert seen[5:] == [2, 3, 4]

    def test_two_effects_converge(self) -> None:
        """P4: effects that set one another's inputs end in a consistent state."""
        a, b = Signal(0), Signal(0)
        Effect(lambda: b.set(min(a.get() + 1, 10)))
        Effect(lambda: a.set(min(b.get() + 1, 10)))
        assert (a.peek(), b.peek()) == (10, 10)

    def test_a_write_that_never_ends_is_reported_and_cut(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """P4: an effect that keeps changing its own input is reported by name and stopped."""
        level, armed = Signal(0), Signal(False)

        def rise() -> None:
            if armed.get():
                level.set(level.get() + 1)

        Effect(rise, name="rise")
        armed.set(True)
        cut = level.peek()
        assert cut > 10
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        assert "feedback loop" in caplog.text
        assert "effect rise" in caplog.text

    def test_ping_pong_is_reported_with_all_members(self, caplog: pytest.LogCaptureFixture) -> None:
        """P4: effects that set one another's inputs for ever are named, all of them."""
        a, b = Signal(0), Signal(0)

        def play(seen: Signal[int], other: Signal[int]) -> None:
            if seen.get():
                other.set(seen.get() + 1)

        Effect(lambda: play(a, b), name="ping")
        Effect(lambda: play(b, a), name="pong")
        bystander = watching(a.get)
        a.set(1)
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        assert "effect ping" in caplog.text
        assert "effect pong" in caplog.text
        assert bystander[-1] == a.peek()

    @pytest.mark.parametrize("through_computed", [False, True])
    def test_a_cut_effect_hears_of_the_next_change(
        self, through_computed: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        """P4: after its loop was cut, an effect still runs at the next change of an input."""
        level, rising = Signal(0), [True]
        same = Computed(level.get)
        read = same.get if through_computed else level.get
        seen: list[int] = []

        def rise() -> None:
            seen.append(read())
            if rising[0]:
                level.set(level.peek() + 1)

        Effect(rise, name="rise")
        assert "feedback loop" in caplog.text
        rising[0] = False
        level.set(-5)
        level.set(-6)
        assert seen[-2:] == [-5, -6]


class TestBatch:
    def test_is_one_change(self) -> None:
        """P4: effects run once, at the end of the outermost batch; values are there at once."""
        a, b = Signal(1), Signal(2)
        total = Computed(lambda: a.get() + b.get())
        seen = watching(lambda: (a.get(), b.get(), total.get()))
        with batch():
            a.set(10)
            with batch():
                b.set(20)
            assert (a.get(), total.get()) == (10, 30)
            assert seen == [(1, 2, 3)]
        assert seen == [(1, 2, 3), (10, 20, 30)]

    def test_a_net_unchanged_batch_runs_nothing(self) -> None:
        """P4: what has its old value again when the batch ends has not changed."""
        signal = Signal(1)
        double = Computed(lambda: signal.get() * 2)
        seen = watching(signal.get)
        behind = watching(double.get)
        with batch():
            signal.set(2)
            signal.set(1)
        assert (seen, behind) == ([1], [2])
        signal.set(3)
        assert (seen, behind) == ([1, 3], [2, 6])

    def test_a_net_unchanged_batch_in_which_a_computed_was_read(self) -> None:
        """P4: a computed read half-way does not make a net-unchanged batch a change."""
        signal = Signal(1)
        double = Computed(lambda: signal.get() * 2)
        behind = Computed(lambda: double.get() + 1)
        seen = watching(double.get)
        seen_behind = watching(behind.get)
        with batch():
            signal.set(2)
            assert behind.get() == 5
            signal.set(1)
        assert (double.get(), behind.get()) == (2, 3)
        assert (seen, seen_behind) == ([2], [3])
        signal.set(3)
        assert (seen, seen_behind) == ([2, 6], [3, 7])

    def test_a_computed_read_in_a_batch_still_tells_its_effects(self) -> None:
        """P4: reading a computed inside a batch takes nothing from who depends on it."""
        signal = Signal(1)
        double = Computed(lambda: signal.get() * 2)
        seen = watching(double.get)
        with batch():
            signal.set(2)
            assert double.get() == 4
        assert seen == [2, 4]

    def test_that_raises(self) -> None:
        """P4: what was set before a batch raised is told all the same."""
        signal = Signal(1)
        seen = watching(signal.get)

        def fail() -> None:
            with batch():
                signal.set(2)
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert seen == [1, 2]

    def test_with_an_equality_that_raises_at_its_end(self) -> None:
        """P4: a comparison that fails at the end counts as a change and hides no other."""

        def compare(old: int, new: int) -> bool:
            if (old, new) == (1, 3):
                raise ValueError("cannot compare")
            return old == new

        signal, other = Signal(1, equals=compare), Signal(1)
        seen = watching(lambda: (signal.get(), other.get()))
        with batch():
            signal.set(2)
            signal.set(3)
            other.set(2)
        assert seen == [(1, 1), (3, 2)]

    def test_belongs_to_its_thread(self) -> None:
        """P4: while a batch is open here, a set of another thread takes effect at once."""
        mine, theirs = Signal(0), Signal(0)
        seen_mine, seen_theirs = watching(mine.get), watching(theirs.get)
        with batch():
            mine.set(1)
            in_thread(lambda: theirs.set(1))
            assert seen_theirs == [0, 1]
            assert seen_mine == [0]
        assert seen_mine == [0, 1]

    def test_others_see_no_mixture(self) -> None:
        """P4: who reads during another's batch gets computeds that fit the signals."""
        signal, theirs = Signal(1), Signal(0)
        double = Computed(lambda: signal.get() * 2)
        behind = watching(double.get)
        seen = watching(lambda: (theirs.get(), signal.get(), double.get()))
        with batch():
            signal.set(2)
            in_thread(lambda: theirs.set(1))
            fresh = watching(lambda: (signal.get(), double.get()))
        assert all(twice == 2 * once for _, once, twice in seen)
        assert all(twice == 2 * once for once, twice in fresh)
        assert behind == [2, 4]
        assert seen[-1] == (1, 2, 4)

    def test_does_not_swallow_another_threads_net_change(self, eager_switching: None) -> None:
        """P4: a batch that comes back to its old value hides no run that saw the value between."""
        signal = Signal(0)
        total = [0]
        seen: list[int] = []
        stop = threading.Event()
        poke = Signal(0)
        Effect(lambda: seen.append(signal.get() + 0 * poke.get()))

        def flicker() -> None:
            while not stop.is_set():
                with batch():
                    signal.set(1)
                    signal.set(0)
                total[0] += 1

        thread = threading.Thread(target=flicker)
        thread.start()
        for n in range(1, 3000):
            poke.set(n)
        stop.set()
        thread.join(LONG_S)
        assert seen[-1] == 0

    def test_a_task_that_outlives_it(self) -> None:
        """P4: a task begun inside a batch is not in it once the batch has ended."""
        signal = Signal(0)
        seen = watching(signal.get)

        async def later() -> None:
            signal.set(1)

        async def main() -> None:
            with batch():
                task = asyncio.create_task(later())
            await task

        asyncio.run(main())
        assert seen == [0, 1]

    def test_a_task_that_outlives_an_effect(self) -> None:
        """P4: what a task reads that an effect has begun is no dependency of the effect."""
        signal, other = Signal(0), Signal(0)
        runs: list[int] = []
        tasks: list[asyncio.Task[int]] = []

        async def read() -> int:
            return other.get()

        async def main() -> None:
            def follow() -> None:
                runs.append(signal.get())
                if not tasks:
                    tasks.append(asyncio.get_running_loop().create_task(read()))

            Effect(follow)
            await tasks[0]
            other.set(1)
            with batch():
                signal.set(1)
                signal.set(0)

        asyncio.run(main())
        assert runs == [0]


class TestMemory:
    def test_dropped_computeds_are_freed(self) -> None:
        """P4: a computed that nobody holds is freed, though the signals it read live on."""
        signal = Signal(1)
        double = Computed(lambda: signal.get() * 2)
        double.get()
        effect = Effect(double.get)
        effect.dispose()
        gone = weakref.ref(double)
        del double, effect
        gc.collect()
        assert gone() is None

    def test_disposed_effects_are_freed(self) -> None:
        """P4: a disposed effect and what only it has held are freed."""
        signal = Signal(1)
        double = Computed(lambda: signal.get() * 2)
        effect = Effect(partial(read_both, signal, double))
        signal.set(2)
        effect.dispose()
        gone = weakref.ref(effect), weakref.ref(double)
        del double, effect
        gc.collect()
        assert [ref() for ref in gone] == [None, None]
        signal.set(3)

    def test_an_effect_lives_with_its_signals(self) -> None:
        """An effect that nobody holds works as long as what it reads, and goes with that."""
        signal = Signal(1)
        seen = watching(signal.get)
        gc.collect()
        signal.set(2)
        assert seen == [1, 2]
        gone = weakref.ref(signal)
        del signal
        gc.collect()
        assert gone() is None

    def test_a_hundred_thousand_of_each(self) -> None:
        """P4: making, using and dropping computeds and effects for ever keeps none of them."""
        signal = Signal(1)
        alive: weakref.WeakSet[object] = weakref.WeakSet()
        double: Computed[int] | None
        effect: Effect | None
        for n in range(100_000):
            double = Computed(lambda: signal.get() * 2)
            double.get()
            alive.add(double)
            if n % 10 == 0:
                effect = Effect(double.get)
                alive.add(effect)
                effect.dispose()
        double = effect = None
        gc.collect()
        assert len(alive) == 0

    def test_an_owner_keeps_no_earlier_runs(self) -> None:
        """P4: the effects of an owner's earlier runs are freed."""
        signal = Signal(0)
        alive: weakref.WeakSet[object] = weakref.WeakSet()

        def outer() -> None:
            signal.get()
            alive.add(Effect(signal.peek))

        Effect(outer)
        for n in range(1, 100):
            signal.set(n)
        gc.collect()
        assert len(alive) == 1
