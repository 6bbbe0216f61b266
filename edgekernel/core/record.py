"""Frozen, slotted dataclasses that cost little until they are used.

`dataclasses` writes and compiles source for every class, half a millisecond each and twenty times
that on the smallest boards, and is itself a big import. Here it does so when a class is used for
the first time; before that the class has its slots, and stand-ins for the rest.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import MemberDescriptorType
from typing import Any, ClassVar, Literal, NoReturn, TypeVar, cast, dataclass_transform

T = TypeVar("T")

_lock = threading.RLock()  # around making a class complete: no code of a user's runs in it
_RECIPE = "__edgekernel_recipe__"
"""Where a class made here keeps its defaults and `eq`; None when it is complete."""
_NOT_TAKEN = {"__delattr__", "__dict__", "__doc__", "__setattr__", "__weakref__"}


class Later:
    """Stands for something that `dataclasses` makes of a class, until it is asked for."""

    __slots__ = ("_name", "_owner")

    def __init__(self, name: str, owner: type | None = None) -> None:
        """Stand for `name` of `owner`, or of whatever class it is asked of."""
        self._name = name
        self._owner = owner

    def __get__(self, instance: object, asked: type) -> Any:
        owner = self._owner or asked
        if _RECIPE in vars(owner):
            _complete(owner)
            made = vars(owner)[self._name]
        elif self._name == "__init__":  # of a base class, called by a class with its own
            made = object.__init__
        else:
            raise AttributeError(f"{owner.__name__} is no dataclass")
        bind = getattr(type(made), "__get__", None)
        return made if bind is None else bind(made, instance, asked)


MADE_LATER = ("__dataclass_fields__", "__dataclass_params__", "__init__", "__match_args__")


class _Factory:
    """Stands for a default that is made for each instance."""

    def __init__(self, make: Callable[[], object]) -> None:
        self.make = make


def field(*, default_factory: Callable[[], T]) -> T:
    """Give a field a default that is made for each instance, as `dataclasses.field`."""
    return cast(T, _Factory(default_factory))


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def dataclass(
    *, frozen: Literal[True], slots: Literal[True], eq: bool = True
) -> Callable[[type[T]], type[T]]:
    """Make a class a dataclass, as `dataclasses.dataclass`, with no other one as its base.

    What is wrong with its fields shows when it is used for the first time.
    """

    def make(cls: type[T]) -> type[T]:
        if any(hasattr(base, MADE_LATER[0]) for base in cls.__bases__):
            raise TypeError(
                f"{cls.__name__} has a dataclass as its base: use dataclasses.dataclass"
            )
        space = {name: value for name, value in vars(cls).items() if name not in _NOT_TAKEN}
        space.update(__doc__=cls.__doc__, __qualname__=cls.__qualname__, **_FROZEN)
        prepare(space, eq=eq)
        kind = cast("Callable[..., type[T]]", type(cls))
        made = kind(cls.__name__, cls.__bases__, space)
        for name in set(MADE_LATER) - set(space):
            setattr(made, name, Later(name, made))
        return made

    return make


def forget(space: dict[str, Any]) -> None:
    """Take what `prepare` did to a class out of a copy of its namespace."""
    space.pop(_RECIPE, None)


def prepare(space: dict[str, Any], *, eq: bool = True) -> None:
    """Give a class that is about to be made its slots; set its defaults aside."""
    names = field_names(space)
    space["__slots__"] = names
    space[_RECIPE] = {name: space.pop(name) for name in names if name in space}, eq


def _complete(cls: type) -> None:
    """Let `dataclasses` make of a class what is still to be made."""
    import dataclasses

    with _lock:
        recipe = vars(cls)[_RECIPE]
        if recipe is None:  # done, by another thread just now
            return
        defaults, eq = recipe
        body = _body(cls)
        for name, value in defaults.items():
            late = isinstance(value, _Factory)
            body[name] = dataclasses.field(default_factory=value.make) if late else value
        plain: Any = type(cls.__name__, (), body)
        model = dataclasses.dataclass(frozen=True, eq=eq)(plain)
        made = {
            name: value
            for name, value in vars(model).items()
            if name not in _NOT_TAKEN and name not in defaults and value is not body.get(name)
        }
        # __init__ comes last: who can make an instance then finds the rest in place.
        for name in sorted(made, key="__init__".__eq__):
            setattr(cls, name, made[name])
        setattr(cls, _RECIPE, None)


def _body(cls: type) -> dict[str, Any]:
    """Return what a class states itself."""
    body = {
        name: value
        for name, value in vars(cls).items()
        if name not in {*_NOT_TAKEN, "__slots__", _RECIPE}
        and not isinstance(value, Later | MemberDescriptorType)
    }
    # A text, lest one is made of the signature, which is slow to find out.
    return {**body, "__doc__": cls.__doc__ or " ", "__qualname__": cls.__qualname__}


def field_names(space: dict[str, Any]) -> list[str]:
    """Return the fields that a class that is about to be made declares itself."""
    return [name for name, kind in _annotations(space).items() if not _is_class_variable(kind)]


def _annotations(space: dict[str, Any]) -> dict[str, Any]:
    if sys.version_info >= (3, 14) and "__annotations__" not in space:
        import annotationlib  # here they are a function; names in it may not be known yet

        annotate = annotationlib.get_annotate_from_class_namespace(space)
        if annotate is not None:
            forward = annotationlib.Format.FORWARDREF
            return dict(annotationlib.call_annotate_function(annotate, forward))
    return dict(space.get("__annotations__", {}))


def _is_class_variable(annotation: object) -> bool:
    """Say whether an annotation declares something that is no field of an instance."""
    if isinstance(annotation, str):
        return annotation.partition("[")[0].rpartition(".")[2] == "ClassVar"
    return annotation is ClassVar or getattr(annotation, "__origin__", None) is ClassVar


def get_state(self: Any) -> list[Any]:
    """Return the values of the fields: `__getstate__`, for pickling and copying."""
    from dataclasses import fields

    return [getattr(self, field.name) for field in fields(self)]


def set_state(self: Any, state: list[Any]) -> None:
    """Take the values of the fields: `__setstate__`."""
    from dataclasses import fields

    for field, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


def refuse_change(self: object, name: str, value: object = None) -> NoReturn:
    """Refuse to set or delete an attribute: `__setattr__` and `__delattr__`."""
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"a {type(self).__name__} cannot be changed (field {name!r})")


_FROZEN = {
    "__delattr__": refuse_change,
    "__getstate__": get_state,
    "__setattr__": refuse_change,
    "__setstate__": set_state,
}
