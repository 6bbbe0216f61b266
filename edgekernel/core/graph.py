"""The signal graph: who reads what, who must hear of a change, and who has seen which change.

*Changes are numbered.* `world.now` is the number of the latest one. A source (signal or computed)
holds one immutable triple, replaced in a single step: its value, the number at which that value
came (`CHANGED`), and the number up to which it is known to be right (`CHECKED`; a signal always
is). A consumer (computed or effect) remembers the number at which its latest run began. So a
source has changed for a consumer if its value came after that run began, and a computed whose
CHECKED is the present number needs no look at all.

*Changes are pushed as marks, values are pulled.* A set stores the value, marks everything behind
the signal with its number, breadth first, gathers the effects it reaches, and only then makes the
number the present one: whoever begins a run at a number finds all values and marks up to it in
place. A marked node asks its sources in the order in which it read them, each of which brings
itself up to date first, and runs only if one of them has really changed; one that the signal
itself reaches does not need to ask. A computed that nobody observes is not subscribed to
anything, so that its sources do not keep it alive; it asks whenever the number has moved on.

*What a run reads* is compared with what the run before it has read, place by place: while that
fits nothing is allocated and no subscription changes. At the first difference the reads go into
a dict, with the number of each value, and at the end of the run the subscriptions follow.

*Threads.* `guard` is held around changes of values, marks and subscriptions, never around user
code. Reading takes no lock, nor does a computed that stores its result with its sources the same
and nothing changed meanwhile. At most one thread computes a computed for keeps; another that
needs it at the same time computes it for itself. (The claim is a test and a store next to one
another, between which no thread switches that holds the GIL.) Who was overtaken by a change has
been marked by it, or finds out when its subscriptions follow, and looks again.

*Batches.* In a batch values change at once and marks wait for its end, so while `world.open` has
a batch nobody trusts marks: everybody asks. What the batch has put back to its old value gets its
old number back; runs that may have seen a value in between are noted in the batch for that.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from edgekernel.core.errors import ReactiveError

if TYPE_CHECKING:
    from types import FrameType

State = tuple[Any, int, int]
"""What a source holds: the value, the change it came with, the change up to which it is right."""
VALUE, CHANGED, CHECKED = range(3)
NEVER = 1 << 62
"""A mark above every number: what has it is never up to date without a look."""
ALWAYS = -1
"""The mark of what is always up to date."""
BEFORE = -1
"""The number noted for a read at the same place as in the run before: its source has not changed
since this run began."""


class Guard:
    """A lock around short changes of the graph, quicker than any other.

    Whoever deletes `free` has it, until that is set again, in a `finally` that follows at once. No
    other thread and no signal handler, such as Ctrl-C's, comes between the `del` and that; a
    `with` would be open to them.
    """

    __slots__ = ("free",)

    def __init__(self) -> None:
        self.free = True

    def take(self) -> None:
        """Take it as soon as whoever has it gives it back.

        Raises ReactiveError where that would be never: in a signal handler or a destructor that
        has interrupted the one who has it.
        """
        began = time.monotonic()
        while True:
            try:
                del self.free
                return
            except AttributeError:
                _sleep(0.00001)  # never for long: it is not held while user code runs
            if time.monotonic() - began > _STUCK_S and _has_interrupted():
                raise ReactiveError("a signal handler or destructor came in the middle of a change")


_STUCK_S = 1.0
_sleep = time.sleep  # Python's own in simulated time too: it waits for a thread outside of that
_ENGINE = {
    f"edgekernel.core.{name}" for name in ("graph", "signals", "computed", "effect", "batch")
}


def _has_interrupted() -> bool:
    """Say whether other code stands between this call of the engine and an earlier one."""
    frame: FrameType | None = sys._getframe(1)
    others = False
    while frame is not None:
        inside = frame.f_globals.get("__name__") in _ENGINE
        if inside and others:
            return True
        others = not inside
        frame = frame.f_back
    return False


guard = Guard()


class Batch(Protocol):
    """What the graph knows of an open batch: which runs came while it was open."""

    def note_run(self, consumer: Consumer, state: State | None) -> None: ...


class World:
    """The numbers of all changes."""

    __slots__ = ("calm", "now", "open", "restored_at")

    def __init__(self) -> None:
        self.now = 0
        self.open: list[Batch] = []
        """Batches with sets whose marks are still to come."""
        self.calm = 0
        """`now` while no batch is open, else -1: one comparison for what is usual."""
        self.restored_at = 0
        """When a batch last gave sources their old numbers back."""

    def advance(self, number: int) -> None:
        """Make `number` the present one; under the guard, when its marks are in place."""
        self.now = number
        self.calm = -1 if self.open else number


world = World()


NOBODY: dict[Consumer, None] = {}
"""The observers of what has none, in place of a dict of its own; never changed."""


class Source:
    """What can be read: a signal, or the half of a computed that others see."""

    __slots__ = ("_marked", "_observers", "_state")

    _state: State
    _marked: int
    """The latest change that may concern it; right without a look if CHECKED is not below."""
    _observers: dict[Consumer, None]
    _flow: Flow | None = None
    """The flow that computes it for keeps."""

    def __init__(self, state: State, marked: int) -> None:
        self._state = state
        self._marked = marked
        self._observers = NOBODY

    def _settle(self, flow: Flow, depth: int, limit: int) -> State:
        """Bring it up to date and return what it holds."""
        return self._state

    def _differs(self, old: Any, new: Any) -> bool:
        """Say whether one value is a change from another."""
        raise NotImplementedError


END = Source((None, -1, 0), ALWAYS)
"""Stands behind the last dependency, where no read can fit."""
NOTHING = [END]


class Consumer:
    """What reads: a computed or an effect."""

    if not TYPE_CHECKING:  # mypy takes these for all the slots there are
        __slots__ = ()  # the slots are in the subclasses: two bases cannot both have some

    _deps: list[Source]
    """What its latest run has read, in that order, and END. Replaced, never changed."""
    _dirty: bool
    """A signal that it reads has changed: it need not ask."""
    _marked: int
    _observers: dict[Consumer, None]
    _run: Run
    _queued: bool
    """An effect that waits for its turn already. Always true of a computed."""

    @property
    def name(self) -> str:
        """What it is called in reports."""
        raise NotImplementedError

    def _notify(self, effects: list[Any]) -> None:
        """Submit effects as turns."""
        raise NotImplementedError


class Run:
    """What one run of a consumer has read so far. A consumer uses the same one again and again.

    It is made by `run_of`; `cursor`, `began`, `depth` and `outer` are set when it begins.
    """

    __slots__ = ("began", "consumer", "cursor", "deps", "depth", "outer", "reads")

    tracking = True
    consumer: Consumer
    deps: list[Source]
    """What the run before has read."""
    reads: dict[Source, int] | None
    """Once something did not fit: all that this run has read, with the number of the value."""
    cursor: int
    """How much of `deps` this run has read as well; -1 once something did not fit."""
    began: int
    depth: int
    """How many frames computeds that need one another have taken on the stack."""
    outer: Run | None
    """What ran when this one began, in the same flow."""

    def has_read(self) -> dict[Source, int]:
        """Return what it has read so far."""
        if self.reads is None:
            return dict.fromkeys(self.deps[: self.cursor], BEFORE) if self.cursor else {}
        return self.reads

    def note_each(self, read: dict[Source, int]) -> None:
        """From here on note each read beside these, whatever the run before has read."""
        self.reads = read
        self.cursor = -1


class Untracked(Run):
    """A part of a run of which the reads do not count."""

    __slots__ = ()

    tracking = False


def run_of(consumer: Consumer) -> Run:
    """Return a run; a function, because to call a class that has an `__init__` takes longer."""
    run = Run()
    run.consumer = consumer
    run.deps = consumer._deps
    run.reads = None
    return run


class Flow:
    """What one thread (or fiber) is running."""

    __slots__ = ("loops", "owned", "run")

    def __init__(self) -> None:
        mine = threading.RLock()
        mine.acquire()
        # A context is copied into tasks and threads, and this with it: only the thread that made
        # it may use it. To ask a lock who holds it is the quickest way to find out.
        self.owned: Callable[[], bool] = mine._is_owned  # type: ignore[attr-defined]
        self.run: Run | None = None
        self.loops: list[tuple[Source, list[Consumer]]] = []  # cycles found, to be closed

    def read_anew(self, source: Source, number: int) -> None:
        """Note a read that does not fit: not what the run before has read at this place, or a
        value that came after this run began."""
        run = self.run
        if run is None or not run.tracking or not self.owned():
            return
        reads = run.reads
        if reads is None:
            run.note_each(reads := run.has_read())
        if source not in reads:
            reads[source] = number


nowhere = Flow()
"""Stands where no flow was needed yet; nobody owns it, and nothing runs in it."""
nowhere.owned = lambda: False
current: ContextVar[Flow] = ContextVar("edgekernel_flow", default=nowhere)


get_flow = current.get


def here() -> Flow:
    """Return the flow that runs here."""
    flow = get_flow()
    if not flow.owned():
        flow = Flow()
        current.set(flow)
    return flow


def fresh(source: Source) -> bool:
    """Say whether a source is known to be up to date."""
    checked, marked = source._state[CHECKED], source._marked
    return checked == world.now or (checked >= marked and (marked == ALWAYS or not world.open))


def mark(source: Source, number: int, effects: list[Any]) -> None:
    """Mark what depends on `source`; append the effects to be queued. Under the guard."""
    behind: list[Consumer] | None = None
    for consumer in source._observers:
        consumer._dirty = True
        if consumer._marked != number:
            consumer._marked = number
            if consumer._observers:
                if behind is None:
                    behind = [*consumer._observers]
                else:
                    behind += consumer._observers
        if not consumer._queued:  # see `spread`
            consumer._queued = True
            effects.append(consumer)
    if behind is not None:
        spread(behind, number, effects)


def spread(reached: list[Consumer], number: int, effects: list[Any]) -> None:
    """Mark these and what is behind them; append the effects to be queued. Under the guard."""
    for consumer in reached:  # grows while it is walked: breadth first, no recursion
        if consumer._marked != number:
            consumer._marked = number
            observers = consumer._observers
            if observers:
                reached += observers
        if not consumer._queued:
            # Perhaps reached before, when it was queued, and at its turn since: it may have looked
            # at something that was yet to be marked.
            consumer._queued = True
            effects.append(consumer)


def interrupted(effects: Iterable[Any], number: int) -> None:
    """Ctrl-C has come in the middle of a change: let the next one queue what it had marked."""
    guard.take()
    try:
        world.advance(max(world.now, number))
        for effect in effects:
            effect._queued = False
    finally:
        guard.free = True


def observe(source: Source, consumer: Consumer) -> None:
    """Make `consumer` hear of changes of `source`, and what is behind it; under the guard."""
    work = [(source, consumer)]
    while work:
        source, consumer = work.pop()
        joins = not source._observers
        if source._observers is NOBODY:
            source._observers = {}
        source._observers[consumer] = None
        if joins and source._marked != ALWAYS:
            assert isinstance(source, Consumer)
            source._marked = world.now  # right without a look only if it was checked just now
            work.extend((behind, source) for behind in source._deps if behind is not END)


def unobserve(source: Source, consumer: Consumer) -> None:
    """Make `consumer` no longer hear of `source`, nor what only it needed; under the guard."""
    work = [(source, consumer)]
    while work:
        source, consumer = work.pop()
        subscribed = source._deps if isinstance(source, Consumer) else NOTHING
        source._observers.pop(consumer, None)  # from here on who computes it may replace _deps
        if not source._observers and isinstance(source, Consumer):
            source._marked = NEVER
            work.extend((behind, source) for behind in subscribed if behind is not END)


def follow(
    consumer: Consumer, reads: dict[Source, int], deps: list[Source], *, observed: bool
) -> None:
    """Make `reads` what `consumer` depends on, `deps` as a list; under the guard."""
    old = consumer._deps
    if observed:
        for source in reads:  # first: what both need must not lose its last observer meanwhile
            observers = source._observers
            if consumer not in observers:
                if source._marked != ALWAYS:
                    observe(source, consumer)
                elif observers is NOBODY:
                    source._observers = {consumer: None}
                else:
                    observers[consumer] = None
    consumer._deps = consumer._run.deps = deps
    if observed and old is not NOTHING:
        for source in old:
            if source not in reads and source is not END:
                unobserve(source, consumer)


def overtaken(reads: dict[Source, int], began: int) -> bool:
    """Say whether what a run has read may have changed since."""
    for source, number in reads.items():
        changed = source._state[CHANGED]
        if (changed > began if number == BEFORE else changed != number) or not fresh(source):
            return True
    return began < world.restored_at


class untracked:
    """Read signals without depending on them: `with untracked(): ...`."""

    __slots__ = ("_flow", "_outer")

    def __enter__(self) -> None:
        self._flow = flow = here()
        self._outer = outer = flow.run
        if outer is not None:
            flow.run = hidden = Untracked()
            hidden.consumer, hidden.outer, hidden.depth = outer.consumer, outer, outer.depth
            hidden.deps, hidden.reads, hidden.cursor, hidden.began = NOTHING, None, 0, 0

    def __exit__(self, *_: object) -> None:
        if self._outer is not None:
            self._flow.run = self._outer


def really_differs(differs: Callable[[Any, Any], bool], old: Any, new: Any) -> bool:
    """Compare with a user's function; what cannot be compared has changed: nothing is hidden."""
    try:
        return differs(old, new)
    except Exception:
        return True
