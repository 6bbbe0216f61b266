"""Which handlers a message goes to, and the turn that takes it there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import IntEnum
from itertools import count, pairwise

from edgekernel.core.clock import Clock
from edgekernel.core.errors import of_user_code
from edgekernel.core.messages import Event, Message
from edgekernel.core.record import dataclass
from edgekernel.core.turns import Cause, Turn

_TIMED = 8
"""Up to so many handlers of a message are timed each; more only when they were slow together."""


class Rank(IntEnum):
    """The order in which the kinds of handlers see an event."""

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


def _nobody(event: Event) -> None:
    """Stand where a handler was taken out."""


class Plan:
    """The handlers of one message class, in order."""

    __slots__ = ("handlers", "timed")

    def __init__(self, routes: list[Route], timed: bool) -> None:
        self.handlers: list[tuple[Call, Route]] = [(route.call, route) for route in routes]
        """What is called. A handler that is taken out is replaced here, so that it is not called
        any more by an event that is on its way."""
        self.timed = timed or 1 < len(routes) <= _TIMED
        """Whether each handler is timed: to read the clock costs as much as a small handler."""

    def drop(self, gone: set[Route]) -> None:
        """Call these no more."""
        for n, (_, route) in enumerate(self.handlers):
            if route in gone:
                self.handlers[n] = _nobody, route


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
        """The plans made so far, by message class."""
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
    ) -> Route:
        """Add a handler and return its route, for `remove`."""
        route = Route(rank, next(self._numbers), message, owner, label, call)
        with self._lock:
            self._routes = (*self._routes, route)
            self.plans = {}
        return route

    def remove(self, *routes: Route) -> None:
        """Take handlers out; an event that is being handled does not reach them any more."""
        gone = set(routes)
        with self._lock:
            self._routes = tuple(route for route in self._routes if route not in gone)
            plans = [*self.plans.values(), *([self.active] if self.active else [])]
            self.plans = {}
        for plan in plans:
            plan.drop(gone)

    def find(self, cls: type[Message]) -> Plan:
        """Return the handlers of a message class."""
        plan = self.plans.get(cls)
        if plan is None:
            with self._lock:
                matching = [route for route in self._routes if _concerns(route.message, cls)]
                matching.sort(key=lambda route: (route.rank, route.number))
                plan = self.plans[cls] = Plan(matching, cls in self._slow)
        return plan

    def time_each(self, cls: type[Message]) -> None:
        """From now on time each handler of a message class."""
        with self._lock:
            self._slow.add(cls)
            self.plans.pop(cls, None)


def _concerns(wanted: type[Message] | str, cls: type[Message]) -> bool:
    """Say whether a handler of a class, or of a name pattern, is one of this message class."""
    if isinstance(wanted, str):
        from fnmatch import fnmatchcase  # loads re: only where a pattern is used

        return fnmatchcase(cls.name, wanted)
    return issubclass(cls, wanted)


class EventTurn(Event, Turn):
    """An event that takes itself to its handlers, one after the other.

    A handler that fails harms no other.
    """

    __slots__ = ("_cause", "_plan", "_route", "_submitter", "_table", "_times_ns")

    _plan: Plan
    """Where it goes, from its turn on."""
    _times_ns: list[int]
    """When each handler has returned, if they are timed."""

    def __init__(
        self,
        table: RoutingTable,
        payload: Message,
        source: str,
        correlation: str | None,
    ) -> None:
        self.seq = 0
        wall, monotonic = table.time_ns, table.monotonic_ns
        self.time_ns = wall()
        self.monotonic_ns = monotonic()
        self.source = source
        self.payload = payload
        self.cause = None
        self.correlation = correlation
        self._table = table
        self._route: Route | None = None  # the handler that runs now

    @property
    def label(self) -> str:
        return self.payload.name

    @property
    def running(self) -> str:
        return self._route.label if self._route else ""

    @property
    def component(self) -> str:
        return self._route.owner if self._route else ""

    def slowest(self, begin_ns: int, end_ns: int) -> str:
        plan = self._plan
        if not plan.handlers:
            return self.label
        routes = [route for _, route in plan.handlers]
        if plan.timed:
            times = [begin_ns, *self._times_ns]
            took = [after - before for before, after in pairwise(times)]
            routes = [routes[took.index(max(took))]]
        else:
            self._table.time_each(type(self.payload))
        return f"{' or '.join(route.label for route in routes)} ({self.label})"

    def step(self) -> None:
        table = self._table
        table.seq = self.seq = table.seq + 1  # turns run one at a time
        if self._cause is not None:
            self._follow(self._cause)
        cls = type(self.payload)
        plan = self._plan = table.active = table.plans.get(cls) or table.find(cls)
        if plan.timed:
            self._call_timed(plan)
        else:
            for call, self._route in plan.handlers:
                try:
                    call(self)
                except BaseException as error:
                    table.failed(self._route, self, of_user_code(error))
        table.active = None

    def _call_timed(self, plan: Plan) -> None:
        """Call the handlers; remember when each has returned."""
        times: list[int] = []
        self._times_ns = times
        now_ns = self._table.monotonic_ns
        for call, self._route in plan.handlers:
            try:
                call(self)
            except BaseException as error:
                self._table.failed(self._route, self, of_user_code(error))
            times.append(now_ns())

    def _follow(self, cause: Cause | None) -> None:
        """Take over what the chain that has led to it tells of itself."""
        while cause is not None and self.cause is None:
            turn, _, _, cause = cause
            if isinstance(turn, EventTurn):
                self.cause = turn.seq
            self.correlation = self.correlation or getattr(turn, "correlation", None)
