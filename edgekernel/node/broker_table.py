"""Where the brokers are: keys of `[mqtt]`, `[mqtt.tls]`, and `[[mqtt.brokers]]`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TlsTable(_Table):
    """`[mqtt.tls]`: files in PEM, relative to the node file; see edgekernel.mqtt.tls."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    alpn: str = ""
    server_name: str = ""


def _tls(given: object) -> object:
    if isinstance(given, bool):
        return TlsTable() if given else None
    if not isinstance(given, dict):
        raise ValueError("TLS is true, false or a table with ca, certificate and key")
    return given


def _path(path: str) -> str:
    if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
        raise ValueError('a path begins with "/" and has no blanks in it, such as "/mqtt"')
    return path


class ServerTable(_Table):
    """How a broker is reached, but for its host."""

    port: int | None = Field(default=None, ge=1, le=65535)
    """1883, with TLS 8883, over websockets 80 and 443, unless given."""
    tls: Annotated[TlsTable | None, BeforeValidator(_tls)] = None
    """A table; or true for the authorities of the system and no certificate of the node's own."""
    transport: Literal["tcp", "websockets"] = "tcp"
    path: Annotated[str, AfterValidator(_path)] = "/mqtt"
    """What is asked for over websockets."""


class BrokerTable(ServerTable):
    """One of `[[mqtt.brokers]]`; what it does not say is as `[mqtt]` has it."""

    host: str
