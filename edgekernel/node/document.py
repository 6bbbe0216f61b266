"""The node file as it stands: its tables and keys, validated one by one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from edgekernel.core.errors import ConfigError
from edgekernel.core.output_limits import Limits
from edgekernel.node.broker_table import BrokerTable, ServerTable, TlsTable
from edgekernel.node.config_table import ConfigTable
from edgekernel.node.duration import Duration, DurationOrNone
from edgekernel.node.filters import SETTINGS, FilterTable
from edgekernel.node.home_assistant_table import HomeAssistantTable
from edgekernel.node.journal_table import JournalTable
from edgekernel.node.layers import layered
from edgekernel.node.lease_table import LeaseName, LeaseTable
from edgekernel.node.outbox_table import OutboxTable, TopicRule
from edgekernel.node.problems import did_you_mean, explain
from edgekernel.node.signatures_table import SignaturesTable
from edgekernel.node.tuning import ReadingTuning, Tuning
from edgekernel.node.update_table import UpdateTable

SEGMENT = r"^[a-z0-9-]{1,64}$"
_MAX_LABEL = 64


def _module(name: str) -> str:
    if not all(part.isidentifier() for part in name.split(".")):
        raise ValueError('an app is the name of a Python module, such as "greenhouse.app"')
    return name


def _keepalive(seconds: float) -> float:
    if not 1 <= seconds <= 65535:
        raise ValueError("a keepalive is 1 s to 65535 s")
    return seconds


def _back_after(seconds: float) -> float:
    if not 1 <= seconds <= 86400:
        raise ValueError("a better broker is gone back to after 1s to 24h")
    return seconds


def _some(brokers: list[BrokerTable]) -> list[BrokerTable]:
    if not brokers:
        raise ValueError("name one at least, or take the key out and set mqtt.host")
    return brokers


def _label(name: str) -> str:
    if not re.fullmatch(SEGMENT, name):
        raise ValueError("a label's name is 1 to 64 characters of a-z, 0-9 and -")
    return name


def _label_text(text: str) -> str:
    if not 0 < len(text) <= _MAX_LABEL or not text.isprintable():
        raise ValueError(f"a label is 1 to {_MAX_LABEL} characters that can be printed")
    return text


_Label = Annotated[str, AfterValidator(_label)]
_LabelText = Annotated[str, AfterValidator(_label_text)]


def _history(seconds: float) -> float:
    if not 0.1 <= seconds <= 86400:
        raise ValueError("a history is sent every 100ms to 24h")
    return seconds


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class NodeTable(_Table):
    """`[node]`: who this node is."""

    name: str = Field(pattern=SEGMENT)
    board: str
    app: Annotated[str, AfterValidator(_module)] | None = None
    data: str | None = None
    """The folder for what the node is to know after a restart, relative to the node file."""
    hold: bool = False
    """Whether operators may hold all outputs safe, with the commands of `safety`."""
    labels: dict[_Label, _LabelText] = Field(default_factory=dict)
    """What the fleet may pick it by, such as `zone = "north"`; everybody on the broker sees it."""


class ReadingTable(_Table):
    """`[devices.<id>.readings.<name>]`: what counts for one reading, instead of for all."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    filters: list[FilterTable] | None = None
    stale: DurationOrNone | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The keys that belong to a driver whose readings are settings."""
        return dict(self.model_extra or {})

    @property
    def tuning(self) -> ReadingTuning:
        """What is said of the reading."""
        filters = None if self.filters is None else tuple(self.filters)
        return ReadingTuning(filters, self.stale)


def _plain(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise ValueError("a value is true, false, a number or a text in quotes")
    return value


class OutputTable(_Table):
    """`[devices.<id>.outputs.<name>]`: what one output may do; see `edgekernel.Limits`."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    initial: Annotated[Any, AfterValidator(_plain)] = "safe"
    fallback: Annotated[Any, AfterValidator(_plain)] = "safe"
    min_on: Duration | None = None
    min_off: Duration | None = None
    max_on: Duration | None = None
    max_changes: str = ""
    lease: Duration | None = None
    interlock: list[str] = Field(default_factory=list)
    mismatch: Duration | None = None
    rate: float | None = None
    role: str | None = Field(default=None, min_length=1)
    """What whoever sets it from outside must have been granted."""

    @property
    def settings(self) -> dict[str, Any]:
        """The keys that belong to a driver whose outputs are settings."""
        return dict(self.model_extra or {})

    @property
    def limits(self) -> Limits:
        """The same for the output itself."""
        return Limits(
            initial=self.initial,
            fallback=self.fallback,
            min_on_s=self.min_on,
            min_off_s=self.min_off,
            max_on_s=self.max_on,
            max_changes=self.max_changes,
            lease_s=self.lease,
            interlock=tuple(self.interlock),
            mismatch_s=self.mismatch,
            rate=self.rate,
        )


