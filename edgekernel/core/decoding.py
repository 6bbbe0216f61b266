"""Messages from data: each field checked against its annotation, nothing looked up by a name.

What is accepted for a field is a value of its type, and the plain form that JSON has for it: a
list for a tuple, a mapping for a message, an ISO 8601 text for a datetime, the value of an enum's
member. Where several types are allowed, a value that is of one of them already stays as it is.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from edgekernel.core.errors import InvalidValueError, nearest
from edgekernel.core.messages import Message

M = TypeVar("M", bound=Message)

_HINTS = "_field_types"
_SHOWN = 80  # characters of a wrong value in an error
_WORDS = {
    bool: "true or false",
    bytes: "bytes",
    datetime: "a date and time",
    dict: "names with values",
    float: "a number",
    int: "an integer",
    list: "a list",
    str: "a text",
    tuple: "a list",
    type(None): "nothing",
}


class _UnfitError(Exception):
    """A type does not allow a value: which one, what it does allow, and where in the field."""

    def __init__(self, value: object, allowed: str, where: str = "") -> None:
        super().__init__(where)
        self.value = value
        self.allowed = allowed
        self.where = where


def decode(cls: type[M], data: Mapping[str, Any]) -> M:
    """Make a message of a class from its fields by name; see `Message.from_dict`."""
    if not isinstance(data, Mapping):
        raise InvalidValueError(f"{cls.name}: {_shown(data)} is not allowed: fields by name")
    hints = _types_of(cls)
    fields = {field.name: field for field in dataclasses.fields(cast(Any, cls))}
    for key in data:
        if key not in fields:
            raise InvalidValueError(
                f"{cls.name}: no field {_shown(key)}{nearest(str(key), fields)}"
            )
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if not field.init:  # it is made from the others
            continue
        if name in data:
            values[name] = _field(cls, name, hints[name], data[name])
        elif field.default is field.default_factory is dataclasses.MISSING:
            raise InvalidValueError(f"{cls.name}: the field {name!r} is missing")
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:  # what the class itself checks
        raise InvalidValueError(f"{cls.name}: {error}") from error


def _types_of(cls: type[Message]) -> dict[str, Any]:
    """Return the types of the fields; resolved late, as they may name a class defined later."""
    if _HINTS not in cls.__dict__:
        try:
            setattr(cls, _HINTS, get_type_hints(cls))
        except NameError as error:
            raise TypeError(
                f"{cls.name}: {error}; the types of its fields must be known in {cls.__module__}"
            ) from error
    return cast("dict[str, Any]", cls.__dict__[_HINTS])


def _field(cls: type[Message], name: str, hint: Any, value: Any) -> Any:
    try:
        return _fit(hint, value, exact=False)
    except _UnfitError as unfit:
        wrong = f"{_shown(unfit.value)} is not allowed: {unfit.allowed}"
        raise InvalidValueError(f"{cls.name}: {name}{unfit.where}: {wrong}") from None


def _fit(hint: Any, value: Any, *, exact: bool) -> Any:
    """Return a value as a type has it; with `exact` only if it is of that type already."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any or hint is object:
        return value
    if origin is Union or origin is types.UnionType:
        return _one_of(args, value, exact)
    if origin is Literal:
        return _literal(args, value)
    kind = origin or (type(None) if hint is None else hint)
    if kind in (tuple, list) and args:
        return _sequence(kind, args, value, exact)
    if kind is dict and args:
        return _mapping(args, value, exact)
    if not isinstance(kind, type):
        raise TypeError(f"a field of type {hint} cannot be read from data")
    return _plain(kind, value, exact)


def _plain(kind: type, value: Any, exact: bool) -> Any:
    """Return a value as a class has it."""
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    made = None if exact else _from_plain_form(kind, value)
    if made is None:
        raise _UnfitError(value, _allowed(kind))
    return made


def _from_plain_form(kind: type, value: Any) -> Any:
    """Return what a class makes of the form that JSON has for its values; None if nothing."""
    if issubclass(kind, Message) and isinstance(value, Mapping):
        try:
            return decode(kind, value)
        except InvalidValueError as error:
            raise _UnfitError(value, f"{_allowed(kind)} ({error})") from error
    if issubclass(kind, Enum):
        known = (member for member in kind if member.value == value)
        return next((member for member in known if type(member.value) is type(value)), None)
    try:
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if kind is datetime and isinstance(value, str):
            return datetime.fromisoformat(value)
    except (ValueError, OverflowError):
        return None
    return tuple(value) if kind is tuple and isinstance(value, list) else None


def _one_of(choices: Sequence[Any], value: Any, exact: bool) -> Any:
    allowed: list[str] = []
    for strictly in (True,) if exact else (True, False):
        for hint in choices:
            try:
                return _fit(hint, value, exact=strictly)
            except _UnfitError as unfit:
                allowed += [unfit.allowed] if unfit.allowed not in allowed else []
    raise _UnfitError(value, " or ".join(allowed))


def _literal(choices: Sequence[Any], value: Any) -> Any:
    for choice in choices:
        if choice == value and type(choice) is type(value):
            return choice
    raise _UnfitError(value, " or ".join(map(repr, choices)))


def _sequence(kind: type, args: Sequence[Any], value: Any, exact: bool) -> Any:
    if not isinstance(value, kind if exact else (list, tuple)):
        raise _UnfitError(value, _allowed(kind))
    items = cast("Sequence[Any]", value)
    hints = args if kind is tuple and args[-1] is not ... else list(args[:1]) * len(items)
    if len(hints) != len(items):
        raise _UnfitError(value, f"a list of {len(hints)}")
    return kind(
        _inside(hint, item, exact, f"[{index}]")
        for index, (hint, item) in enumerate(zip(hints, items, strict=True))
    )


def _mapping(args: Sequence[Any], value: Any, exact: bool) -> dict[Any, Any]:
    if not isinstance(value, dict if exact else Mapping):
        raise _UnfitError(value, _allowed(dict))
    return {
        _inside(args[0], key, exact, "'s names"): _inside(args[1], item, exact, f"[{key!r}]")
        for key, item in value.items()
    }


def _inside(hint: Any, value: Any, exact: bool, where: str) -> Any:
    try:
        return _fit(hint, value, exact=exact)
    except _UnfitError as unfit:
        raise _UnfitError(unfit.value, unfit.allowed, where + unfit.where) from None


def _allowed(kind: type) -> str:
    if issubclass(kind, Enum):
        return " or ".join(repr(member.value) for member in kind)
    if issubclass(kind, Message):
        return f"the fields of {kind.name}"
    return _WORDS.get(kind, f"a {kind.__name__}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
