"""What of a node is a property in Homie, and of which kind, made from the node's schema.

Source: The Homie Convention 5.0, "Properties", "Formats" and "Units".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.encoding import encode
from edgekernel.mqtt.home_assistant.entity import title
from edgekernel.mqtt.homie.settings import HomieSettings
from edgekernel.mqtt.homie.values import Datatype, encode_value
from edgekernel.mqtt.topics import segment

Schema = Mapping[str, Any]
Source = Literal["reading", "output", "command", "events"]

RUN = "run"
"""What is set to call a command without arguments."""

EVENTS = "event"
"""The property of a device whose driver tells messages."""

_DATATYPES: dict[str, Datatype] = {
    "bool": "boolean",
    "int": "integer",
    "float": "float",
    "str": "string",
}
_FORMATS: dict[str, Datatype] = {"date-time": "datetime", "duration": "duration"}
_TYPES: dict[str, Datatype] = {
    "boolean": "boolean",
    "integer": "integer",
    "number": "float",
    "string": "string",
    "object": "json",
    "array": "json",
}


@dataclass(frozen=True, slots=True)
class Property:
    """One property: what it is of (`owner` and `member` as the node names them), and how it is
    described."""

    source: Source
    owner: str
    member: str
    datatype: Datatype
    format: str = ""
    unit: str = ""
    argument: str = ""
    """The one that a command is given; none if it is empty."""

    @property
    def settable(self) -> bool:
        """Whether a controller may set it."""
        return self.source in ("output", "command")

    @property
    def retained(self) -> bool:
        """Whether it has a state; else it is of a moment."""
        return self.source in ("reading", "output")

    @property
    def node(self) -> str:
        """The id of its node in Homie."""
        return segment(self.owner)

    @property
    def id(self) -> str:
        """Its id among those of its node."""
        return segment(self.member)

    def describe(self) -> dict[str, Any]:
        """Return its part of the description; what is as if it were not said is not."""
        described: dict[str, Any] = {"name": title(self.member), "datatype": self.datatype}
        described |= {"format": self.format} if self.format else {}
        described |= {"unit": self.unit} if self.unit else {}
        described |= {"settable": True} if self.settable else {}
        return described | ({} if self.retained else {"retained": False})


class NotMappedError(ValueError):
    """A command that no property can call; the text says why."""


def properties(schema: Schema, settings: HomieSettings) -> tuple[list[Property], list[str]]:
    """Return the properties of a node with this schema, which is that of `describe_node`, and what
    has none, with the reason."""
    found: dict[tuple[str, str], Property] = {}
    left_out: list[str] = []
    for owner, member, make in _candidates(schema):
        name = f"{owner}.{member}"
        if name in settings.exclude:
            continue
        try:
            made = make()
            place = made.node, made.id
        except (ConfigError, NotMappedError) as error:
            left_out.append(f"{name}: {error}")
            continue
        if (other := found.setdefault(place, made)) is not made:
            left_out.append(f"{name}: {other.owner}.{other.member} is {'/'.join(place)} already")
    return list(found.values()), left_out


def _candidates(schema: Schema) -> Iterator[tuple[str, str, Any]]:
    """Give owner, name, and what makes the property of each thing that may have one."""
    for id, device in schema["devices"].items():
        for name, each in device["readings"].items():
            yield id, name, lambda id=id, name=name, each=each: _signal("reading", id, name, each)
        for name, each in device["outputs"].items():
            yield id, name, lambda id=id, name=name, each=each: _signal("output", id, name, each)
    for owner, commands in schema["commands"].items():
        for name, each in commands.items():
            yield owner, name, lambda owner=owner, name=name, each=each: _command(owner, name, each)
    for id, device in schema["devices"].items():
        if told := ",".join(device["messages"]):
            yield id, EVENTS, lambda id=id, told=told: Property("events", id, EVENTS, "enum", told)


def _signal(source: Source, owner: str, name: str, schema: Schema) -> Property:
    datatype = _DATATYPES[schema["type"]]
    format = "off,on" if source == "output" and datatype == "boolean" else ""
    if datatype in ("integer", "float"):
        low, high = schema.get("range") or (None, None)
        format = _range(low, high, whole=datatype == "integer")
    return Property(source, owner, name, datatype, format, schema.get("unit", ""))


def _command(owner: str, name: str, schema: Schema) -> Property:
    arguments = schema["arguments"]
    known: dict[str, Schema] = arguments.get("properties", {})
    required: list[str] = arguments.get("required", [])
    secret = set(schema.get("secret", ()))
    if hidden := sorted(secret & set(required)):
        raise NotMappedError(f"{hidden[0]} is secret, and everybody on the broker sees a property")
    wanted = required or (list(known) if len(known) == 1 and not secret else [])
    if not wanted:
        return Property("command", owner, name, "enum", RUN)
    if len(wanted) > 1:
        raise NotMappedError(f"{', '.join(wanted)} cannot be given: a property has one value")
    typed = _resolved(known[wanted[0]], arguments.get("$defs", {}))
    datatype, format = _of_argument(wanted[0], typed)
    return Property("command", owner, name, datatype, format, argument=wanted[0])


def _of_argument(name: str, typed: Schema) -> tuple[Datatype, str]:
    options = typed.get("enum")
    if options is not None:
        if not all(isinstance(each, str) and each and "," not in each for each in options):
            raise NotMappedError(f"{name} is a choice that Homie cannot write")
        return "enum", ",".join(options)
    datatype = _TYPES.get(typed.get("type", ""))
    if datatype is None:
        raise NotMappedError(f"{name} is of a type that Homie does not have")
    if datatype in ("integer", "float"):
        return datatype, _limits(typed, whole=datatype == "integer")
    if datatype == "string":
        return _FORMATS.get(typed.get("format", ""), "string"), ""
    if datatype == "json":
        return datatype, encode(typed).decode()
    return datatype, ""


def _limits(typed: Schema, *, whole: bool) -> str:
    """Return the range of an argument; a limit that is itself not allowed is left to the node."""
    low, high = typed.get("minimum"), typed.get("maximum")
    if whole:
        above, below = typed.get("exclusiveMinimum"), typed.get("exclusiveMaximum")
        low = above + 1 if low is None and above is not None else low
        high = below - 1 if high is None and below is not None else high
    return _range(low, high, whole=whole)


def _range(low: float | None, high: float | None, *, whole: bool) -> str:
    if low is None and high is None:
        return ""
    kind = int if whole else float
    ends = ("" if each is None else encode_value(kind(each)).decode() for each in (low, high))
    return ":".join(ends)


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    """Return the type of an argument without references, and without the choice to give none."""
    if reference := schema.get("$ref"):
        return _resolved(definitions.get(reference.removeprefix("#/$defs/"), {}), definitions)
    if choices := schema.get("anyOf"):
        some = [each for each in choices if each.get("type") != "null"]
        return _resolved(some[0], definitions) if len(some) == 1 else {}
    return {**schema, "enum": [schema["const"]]} if "const" in schema else schema
