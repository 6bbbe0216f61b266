"""The turn queue: who runs handlers and effects, and in which order (promises P1-P3).

A *turn* is one handler round or one effect, run to completion. Turns of one queue run one at a
time, in the order in which they were submitted. Whoever submits while nobody runs turns becomes
the runner, in its own thread: it runs its own turn and what that turn causes, up to the first
turn that somebody else has submitted meanwhile; from there on the dispatcher thread goes on.
Whoever submits while somebody runs turns returns at once. No lock is held while a turn runs.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context, ContextVar
from functools import partial
from typing import Any, Protocol, TypeVar

from edgekernel.core.clock import Clock, SystemClock, ThreadLike
from edgekernel.core.errors import TurnTimeoutError

R = TypeVar("R")

MAX_WAITING = 100_000
"""Turns that may wait in a queue; of others' turns beyond that the newest are dropped."""
MAX_DEPTH = 1000
"""Turns that may cause one another in a row before they count as a feedback loop."""

current_queue: ContextVar[TurnQueue | None] = ContextVar("edgekernel_turns", default=None)
"""The queue whose turn (or thread) is running here; effects made here belong to it."""

current_component: ContextVar[str] = ContextVar("edgekernel_component", default="")
"""The component to which a thread belongs; a turn says itself whose code it runs."""


class Turn(ABC):
    """Something to run. Subclasses say what; `label` names it in reports."""

    __slots__ = ("depth", "owner", "parent", "via")

    parent: Turn | None
    """The turn during which this one was submitted."""
    depth: int
    owner: object
    via: str
    """The handler of the parent turn that submitted this one, where it is known."""

    @property
    @abstractmethod
    def label(self) -> str:
        """What this turn is called in reports."""

    @property
    def slowest(self) -> str:
        """Which part of this turn took the longest, for reports."""
        return self.label

    @property
    def running(self) -> str:
        """Which part of this turn runs now, for reports."""
        return self.label

    @property
    def component(self) -> str:
        """The name of the component whose code runs now, "" where that is not known."""
        return ""

    def admit(self) -> None:
        """Take a place in the order; called under the queue's lock, so no user code."""

    @abstractmethod
    def run(self) -> None:
        """Do the work. What it raises is reported by the queue as a failure of the turn."""

    def cut(self) -> None:
        """Hear that it will not run: it was cut out of a feedback loop."""


class CallTurn(Turn):
    """Runs a function as a turn and keeps what came of it for the one who waits."""

    __slots__ = ("_function", "_label", "_on_done", "abandoned", "error", "result")

    def __init__(
        self,
        function: Callable[[], object],
        label: str,
        on_done: Callable[[], object] | None = None,
    ) -> None:
        self._function = function
        self._label = label
        self._on_done = on_done
        self.abandoned = False
        self.result: Any = None
        self.error: BaseException | None = None

    @property
    def label(self) -> str:
        return self._label

    def run(self) -> None:
        if self.abandoned:
            return
        try:
            self.result = self._function()
        except BaseException as error:
            self.error = error
            if self._on_done is None or not isinstance(error, Exception):
                raise
        finally:
            if self._on_done is not None:
                self._on_done()


class TurnObserver(Protocol):
    """Who is told of what goes wrong in a queue. Called with no lock held."""

    def turn_failed(self, label: str, error: BaseException) -> None: ...
    def turn_was_slow(self, label: str, seconds: float) -> None: ...
    def feedback_cut(self, members: Sequence[str], cut: str) -> None: ...
    def turns_dropped(self, dropped: int) -> None: ...


class PrintingObserver:
    """Reports through `logging`: for queues that belong to no runtime."""

    def turn_failed(self, label: str, error: BaseException) -> None:
        """Log the error with its traceback."""
        self._log().error("%s failed", label, exc_info=error)

    def turn_was_slow(self, label: str, seconds: float) -> None:
        """Log the duration."""
        self._log().warning("%s took %.3f s", label, seconds)

    def feedback_cut(self, members: Sequence[str], cut: str) -> None:
        """Log the members of the loop."""
        self._log().error("feedback loop cut at %s: %s", cut, " -> ".join(members))

    def turns_dropped(self, dropped: int) -> None:
        """Log how many."""
        self._log().error("the turn queue is full: %d turns dropped so far", dropped)

    @staticmethod
    def _log() -> Any:
        import logging  # costs 12 ms: only where something has gone wrong

        return logging.getLogger("edgekernel")


