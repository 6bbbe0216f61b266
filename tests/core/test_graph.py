"""The signal graph among threads, contexts and interrupts (promise P4)."""

from __future__ import annotations

import contextlib
import contextvars
import gc
import random
import signal
import sys
import threading
from collections.abc import Callable, Generator
from itertools import pairwise
from types import FrameType

import pytest

from edgekernel import Computed, Effect, Signal, batch
from edgekernel.core import graph
from tests.core.threads import LONG_S, Beside


def numbers(read: Callable[[], int]) -> list[int]:
    """Make an effect that notes what `read` returns; return the list of notes."""
    seen: list[int] = []
    Effect(lambda: seen.append(read()))
    return seen


class SlowOnce:
    """A computed whose function waits in the middle, once, when told to."""

    def __init__(self, source: Signal[int]) -> None:
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.armed = False
        self._source = source
        self.computed = Computed(self._compute)

    def _compute(self) -> int:
        value = self._source.get()
        if self.armed:
            self.armed = False
            self.entered.set()
            assert self.go_on.wait(LONG_S)
        return value


class TestBesideOneAnother:
    def test_an_outdated_result_hides_no_change_back(self) -> None:
        """P4: an effect that saw a value hears when a slow reader's older one is right again."""
        source = Signal(0)
        slow = SlowOnce(source)
        seen = numbers(slow.computed.get)
        slow.armed = True
        reader = Beside(lambda: source.set(1))  # its effect computes, and is slow
        assert slow.entered.wait(LONG_S)
        source.set(2)
        assert slow.computed.get() == 2
        slow.go_on.set()
        reader.end()
        source.set(1)
        assert slow.computed.get() == seen[-1] == 1

    def test_a_result_that_is_back_when_the_slow_one_ends(self) -> None:
        """P4: what readers get while another thread computes is told when it is over."""
        source, other = Signal(0), Signal(0)
        slow = SlowOnce(source)
        assert slow.computed.get() == 0
        slow.armed = True
        source.set(1)
        reader = Beside(slow.computed.get)
        assert slow.entered.wait(LONG_S)
        source.set(2)
        seen = numbers(lambda: slow.computed.get() + 0 * other.get())
        source.set(0)
        slow.go_on.set()
        reader.end()
        other.set(1)
        assert slow.computed.get() == seen[-1] == 0

    def test_a_thread_with_a_copied_context_is_not_tracked(self) -> None:
        """P4: what a thread reads that was begun in an effect's run is not read by the effect."""
        mine, theirs, last = Signal(0), Signal(0), Signal(0)
        runs: list[int] = []

        def follow() -> None:
            mine.get()
            Beside(lambda: (mine.get(), theirs.get(), last.get())).end()
            runs.append(last.get())

        Effect(follow)
        theirs.set(1)
        assert runs == [0]
        last.set(1)
        assert runs == [0, 1]
        theirs.set(2)
        assert runs == [0, 1]

    def test_a_computed_read_by_such_a_thread(self) -> None:
        """P4: such a thread may compute as well, and neither disturbs the other's reads."""
        source, hidden = Signal(1), Signal(10)
        double = Computed(lambda: hidden.get() * 2)
        results: list[object] = []
        seen: list[int] = []

        def follow() -> None:
            Beside(lambda: results.append(double.get())).end()
            seen.append(source.get())

        Effect(follow)
        hidden.set(20)
        source.set(2)
        assert (seen, results) == ([1, 2], [20, 40])

    def test_an_effect_runs_once_for_what_it_saw_changing(self, eager_switching: None) -> None:
        """P4: an effect that read the new value of a set beside it does not run again for it."""
        source = Signal(0)
        seen = numbers(source.get)

        def count(step: int) -> None:
            for n in range(1, 400):
                source.set(n * step)

        threads = [Beside(lambda: count(1)), Beside(lambda: count(-1))]
        for thread in threads:
            thread.end()
        assert seen[-1] == source.peek()
        assert all(a != b for a, b in pairwise(seen))


def interrupt_at(call: int, function: Callable[[], object]) -> bool:
    """Let Ctrl-C come at the n-th call of a function of ours; say whether there were so many.

    It comes at its first instruction, which is where the interpreter looks for signals.
    """
    left = call

    def trace(frame: FrameType, event: str, what: object) -> None:
        nonlocal left
        if frame.f_globals.get("__name__", "").startswith("edgekernel."):
            left -= 1
            if not left:
                raise KeyboardInterrupt

    before = sys.gettrace()
    with contextlib.suppress(KeyboardInterrupt):
        try:
            sys.settrace(trace)
            function()
        finally:
            sys.settrace(before)
    return left <= 0


def change_and_dispose(source: Signal[int]) -> None:
    """What happens in the life of an effect."""
    effect = Effect(Computed(source.get).get)
    source.set(source.peek() + 1)
    effect.dispose()


def own_and_clean_up(source: Signal[int]) -> None:
    """An effect that owns another one and cleans up."""

    def follow() -> Callable[[], object]:
        Effect(source.get)
        return lambda: None

    effect = Effect(follow)
    effect.run()
    effect.dispose()


def compute_and_dispose(source: Signal[int]) -> None:
    """A computed that goes, after the effect behind it."""
    double = Computed(lambda: source.get() * 2)
    effect = Effect(double.get)
    source.set(source.peek() + 1)
    effect.dispose()
    double.dispose()


LIVES = {
    life.__name__: life for life in (change_and_dispose, own_and_clean_up, compute_and_dispose)
}


