"""What a node can be asked for, as it has published it: by this requests are checked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgekernel.core.errors import ConfigError, InvalidValueError, UnknownTargetError, nearest
from edgekernel.core.values import ValueType
from edgekernel.mqtt.fleet.json_schema import choices, from_text, problems
from edgekernel.mqtt.topics import segment

_TYPES: dict[str, type[bool | int | float | str]] = {
    "bool": bool,
    "int": int,
    "float": float,
    "str": str,
}


class Text(str):
    """A value as a person has typed it: the schema says what it means. `on` is true for a switch,
    `23` a number or a text. Where there is no schema it is read as JSON, or else stays a text."""

    __slots__ = ()


def meant(value: Any) -> Any:
    """Return what a value means where there is no schema."""
    return from_text({}, str(value), {}) if isinstance(value, Text) else value


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """An output of a device: its type, unit and range, and the value it is safe at."""

    name: str
    topic: str
    document: Mapping[str, Any]

    def check(self, value: Any) -> Any:
        """Return the value as the output takes it. Raises InvalidValueError that says what is
        allowed."""
        values = self._values()
        if isinstance(value, Text):
            value = (
                str(value) if values is not None and values.type in (bool, str) else meant(value)
            )
        if values is None:
            return value
        try:
            return values.parse(value)
        except InvalidValueError as error:
            raise InvalidValueError(f"{self.name}: {error}") from None

    @property
    def role(self) -> str:
        """What whoever sets it must have been granted; "" if nothing."""
        role = self.document.get("role")
        return role if isinstance(role, str) else ""

    def choices(self) -> list[str]:
        """Return the texts that are allowed where there are only a few."""
        return ["on", "off"] if self.document.get("type") == "bool" else []

    def _values(self) -> ValueType[Any] | None:
        """Return the rules of the node for it; None if they are not known here."""
        kind, limits = _TYPES.get(str(self.document.get("type"))), self.document.get("range")
        if kind is None:
            return None
        try:
            return ValueType(kind, str(self.document.get("unit", "")), _range(limits))
        except ConfigError:
            return None


@dataclass(frozen=True, slots=True)
class CommandSchema:
    """A command of a component, with the JSON Schema of its arguments."""

    name: str
    topic: str
    document: Mapping[str, Any]

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The JSON Schema of each argument, by name."""
        found = self._schema.get("properties")
        return found if isinstance(found, dict) else {}

    def check(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments, each `Text` as what it means. Raises InvalidValueError with
        everything that is wrong with them."""
        known, schema = self.arguments, self._schema
        given = {
            name: from_text(known.get(name, {}), str(each), schema)
            if isinstance(each, Text)
            else each
            for name, each in args.items()
        }
        if found := problems(schema, given):
            raise InvalidValueError("; ".join(found))
        return given

    def choices(self, argument: str) -> list[str]:
        """Return the texts that are allowed for an argument where there are only a few."""
        return choices(self.arguments.get(argument, {}), self._schema)

    @property
    def _schema(self) -> Mapping[str, Any]:
        found = self.document.get("arguments")
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class SignatureSchema:
    """Whose signed requests a node takes: by principal the fingerprint of the public key; and
    whether it takes no others."""

    required: bool
    keys: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LeaseSchema:
    """A lease of a node: what is safe, or refused, unless somebody renews it within a time."""

    name: str
    timeout_s: float
    outputs: tuple[str, ...]
    commands: tuple[str, ...]


class NodeSchema:
    """The devices, commands and messages of a node. `document` is as the node has published it."""

    def __init__(self, node: str, document: Mapping[str, Any]) -> None:
        self.node = node
        self.document = document

    @property
    def outputs(self) -> list[OutputSchema]:
        """What can be set."""
        return [
            OutputSchema(f"{device}/{name}", topic, each)
            for device, name, each, topic in self._members("devices", "set", "outputs")
        ]

    @property
    def commands(self) -> list[CommandSchema]:
        """What can be called."""
        return [
            CommandSchema(f"{owner}.{name}", topic, each)
            for owner, name, each, topic in self._members("commands", "call")
        ]

    @property
    def signatures(self) -> SignatureSchema | None:
        """Whose signatures count; None if the node reads none."""
        found = self.document.get("signatures")
        if not isinstance(found, dict):
            return None
        keys = found.get("keys")
        texts = {name: str(each) for name, each in keys.items()} if isinstance(keys, dict) else {}
        return SignatureSchema(found.get("required") is True, texts)

    @property
    def leases(self) -> list[LeaseSchema]:
        """The leases that controllers can hold."""
        return [
            LeaseSchema(name, timeout_s, _names(each, "outputs"), _names(each, "commands"))
            for name, each in _table(self.document, "leases").items()
            if (timeout_s := _seconds(each.get("timeout_s")))
        ]

    def lease(self, name: str) -> LeaseSchema:
        """Return the lease of a name. Raises UnknownTargetError with the nearest one."""
        found = {each.name: each for each in self.leases}
        if name not in found:
            hint = nearest(name, found) if found else "; it has none"
            raise UnknownTargetError(f"{self.node} has no lease {name!r}{hint}")
        return found[name]

    def output(self, name: str) -> OutputSchema:
        """Return the output `device/output`. Raises UnknownTargetError with the nearest one."""
        topic, found = _topic("set", name), self.outputs
        for each in found:
            if each.topic == topic:
                return each
        readings = [each[3] for each in self._members("devices", "set", "readings")]
        if topic in readings:
            raise UnknownTargetError(f"{self.node}: {name} is a reading: it cannot be set")
        known = [each.name for each in found]
        raise UnknownTargetError(f"{self.node} has no output {name!r}{nearest(name, known)}")

    def command(self, name: str) -> CommandSchema:
        """Return the command `component.command`. Raises UnknownTargetError with the nearest."""
        topic, found = _topic("call", name), self.commands
        for each in found:
            if each.topic == topic:
                return each
        known = [each.name for each in found]
        raise UnknownTargetError(f"{self.node} has no command {name!r}{nearest(name, known)}")

    def _members(
        self, table: str, kind: str, inside: str = ""
    ) -> Iterator[tuple[str, str, Mapping[str, Any], str]]:
        """Return owner, name, document and topic of what a table holds."""
        for owner, found in _table(self.document, table).items():
            for name, each in (_table(found, inside) if inside else found).items():
                if isinstance(each, dict):
                    try:
                        yield owner, name, each, f"{kind}/{segment(owner)}/{segment(name)}"
                    except ConfigError:  # a name that no topic can hold: it is not on MQTT
                        continue


def request_topic(kind: str, name: str) -> str:
    """Return where a request for `owner/member` goes, below the node; a "." does as well as "/".

    Raises InvalidValueError for a name of another form, ConfigError for one that no topic can hold.
    """
    owner, _, member = name.replace(".", "/", 1).partition("/")
    if not owner or not member:
        form = "device/output" if kind == "set" else "component.command"
        raise InvalidValueError(f"{name!r}: write {form}")
    return f"{kind}/{segment(owner)}/{segment(member)}"


def _topic(kind: str, name: str) -> str:
    try:
        return request_topic(kind, name)
    except ConfigError as error:
        raise UnknownTargetError(str(error)) from None


def _table(document: Any, key: str) -> Mapping[str, Any]:
    found = document.get(key) if isinstance(document, dict) else None
    table = found if isinstance(found, dict) else {}
    return {name: each for name, each in table.items() if isinstance(each, dict)}


def _names(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    found = document.get(key)
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()


def _seconds(value: Any) -> float:
    """Return a time above 0; 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 < value < math.inf else 0.0


def _range(limits: Any) -> tuple[float, float] | None:
    numbers = limits if isinstance(limits, list) else []
    if len(numbers) == 2 and all(isinstance(each, int | float) for each in numbers):
        return numbers[0], numbers[1]
    return None
