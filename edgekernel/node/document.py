"""The node file as it stands: its tables and keys, validated one by one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from edgekernel.core.errors import ConfigError
from edgekernel.node.problems import did_you_mean, explain

SEGMENT = r"^[a-z0-9-]{1,64}$"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise ValueError('a duration is a number of seconds or a text like "500ms", "2s", "5min"')
    return float(match[1]) * _UNITS[match[2]]


Duration = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=86400)]
"""Seconds, more than 0 and at most a day; in the file a number or a text such as "2s"."""


Recorded = Literal["events", "bus", "commands", "outputs"]
"""What a journal can hold: messages, what drivers and boundaries have said to one another,
requests with their outcomes, and the changes of outputs."""
RECORDED: tuple[Recorded, ...] = get_args(Recorded)


def _module(name: str) -> str:
    if not all(part.isidentifier() for part in name.split(".")):
        raise ValueError('an app is the name of a Python module, such as "greenhouse.app"')
    return name


def _keepalive(seconds: float) -> float:
    if not 1 <= seconds <= 65535:
        raise ValueError("a keepalive is 1 s to 65535 s")
    return seconds


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class NodeTable(_Table):
    """`[node]`: who this node is."""

    name: str = Field(pattern=SEGMENT)
    board: str
    app: Annotated[str, AfterValidator(_module)] | None = None


class DeviceTable(_Table):
    """`[devices.<id>]`: a driver and its settings, which the driver itself defines."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    driver: str
    every: Duration | None = None
    optional: bool = False
    """The node runs without it, degraded, and tries again with backoff."""

    @property
    def settings(self) -> dict[str, Any]:
        """The keys that belong to the driver."""
        return dict(self.model_extra or {})


class MqttTable(_Table):
    """`[mqtt]`: the broker."""

    host: str
    port: int = Field(default=1883, ge=1, le=65535)
    prefix: str = "edge"
    """The rule for it is in the topic map, edgekernel.mqtt.topics."""
    username: str | None = None
    password: str | None = Field(default=None, repr=False)
    password_file: str | None = None
    keepalive: Annotated[Duration, AfterValidator(_keepalive)] = 30.0


def _megabytes(size: float) -> float:
    if not 1 <= size <= 1_000_000:
        raise ValueError("a journal has 1 MB to 1000000 MB")
    return size


def _age(seconds: float) -> float:
    if not 60 <= seconds <= 3650 * _UNITS["d"]:
        raise ValueError("an age is 1min to 3650d")
    return seconds


def _something(what: list[Recorded]) -> list[Recorded]:
    if not what:
        raise ValueError("nothing is to be recorded; leave the table out instead")
    return what


def _commit(seconds: float) -> float:
    if not 0.1 <= seconds <= 3600:
        raise ValueError("a commit comes every 100ms to 1h")
    return seconds


class JournalTable(_Table):
    """`[journal]`: what the node records of itself, where, and how much of that is kept."""

    folder: str = Field(min_length=1)
    """Beside the node file, unless it is absolute."""
    max_mb: Annotated[float, AfterValidator(_megabytes)] = 64.0
    """In millions of bytes."""
    max_age: Annotated[float, BeforeValidator(_seconds), AfterValidator(_age)] | None = None
    max_segments: int = Field(default=4096, ge=2, le=100_000)
    commit: Annotated[float, BeforeValidator(_seconds), AfterValidator(_commit)] = 10.0
    """Seconds until what was recorded survives a power cut, at most."""
    compress: bool = True
    what: Annotated[list[Recorded], AfterValidator(_something)] = Field(default=list(RECORDED))


class SimTable(_Table):
    """`[sim]`: what surrounds the node when it runs simulated."""

    world: str | None = None
    """A class as "module:Class", given the bench and stepped in time."""


class NodeDocument(_Table):
    """A node file."""

    node: NodeTable
    devices: dict[str, DeviceTable] = Field(default_factory=dict)
    mqtt: MqttTable | None = None
    journal: JournalTable | None = None
    sim: SimTable = Field(default_factory=SimTable)


_TAKEN = {
    "journal": "the journal",
    "mqtt": "the MQTT interface",
    "sim": "the simulated surroundings",
    "world": "the simulated world",
}
"""Names of parts that the node itself may add."""

_TABLES: dict[str, type[BaseModel]] = {
    "node": NodeTable,
    "devices": DeviceTable,
    "mqtt": MqttTable,
    "journal": JournalTable,
    "sim": SimTable,
}


def load_document(path: Path) -> NodeDocument:
    """Read and validate a node file. Raises ConfigError with every mistake found in it."""
    return parse_document(_read(path), path.name)


def load_valid_part(path: Path) -> tuple[NodeDocument | None, tuple[str, ...]]:
    """Read a node file; return it without the tables that are wrong, and every mistake.

    There is no document if a node cannot be without what is wrong. Raises ConfigError if the
    file cannot be read as TOML.
    """
    raw = _read(path)
    try:
        return parse_document(raw, path.name), ()
    except ConfigError as error:
        problems = error.problems
    try:
        return NodeDocument.model_validate(_without_mistakes(raw)), problems
    except ValidationError:
        return None, problems


def _without_mistakes(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the content without the tables, or single devices, in which there is a mistake."""
    kept = dict(raw)
    try:
        NodeDocument.model_validate(raw)
    except ValidationError as error:
        for detail in error.errors():
            table, *inside = detail["loc"]
            if table == "devices" and inside:
                devices = kept["devices"]
                kept["devices"] = {id: each for id, each in devices.items() if id != inside[0]}
            else:
                kept.pop(str(table), None)
    return kept


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: this is a folder; name the node file in it") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no text in UTF-8: {error}") from None
    except (ValueError, RecursionError) as error:  # beside TOML's own: too many digits, too deep
        raise ConfigError(f"{path}: is not TOML: {error}") from None


def parse_document(raw: dict[str, Any], file: str) -> NodeDocument:
    """Validate the content of a node file; `file` names it in mistakes."""
    devices = raw.get("devices")
    ids = devices if isinstance(devices, dict) else ()
    problems = [
        f"{file}: devices.{id}: a device id is 1 to 64 characters of a-z, 0-9 and -"
        for id in ids
        if not re.fullmatch(SEGMENT, id)
    ]
    problems += [
        f'{file}: devices.{id}: the name "{id}" is taken by {_TAKEN[id]}; name the device otherwise'
        for id in ids
        if id in _TAKEN
    ]
    try:
        document = NodeDocument.model_validate(raw)
    except ValidationError as error:
        problems += [f"{file}: {key}: {_text(key, text)}" for key, text in explain(error, [])]
        raise ConfigError(*problems) from None
    if problems:
        raise ConfigError(*problems)
    return document


def _text(key: str, text: str) -> str:
    """Say what is a table, and name the known keys of the one that an unknown key was found in."""
    if key in _TABLES:
        return text.replace("this key", "this table")
    if not text.startswith("unknown key"):
        return text
    table, _, last = key.rpartition(".")
    model = _TABLES.get(table.split(".")[0]) if table else NodeDocument
    return f"unknown key; {did_you_mean(last, model.model_fields if model else ())}"
