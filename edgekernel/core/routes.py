"""Which handlers a message goes to, and the turn that takes it there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import IntEnum
from itertools import count
from typing import Protocol

from edgekernel.core.clock import Clock
from edgekernel.core.messages import Event, Message
from edgekernel.core.record import dataclass
from edgekernel.core.turns import Turn


class Rank(IntEnum):
    """The order in which the kinds of handlers see an event."""

    PROCESS = 1
    INTERFACE = 2
    SERVICE = 3
    SUBSCRIBER = 4


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One handler: what it handles, what it is called, and how to call it."""

    rank: Rank
    number: int
    message: type[Message] | str
    owner: str
    label: str
    call: Callable[[Event], object]


class RoutingTable:
    """The handlers of a runtime, looked up by message class through a cache.

    A handler of a class is a handler of its subclasses. The order is by rank, then by the order
    of adding.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # around changes, which come from any thread
        self._routes: tuple[Route, ...] = ()
        self._numbers = count()
        self._cache: dict[type[Message], tuple[Route, ...]] = {}

    def add(
        self,
        rank: Rank,
        message: type[Message] | str,
        owner: str,
        label: str,
        call: Callable[[Event], object],
    ) -> Route:
        """Add a handler and return its route, for `remove`."""
        route = Route(rank, next(self._numbers), message, owner, label, call)
        with self._lock:
            self._replace((*self._routes, route))
        return route

    def remove(self, *routes: Route) -> None:
        """Take handlers out; an event that is being handled does not reach them any more."""
        with self._lock:
            self._replace(tuple(route for route in self._routes if route not in routes))

    def find(self, cls: type[Message]) -> tuple[Route, ...]:
        """Return the handlers of a message class, in order."""
        found = self._cache.get(cls)
        if found is None:
            cache, routes = self._cache, self._routes
            matching = (route for route in routes if _concerns(route.message, cls))
            found = tuple(sorted(matching, key=lambda route: (route.rank, route.number)))
            cache[cls] = found
        return found

    def has(self, route: Route) -> bool:
        """Say whether a handler is still there."""
        return route in self._routes

    def _replace(self, routes: tuple[Route, ...]) -> None:
        self._routes = routes
        self._cache = {}


def _concerns(wanted: type[Message] | str, cls: type[Message]) -> bool:
    """Say whether a handler of a class, or of a name pattern, is one of this message class."""
    if isinstance(wanted, str):
        from fnmatch import fnmatchcase  # loads re: only where a pattern is used

        return fnmatchcase(cls.name, wanted)
    return issubclass(cls, wanted)


class EventHandling(Protocol):
    """What an event's turn needs from its runtime."""

    routes: RoutingTable

    clock: Clock

    def handler_failed(self, route: Route, event: Event, error: Exception | SystemExit) -> None: ...
    def next_seq(self) -> int: ...


class EventTurn(Turn):
    """Takes one event to its handlers, one after the other; a failing one harms no other."""

    __slots__ = ("_handling", "_longest_ns", "_route", "_slowest", "event")

    def __init__(self, handling: EventHandling, event: Event) -> None:
        self._handling = handling
        self._route: Route | None = None
        self._slowest: Route | None = None
        self._longest_ns = -1
        self.event = event

    @property
    def label(self) -> str:
        return self.event.payload.name

    @property
    def slowest(self) -> str:
        return f"{self._slowest.label} ({self.label})" if self._slowest else self.label

    @property
    def running(self) -> str:
        return self._route.label if self._route else ""

    @property
    def component(self) -> str:
        return self._route.owner if self._route else ""

    def admit(self) -> None:
        self.event.seq = self._handling.next_seq()
        if isinstance(self.parent, EventTurn):
            self.event.cause = self.parent.event.seq

    def run(self) -> None:
        handling = self._handling
        table, now_ns = handling.routes, handling.clock.monotonic_ns
        routes = table.find(type(self.event.payload))
        for route in routes:
            if routes is not table.find(type(self.event.payload)) and not table.has(route):
                continue  # taken out by a handler before it
            self._route, begin = route, now_ns()
            try:
                route.call(self.event)
            except (Exception, SystemExit) as error:
                handling.handler_failed(route, self.event, error)
            if (took := now_ns() - begin) > self._longest_ns:
                self._slowest, self._longest_ns = route, took
