"""Events: all that a runtime has emitted, and assertions on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, overload

from edgekernel.core.errors import ConfigError, nearest
from edgekernel.core.messages import Event, Message, find
from edgekernel.testing.times import moment, span

if TYPE_CHECKING:
    from edgekernel.core.runtime import Runtime
    from edgekernel.sim import SimClock

M = TypeVar("M", bound=Message)

_KEPT = 1_000_000
"""Events that are kept; a test that emits more has to `clear` them."""
_SHOWN = 10
_MISSING = object()


class Events:
    """The events of one simulation or of one of its nodes, in order.

    A message is named by its class (with its subclasses) or by its name ("button.pressed"), and
    narrowed down by values of its fields, which are compared with `==`: `pytest.approx` and
    `unittest.mock.ANY` do. `within` is seconds of simulated time: the assertion lets up to as much
    time pass. Events from before count too; `clear` forgets them.
    """

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._events: list[Event] = []
        self._overflown = False

    def listen_to(self, runtime: Runtime) -> None:
        """Keep what a runtime emits from now on."""
        runtime.subscribe(Message, self._keep)

    def clear(self) -> None:
        """Forget the events so far."""
        self._events.clear()
        self._overflown = False

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    def __getitem__(self, index: int) -> Event:
        return self._events[index]

    @overload
    def of(self, kind: type[M], /, **fields: object) -> list[M]: ...
    @overload
    def of(self, kind: str, /, **fields: object) -> list[Any]: ...
    def of(self, kind: Any, /, **fields: object) -> list[Any]:
        """Return the messages of a kind with these values in their fields, in order."""
        return [event.payload for event in self._all(kind, fields)]

    def assert_emitted(
        self, kind: type[Message] | str, /, *, within: float = 0.0, **fields: object
    ) -> Event:
        """Assert that such a message was emitted, or is within a time; return the first event."""
        __tracebackhide__ = True
        matches = _matcher(kind, fields)
        found = self._wait_for(matches, within)
        if found is None:
            raise AssertionError(
                f"{_told(kind, fields)} was not emitted{self._until(within)}"
                + self._listed("others were", self._all(kind, {})[-_SHOWN:] if fields else ())
            )
        return found

    def assert_none(
        self, kind: type[Message] | str = Message, /, *, within: float = 0.0, **fields: object
    ) -> None:
        """Assert that no such message was emitted, and none is within a time, which passes."""
        __tracebackhide__ = True
        found = self._wait_for(_matcher(kind, fields), within)
        if found is not None:
            raise AssertionError(
                f"{_told(kind, fields)} should not have been emitted{self._until(within)}"
                + self._listed("it was", self._all(kind, fields)[:_SHOWN])
            )

    def assert_order(self, *kinds: type[Message] | str, within: float = 0.0) -> None:
        """Assert that each was emitted, or is within a time, and the first of each in this order.

        For single events compare what `assert_emitted` returns: `fall.seq < rise.seq`.
        """
        __tracebackhide__ = True
        end_s = self._clock.monotonic() + within
        firsts = []
        for kind in kinds:
            left_s = max(0.0, end_s - self._clock.monotonic())
            firsts.append(self.assert_emitted(kind, within=left_s))
        places = [self._events.index(first) for first in firsts]
        if places != sorted(places):
            wanted = ", then ".join(_told(kind, {}) for kind in kinds)
            came = [self._events[place] for place in sorted(places)]
            raise AssertionError(
                f"not in the order {wanted}{self._until()}" + self._listed("they were", came)
            )

    def lines(self, last: int = _SHOWN) -> list[str]:
        """Return the last events, one a line with its time."""
        return [_line(event) for event in self._events[-last:]]

    def _keep(self, event: Event) -> None:
        if len(self._events) < _KEPT:
            self._events.append(event)
        else:
            self._overflown = True

    def _all(self, kind: type[Message] | str, fields: dict[str, object]) -> list[Event]:
        self._check_complete()
        return list(filter(_matcher(kind, fields), self._events))

    def _wait_for(self, matches: Callable[[Event], bool], within: float) -> Event | None:
        """Return the first that matches; let time pass until there is one."""
        found: list[Event] = []
        seen = 0

        def is_there() -> bool:
            nonlocal seen
            while seen < len(self._events) and not found:
                if matches(self._events[seen]):
                    found.append(self._events[seen])
                seen += 1
            return bool(found)

        if not is_there() and within > 0:
            self._clock.run_until(is_there, within)
        self._check_complete()
        return found[0] if found else None

    def _check_complete(self) -> None:
        if self._overflown:
            raise RuntimeError(
                f"more than {_KEPT} events were emitted and the later ones are not kept; call "
                "events.clear() in between"
            )

    def _until(self, within: float = 0.0) -> str:
        waited = f" within {span(within)}" if within else ""
        return f"{waited} (now {moment(self._clock.monotonic_ns())})"

    def _listed(self, title: str, events: Iterable[Event]) -> str:
        lines = "".join(f"\n    {_line(event)}" for event in events)
        return f"\n  {title}:{lines}" if lines else ""

    def __repr__(self) -> str:
        return f"<{len(self)} events until {moment(self._clock.monotonic_ns())}>"


def _line(event: Event) -> str:
    """Write an event in one line; of a traceback only the place, outside of edgekernel if it can
    be."""
    from edgekernel.core.tracebacks import place  # where a test has failed, alone

    fields = event.payload.to_dict()
    traceback = fields.pop("traceback", None)
    values = ", ".join(f"{name}={value!r}" for name, value in fields.items())
    found = place(traceback) if isinstance(traceback, str) else None
    where = f" at {found.file}:{found.line} in {found.function}" if found is not None else ""
    said = f"{type(event.payload).__name__}({values})"
    return f"{moment(event.monotonic_ns):>12}  {said}{where} from {event.source}"


def _told(kind: type[Message] | str, fields: dict[str, object]) -> str:
    name = kind if isinstance(kind, str) else kind.__name__
    values = ", ".join(f"{field}={value!r}" for field, value in fields.items())
    return f"{name}({values})" if values else name


def _matcher(kind: type[Message] | str, fields: dict[str, object]) -> Callable[[Event], bool]:
    _check_fields(_check_kind(kind), fields)

    def matches(event: Event) -> bool:
        payload = event.payload
        if payload.name != kind if isinstance(kind, str) else not isinstance(payload, kind):
            return False
        return all(getattr(payload, name, _MISSING) == value for name, value in fields.items())

    return matches


def _check_kind(kind: type[Message] | str) -> type[Message]:
    """Return the class of a kind. Raises what tells that there is none: else nothing matches."""
    if isinstance(kind, str):
        with suppress(ConfigError):  # of several classes any will do
            return find(kind)
        return Message
    if not (isinstance(kind, type) and issubclass(kind, Message)):
        raise TypeError(f"a message class or its name is asked for, not {kind!r}")
    return kind


def _check_fields(kind: type[Message], fields: dict[str, object]) -> None:
    if not fields:
        return
    known = _fields(kind)
    for name in fields:
        if name not in known:
            raise TypeError(f"{kind.__name__} has no field {name!r}{nearest(name, sorted(known))}")


def _fields(kind: type[Message]) -> set[str]:
    """Return the fields of a message class and of its subclasses, which it stands for too."""
    from dataclasses import fields

    try:
        own = set() if kind is Message else {field.name for field in fields(kind)}
    except TypeError:  # a class of a module that was forgotten before it was used
        own = set()
    return own.union(*map(_fields, kind.__subclasses__()))
