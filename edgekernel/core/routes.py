"""Which handlers a message goes to, and the turn that takes it there."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from itertools import count, pairwise
from operator import length_hint
from typing import TYPE_CHECKING

from edgekernel.core.clock import Clock
from edgekernel.core.control import Control, Holder
from edgekernel.core.errors import of_user_code
from edgekernel.core.messages import Event, Message
from edgekernel.core.record import dataclass
from edgekernel.core.turn import Cause, Turn


class Rank(IntEnum):
    """The order in which the kinds of handlers see an event.

    Who keeps a record comes first: what is handled, and may end everything, is recorded by then.
    """

    RECORDER = 0
    PROCESS = 1
    INTERFACE = 2
    SERVICE = 3
    SUBSCRIBER = 4


Call = Callable[[Event], object]


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One handler: what it handles, what it is called, and how to call it."""

    rank: Rank
    number: int
    message: type[Message] | str
    owner: str
    label: str
    call: Call
    holder: Holder | None


def _nobody(event: Event) -> None:
    """Stand where a handler was taken out."""


class Plan:
    """The handlers of one message class, in order."""

    __slots__ = ("calls", "routes", "several", "stale", "table", "times_ns")

    def __init__(self, table: RoutingTable, routes: list[Route], timed: bool) -> None:
        self.table = table
        self.routes = routes
        self.several = len(routes) > 1
        self.times_ns: deque[int] | None = deque(maxlen=len(routes)) if timed else None
        """When each handler has returned, if they are timed."""
        self.calls: list[Call] = [self._timed(route.call) for route in routes]
        """What is called, in the order of the routes. A handler that is taken out is replaced
        here, so that it is not called any more by an event that is on its way."""
        self.stale = False
        """Whether there is another plan by now."""

    def drop(self, gone: set[Route]) -> None:
        """Call these no more."""
        for n, route in enumerate(self.routes):
            if route in gone:
                self.calls[n] = self._timed(_nobody)

    def _timed(self, call: Call) -> Call:
        """Return what is to be called for `call`: if handlers are timed, with the time noted."""
        if self.times_ns is None:
            return call
        note, now_ns = self.times_ns.append, self.table.monotonic_ns

        def timed(event: Event) -> None:
            try:
                call(event)
            finally:
                note(now_ns())

        return timed


Failed = Callable[[Route, Event, BaseException], object]


class RoutingTable:
    """The handlers of a runtime, looked up by message class through a cache.

    A handler of a class is a handler of its subclasses. The order is by rank, then by the order
    of adding.
    """

    __slots__ = (
        "_lock", "_numbers", "_routes", "_slow", "active", "failed", "monotonic_ns", "plans", "seq",
        "time_ns",
    )  # fmt: skip

    def __init__(self, clock: Clock, failed: Failed) -> None:
        """Make an empty table; `failed` is told of handlers that raise."""
        self._lock = threading.Lock()  # around changes, which come from any thread
        self._routes: tuple[Route, ...] = ()
        self._numbers = count()
        self.plans: dict[type[Message], Plan] = {}
        """The plans that hold, of those made so far, by message class."""
        self._slow: set[type[Message]] = set()
        self.active: Plan | None = None
        """The plan by which an event is being handled."""
        self.failed = failed
        self.time_ns, self.monotonic_ns = clock.time_ns, clock.monotonic_ns
        self.seq = 0
        """The number of the latest event."""

    def add(
        self,
        rank: Rank,
        message: type[Message] | str,
        owner: str,
        label: str,
        call: Call,
        control: Control | None = None,
    ) -> Route:
        """Add a handler and return its route, for `remove`.

        What it sets is noted in `control`, that of its part, and falls back when it raises.
        """
        holder = None if control is None else Holder(control, label)
        route = Route(rank, next(self._numbers), message, owner, label, call, holder)
        with self._lock:
            self._routes = (*self._routes, route)
            self._forget_plans()
        return route

    def remove(self, *routes: Route) -> None:
        """Take handlers out; an event that is being handled does not reach them any more."""
        gone = set(routes)
        with self._lock:
            self._routes = tuple(route for route in self._routes if route not in gone)
            plans = self._forget_plans()
        for plan in [*plans, self.active]:
            if plan is not None:
                plan.drop(gone)

    def find(self, cls: type[Message]) -> Plan:
        """Return the handlers of a message class."""
        plan = self.plans.get(cls)
        if plan is None:
            with self._lock:
                plan = self.plans.get(cls)
                if plan is not None:  # another thread was faster
                    return plan
                matching = [route for route in self._routes if _concerns(route.message, cls)]
                matching.sort(key=lambda route: (route.rank, route.number))
                plan = self.plans[cls] = Plan(self, matching, cls in self._slow)
        return plan

    def time_each(self, cls: type[Message]) -> None:
        """From now on time each handler of a message class."""
        with self._lock:
            self._slow.add(cls)
            self._forget_plans()

    def _forget_plans(self) -> list[Plan]:
        """Let plans be made anew; return those made so far. Under the lock."""
        plans, self.plans = list(self.plans.values()), {}
        for plan in plans:
            plan.stale = True
        return plans


