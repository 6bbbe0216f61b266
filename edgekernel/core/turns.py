"""The turn queue: who runs handlers and effects, and in which order (promises P1-P3).

A *turn* is one handler round or one effect, run to completion. Turns of one queue run one at a
time, in the order in which they were submitted. Whoever submits while nobody runs turns becomes
the runner, in its own thread: it runs its own turn and what that turn causes, up to the first
turn that somebody else has submitted meanwhile; from there on the dispatcher thread goes on.
Whoever submits while somebody runs turns returns at once. No lock is held while a turn runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from edgekernel.core.clock import Clock, SystemClock, ThreadLike, could_start
from edgekernel.core.errors import TurnTimeoutError, of_user_code, unless_unwound
from edgekernel.core.graph import here
from edgekernel.core.observing import PrintingObserver, TurnObserver, members
from edgekernel.core.turn import CallTurn, Cause, Turn

if TYPE_CHECKING:
    from edgekernel.core.tasks import Tasks
    from edgekernel.core.watchdog import Watchdog

R = TypeVar("R")
T = TypeVar("T", bound="Turn")

MAX_WAITING = 100_000
"""Turns that may wait in a queue; of others' turns beyond that the newest are dropped."""
MAX_DEPTH = 1000
"""Turns that may cause one another in a row before they count as a feedback loop."""
_MAX_CONTEXTS = 64
"""Flows for which a queue remembers the context in which they run its turns."""

current_queue: ContextVar[TurnQueue | None] = ContextVar("edgekernel_turns", default=None)
"""The queue whose turn (or thread) is running here; effects made here belong to it."""

current_component: ContextVar[str] = ContextVar("edgekernel_component", default="")
"""The component to which a thread belongs; a turn says itself whose code it runs."""


_REPORT = object()
"""Submits what has no cause."""


