"""Computed: a value derived from others, lazily, and only if one of them changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from edgekernel.core.errors import CycleError, ReactiveError
from edgekernel.core.graph import (
    BEFORE,
    CHANGED,
    CHECKED,
    END,
    NEVER,
    NOBODY,
    NOTHING,
    VALUE,
    Consumer,
    Flow,
    Run,
    Source,
    State,
    follow,
    get_flow,
    guard,
    here,
    overtaken,
    run_of,
    spread,
    unobserve,
    world,
)

if TYPE_CHECKING:
    from weakref import ref

    from edgekernel.core.sample import Quality, Sample

T = TypeVar("T")

CHAIN = 150
"""How many computeds may ask one another on the stack before the deepest goes first. None of their
functions has begun then."""
_STACK = 450
"""How many frames they may take on the stack in all, with `_FRAMES` for each whose function runs.
What is deeper goes first, and the functions that were waiting for it are begun once more."""
_FRAMES = 4
_ATTEMPTS = 5
"""How often a computed that other threads keep overtaking is computed before its reader gets the
latest result."""


class Failed:
    """The value of a computed that raised, or (without an error) of one not computed yet."""

    __slots__ = ("error", "trace")

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.trace = error.__traceback__ if error is not None else None

    def __eq__(self, other: object) -> bool:
        """Say whether another is the same: of the same class, with the same text."""
        if not isinstance(other, Failed):
            return False
        mine, its = self.error, other.error
        return type(mine) is type(its) and str(mine) == str(its)

    __hash__ = None  # type: ignore[assignment]

    def again(self) -> Exception:
        """Return the error, to be raised where the value is wanted."""
        error = self.error or ReactiveError("disposed before it had a value")
        return error.with_traceback(self.trace)


_UNSET = Failed(None)
_NEW: State = _UNSET, -1, -1


class TooDeep(BaseException):
    """Unwinds a long chain of computeds to where it began; `member` is to be computed first."""

    def __init__(self, member: Computed[Any]) -> None:
        self.member = member


class Computed(Source, Consumer, Generic[T]):
    """A value derived from others: computed when it is read, and only if one of them changed.

    If the function raises, reading raises the same error until one of its inputs changes.
    """

    __slots__ = (
        "__weakref__", "_deps", "_dirty", "_equals", "_flow", "_function", "_name", "_run",
        "_sample",
    )  # fmt: skip

    _queued = True  # in a way: it is computed when somebody asks for it
    _sample: ref[Computed[Sample[T]]]
    """Where somebody asks how far the value can be trusted: the computed that says so."""

    def __init__(
        self,
        function: Callable[[], T],
        *,
        equals: Callable[[T, T], bool] | None = None,
        name: str = "",
    ) -> None:
        """Derive a value with `function`, which should do nothing else than compute it."""
        self._state = _NEW
        self._marked = NEVER
        self._observers = NOBODY
        self._deps = NOTHING
        self._dirty = True
        self._flow: Flow | None = None  # the one that computes it for keeps
        self._run = run_of(self)
        self._function: Callable[[], T] | None = function
        self._equals = equals
        self._name = name

    @property
    def name(self) -> str:
        """What it was called, or else its function."""
        return self._name or getattr(self._function, "__qualname__", "computed")

    def get(self) -> T:
        """Return the value, computing it if need be; inside a computed or effect, depend on it."""
        state = self._state
        if state[2] < self._marked or world.open:
            state = self._refresh()
        flow = get_flow()
        run = flow.run
        if run is not None:
            cursor = run.cursor
            if run.deps[cursor] is self and state[1] <= run.began:
                run.cursor = cursor + 1
            elif cursor > 0:
                if run.deps[cursor - 1] is not self:
                    flow.read_anew(self, state[1])
            elif not cursor or self not in run.reads:  # type: ignore[operator]  # -1: a dict
                flow.read_anew(self, state[1])
        value: T | Failed = state[0]
        if type(value) is Failed:
            raise value.again()
        return value  # type: ignore[return-value]  # a cast would cost as much as all of the rest

    def peek(self) -> T:
        """Return the value, computing it if need be, without depending on it."""
        state = self._state
        if state[2] < self._marked or world.open:
            state = self._refresh()
        value: T | Failed = state[0]
        if type(value) is Failed:
            raise value.again()
        return value  # type: ignore[return-value]

    __call__ = get

    @property
    def value(self) -> T:
        """The value; the same as `get`."""
        return self.get()

    @property
    def sample(self) -> Sample[T]:
        """The value with the worst quality among the readings behind it; see `provenance`."""
        from edgekernel.core.provenance import sample_of  # few ask

        return sample_of(self).get()

    @property
    def quality(self) -> Quality:
        """How far the value can be trusted: as far as the worst of the readings behind it."""
        return self.sample.quality

    def peek_sample(self) -> Sample[T]:
        """Return what `sample` does without depending on it."""
        from edgekernel.core.provenance import sample_of

        return sample_of(self).peek()

    def dispose(self) -> None:
        """Keep the last value and follow the inputs no longer."""
        guard.take()
        try:
            for source in self._deps:
                unobserve(source, self)
            self._deps = NOTHING
            self._function = None
            if self._state[VALUE] is _UNSET:
                early = ReactiveError(f"{self.name}: disposed before it had a value")
                self._state = Failed(early), -1, -1
        finally:
            guard.free = True

    def _refresh(self) -> State:
        """Bring it up to date, computing what it needs first if that is too deep for the stack."""
        state = self._state
        if state[2] == world.now:
            return state
        flow = get_flow()
        if not flow.owned():
            flow = here()
        run = flow.run
        if run is not None and run.depth:
            return self._settle(flow, run.depth, min(run.depth + CHAIN, _STACK))
        try:
            return self._settle(flow, 0, CHAIN)
        except TooDeep as deep:
            settle_deep(flow, deep)
            return self._refresh()

    def _settle(  # noqa: PLR0915 - in one piece: a call would be a twentieth of the time
        self, flow: Flow, depth: int, limit: int, attempt: int = 1
    ) -> State:
        """Bring it up to date: ask its sources, in order, and compute if one has changed.

        `depth` frames are on the stack already, and there may be `limit`.
        """
        if depth > limit:
            raise TooDeep(self)
        state = self._state
        function = self._function
        began = world.now
        if self._flow is not None and function is not None:
            # it is being computed: by another thread, or for itself
            if self._flow is flow:
                raise CycleError(f"a computed needs its own value: {_cycle(self, flow)}")
            run = run_of(self)
        else:
            if not self._dirty:
                checked = state[2]
                for dep in self._deps:
                    if dep is END:  # and nothing has changed
                        if self._state is state:
                            self._state = state = state[0], state[1], began
                            return state
                        return self._state  # another thread has computed it just now
                    behind = dep._state
                    if (behind[2] < dep._marked or world.open) and behind[2] != began:
                        if dep._flow is flow:
                            break  # it needs itself, and will be told so
                        behind = dep._settle(flow, depth + 1, limit)
                    if behind[1] > checked:
                        break
                if self._flow is not None or self._state is not state:  # another thread, meanwhile
                    return self._settle(flow, depth, limit)
            if function is None:  # disposed
                return state
            self._flow = flow  # claimed
            run = self._run
        run.cursor = 0
        run.began = began
        run.depth = depth + _FRAMES
        run.outer = outer = flow.run
        old = state[0]
        try:
            self._dirty = False
            flow.run = run
            try:
                value: object = function()
                if self._equals is not None:
                    changed = self._differs(old, value)
                elif old is value or old == value:  # right in an `if` this is compared faster
                    changed = False
                else:
                    changed = True
            except Exception as error:
                if depth and isinstance(error, RecursionError):
                    raise TooDeep(self) from None
                value = Failed(error)
                changed = not isinstance(old, Failed) or old != value
            if (
                world.calm == began
                and run.reads is None
                and run.deps[run.cursor] is END
                and self._state is state
            ):
                self._state = state = (value, began, began) if changed else (old, state[1], began)
                return state
            kept = self._keep(flow, run, state, value if changed else old, changed, attempt)
        except BaseException:
            self._dirty = True
            raise
        finally:
            flow.run = outer
            run.outer = run.reads = None
            if self._run is run:
                self._flow = None
        return kept or self._settle(flow, depth, limit, attempt + 1)

    def _keep(
        self, flow: Flow, run: Run, state: State, value: object, changed: bool, attempt: int
    ) -> State | None:
        """Store a result when its sources, or what happened meanwhile, are not as usual.

        Return None if it has to be computed once more.
        """
        began, reads = run.began, run.has_read()
        deps = [*reads, END]
        calm = world.calm == began
        if (
            calm
            and max(reads.values(), default=BEFORE) <= began  # else a change is on its way
            and (deps == self._deps or not self._observers)  # so nothing is to be subscribed
            and self._state is state
            and self._run is run
            and not flow.loops
        ):
            self._deps = run.deps = deps
            self._state = state = value, began if changed else state[1], began
            return state
        if attempt < _ATTEMPTS and not calm and overtaken(reads, began):
            self._dirty = True
            return None
        effects: list[Consumer] = []
        try:
            del guard.free
        except AttributeError:
            guard.take()
        try:
            before = self._state
            if self._run is not run:
                if before[CHECKED] >= began:
                    return before  # another thread has computed it, from values as new
                # Whoever computes it has older values.
                self._flow, self._run, run.deps = flow, run, self._deps
            if self._function is not None and deps != self._deps:
                follow(self, reads, deps, observed=bool(self._observers))
            for batch in world.open:
                batch.note_run(self, before)
            late = world.calm != began and overtaken(reads, began)
            if late or before is not state:  # whatever others have seen: this is something else
                number = world.now + 1
                self._state = value, number, began if late else number
                self._dirty = late
                spread([self] if self._observers else [], number, effects)
                world.advance(number)
            else:
                self._dirty = False
                self._state = value, world.now if changed else before[CHANGED], world.now
            if flow.loops:
                _close_loops(flow, self)
        finally:
            guard.free = True
        if effects:
            effects[0]._notify(effects)
        return self._state

    def _differs(self, old: object, new: object) -> bool:
        if isinstance(old, Failed) or isinstance(new, Failed):
            return type(old) is not type(new) or old != new
        if self._equals is not None:
            return not self._equals(cast(T, old), cast(T, new))
        return old is not new and bool(old != new)

    def __repr__(self) -> str:
        return f"<Computed {self.name}>"


def settle_deep(flow: Flow, deep: TooDeep) -> None:
    """Compute what was too deep for the stack, and first what that finds too deep."""
    first = [deep.member]
    while first:
        try:
            first[-1]._settle(flow, 0, CHAIN)
        except TooDeep as deeper:
            if deeper.member in first:
                members = [*first[first.index(deeper.member) :], deeper.member]
                names = " -> ".join(member.name for member in members)
                raise CycleError(f"computeds need one another: {names}") from None
            first.append(deeper.member)
        else:
            first.pop()


def _cycle(head: Computed[Any], flow: Flow) -> str:
    """Name the members of a cycle, and note it, to be closed when its head has its result."""
    members: list[Consumer] = []
    run = flow.run
    while run is not None:
        if run.tracking:
            run.note_each(run.has_read())  # so that it comes to where loops are looked at
            if run.consumer is head:
                break
            members.append(run.consumer)
        run = run.outer
    members.append(head)
    members.reverse()
    flow.loops.append((head, members))
    return " -> ".join(member.name for member in [*members, head])


def _close_loops(flow: Flow, head: Source) -> None:
    """Let the last member of a cycle, which could not read the first, follow all they have read.

    So it has its next chance when any of that changes. Under the guard.
    """
    for first, members in flow.loops:
        if first is head:
            last = members[-1]
            reads = dict.fromkeys(last._deps, BEFORE)
            for member in members:
                reads.update(dict.fromkeys(member._deps, BEFORE))
            reads.pop(END, None)
            for member in members:
                reads.pop(cast(Source, member), None)
            follow(last, reads, [*reads, END], observed=bool(last._observers))
    flow.loops = [loop for loop in flow.loops if loop[0] is not head]
