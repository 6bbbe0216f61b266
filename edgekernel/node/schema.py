"""The schema of a node: what it has and can be asked for, so that a client can build itself."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from pydantic import PydanticUserError, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError

from edgekernel.core.commands import Command
from edgekernel.core.context import Host
from edgekernel.core.device import Device
from edgekernel.core.hints import hints_of
from edgekernel.core.messages import Message
from edgekernel.core.output import Output
from edgekernel.core.reading import Reading
from edgekernel.core.values import ValueType
from edgekernel.core.version import VERSION
from edgekernel.node.signature import arguments_model

Schema = dict[str, Any]

VERSION_OF_SCHEMA = 1
"""Counts up when a key changes its meaning; new keys alone do not change it."""

_NO_SCHEMA = (PydanticSchemaGenerationError, PydanticUserError, NameError, TypeError, ValueError)


def describe_node(runtime: Host, surface: str = "mqtt") -> Schema:
    """Return what a runtime has, ready for JSON; nothing in it changes while a node runs, but by
    hot changes.

    `devices` have `readings` and `outputs`, each with type, unit, range and precision; an output
    also its safe value, its limits, and the role that is needed to set it. `commands` are those
    that the surface may call, by component and name, with the JSON Schema of their arguments and of
    their result. `messages` are those of drivers and applications, by name, with their severity and
    the JSON Schema of their fields. If there are `leases`, each has its `timeout_s` and the outputs
    and commands that need it.
    """
    described: Schema = {
        "schema": VERSION_OF_SCHEMA,
        "node": runtime.name,
        "version": VERSION,
        "devices": {id: describe_device(device) for id, device in runtime.devices.items()},
        "commands": describe_commands(runtime.commands.visible(surface)),
        "messages": {each.name: _message(each) for each in _messages()},
    }
    if (leases := runtime.outputs.leases) is not None:
        described["leases"] = {name: asdict(each) for name, each in leases.terms.items()}
    return described


def describe_device(device: Device) -> Schema:
    """Return what a device measures, does and tells: the messages that name the device and come
    from its driver's module."""
    return {
        "driver": type(device).__name__,
        "kind": device.kind,
        "description": _summary(type(device)),
        "readings": {name: _reading(each) for name, each in device.readings.items()},
        "outputs": {name: _output(each) for name, each in device.outputs.items()},
        "messages": [each.name for each in _messages_of(device)],
    }


def describe_commands(commands: Iterable[Command]) -> dict[str, dict[str, Schema]]:
    """Return commands by component and name."""
    found: dict[str, dict[str, Schema]] = {}
    for command in commands:
        found.setdefault(command.owner, {})[command.note.name] = describe_command(command)
    return found


def describe_command(command: Command) -> Schema:
    """Return what a command takes and gives. An argument that no JSON can carry has the schema
    `{}`: its text is in the description."""
    note = command.note
    described: Schema = {
        "description": command.description,
        "arguments": arguments_schema(command),
        "result": _schema_of(command.returns),
    }
    described |= {
        key: value
        for key, value in {
            "role": note.role,
            "timeout_s": note.timeout_s,
            "destructive": note.destructive or None,
            "secret": sorted(command.secret) or None,
        }.items()
        if value is not None
    }
    return described


def arguments_schema(command: Command) -> Schema:
    """Return the JSON Schema of the object with a command's arguments."""
    try:
        return _tidy(arguments_model(command.method).model_json_schema())
    except _NO_SCHEMA:
        return {
            "type": "object",
            "properties": {each.name: {} for each in command.parameters},
            "required": [each.name for each in command.parameters if each.required],
            "additionalProperties": False,
        }


def _reading(reading: Reading[Any]) -> Schema:
    return _values(reading.values) | _given(stale_s=reading.stale_s)


def _output(output: Output[Any]) -> Schema:
    more = _given(limits=_limits(output), role=output.role)
    return _values(output.values) | {"safe": output.safe} | more


def _values(values: ValueType[Any]) -> Schema:
    return {"type": values.type.__name__} | _given(
        unit=values.unit or None,
        range=None if values.range is None else list(values.range),
        precision=values.precision,
        device_class=values.device_class or None,
        counts_up=values.counts_up or None,
    )


def _limits(output: Output[Any]) -> Schema | None:
    """Return the limits that are not what they are without saying."""
    limits = output.limits
    if limits is None:
        return None
    given = {
        field.name: getattr(limits, field.name)
        for field in fields(limits)
        if getattr(limits, field.name) != field.default
    }
    return {name: list(v) if isinstance(v, tuple) else v for name, v in given.items()} or None


def _given(**values: Any) -> Schema:
    return {name: value for name, value in values.items() if value is not None}


def _messages() -> Iterator[type[Message]]:
    """Return the messages of drivers and applications, by name."""
    found = Message.__subclasses__()
    for each in found:  # grows while it is walked
        found += each.__subclasses__()
    own = (each for each in found if not each.__module__.startswith("edgekernel."))
    yield from {each.name: each for each in sorted(own, key=lambda each: each.name)}.values()


def _messages_of(device: Device) -> Iterator[type[Message]]:
    modules = {each.__module__ for each in type(device).__mro__}
    for each in _messages():
        if each.__module__ in modules and "device" in each.__annotations__:
            yield each


def _message(message: type[Message]) -> Schema:
    return {
        "description": _summary(message),
        "severity": message.severity.name.lower(),
        "fields": _fields_schema(message),
    }


def _fields_schema(message: type[Message]) -> Schema:
    try:
        hints = hints_of(message)
    except _NO_SCHEMA:
        hints = {}
    if not is_dataclass(message):
        return {}
    kinds = {each.name: hints.get(each.name, Any) for each in fields(message)}
    return {
        "type": "object",
        "properties": {name: _schema_of(kind) for name, kind in kinds.items()},
        "required": list(kinds),
    }


def _schema_of(kind: Any) -> Schema:
    """Return the JSON Schema of an annotation; `{}` (anything) for what has none."""
    if kind is Any or kind is inspect.Parameter.empty:
        return {}
    with suppress(*_NO_SCHEMA):
        return _tidy(TypeAdapter(kind).json_schema(mode="serialization"))
    return {}


def _tidy(schema: Schema) -> Schema:
    """Return a schema without the titles that pydantic makes of names."""
    titled = {key: each for key, each in schema.items() if key != "title" or _is_schema(each)}
    return {key: _tidy_inside(each) for key, each in titled.items()}


def _tidy_inside(value: Any) -> Any:
    if isinstance(value, list):
        return [_tidy_inside(each) for each in value]
    return _tidy(value) if isinstance(value, dict) else value


def _is_schema(title: object) -> bool:
    """Say whether it is a property of that name and no title."""
    return isinstance(title, dict)


def _summary(kind: type) -> str:
    """Return the first paragraph of a class's own text, in one line."""
    text = inspect.cleandoc(kind.__dict__.get("__doc__") or "")
    return " ".join(text.split("\n\n")[0].split())