def _step(turn: Turn) -> None:
    """Step any turn. (The method `turn.step` itself would have to be made before it is called.)"""
    turn.step()


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
        self.clock: Clock = clock or SystemClock()
        self._observer: TurnObserver = observer or PrintingObserver()
        self._slow_ns = int(slow_turn_s * 1e9)
        self._waiting: deque[Turn] = deque()
        self._seat = True
        """Whoever deletes it is the runner, and puts it back. It is taken with `del`: no other
        thread and no signal handler, such as Ctrl-C's, can come between that and what follows."""
        self._runner: object | None = None
        """The flow of the runner; the queue itself while it waits for the dispatcher."""
        self._begun_ns = 0
        """When the current turn began, or whoever runs turns has become that."""
        self.when_one_waits: Callable[[], object] | None = None
        """Called once, when a turn comes to wait behind one that runs."""
        self.when_slow: Callable[[], object] | None = None
        """Called once, when a slow turn has ended."""
        self.watchdog: Watchdog | None = None
        """Of the runtime that it belongs to, for what takes long here."""
        self._current: Turn | None = None
        self._cause: Cause | None = None  # of the current turn
        self._dispatcher_name = dispatcher
        self._dispatcher: ThreadLike | None = None
        self._handed_over = self.clock.Event()
        self._closed = False
        self._flow = self.clock.flow
        self._now_ns = self.clock.monotonic_ns
        self._context = Context()
        self._context.run(current_queue.set, self)
        self._contexts: dict[object, Context] = {}
        self._elsewhere: set[object] = set()  # flows that run no turns, see `elsewhere`
        self.cut_turns = 0
        self.dropped_turns = 0
        self._tasks: Tasks | None = None
        self._full = False  # told once per spell, counted always

    def tasks(self) -> Tasks:
        """Return the event loop for what is `async` in this queue's effects; made when needed."""
        if self._tasks is None:
            from edgekernel.core.tasks import Tasks

            self._tasks = Tasks(self.clock, "edgekernel:loop", self.failed)
        return self._tasks

    def use_tasks(self, tasks: Tasks) -> None:
        """Let effects of this queue use this event loop."""
        self._tasks = tasks

    @property
    def depth(self) -> int:
        """How many turns wait."""
        return len(self._waiting)

    @property
    def running(self) -> Turn | None:
        """The turn that runs now, on whichever thread."""
        return self._current

    @property
    def begun_ns(self) -> int | None:
        """When the turn that runs now began, or was given to the dispatcher, on the clock's
        monotonic time; None while there is none."""
        return None if self._runner is None else self._begun_ns

    def inside(self) -> bool:
        """Say whether the calling thread is running a turn of this queue."""
        return self._current is not None and self._runner == self._flow()

    def current(self) -> Turn | None:
        """Return the turn that the calling thread is running, or None."""
        return self._current if self.inside() else None

    def submit(self, *turns: Turn) -> None:
        """Queue turns; run them now if nobody runs turns. See the module's text."""
        flow = self._flow()
        runner = self._runner
        if runner is not None and runner == flow:
            self._submit_nested(turns, flow)
            return
        if flow in self._elsewhere and not self._closed:
            self.submit_elsewhere(*turns)
            return
        for turn in turns:
            turn._submitter, turn._cause = flow, None
        first: Turn | None = None
        try:
            if self._take_seat(flow):
                if len(turns) == 1 and not self._waiting:
                    first = turns[0]
                else:
                    self._waiting.extend(turns)
            elif not self._append(turns) or not self._take_seat(flow):
                if self.when_one_waits is not None:
                    self._tell_one_waits()
                return  # otherwise the runner has gone meanwhile
            self._run(flow, first, self._dispatcher_name is None)
        except BaseException:  # Ctrl-C and the like leave: somebody must go on
            self._abandon(flow)
            raise

    def submit_one(
        self, turn: T, step: Callable[[T], None] = _step, begin_ns: int | None = None
    ) -> None:
        """Do what `submit` does with one turn, whose `_cause` is None; in less time.

        `step` is the function behind `turn.step`, and `begin_ns` the time, where they are known.
        """
        if self._runner is not None or self._waiting:
            self.submit(turn)
            return
        flow_of, now_ns = self._flow, self._now_ns  # methods of others: quicker from here
        flow = flow_of()
        if begin_ns is None:
            begin_ns = now_ns()
        try:
            context = self._contexts[flow]
            del self._seat
        except (KeyError, AttributeError):  # its first turn, or it runs none; or taken just now
            self.submit(turn)
            return
        self._begun_ns = begin_ns  # in this order: see `begun_ns`
        self._runner = flow
        try:
            self._current = turn
            try:
                context.copy().run(step, turn)
            except BaseException as error:
                self._report(self._observer.turn_failed, turn.label, of_user_code(error))
            if now_ns() - begin_ns > self._slow_ns:
                self._tell_slow(turn, begin_ns, now_ns())
            if self._waiting:
                self._run(flow, None, self._dispatcher_name is None)
                return
            self._current = self._runner = None
            self._seat = True
            if self._waiting and self._take_seat(flow):
                self._run(flow, None, self._dispatcher_name is None)
        except BaseException:  # Ctrl-C and the like leave: somebody must go on
            self._abandon(flow)
            raise

    def _run(self, flow: object, turn: Turn | None, others_too: bool) -> None:
        # A context of its own: what is tracked or batched by who submits ends here.
        context = self._contexts.get(flow) or self._context_of(flow)
        context.copy().run(self._drain, flow, turn, others_too)

    def submit_elsewhere(self, *turns: Turn) -> None:
        """Queue turns for the dispatcher thread and return at once, whoever runs turns.

        For threads that must not be kept, such as a network's. If the queue is full they are
        dropped. After `close`, and on a queue without a dispatcher, it is `submit`.
        """
        if self._dispatcher_name is None or self._closed:
            self.submit(*turns)
            return
        for turn in turns:
            turn._submitter, turn._cause = self, None
        if self._append(turns) and self._take_seat(self):
            self._hand_over_or_leave()
        elif self.when_one_waits is not None:
            self._tell_one_waits()

    def elsewhere(self, change: Callable[[], object]) -> None:
        """Call `change` here; the turns that it submits run there, as of `submit_elsewhere`.

        It may hang, as a driver does: that keeps no turn waiting.
        """
        flow = self._flow()
        if self._dispatcher_name is not None:
            self._elsewhere.add(flow)
            self._contexts.pop(flow, None)  # who runs none has none, see `submit_one`
        try:
            change()
        finally:
            self._elsewhere.discard(flow)

    def _send(self, turn: Turn, ahead: bool = False) -> None:
        """Do what `submit_elsewhere` does for who waits for the turn: there always is room."""
        if self._dispatcher_name is None or self._closed:
            self.submit(turn)
            return
        turn._submitter, turn._cause = self, None
        if ahead:
            self._waiting.appendleft(turn)
        else:
            self._waiting.append(turn)
        if self._take_seat(self):
            self._hand_over_or_leave()
        elif self.when_one_waits is not None:
            self._tell_one_waits()

    def submit_apart(self, turn: Turn) -> None:
        """Queue, during a turn, one that has no cause, such as a report; but none of a report."""
        root, cause = self._current, self._cause
        while cause is not None:
            root, _, _, cause = cause
        if getattr(root, "_submitter", None) is _REPORT:  # none has what has never waited
            self.cut_turns += 1
            return
        turn._submitter, turn._cause = _REPORT, None
        self._waiting.append(turn)

    def failed(self, label: str, error: BaseException) -> None:
        """Report a failure inside a turn that the turn has survived."""
        self._report(self._observer.turn_failed, label, error)

    def within(self, function: Callable[..., R], *args: Any) -> R:
        """Call `function` so that effects made in it belong to this queue."""
        return self._context.copy().run(function, *args)

    def call(
        self,
        function: Callable[[], object],
        label: str,
        timeout_s: float | None = None,
        *,
        ahead: bool = False,
    ) -> Any:
        """Run `function` as a turn and return its result, waiting for its place.

        Inside a turn it runs at once, as part of that turn, without a limit. Raises what the
        function raises, and TurnTimeoutError when it was not done within `timeout_s` seconds:
        not begun, it never runs; begun, it goes on in the dispatcher thread and its result is
        dropped. With a limit it may be `ahead` of all that waits: then it follows the turn that
        runs now.
        """
        if self.inside():
            return function()
        done = self.clock.Event()
        turn = CallTurn(function, label, done.set)
        if timeout_s is None:
            self.submit(turn)
        else:
            self._send(turn, ahead)
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
        done = self.clock.Event()
        self._send(CallTurn(lambda: None, "wait_idle", done.set))
        return done.wait(timeout_s)

    def close(self) -> None:
        """End the dispatcher thread. Turns submitted later run in their submitter's thread."""
        self._closed = True
        self._handed_over.set()

    def _submit_nested(self, turns: Sequence[Turn], flow: object) -> None:
        """Queue what the running turn causes, for which there always is room."""
        current, cause = self._current, None
        if current is not None:
            earlier = self._cause
            _, _, before, _ = earlier or (None, "", 0, None)
            depth = before + 1
            if depth > MAX_DEPTH:
                self.cut_turns += len(turns)
                for turn in turns:
                    turn.cut()
                self._report(self._observer.feedback_cut, members(current, earlier), turns[0].label)
                return
            cause = current, current.running, depth, earlier
        for turn in turns:
            turn._submitter, turn._cause = flow, cause
        self._waiting.extend(turns)

    def _append(self, turns: Sequence[Turn]) -> bool:
        """Queue turns behind others' if there is room; say whether there was."""
        waiting = len(self._waiting)
        self._full = self._full and waiting > MAX_WAITING // 2
        if waiting < MAX_WAITING or turns[0].is_waited_for:
            self._waiting.extend(turns)
            return True
        self.dropped_turns += len(turns)
        first, self._full = not self._full, True
        for turn in turns:
            turn.cut()
        if first:
            self._report(self._observer.turns_dropped, self.dropped_turns)
        return False

    def _context_of(self, flow: object) -> Context:
        """Return the context in which a flow runs turns of this queue."""
        if len(self._contexts) >= _MAX_CONTEXTS:
            self._contexts.clear()
        context = self._contexts[flow] = self._context.copy()
        context.run(here)
        return context

    def _drain(self, flow: object, turn: Turn | None, others_too: bool) -> None:
        """Run a turn, then turns until none is left or the next is somebody else's."""
        waiting, now_ns, slow_ns = self._waiting, self._now_ns, self._slow_ns
        begin = now_ns()
        while True:
            if turn is not None:
                self._begun_ns = begin
                self._current = turn
                self._cause = cause = turn._cause
                try:
                    turn.step()
                except BaseException as error:
                    self._report(self._observer.turn_failed, turn.label, of_user_code(error))
                end = now_ns()
                if end - begin > slow_ns:
                    self._tell_slow(turn, begin, end)
                begin = end
                if cause is not None and turn._cause is cause:  # it may have submitted itself
                    turn._cause = None
                if waiting and (others_too or waiting[0]._submitter == flow or self._closed):
                    turn = waiting.popleft()
                    continue
                self._current = self._cause = turn = None
            if waiting:
                if others_too or waiting[0]._submitter == flow or self._closed:
                    turn = waiting.popleft()
                    continue
                self._runner = self  # nobody's flow: the dispatcher takes it from here
                if self._hand_over():
                    return
                self._runner = flow  # there is none that could have taken it
                others_too = True
                continue
            self._runner = None
            self._seat = True
            if not waiting or not self._take_seat(flow):
                return

    def _tell_one_waits(self) -> None:
        tell, self.when_one_waits = self.when_one_waits, None
        if tell is not None:
            tell()

    def _tell_slow(self, turn: Turn, begin_ns: int, end_ns: int) -> None:
        self._begun_ns = end_ns
        tell, self.when_slow = self.when_slow, None
        if tell is not None:
            self._report(tell)
        slowest, took_s = turn.slowest(begin_ns, end_ns), (end_ns - begin_ns) / 1e9
        self._report(self._observer.turn_was_slow, slowest, took_s)

    def _take_seat(self, flow: object) -> bool:
        """Become the runner if nobody is."""
        if self._runner is not None:
            return False
        now_ns = self._now_ns()
        try:
            del self._seat
            self._begun_ns = now_ns
            self._runner = flow
        except AttributeError:
            return False
        return True

    @staticmethod
    def _report(tell: Callable[..., object], *facts: object) -> None:
        try:
            tell(*facts)
        except BaseException as error:  # such as an error whose text cannot be made
            PrintingObserver().turn_failed("a report of the turn queue", of_user_code(error))

    def _abandon(self, flow: object) -> None:
        """Leave the seat, if it is taken by this flow, in the middle of something."""
        if self._runner != flow:
            return
        self._current = self._cause = None
        if self._waiting and self._dispatcher_name is not None and not self._closed:
            self._runner = self
            self._hand_over_or_leave()
        else:
            self._leave()

    def _leave(self) -> None:
        self._runner = None
        self._seat = True

    def _hand_over_or_leave(self) -> None:
        """Leave the seat to the dispatcher, or, if there can be none, to who submits next."""
        if not self._hand_over():
            self._leave()

    def _hand_over(self) -> bool:
        """Leave the seat, which the queue has itself, to the dispatcher; False if there is none.

        The dispatcher may have been woken before, and have the seat already.
        """
        if self._dispatcher is None:
            assert self._dispatcher_name is not None
            self._dispatcher = self.clock.Thread(self._dispatch, self._dispatcher_name)
            if not could_start(self._dispatcher):
                self._dispatcher = None
                return False
        self._handed_over.set()
        return True

    def _dispatch(self) -> None:
        flow = self._flow()
        while True:
            self._handed_over.wait()
            self._handed_over.clear()
            if self._runner is self:
                self._runner = flow
            elif self._closed:
                return
            else:
                continue
            try:
                self._run(flow, None, True)
            except BaseException as error:  # such as Ctrl-C where all is in one thread
                self._abandon(flow)
                self.failed("a turn asked the dispatcher to exit", unless_unwound(error))
            if self._closed:
                self._handed_over.set()
