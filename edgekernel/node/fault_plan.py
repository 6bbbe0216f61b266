"""A fault plan as a file: `[[fault]]` tables, read and checked against the node that it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgekernel.core.errors import ConfigError, UnknownTargetError
from edgekernel.node.document import read_toml
from edgekernel.node.duration import LongDuration, SignedDuration
from edgekernel.node.problems import did_you_mean, explain
from edgekernel.node.signature import model_of
from edgekernel.sim.faults import Fault, FaultKind, kind_of
from edgekernel.sim.faults.fault import TARGETS


class _Table(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)

    kind: str
    device: str = ""
    bus: str = ""
    port: str = ""
    line: str = ""
    world: str = ""
    at: LongDuration | None = None
    for_: LongDuration | None = Field(default=None, alias="for", gt=0)
    every: LongDuration | None = Field(default=None, gt=0)
    times: Annotated[int, Field(ge=1)] | None = None
    probability: float = Field(default=1.0, gt=0, le=1)


class _Plan(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    fault: list[dict[str, Any]] = Field(min_length=1)


_KEYS = tuple(field.alias or name for name, field in _Table.model_fields.items())
_TIMES = ("at", "for", "every", "times", "probability")


def load_faults(path: Path) -> tuple[Fault, ...]:
    """Read a fault plan. Raises ConfigError with every mistake: file, fault, key, what is allowed.

    Whether the faults fit the node is for who plays them to say.
    """
    return parse_faults(read_toml(path), path.name)


def parse_faults(raw: dict[str, Any], file: str) -> tuple[Fault, ...]:
    """Return the faults of a plan's content; `file` names it in mistakes, see `load_faults`."""
    try:
        plan = _Plan.model_validate(raw)
    except ValidationError as error:
        known = _Plan.model_fields
        raise ConfigError(*(f"{file}: {k}: {t}" for k, t in explain(error, known))) from None
    problems: list[str] = []
    faults: list[Fault] = []
    for number, table in enumerate(plan.fault, 1):
        try:
            faults.append(_fault(table))
        except ConfigError as error:
            problems += [f"{file}: fault.{number}.{problem}" for problem in error.problems]
    if problems:
        raise ConfigError(*problems)
    return tuple(faults)


def _fault(written: dict[str, Any]) -> Fault:
    try:
        table = _Table.model_validate(written)
    except ValidationError as error:
        raise ConfigError(*(f"{key}: {text}" for key, text in explain(error, _KEYS))) from None
    targets = {sort: name for sort in TARGETS if (name := getattr(table, sort))}
    # `line` is also a setting, of a bus that is stuck.
    setting = {"line": targets.pop("line")} if {"bus", "line"} <= set(targets) else {}
    try:
        kind = kind_of(table.kind, next(iter(targets), ""))
    except UnknownTargetError as error:
        raise ConfigError(f"kind: {error}") from None
    what = _what(kind, {**(table.model_extra or {}), **setting})
    if table.at is None and table.every is None:
        raise ConfigError("at: is missing; a fault has `at`, `every` or both")
    at_s = table.at if table.at is not None else table.every or 0.0
    return Fault(
        what, **targets, at_s=at_s, for_s=table.for_, every_s=table.every, times=table.times,
        probability=table.probability,
    )  # fmt: skip


def _what(kind: type[FaultKind], settings: dict[str, Any]) -> FaultKind:
    made: Any = kind
    replaced = {name: _duration(made, name) for name in kind.durations}
    model = model_of(made.__init__, replaced)
    try:
        values = model.model_validate(settings)
    except ValidationError as error:
        fields = list(model.model_fields)
        problems = []
        for key, text in explain(error, fields):
            if text.startswith("unknown key"):
                known = [*fields, *kind.on, *_TIMES, "kind"]
                text = f"unknown key of {kind.word}; {did_you_mean(key, known)}"
            problems.append(f"{key}: {text}")
        raise ConfigError(*problems) from None
    found: FaultKind = made(**{name: getattr(values, name) for name in model.model_fields})
    return found


def _duration(kind: Any, name: str) -> Any:
    """Return the type of a setting that may be written as a duration, with its limits."""
    hint = get_type_hints(kind, include_extras=True)[name]
    limits = getattr(hint, "__metadata__", ())
    return Annotated[(SignedDuration, *limits)] if limits else SignedDuration
