"""Models made from signatures: how settings of drivers and arguments of commands are checked."""

from __future__ import annotations

import inspect
import json
import typing
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Any

from annotated_types import Unit
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from edgekernel.core.errors import InvalidValueError
from edgekernel.core.hints import hints_of
from edgekernel.node.duration import AsSeconds
from edgekernel.node.problems import explain, in_json

_MAX_MODELS = 1024
"""Commands whose models are kept: those of versions that hot updates have replaced go."""


def parameters_of(function: Callable[..., Any]) -> dict[str, tuple[Any, inspect.Parameter]]:
    """Return the type of each parameter that is filled from outside, by name: not `self`, and
    not the `id` of a driver. Raises TypeError and NameError for what no file can fill."""
    left_out = ("self", "id") if function.__name__ == "__init__" else ("self",)
    hints = hints_of(function)
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"{function.__qualname__}: *{name} cannot be filled from outside")
        if name not in left_out:
            found[name] = (hints.get(name, Any), parameter)
    return found


def durations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the types of the parameters that are seconds, by name: a duration as a text, such as
    "20ms", does for them too, and the function is given the seconds.

    Those are the numbers that are annotated with `annotated_types.Unit("s")`, and those whose name
    ends in `_s` ("per second" aside).
    """
    return {
        name: Annotated[hint, AsSeconds, Field(json_schema_extra={"unit": "s"})]
        for name, (hint, _) in parameters_of(function).items()
        if _is_seconds(name, hint)
    }


def _is_seconds(name: str, hint: Any) -> bool:
    """Say whether a parameter, which may be left out with None, is a number of seconds."""
    kinds = [kind for kind in (hint, *typing.get_args(hint)) if kind is not type(None)]
    if float not in {*kinds, *(args for kind in kinds for args in typing.get_args(kind)[:1])}:
        return False
    named = name.endswith("_s") and not name.endswith("_per_s")
    return named or any(Unit("s") in getattr(kind, "__metadata__", ()) for kind in kinds)


def model_of(
    function: Callable[..., Any], replaced: Mapping[str, Any] | None = None
) -> type[BaseModel]:
    """Return a model with a field for each of a function's `parameters_of`.

    `replaced` gives other types for some parameters. Unknown keys are refused.
    """
    fields: dict[str, Any] = {}
    for name, (kind, parameter) in parameters_of(function).items():
        required = parameter.default is parameter.empty
        fields[name] = ((replaced or {}).get(name, kind), ... if required else parameter.default)
    config = ConfigDict(
        extra="forbid", strict=True, arbitrary_types_allowed=True, allow_inf_nan=False
    )
    with warnings.catch_warnings():  # a parameter may be named `copy` or `json`: nobody calls those
        warnings.filterwarnings("ignore", "Field name .* shadows an attribute", UserWarning)
        return create_model(function.__qualname__, __config__=config, **fields)


def arguments_model(method: Callable[..., Any]) -> type[BaseModel]:
    """Return the model of a command's arguments. Raises TypeError and NameError for what no JSON
    can carry."""
    return _arguments(getattr(method, "__func__", method))


@lru_cache(maxsize=_MAX_MODELS)
def _arguments(function: Callable[..., Any]) -> type[BaseModel]:
    return model_of(function)


def bind_validated(method: Callable[..., Any], args: Mapping[str, Any]) -> Callable[[], Any]:
    """Check the arguments of a command against its annotations; return the call, ready to make.

    Raises InvalidValueError that names each wrong argument and says what is allowed.
    """
    model = arguments_model(method)
    try:
        values = model.model_validate_json(json.dumps(dict(args)))
    except ValidationError as error:
        texts = [f"{key}: {text}" for key, text in explain(error, model.model_fields, in_json)]
        raise InvalidValueError("; ".join(texts)) from None
    except (TypeError, ValueError) as error:
        raise InvalidValueError(f"the arguments cannot be written as JSON: {error}") from None
    given = {name: getattr(values, name) for name in type(values).model_fields}
    return lambda: method(**given)
