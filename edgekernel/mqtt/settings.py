"""Settings of the link to a broker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.home_assistant.settings import HomeAssistant
from edgekernel.mqtt.layout import TOGETHER, Form
from edgekernel.mqtt.signatures import Signatures
from edgekernel.mqtt.tls import Tls
from edgekernel.mqtt.topics import prefix_problem
from edgekernel.mqtt.transport import Server
from edgekernel.mqtt.versions import Protocol

if TYPE_CHECKING:
    from edgekernel.node import Plan
    from edgekernel.node.broker_table import ServerTable, TlsTable
    from edgekernel.node.document import MqttTable
    from edgekernel.node.home_assistant_table import HomeAssistantTable

PLAIN_PORT, TLS_PORT = 1883, 8883
"""Of MQTT, and of MQTT over TLS, as registered with IANA."""
WEB_PORT, WEB_TLS_PORT = 80, 443
"""Of websockets, and of those over TLS (RFC 6455, section 3)."""


_SERVER_KEYS = {"port", "tls", "transport", "path"}
"""What several brokers may have in common."""

NATIVE = "edgekernel"
"""The dialect that is our topic map."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the broker is and how to reach it.

    `client_id` is derived from prefix and node when empty. Without a sign of life for 1.5 times
    `keepalive_s` seconds the broker publishes the last will, and the node gives the link up; the
    broker has half of one to answer in. After a failure the next attempt waits `reconnect_min_s`,
    doubled each time up to `reconnect_max_s`, and varied by half so that a fleet does not come
    back all at once; a link that has been up for `stable_s` begins anew. Each `history_s` seconds
    the changes of all readings are sent, unless that is 0. The node shows itself in Home Assistant
    if `home_assistant` says how. `dialect` is the name of another topic map than ours, and
    `dialect_table` what `[mqtt.<dialect>]` says to it. With `tls` the connection is encrypted.
    `signatures` says whose signed requests count. With `password_file` the password is read from
    there at each connect. `protocol` is "5" or "3.1.1" where only that is to be spoken;
    `edgekernel.mqtt.versions` says what "auto" does. With a `path` the broker is reached over
    websockets. There may be `fallbacks`, less preferred brokers, in their order; a better one is
    gone back to when it has been reachable for `back_after_s`. `form` is that of the states. Raises
    ConfigError with every mistake.
    """

    host: str
    port: int = 1883
    username: str = ""
    password: str = field(default="", repr=False)
    client_id: str = ""
    prefix: str = "edge"
    keepalive_s: int = 30
    reconnect_min_s: float = 1.0
    reconnect_max_s: float = 60.0
    stable_s: float = 10.0
    history_s: float = 0.0
    home_assistant: HomeAssistant | None = None
    tls: Tls | None = None
    signatures: Signatures | None = None
    password_file: Path | None = None
    dialect: str = NATIVE
    dialect_table: Mapping[str, object] = field(default_factory=dict, hash=False, repr=False)
    path: str = ""
    fallbacks: tuple[Server, ...] = ()
    back_after_s: float = 60.0
    form: Form = TOGETHER
    protocol: Protocol = "auto"

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise ConfigError(*problems)

    @classmethod
    def of(cls, plan: Plan, *, with_secrets: bool = True) -> Settings:
        """Return what `[mqtt]` of a node file says, with the password from its file if wanted.

        Without that table it is the broker on this computer. Raises ConfigError.
        """
        from edgekernel.mqtt.dialect import read_own  # which knows of settings

        table = plan.document.mqtt
        if table is None:
            return cls(host="127.0.0.1")
        password = (table.password or "") if with_secrets else ""
        preferred, *fallbacks = _servers(table, plan.folder)
        password_file: Path | None = None
        try:
            if with_secrets and table.password_file is not None:
                password_file = plan.folder / table.password_file
                password = _read_password(password_file, table.password_file)
            for each in (preferred, *fallbacks) if with_secrets else ():
                if each.tls is not None:
                    each.tls.context()
            made = cls(
                host=preferred.host,
                port=preferred.port,
                tls=preferred.tls,
                path=preferred.path,
                fallbacks=tuple(fallbacks),
                back_after_s=table.back_after,
                username=table.username or "",
                password=password,
                password_file=password_file,
                client_id=table.client_id,
                prefix=table.prefix,
                keepalive_s=int(table.keepalive),
                history_s=table.history or 0.0,
                signatures=_signatures(plan),
                home_assistant=_home_assistant(table.home_assistant),
                form=Form.of(table.layout, table.payloads),
                dialect=table.dialect,
                dialect_table=table.dialect_table,
                protocol=table.protocol,
            )
            read_own(made)
        except ConfigError as error:
            raise ConfigError(*(f"{plan.path.name}: {text}" for text in error.problems)) from None
        return made

    @property
    def server(self) -> Server:
        """Where the broker listens, the preferred one of several."""
        return Server(self.host, self.port, self.tls, self.path)

    @property
    def servers(self) -> tuple[Server, ...]:
        """Where all brokers listen, in the order of preference."""
        return (self.server, *self.fallbacks)

    def current_password(self) -> str:
        """Return the password as it is now. Raises ConfigError if its file cannot be read."""
        if self.password_file is None:
            return self.password
        return _read_password(self.password_file, str(self.password_file))

    @property
    def broker(self) -> str:
        """The preferred broker as host:port."""
        return str(self.server)

    def _problems(self) -> list[str]:
        servers = [str(each) for each in self.servers]
        twice = next((each for each in servers if servers.count(each) > 1), "")
        checks = {
            **self._server_checks(),
            f"mqtt.brokers: {twice} is there twice": not twice,
            "mqtt.back_after: must be above 0": self.back_after_s > 0,
            "mqtt.password: a password needs mqtt.username": self.username or not self.password,
            f"mqtt.keepalive: {self.keepalive_s} s is not from 1 to 65535": (
                0 < self.keepalive_s < 65536
            ),
            "mqtt.reconnect_min_s: must be above 0 and not above mqtt.reconnect_max_s": (
                0 < self.reconnect_min_s <= self.reconnect_max_s
            ),
            "mqtt.stable_s: must be 0 or more": self.stable_s >= 0,
            "mqtt.history: must be 0 or more": self.history_s >= 0,
            f'mqtt.protocol: {self.protocol!r} is not "auto", "5" or "3.1.1"': (
                self.protocol in get_args(Protocol)
            ),
        }
        wrong_prefix = prefix_problem(self.prefix)
        problems = [problem for problem, fine in checks.items() if not fine]
        return [*problems, wrong_prefix] if wrong_prefix else problems

    def _server_checks(self) -> dict[str, bool]:
        checks = {}
        for number, each in enumerate(self.servers, 1):
            key = f"mqtt.brokers.{number}" if self.fallbacks else "mqtt"
            checks[f"{key}.host: {each.host!r} is no host name or address"] = _is_host(each.host)
            checks[f"{key}.port: {each.port} is not from 1 to 65535"] = 0 < each.port < 65536
            begins = not each.path or each.path.startswith("/")
            checks[f'{key}.path: {each.path!r} does not begin with "/"'] = begins
        return checks


def _read_password(path: Path, name: str) -> str:
    try:
        return path.read_text("utf-8").rstrip("\n")
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        problem = "is no text in UTF-8"
    raise ConfigError(f'mqtt.password_file: "{name}" {problem}')


def _signatures(plan: Plan) -> Signatures | None:
    """Return whose signatures count, with the public keys from their files."""
    mqtt = plan.document.mqtt
    table = None if mqtt is None else mqtt.signatures
    if table is None:
        return None
    return Signatures.read(table.keys, plan.folder, required=table.required)


def _servers(table: MqttTable, folder: Path) -> list[Server]:
    """Return where the brokers are; what one of several does not say is as in `[mqtt]`."""
    if table.host is not None:
        return [_server(table.host, table, folder)]
    usual = {key: getattr(table, key) for key in _SERVER_KEYS & table.model_fields_set}
    return [
        _server(each.host, each.model_copy(update={**usual, **_said(each)}), folder)
        for each in table.brokers
    ]


def _said(table: ServerTable) -> dict[str, object]:
    return {key: getattr(table, key) for key in table.model_fields_set}


def _server(host: str, table: ServerTable, folder: Path) -> Server:
    """Return where a broker is."""
    tls = _tls(table.tls, folder)
    web = table.transport == "websockets"
    plain, secure = (WEB_PORT, WEB_TLS_PORT) if web else (PLAIN_PORT, TLS_PORT)
    port = table.port or (plain if tls is None else secure)
    return Server(host, port, tls, table.path if web else "")


def _tls(table: TlsTable | None, folder: Path) -> Tls | None:
    """Return what `[mqtt.tls]` says; paths are relative to the node file."""
    if table is None:
        return None
    files = {
        key: None if (path := getattr(table, key)) is None else folder / path
        for key in ("ca", "certificate", "key")
    }
    return Tls(**files, alpn=table.alpn, server_name=table.server_name)


def _home_assistant(table: HomeAssistantTable | None) -> HomeAssistant | None:
    if table is None:
        return None
    return HomeAssistant(
        discovery=table.discovery or "off",
        prefix=table.prefix,
        name=table.name,
        area=table.area,
        lights=tuple(table.lights),
        exclude=tuple(table.exclude),
        events=tuple(table.events),
        expire_after_s=table.expire_after,
        command_ttl_s=table.command_ttl,
        birth_delay_s=table.birth_delay,
    )


def _is_host(host: str) -> bool:
    """Say whether the resolver will take it; what it will not ends paho's thread."""
    try:
        return bool(host.encode("idna")) and not any(c.isspace() for c in host)
    except UnicodeError:
        return False
