"""Frozen, slotted dataclasses that cost little until they are used.

`dataclasses` writes and compiles source for every class, 0.4 ms each and twenty times that on the
smallest boards, and is itself an import of 7 ms. Here a class has its slots at first, and stand-ins
for the rest. The first instance brings `__init__`, `__eq__`, `__hash__` and `__repr__`. What
`dataclasses` makes of the class follows when somebody asks for it, such as `fields` or `replace`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from types import MemberDescriptorType, SimpleNamespace
from typing import Any, ClassVar, Literal, NoReturn, TypeVar, cast, dataclass_transform

T = TypeVar("T")

_lock = threading.RLock()  # around making a class complete: no code of a user's runs in it
_RECIPE = "__edgekernel_recipe__"
"""Where a class made here keeps its recipe."""
_NOT_TAKEN = {"__delattr__", "__dict__", "__doc__", "__setattr__", "__slots__", "__weakref__"}


class Recipe:
    """What a class is to be made of: the names of its fields, their defaults, and options."""

    __slots__ = ("defaults", "eq", "names", "own_init")

    def __init__(self, names: list[str], space: dict[str, Any], eq: bool) -> None:
        """Take the defaults out of the namespace of a class: the slots have their names."""
        self.names = names
        self.defaults = {name: space.pop(name) for name in names if name in space}
        self.eq = eq
        self.own_init = "__init__" in space


class Later:
    """Stands for something that `dataclasses` makes of a class, until it is asked for."""

    __slots__ = ("_name", "_owner")

    def __init__(self, name: str, owner: type | None = None) -> None:
        """Stand for `name` of `owner`, or of whatever class it is asked of."""
        self._name = name
        self._owner = owner

    def __get__(self, instance: object, asked: type) -> Any:
        owner = self._owner or asked
        recipe = vars(owner).get(_RECIPE)
        if recipe is not None and not (recipe.own_init and self._name == "__init__"):
            complete(owner, self._name)
            made = vars(owner)[self._name]
        elif self._name == "__init__":  # of the base, called by a class with one of its own
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
    """Make a class a dataclass, as `dataclasses.dataclass`; its mistakes show at its first use."""

    def make(cls: type[T]) -> type[T]:
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


def prepare(space: dict[str, Any], *, eq: bool = True) -> Recipe:
    """Give a class that is about to be made its slots; set its defaults aside."""
    if "__slots__" in space:
        raise TypeError(f"{space['__qualname__']}: __slots__ are made of the fields")
    names = space["__slots__"] = field_names(space)
    recipe = space[_RECIPE] = Recipe(names, space, eq)
    return recipe


def complete(cls: type, wanted: str = "__dataclass_fields__") -> None:
    """Make what is still to be made of a class, if need be without what only `fields` needs."""
    with _lock:
        own = vars(cls)
        if _RECIPE not in own or _is_made(own, wanted):  # by another thread just now
            return
        made = _write(cls) if wanted == "__init__" and _is_usual(cls) else _model(cls)
        # __init__ comes last: who can make an instance then finds the rest in place.
        for name in sorted(made, key="__init__".__eq__):
            if not _is_made(own, name):
                setattr(cls, name, made[name])


def _is_made(own: Mapping[str, Any], name: str) -> bool:
    return own.get(name) is not None and not isinstance(own[name], Later)


def _is_usual(cls: type) -> bool:
    """Say whether `_write` knows all that instances need; `dataclasses` knows the rest."""
    recipe: Recipe = vars(cls)[_RECIPE]
    names, defaults = recipe.names, recipe.defaults
    kinds = {type(value) for value in defaults.values()}
    usual = all(kind.__hash__ is not None and kind.__name__ != "Field" for kind in kinds)
    plain = all(name.isidentifier() and name != "self" for name in names)
    ordered = not any(name in defaults for name in names[: len(names) - len(defaults)])
    alone = not any(hasattr(base, "__dataclass_fields__") for base in cls.__mro__[1:])
    return usual and plain and ordered and alone and "__hash__" not in vars(cls)


def _write(cls: type) -> dict[str, Any]:
    """Return the functions that instances need."""
    recipe: Recipe = vars(cls)[_RECIPE]
    names, defaults = recipe.names, recipe.defaults
    known: dict[str, Any] = {"_set": object.__setattr__, "_missing": object()}
    parameters, lines = ["self"], []
    for name in names:
        value = name
        if isinstance(defaults.get(name), _Factory):
            known[f"_default_{name}"] = defaults[name].make
            parameters.append(f"{name}=_missing")
            value = f"_default_{name}() if {name} is _missing else {name}"
        elif name in defaults:
            known[f"_default_{name}"] = defaults[name]
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        lines.append(f"_set(self, {name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    mine = "".join(f"self.{name}, " for name in names)
    shown = ", ".join(f"{name}={{self.{name}!r}}" for name in names)
    source = [
        f"def __init__({', '.join(parameters)}):\n {'; '.join(lines) or 'pass'}",
        f"def __repr__(self):\n return f'{{self.__class__.__qualname__}}({shown})'",
    ]
    if recipe.eq:
        source += [
            "def __eq__(self, other):\n"
            " if other.__class__ is not self.__class__: return NotImplemented\n"
            f" return ({mine}) == ({mine.replace('self.', 'other.')})",
            f"def __hash__(self):\n return hash(({mine}))",
        ]
    made: dict[str, Any] = {}
    exec("\n".join(source), known, made)  # noqa: S102 - identifiers, and nothing else from outside
    for name, function in made.items():
        function.__qualname__ = f"{cls.__qualname__}.{name}"
        function.__module__ = cls.__module__
    types = vars(cls).get("__annotations__", {})
    made["__init__"].__annotations__ = {name: types[name] for name in names if name in types}
    return made


def _model(cls: type) -> dict[str, Any]:
    """Return what `dataclasses` makes of a copy of a class."""
    import dataclasses

    recipe: Recipe = vars(cls)[_RECIPE]
    body = _body(cls)
    for name, value in recipe.defaults.items():
        late = isinstance(value, _Factory)
        body[name] = dataclasses.field(default_factory=value.make) if late else value
    plain: Any = type(cls.__name__, (_fields_of_bases(cls),), body)
    model = dataclasses.dataclass(frozen=True, eq=recipe.eq, slots=True)(plain)
    return {
        name: value
        for name, value in vars(model).items()
        if name not in _NOT_TAKEN
        and value is not body.get(name)
        and not isinstance(value, MemberDescriptorType)
    }


def _body(cls: type) -> dict[str, Any]:
    """Return what a class states itself."""
    body = {
        name: value
        for name, value in vars(cls).items()
        if name not in {*_NOT_TAKEN, _RECIPE}
        and not isinstance(value, Later | MemberDescriptorType)
    }
    # A text, lest one is made of the signature, which is slow to find out.
    return {**body, "__doc__": cls.__doc__ or " ", "__qualname__": cls.__qualname__}


def _fields_of_bases(cls: type) -> type:
    """Return a class that looks to `dataclasses` like the bases of a class."""
    fields: dict[str, Any] = {}
    for base in reversed(cls.__mro__[1:]):
        fields.update(getattr(base, "__dataclass_fields__", {}))
    frozen = SimpleNamespace(frozen=True)
    return type("Base", (), {"__dataclass_fields__": fields, "__dataclass_params__": frozen})


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

    raise FrozenInstanceError(f"{type(self).__name__}: it cannot be changed (field {name!r})")


_FROZEN = {
    "__delattr__": refuse_change,
    "__getstate__": get_state,
    "__setattr__": refuse_change,
    "__setstate__": set_state,
}