def _concerns(wanted: type[Message] | str, cls: type[Message]) -> bool:
    """Say whether a handler of a class, or of a name pattern, is one of this message class."""
    if isinstance(wanted, str):
        from fnmatch import fnmatchcase  # loads re: only where a pattern is used

        return fnmatchcase(cls.name, wanted)
    return issubclass(cls, wanted)


class EventTurn(Event, Turn):
    """An event that takes itself to its handlers, one after the other.

    A handler that fails harms no other. It is made by `event_turn`.
    """

    __slots__ = ("_cause", "_plan", "_rest", "_submitter")

    _plan: Plan
    """Where it goes; looked up again in its turn, if there is another plan by then."""
    _rest: Iterator[Call]
    """What is still to be called, from its turn on, if there are several handlers."""

    if TYPE_CHECKING:

        def __init__(self) -> None: ...
    else:
        __init__ = object.__init__  # see `event_turn`

    @property
    def _route(self) -> Route | None:
        """The handler that runs now, or, after the turn, the last one."""
        routes = self._plan.routes
        if len(routes) > 1 and not hasattr(self, "_rest"):  # no handler has been called yet
            return None
        to_come = length_hint(self._rest) if len(routes) > 1 else 0
        return routes[-1 - to_come] if to_come < len(routes) else None

    @property
    def label(self) -> str:
        return self.payload.name

    @property
    def running(self) -> str:
        return self._route.label if self._route else ""

    @property
    def component(self) -> str:
        return self._route.owner if self._route else ""

    @property
    def holder(self) -> Holder | None:
        route = self._route
        return None if route is None else route.holder

    def slowest(self, begin_ns: int, end_ns: int) -> str:
        plan = self._plan
        routes = plan.routes
        if not routes:
            return self.label
        if plan.times_ns is not None:
            took = [after - before for before, after in pairwise([begin_ns, *plan.times_ns])]
            routes = [routes[took.index(max(took))]]
        elif len(routes) > 1:
            plan.table.time_each(type(self.payload))
        return f"{' or '.join(route.label for route in routes)} ({self.label})"

    def step(self) -> None:
        plan = self._plan
        table = plan.table
        table.seq = self.seq = table.seq + 1  # turns run one at a time
        if self._cause is not None:
            self._follow(self._cause)
        table.active = plan  # before the look at `stale`: from here on handlers are taken out of it
        while plan.stale:
            plan = self._plan = table.active = table.find(type(self.payload))
        calls: Iterable[Call] = plan.calls
        if plan.several:
            calls = self._rest = iter(calls)  # tells `_route` how far it has come
        for call in calls:
            try:
                call(self)
            except BaseException as error:
                route = self._route
                assert route is not None
                table.failed(route, self, of_user_code(error))
        table.active = None

    def _follow(self, cause: Cause | None) -> None:
        """Take over what the chain that has led to it tells of itself."""
        while cause is not None and self.cause is None:
            turn, _, _, cause = cause
            if isinstance(turn, EventTurn):
                self.cause = turn.seq
            self.correlation = self.correlation or getattr(turn, "correlation", None)


def event_turn(
    plan: Plan, payload: Message, source: str, correlation: str | None = None
) -> EventTurn:
    """Return what takes a message to its handlers, with the time of the call.

    A function, because to call a class with an `__init__` costs as much as all that this does.
    `Runtime.emit` does the same in place.
    """
    turn = EventTurn()
    table = plan.table
    wall, monotonic = table.time_ns, table.monotonic_ns  # quicker to call from here
    turn.time_ns = wall()
    turn.monotonic_ns = monotonic()
    turn.source = source
    turn.payload = payload
    turn.cause = turn._cause = None
    turn.correlation = correlation
    turn._plan = plan
    return turn