class TestInterrupts:
    def test_an_interrupted_computed_computes_again(self) -> None:
        """P3: KeyboardInterrupt in a computed's function leaves it as if it had not been read."""
        source, armed = Signal(1), [False]

        def compute() -> int:
            value = source.get()
            if armed[0]:
                armed[0] = False
                raise KeyboardInterrupt
            return value

        value = Computed(compute)
        seen = numbers(Computed(value.get).get)
        assert value.get() == 1
        armed[0] = True
        with pytest.raises(KeyboardInterrupt):
            source.set(2)
        assert value.get() == 2
        source.set(3)
        assert (value.get(), seen[-1]) == (3, 3)

    def test_a_handler_that_sets_in_the_middle_of_a_set(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """P3: a signal handler or destructor that interrupts a set and sets itself hangs nobody."""
        monkeypatch.setattr("edgekernel.core.graph._STUCK_S", 0.01)
        interrupted, other = Signal(0), Signal(0)
        seen, others = numbers(interrupted.get), threading.Event()
        Effect(lambda: others.set() if other.get() == 1 else None)

        def interrupt(frame: FrameType, event: str, arg: object) -> None:
            if event == "call" and frame.f_code.co_name == "mark":  # where the guard is held
                sys.setprofile(None)
                other.set(1)

        sys.setprofile(interrupt)
        try:
            interrupted.set(1)
        finally:
            sys.setprofile(None)
        assert seen == [0, 1]
        assert others.wait(LONG_S)

    def test_interrupts_at_any_moment_wedge_nothing(self) -> None:
        """P3: wherever in the engine Ctrl-C comes, sets and effects go on afterwards."""
        source, flipping = Signal(0), Signal(0)
        double = Computed(lambda: source.get() * 2 if flipping.get() % 2 else source.get())
        seen = numbers(double.get)
        moments = random.Random(1)
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        callbacks = gc.callbacks.copy()
        gc.callbacks.clear()  # hypothesis has one: an interrupt that came in it would be lost
        try:
            for _ in range(1500):
                with contextlib.suppress(KeyboardInterrupt):
                    signal.setitimer(signal.ITIMER_REAL, moments.uniform(1e-6, 2e-4))
                    for _ in range(10_000):  # an interrupt in a destructor is lost
                        flipping.set(flipping.peek() + 1)
                        source.set(source.peek() + 1)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            gc.callbacks.extend(callbacks)
        Beside(lambda: source.set(-1)).end()
        flipping.set(-1)
        assert (double.get(), seen[-1]) == (-2, -2)

    @pytest.mark.parametrize("life", LIVES.values(), ids=LIVES.keys())
    def test_interrupts_leave_the_guard_free(self, life: Callable[[Signal[int]], object]) -> None:
        """P3: wherever Ctrl-C comes while effects are made and go, the graph is not left locked."""
        call, interrupted = 0, True
        while interrupted:
            call += 1
            interrupted = interrupt_at(call, lambda: life(Signal(0)))
            free, graph.guard.free = hasattr(graph.guard, "free"), True
            assert free, f"interrupted at call {call}"
        assert call > 10
        source = Signal(0)
        seen = numbers(source.get)
        Beside(lambda: source.set(-1)).end()
        assert seen[-1] == -1


class TestRuns:
    def test_an_effect_told_to_run_in_its_own_run(self) -> None:
        """`run` in the middle of its own run makes it run once more afterwards."""
        steps: list[str] = []

        def follow() -> None:
            steps.append("begin")
            if len(steps) == 1:
                effect.run()
            steps.append("end")

        effect = Effect(follow, lazy=True)
        effect.run()
        assert steps == ["begin", "end", "begin", "end"]

    def test_reads_in_another_order(self) -> None:
        """P4: the order of reads, and how often each is read, makes no difference."""
        turned, a, b = Signal(False), Signal(1), Signal(10)
        runs: list[int] = []

        def add() -> int:
            if turned.get():
                return b.get() + a.get() + b.get() + a.get() + turned.get()
            return a.get() + b.get()

        total = Computed(add)
        Effect(lambda: runs.append(total.get()))
        turned.set(True)
        a.set(2)
        b.set(20)
        turned.set(False)
        a.set(3)
        assert runs == [11, 23, 25, 45, 22, 23]

    def test_two_batches_that_change_nothing(self) -> None:
        """P4: after batches that put everything back a real change runs the effect, once."""
        source, other = Signal(1), Signal(1)
        same = Computed(lambda: other.get() // 10)
        seen = numbers(lambda: source.get() + same.get())
        for _ in range(2):
            with batch():
                source.set(2)
                source.set(1)
        other.set(2)
        assert seen == [1]
        source.set(3)
        assert seen == [1, 3]

    def test_an_effect_made_in_a_batch_that_puts_back_what_it_saw(self) -> None:
        """P4: what ran in the middle of a batch runs again if it saw what was put back."""
        source = Signal(1)
        double = Computed(lambda: source.get() * 2)
        with batch():
            source.set(5)
            seen, behind = numbers(source.get), numbers(double.get)
            source.set(1)
        assert (seen, behind) == ([5, 1], [10, 2])
        assert double.get() == 2

    @pytest.mark.parametrize("elsewhere", [False, True])
    def test_a_batch_in_a_generator_that_was_left(self, elsewhere: bool) -> None:
        """P4: a batch tells of its changes though it ends in another context, or thread."""
        source = Signal(0)
        seen = numbers(source.get)

        def change() -> Generator[None, None, None]:
            with batch():
                source.set(3)
                yield

        left = change()
        next(left)
        contextvars.copy_context().run(
            lambda: Beside(left.close).end() if elsewhere else left.close()
        )
        assert seen == [0, 3]
        source.set(4)
        assert seen == [0, 3, 4]
