"""Message, Severity and Event: what happened, how bad it is, and when it was said."""

from __future__ import annotations

import gc
import re
from collections.abc import Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, Self, dataclass_transform

from edgekernel.core.clock import utc
from edgekernel.core.errors import ConfigError, UnknownTargetError, nearest
from edgekernel.core.record import (
    MADE_LATER,
    Later,
    complete,
    forget,
    get_state,
    prepare,
    refuse_change,
    set_state,
)

if TYPE_CHECKING:
    from datetime import datetime

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Severity(IntEnum):
    """How much a message matters, on the scale of `logging`."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40
    CRITICAL = 50


@dataclass_transform(frozen_default=True)
class _MessageType(type):
    """Makes every message class a frozen, slotted dataclass, however it was written."""

    def __new__(mcs, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> _MessageType:
        if "__dataclass_params__" in space:
            # dataclass(slots=True) builds the class a second time: that one is final. Message
            # itself is frozen, and a user's own @dataclass(frozen=True, slots=True) on top
            # refuses a class that states its own __setattr__ or __slots__.
            for stated in ("__setattr__", "__delattr__"):
                space.pop(stated, None)
            forget(space)
            return mcs._make(name, bases, space)
        if not bases:
            space.update({later: Later(later) for later in MADE_LATER})
            return super().__new__(mcs, name, bases, space)
        space.setdefault("name", ".".join(_WORD_START.split(name)).lower())
        recipe = prepare(space)
        cls = mcs._make(name, bases, space)
        simple = len(bases) == 1 and bases[0].__base__ is object
        if not simple or recipe.defaults or recipe.own_init or "__new__" in space:
            complete(cls)  # something can be wrong with it: that shows here
        return cls

    @classmethod
    def _make(mcs, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> _MessageType:
        cls = super().__new__(mcs, name, bases, space)
        del cls.__slots__  # type: ignore[attr-defined]
        return cls


class Message(metaclass=_MessageType):
    """An immutable, typed fact. Subclass it and annotate the fields.

    Every subclass becomes a frozen, slotted dataclass. `name` is derived from the class name
    (`ButtonPressed` becomes "button.pressed") unless the class gives one; `severity` is INFO
    unless the class says otherwise.
    """

    __slots__ = ()

    name: ClassVar[str]
    severity: ClassVar[Severity] = Severity.INFO

    __setattr__ = refuse_change
    __delattr__ = refuse_change
    __getstate__ = get_state
    __setstate__ = set_state

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name; values as they are, nested messages not converted."""
        from dataclasses import fields

        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make a message from its fields by name, as `to_dict` gives them or as JSON has them.

        For JSON's sake a field also takes a list for a tuple, a mapping for a message, an ISO
        8601 text for a datetime and the value of an enum's member. Raises InvalidValueError that
        names message and field for an unknown or missing field and for a wrong type.
        """
        from edgekernel.core.decoding import decode  # needed by few

        return decode(cls, data)


def find(name: str) -> type[Message]:
    """Return the message class of a name such as "device.attached".

    It looks through all classes there are: keep the result where it is needed often. Of a class
    that was defined again in its place, as by a reload, the latest counts. Raises
    UnknownTargetError if there is none, ConfigError if different classes have the name.
    """
    named = _named(name)
    if len(named) > 1:  # perhaps one was dropped and waits for the garbage collector
        named.clear()
        gc.collect()
        named = _named(name)
    if not named:
        raise UnknownTargetError(
            f"no message {name!r}{nearest(name, [c.name for c in _classes()])}"
        )
    if len(named) > 1:
        places = " and ".join(".".join(place) for place in named)
        raise ConfigError(f"the message name {name!r} has several classes: {places}; rename one")
    return named.popitem()[1]


def _named(name: str) -> dict[tuple[str, str], type[Message]]:
    """Return the classes of a name by module and name there, the latest of each."""
    return {(cls.__module__, cls.__qualname__): cls for cls in _classes() if cls.name == name}


def _classes() -> list[type[Message]]:
    """Return all message classes, those defined later after those before."""
    found = Message.__subclasses__()
    for cls in found:  # grows while it is walked
        found += cls.__subclasses__()
    return found


class Event:
    """A message with its place in the order of a runtime.

    `seq` counts up by one per emitted message; `time_ns` and `monotonic_ns` are nanoseconds of
    wall time since 1970-01-01 UTC and on the runtime's clock; `source` names who emitted it;
    `cause` is the `seq` of the event that has led to it: during whose handling, or in an effect
    that followed from it, it was emitted; or None.

    `correlation` is an id that a whole chain shares, or None: the one given to the `emit` from
    outside, or the key of the request, with which the chain began.
    """

    __slots__ = ("cause", "correlation", "monotonic_ns", "payload", "seq", "source", "time_ns")

    cause: int | None
    correlation: str | None

    def __init__(
        self,
        seq: int,
        time_ns: int,
        monotonic: float,
        source: str,
        payload: Message,
        cause: int | None,
        correlation: str | None = None,
    ) -> None:
        self.seq = seq
        self.time_ns = time_ns
        self.monotonic_ns = round(monotonic * 1e9)
        self.source = source
        self.payload = payload
        self.cause = cause
        self.correlation = correlation

    @property
    def monotonic(self) -> float:
        """The time of the emit in seconds on the runtime's clock, which never goes back."""
        return self.monotonic_ns / 1e9

    @property
    def time(self) -> datetime:
        """The wall time of the emit, timezone-aware, in UTC."""
        return utc(self.time_ns)

    def __repr__(self) -> str:
        return f"<Event {self.seq} {self.payload!r} from {self.source}>"