class TurnQueue:
    """Runs turns one at a time and in order; see the module's text for who runs them."""

    def __init__(
        self,
        clock: Clock | None = None,
        observer: TurnObserver | None = None,
        *,
        dispatcher: str | None = None,
        slow_turn_s: float = 0.1,
    ) -> None:
        """Make an idle queue.

        `dispatcher` is the name of the thread that takes over others' turns; without one the
        runner takes them along. A turn longer than `slow_turn_s` seconds is reported.
        """
        self._clock: Clock = clock or SystemClock()
        self._observer: TurnObserver = observer or PrintingObserver()
        self._slow_ns = int(slow_turn_s * 1e9)
        self._lock = threading.Lock()  # never held while anything waits or user code runs
        self._waiting: deque[Turn] = deque()
        self._runner: object | None = None
        self._current: Turn | None = None
        self._dispatcher_name = dispatcher
        self._dispatcher: ThreadLike | None = None
        self._handed_over = self._clock.Event()
        self._closed = False
        self._context = Context()
        self._context.run(current_queue.set, self)
        self.cut_turns = 0
        self.dropped_turns = 0
        self._full = False  # told once per spell, counted always

    @property
    def depth(self) -> int:
        """How many turns wait."""
        return len(self._waiting)

    def inside(self) -> bool:
        """Say whether the calling thread is running a turn of this queue."""
        return self._current is not None and self._runner == self._clock.flow()

    def current(self) -> Turn | None:
        """Return the turn that the calling thread is running, or None."""
        return self._current if self.inside() else None

    def submit(self, *turns: Turn) -> None:
        """Queue turns; run them now if nobody runs turns. See the module's text."""
        flow = self._clock.flow()
        with self._lock:
            nested = self._runner is not None and self._runner == flow
            parent = self._current if nested else None
            refusal: Callable[[], object] | None = None
            if self._is_full(nested):
                refusal = self._drop(turns)
            elif parent is not None and parent.depth >= MAX_DEPTH:
                self.cut_turns += len(turns)
                refusal = partial(self._report_feedback, parent, turns[0])
            else:
                self._append(turns, parent, flow)
                if self._runner is not None:
                    return
                self._runner = flow
        if refusal is None:
            # A context of its own: what is tracked or batched by who submits ends here.
            self.within(self._drain, flow, self._dispatcher_name is None)
            return
        for turn in turns:
            turn.cut()
        refusal()

    def submit_elsewhere(self, *turns: Turn) -> None:
        """Queue turns for the dispatcher thread and return at once, whoever runs turns.

        For threads that must not be kept, such as a network's. After `close`, and on a queue
        without a dispatcher, it is `submit`.
        """
        with self._lock:
            here = self._dispatcher_name is None or self._closed
            idle = not here and self._runner is None
            if idle:
                self._runner = self
            if not here:
                self._append(turns, None, self)
        if here:
            self.submit(*turns)
        elif idle:
            self._hand_over()

    def submit_apart(self, turn: Turn) -> None:
        """Queue, during a turn, one that has no cause, such as a report; but none of a report."""
        with self._lock:
            if self._current is not None and _chain(self._current)[-1].owner is self:
                self.cut_turns += 1
                return
            turn.parent, turn.depth, turn.owner, turn.via = None, 0, self, ""
            turn.admit()
            self._waiting.append(turn)

    def failed(self, label: str, error: BaseException) -> None:
        """Report a failure inside a turn that the turn has survived."""
        self._report(self._observer.turn_failed, label, error)

    def within(self, function: Callable[..., R], *args: Any) -> R:
        """Call `function` so that effects made in it belong to this queue."""
        return self._context.copy().run(function, *args)

    def call(
        self, function: Callable[[], object], label: str, timeout_s: float | None = None
    ) -> Any:
        """Run `function` as a turn and return its result, waiting for its place.

        Inside a turn it runs at once, as part of that turn, without a limit. Raises what the
        function raises, and TurnTimeoutError when it was not done within `timeout_s` seconds:
        not begun, it never runs; begun, it goes on in the dispatcher thread and its result is
        dropped.
        """
        if self.inside():
            return function()
        done = self._clock.Event()
        turn = CallTurn(function, label, done.set)
        if timeout_s is None:
            self.submit(turn)
        else:
            self.submit_elsewhere(turn)
        if not done.wait(timeout_s):
            turn.abandoned = True
            raise TurnTimeoutError(f"{label}: not done within {timeout_s} s")
        if turn.error is not None:
            raise turn.error
        return turn.result

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until all turns submitted so far have run; False if that took too long."""
        if self.inside():
            return False
        done = self._clock.Event()
        self.submit_elsewhere(CallTurn(lambda: None, "wait_idle", done.set))
        return done.wait(timeout_s)

    def close(self) -> None:
        """End the dispatcher thread. Turns submitted later run in their submitter's thread."""
        with self._lock:
            self._closed = True
        self._handed_over.set()

    def _is_full(self, nested: bool) -> bool:
        """Say whether there is room for others' turns; what a turn causes always has some."""
        waiting = len(self._waiting)
        self._full = self._full and waiting > MAX_WAITING // 2
        return not nested and waiting >= MAX_WAITING

    def _drop(self, turns: Sequence[Turn]) -> Callable[[], object]:
        """Count turns that are dropped; return what tells of it, once per spell."""
        self.dropped_turns += len(turns)
        first, self._full = not self._full, True
        if not first:
            return lambda: None
        return lambda: self._report(self._observer.turns_dropped, self.dropped_turns)

    def _append(self, turns: Sequence[Turn], parent: Turn | None, flow: object) -> None:
        depth = 0 if parent is None else parent.depth + 1
        via = "" if parent is None else parent.running
        for turn in turns:
            turn.parent, turn.depth, turn.owner, turn.via = parent, depth, flow, via
            turn.admit()
            self._waiting.append(turn)

    def _drain(self, flow: object, others_too: bool) -> None:
        try:
            self._run_turns(flow, others_too)
        except BaseException:  # KeyboardInterrupt and the like leave: somebody must go on
            self._abandon()
            raise

    def _run_turns(self, flow: object, others_too: bool) -> None:
        """Run turns until none is left, or until the next one belongs to somebody else."""
        while True:
            with self._lock:
                self._current = None
                if not self._waiting:
                    self._runner = None
                    return
                if not others_too and self._waiting[0].owner != flow and not self._closed:
                    self._runner = self  # nobody's flow: the dispatcher takes it from here
                    break
                self._current = turn = self._waiting.popleft()
            self._run(turn)
        self._hand_over()

    def _run(self, turn: Turn) -> None:
        begin = self._clock.monotonic_ns()
        try:
            turn.run()
        except Exception as error:
            self._report(self._observer.turn_failed, turn.label, error)
        took = self._clock.monotonic_ns() - begin
        if took > self._slow_ns:
            self._report(self._observer.turn_was_slow, turn.slowest, took / 1e9)

    @staticmethod
    def _report(tell: Callable[..., object], *facts: object) -> None:
        try:
            tell(*facts)
        except Exception as error:  # such as an error whose text cannot be made
            PrintingObserver().turn_failed("a report of the turn queue", error)

    def _abandon(self) -> None:
        with self._lock:
            self._current = None
            left = bool(self._waiting) and self._dispatcher_name is not None and not self._closed
            self._runner = self if left else None
        if left:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._dispatcher is None:
            assert self._dispatcher_name is not None
            self._dispatcher = self._clock.Thread(self._dispatch, self._dispatcher_name)
            self._dispatcher.start()
        self._handed_over.set()

    def _dispatch(self) -> None:
        flow = self._clock.flow()
        while True:
            self._handed_over.wait()
            self._handed_over.clear()
            with self._lock:
                if self._runner is self:
                    self._runner = flow
                elif self._closed:
                    return
                else:
                    continue
            try:
                self.within(self._drain, flow, True)
            except (SystemExit, KeyboardInterrupt) as error:
                self.failed("a turn asked the dispatcher to exit", error)
            if self._closed:
                self._handed_over.set()

    def _report_feedback(self, last: Turn, cut: Turn) -> None:
        self._report(self._observer.feedback_cut, _members(last), cut.label)


def _chain(turn: Turn) -> list[Turn]:
    """Return a turn, what caused it, what caused that, and so on."""
    chain = [turn]
    while chain[-1].parent is not None:
        chain.append(chain[-1].parent)
    return chain


def _members(last: Turn) -> list[str]:
    """Name the turns of the loop that ends in `last`, in the order in which they cause."""
    names: list[str] = []
    for turn in _chain(last):
        name = turn.label if not turn.via else f"{turn.label} (by {turn.via})"
        if name in names:
            break
        names.append(name)
    names.reverse()
    return names