class DeviceTable(_Table):
    """`[devices.<id>]`: a driver and its settings, which the driver itself defines."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    driver: str
    every: Duration | None = None
    optional: bool = False
    """The node runs without it, degraded, and tries again with backoff."""
    filters: list[FilterTable] = Field(default_factory=list)
    """What its readings go through, each filter those that it fits."""
    stale: DurationOrNone | None = None
    """How long after its latest measurement a reading of it is BAD; 0 is no such limit."""
    readings: dict[str, ReadingTable] = Field(default_factory=dict)
    outputs: dict[str, OutputTable] = Field(default_factory=dict)

    @property
    def tuning(self) -> Tuning:
        """What is said of its readings."""
        readings = {name: table.tuning for name, table in self.readings.items()}
        return Tuning(tuple(self.filters), self.stale, readings)

    @property
    def settings(self) -> dict[str, Any]:
        """The keys that belong to the driver."""
        return dict(self.model_extra or {})


class RecoveryTable(_Table):
    """`[buses.<name>.recovery]`: how an I²C bus is freed on which a chip holds SDA low.

    Either of the two, or both: `scl` and `sda` are spare lines that are wired to those of the bus,
    for nine clocks; `power` is the line that switches the supply of the chips.
    """

    scl: str | None = None
    sda: str | None = None
    power: str | None = None
    active_high: bool = True
    """Whether the chips have power while `power` is high."""
    off_for: Annotated[Duration, Field(le=10)] = 0.5
    """Seconds, at most 10: how long the chips are without power, and how long they then have to
    start."""


class BusTable(_Table):
    """`[buses.<name>]`: what is special about an I²C bus of the board."""

    speed_hz: int | None = Field(default=None, ge=1000, le=5_000_000)
    """Its clock where it is not the board's usual one, as the system was told; nothing sets it
    here."""
    recovery: RecoveryTable | None = None


class MqttTable(ServerTable):
    """`[mqtt]`: the broker, or several."""

    host: str | None = None
    brokers: Annotated[list[BrokerTable], AfterValidator(_some)] = Field(default_factory=list)
    """In the order of preference; instead of `host`."""
    back_after: Annotated[Duration, AfterValidator(_back_after)] = 60.0
    """How long a better one has to be reachable before the node goes back to it."""
    prefix: str = "edge"
    """The rule for it is in the topic map, edgekernel.mqtt.topics."""
    username: str | None = None
    password: str | None = Field(default=None, repr=False)
    password_file: str | None = None
    client_id: str = ""
    """Made of prefix and node unless given, for a broker that wants another one."""
    keepalive: Annotated[Duration, AfterValidator(_keepalive)] = 30.0
    layout: Literal["device", "signal"] | None = None
    """One topic for each device, unless payloads are plain, or one for each of its signals."""
    payloads: Literal["json", "plain"] = "json"
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """The version of MQTT; "auto" is 5, and 3.1.1 where the broker does not take it."""
    history: Annotated[Duration, AfterValidator(_history)] | None = None
    """How often the changes of all readings are sent, in seconds; None: they are not."""
    outbox: OutboxTable = Field(default_factory=OutboxTable)
    """What waits for the broker on the disk; only with a data folder."""
    signatures: SignaturesTable | None = None
    remote_config: bool = False
    """Whether a configuration is taken that is published to `desired`."""
    home_assistant: HomeAssistantTable | None = None
    dialect: str = "edgekernel"
    """Which topics and payloads: the name of one that is installed, see edgekernel.mqtt.dialect."""
    dialect_table: dict[str, Any] = Field(
        default_factory=dict, alias="[mqtt.<dialect>]", repr=False
    )
    """The table that has the dialect's name, the keys of which are its own."""

    @model_validator(mode="before")
    @classmethod
    def _find_table(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        name = given.get("dialect")
        if not isinstance(name, str) or not isinstance(given.get(name), dict):
            return given
        if name in cls.model_fields:  # a table that is not the dialect's
            return given
        others = {key: value for key, value in given.items() if key != name}
        return others | {"[mqtt.<dialect>]": given[name]}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.host is None) == (not self.brokers):
            raise ValueError("a node needs either mqtt.host or [[mqtt.brokers]]")
        return self


