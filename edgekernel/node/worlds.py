"""The worlds of a node file: found, checked, and connected to the devices and to one another."""

from __future__ import annotations

import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from inspect import Parameter
from itertools import chain
from types import UnionType
from typing import Annotated, Any, Union, cast

from annotated_types import MinLen
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from edgekernel.core.errors import ConfigError, EdgekernelError
from edgekernel.node.assemble import load_named
from edgekernel.node.document import WorldTable
from edgekernel.node.plan import Plan
from edgekernel.node.problems import did_you_mean, explain
from edgekernel.node.signature import model_of, parameters_of
from edgekernel.sim.bench import Bench
from edgekernel.sim.places import Actuator, Sensor, Switch
from edgekernel.sim.worlds import KINDS


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    at: Annotated[str, MinLen(1)]
    gain: float = 1.0
    offset: float = 0.0


class _SensorTable(_Table):
    text: str = "{:.6g}"


def _short(value: Any) -> Any:
    if not isinstance(value, str | dict):
        raise ValueError(
            'a place is a text such as "room.temperature_c", or a table with at, gain and offset'
        )
    return {"at": value} if isinstance(value, str) else value


_PLACES: dict[type, Any] = {
    Actuator: Annotated[_Table, BeforeValidator(_short)],
    Sensor: Annotated[_SensorTable, BeforeValidator(_short)],
    Switch: Annotated[str, MinLen(1)],
}
"""How each kind of place is written in the file."""

_SEVERAL: dict[Any, type] = {Sequence: list, list: list, tuple: tuple}
"""What a world is given that takes several places in one of these."""


class _Bare:
    """Its constructor stands for that of a class which has none."""

    def __init__(self) -> None:
        pass


class _Declared:
    """One world of the file: its class, and what its parameters take."""

    def __init__(self, name: str, made: type, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.made = made
        self.settings = settings
        # Through Any, since a class of a user may take anything, or nothing at all.
        init: Any = cast(Any, made).__init__
        self._init: Any = _Bare.__init__ if init is object.__init__ else init
        self.parameters = _parameters(self._init)
        self.places: dict[str, tuple[type, type | None]] = {}
        """By parameter: what it takes, and in what if it takes several."""
        for parameter, (hint, _) in self.parameters.items():
            for kind in _inside(hint):
                if kind in _PLACES or _is_world(kind):
                    self.places[parameter] = kind, self._several(parameter, hint)

    def _several(self, parameter: str, hint: Any) -> type | None:
        """Return in what a parameter takes several places; None if it takes one."""
        origin = typing.get_origin(hint)
        if origin in (Union, UnionType):  # with None, for what may be left out
            origin = next(filter(None, map(typing.get_origin, typing.get_args(hint))), None)
        if origin is None:
            return None
        if origin not in _SEVERAL:
            raise ConfigError(
                f".kind: {self._init.__qualname__}: {parameter} is a {origin.__name__} of places; "
                "a list or a tuple can be written"
            )
        return _SEVERAL[origin]

    def check(self) -> tuple[Any, list[str]]:
        """Return the settings, validated, and what is wrong with them, from the key on."""
        written: dict[str, Any] = {}
        for parameter, (kind, several) in self.places.items():
            form: Any = _PLACES.get(kind, str)
            optional = self.parameters[parameter][1].default is None
            written[parameter] = list[form] if several else form | None if optional else form
        if self.takes_bench:
            written["bench"] = Any
        model = model_of(self._init, written)
        given = {**self.settings, **({"bench": None} if self.takes_bench else {})}
        try:
            return model.model_validate(given), []
        except ValidationError as error:
            known = ["kind", *(set(model.model_fields) - {"bench"})]
            return None, [f".{key}: {_full(key, text)}" for key, text in explain(error, known)]

    @property
    def takes_bench(self) -> bool:
        """Whether it is given the bench."""
        return "bench" in self.parameters

    @property
    def needs(self) -> list[str]:
        """The worlds that it names."""
        keys = [key for key, (kind, _) in self.places.items() if _is_world(kind)]
        written = [self.settings.get(key) for key in keys]
        named = chain.from_iterable(each if isinstance(each, list) else [each] for each in written)
        return [each for each in named if isinstance(each, str)]


def _parameters(init: Any) -> dict[str, tuple[Any, Parameter]]:
    """Return what a constructor takes. Raises ConfigError for one that no file can fill."""
    try:
        found = parameters_of(init)
    except TypeError as error:
        raise ConfigError(f".kind: {error}") from error
    except NameError as error:
        raise ConfigError(
            f".kind: {init.__qualname__}: in its annotations {error}; import it when it runs too"
        ) from error
    for name, (_, parameter) in found.items():
        if parameter.annotation is Parameter.empty and name != "bench":
            raise ConfigError(
                f".kind: {init.__qualname__}: {name} has no annotation; it is an Actuator, a "
                "Sensor, a Switch, another world, a number or a text"
            )
    return found


def _full(key: str, text: str) -> str:
    """Name the known keys of a place's table, if an unknown one was found in it."""
    if text != "unknown key":
        return text
    return f"{text}; {did_you_mean(key.rpartition('.')[2], _SensorTable.model_fields)}"


def make_worlds(plan: Plan, bench: Bench) -> dict[str, Any]:
    """Make the worlds of `[sim]`, by name, those first that others name.

    Raises ConfigError with every mistake: file, key, what is wrong and what is allowed.
    """
    sim = plan.document.sim
    problems: list[str] = []
    declared: dict[str, _Declared] = {}
    for name, table in sim.worlds.items():
        try:
            declared[name] = _Declared(name, _class(plan, name, table), table.settings)
        except ConfigError as error:
            problems += _placed(plan, name, error)
    around = _Surroundings(bench, sim.worlds)
    made = around.made
    for each in _in_order(plan, declared, problems):
        try:
            made[each.name] = _make(each, around)
        except ConfigError as error:
            problems += _placed(plan, each.name, error)
    if sim.world is not None:
        try:
            made.setdefault("world", _make_old(plan, sim.world, bench))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*problems)
    return made