class WorldTable(_Table):
    """`[sim.worlds.<name>]`: a world of a kind, and where it touches the node."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    kind: str
    """One of those of edgekernel.sim.worlds, or a class as "module:Class"."""

    @property
    def settings(self) -> dict[str, Any]:
        """The keys that belong to the kind."""
        return dict(self.model_extra or {})


class SimTable(_Table):
    """`[sim]`: what surrounds the node when it runs simulated."""

    world: str | None = None
    """A class as "module:Class", given the bench and stepped in time."""
    worlds: dict[str, WorldTable] = Field(default_factory=dict)

    @property
    def surrounds(self) -> bool:
        """Whether there is any world."""
        return self.world is not None or bool(self.worlds)


class NodeDocument(_Table):
    """A node file."""

    node: NodeTable
    devices: dict[str, DeviceTable] = Field(default_factory=dict)
    buses: dict[str, BusTable] = Field(default_factory=dict)
    mqtt: MqttTable | None = None
    journal: JournalTable | None = None
    leases: dict[LeaseName, LeaseTable] = Field(default_factory=dict)
    sim: SimTable = Field(default_factory=SimTable)
    config: ConfigTable = Field(default_factory=ConfigTable)
    update: UpdateTable = Field(default_factory=UpdateTable)


_TAKEN = {
    "busy": "the locks that keep a node from being interrupted",
    "config": "the configuration",
    "journal": "the journal",
    "leases": "the leases",
    "safety": "the commands that hold outputs safe",
    "mqtt": "the MQTT interface",
    "node-file": "the node file, while it is no good",
    "faults": "the fault plan of a simulation",
    "recorder": "the recorder of a simulation",
    "sim": "the simulated surroundings",
    "world": "the simulated world",
    "computer": "the watch over the computer",
    "update": "the updates of the image",
}
"""Names of parts that the node itself may add."""

_TABLES: dict[str, type[BaseModel]] = {
    "node": NodeTable,
    "devices": DeviceTable,
    "buses": BusTable,
    "mqtt": MqttTable,
    "journal": JournalTable,
    "leases": LeaseTable,
    "sim": SimTable,
    "config": ConfigTable,
    "update": UpdateTable,
}


def load_document(path: Path) -> NodeDocument:
    """Read and validate a node file. Raises ConfigError with every mistake found in it."""
    return parse_document(read_toml(path), path.name)


def load_valid_part(
    path: Path, environ: Mapping[str, str] | None = None
) -> tuple[NodeDocument | None, tuple[str, ...]]:
    """Read a node file; return it without the tables that are wrong, and every mistake.

    There is no document if a node cannot be without what is wrong. What an environment says comes
    in the place of the file. Raises ConfigError if the file cannot be read as TOML.
    """
    layers = layered(read_toml(path), environ)
    raw = dict(layers.document)
    try:
        return parse_document(raw, path.name), ()
    except ConfigError as error:
        problems = layers.blame(error.problems, path.name)
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


def read_toml(path: Path) -> dict[str, Any]:
    """Read a file of ours. Raises ConfigError if it is not there, or no TOML in UTF-8."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin it with a mark
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: this is a folder; name the file in it") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no text in UTF-8: {error}") from None
    return parse_toml(text, str(path))


def parse_toml(text: str, file: str) -> dict[str, Any]:
    """Return what a text says; `file` names it. Raises ConfigError if it is no TOML."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # beside TOML's own: too many digits, too deep
        raise ConfigError(f"{file}: is not TOML: {error}") from None


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
    model = _model_of(table.split(".")) if table else NodeDocument
    fields = model.model_fields.items() if model else ()
    return f"unknown key; {did_you_mean(last, [key for key, each in fields if not each.alias])}"


def _model_of(path: list[str]) -> type[BaseModel] | None:
    """Return the model of the table at a path of keys."""
    inside = path[2:]
    if path[0] == "mqtt" and path[-1] == "tls":
        return TlsTable
    if path[:2] == ["mqtt", "brokers"]:
        return BrokerTable
    if path[:2] == ["mqtt", "home_assistant"]:
        return HomeAssistantTable
    if path[0] == "buses" and inside:
        return RecoveryTable
    if path[:2] == ["mqtt", "outbox"]:
        return TopicRule if "topics" in inside else OutboxTable
    if path == ["mqtt", "signatures"]:
        return SignaturesTable
    if path[0] != "devices" or not inside:
        return _TABLES.get(path[0])
    if "filters" in inside:
        _, *filter = inside[inside.index("filters") + 1 :]
        return SETTINGS.get(filter[0]) if filter else FilterTable
    return OutputTable if inside[0] == "outputs" else ReadingTable