def _placed(plan: Plan, name: str, error: ConfigError) -> list[str]:
    """Put file and world before those problems that begin with a key of the world."""
    where = f"{plan.path.name}: sim.worlds.{name}"
    return [f"{where}{p}" if p.startswith((".", ":")) else p for p in error.problems]


def _class(plan: Plan, name: str, table: WorldTable) -> type:
    key = f"sim.worlds.{name}.kind"
    if ":" in table.kind:
        return _load(plan, key, table.kind)
    if table.kind not in KINDS:
        raise ConfigError(
            f'{plan.path.name}: {key}: "{table.kind}" is no kind of world; '
            f"{did_you_mean(table.kind, KINDS)}"
        )
    return KINDS[table.kind]


def _load(plan: Plan, key: str, name: str) -> type:
    module, _, attribute = name.partition(":")
    found = getattr(load_named(plan, key, module), attribute, None)
    if found is None or not callable(getattr(found, "step", None)):
        raise ConfigError(
            f'{plan.path.name}: {key}: "{name}" is no class with a method step(seconds); '
            'write it as "module:Class"'
        )
    made: type = found
    return made


def _make_old(plan: Plan, name: str, bench: Bench) -> Any:
    """Make the world of the key `world`, which is given the bench and nothing else."""
    found: Callable[[Bench], Any] = _load(plan, "sim.world", name)
    try:
        return found(bench)
    except Exception as error:
        raise ConfigError(
            f"{plan.path.name}: sim.world: {name} cannot be made: {type(error).__name__}: {error}"
        ) from error


def _in_order(
    plan: Plan, declared: Mapping[str, _Declared], problems: list[str]
) -> Iterator[_Declared]:
    needs = {name: [n for n in each.needs if n in declared] for name, each in declared.items()}
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = error.args[1]
        problems.append(
            f"{plan.path.name}: sim.worlds.{circle[0]}: worlds that name one another in a "
            f"circle: {' -> '.join(circle)}"
        )
        return
    yield from (declared[name] for name in order)


@dataclass(frozen=True)
class _Surroundings:
    """What a world can be given: places on the bench, and the other worlds."""

    bench: Bench
    named: Collection[str]
    """The worlds that the file names."""
    made: dict[str, Any] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    """The places that are moved, and by which key."""

    def find(self, kind: type, value: Any, key: str) -> Any:
        """Return what a key means. Raises ConfigError, and what the bench raises."""
        if _is_world(kind):
            return self._world(kind, value)
        if kind is Actuator:  # it is only looked at
            return self.bench.actuator(value.at, gain=value.gain, offset=value.offset)
        if kind is Switch:
            switch = self.bench.switch(value)
            self._move(switch.line, key)
            return switch
        sensor = self.bench.sensor(value.at, gain=value.gain, offset=value.offset, text=value.text)
        self._move(sensor.name, key)
        return sensor

    def _move(self, place: str, key: str) -> None:
        """Note who moves a place; somebody else would undo it."""
        by = self.moved.setdefault(place, key)
        if by != key:
            raise ConfigError(f"{place} is moved by {by} already; take one out")

    def _world(self, kind: type, name: str) -> Any:
        found = self.made.get(name)
        if found is None and name in self.named:
            raise ConfigError(f'the world "{name}" could not be made')
        if not isinstance(found, kind):
            fitting = [each for each, world in self.made.items() if isinstance(world, kind)]
            what = "is no world" if found is None else f"is a {type(found).__name__}"
            raise ConfigError(
                f'"{name}" {what}; a {kind.__name__} is needed; {did_you_mean(name, fitting)}'
            )
        return found


def _make(world: _Declared, around: _Surroundings) -> Any:
    values, problems = world.check()
    if values is None:
        raise ConfigError(*problems)
    arguments = {key: getattr(values, key) for key in type(values).model_fields}
    if world.takes_bench:
        arguments["bench"] = around.bench
    for parameter, (kind, several) in world.places.items():
        value = arguments[parameter]
        if value is None or parameter not in world.settings:
            continue
        key = f"sim.worlds.{world.name}.{parameter}"
        try:
            if several is None:
                arguments[parameter] = around.find(kind, value, key)
            else:
                found = [around.find(kind, v, f"{key}.{i}") for i, v in enumerate(value, 1)]
                arguments[parameter] = several(found)
        except EdgekernelError as error:
            problems.append(f".{parameter}: {error}")
    if problems:
        raise ConfigError(*problems)
    try:
        return world.made(**arguments)
    except EdgekernelError as error:  # it says itself what is wrong
        raise ConfigError(f": {error}") from error
    except Exception as error:
        raise ConfigError(f": cannot be made: {type(error).__name__}: {error}") from error


def _is_world(kind: Any) -> bool:
    return isinstance(kind, type) and callable(getattr(kind, "step", None))


def _inside(hint: Any) -> Iterator[Any]:
    """Return a type, and those that it is made of."""
    yield hint
    for each in typing.get_args(hint):
        if isinstance(each, type) or typing.get_origin(each) is not None:
            yield from _inside(each)
