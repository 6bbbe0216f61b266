"""Layers: what the environment and the service manager say in the place of the node file.

From the weakest to the strongest: the node file, the credentials of the service
(systemd.exec(5), LoadCredential=), the environment of the agent. So that one file serves many
nodes, and no secret stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekernel.core.errors import ConfigError

ENVIRONMENT: Mapping[str, tuple[str, str]] = {
    "EDGEKERNEL_NODE_NAME": ("node", "name"),
    "EDGEKERNEL_NODE_DATA": ("node", "data"),
    "EDGEKERNEL_MQTT_HOST": ("mqtt", "host"),
    "EDGEKERNEL_MQTT_PORT": ("mqtt", "port"),
    "EDGEKERNEL_MQTT_USERNAME": ("mqtt", "username"),
    "EDGEKERNEL_MQTT_PASSWORD_FILE": ("mqtt", "password_file"),
}
"""The key of the node file that each variable stands for."""

CREDENTIALS: Mapping[str, tuple[str, ...]] = {
    "mqtt-password": ("mqtt", "password_file"),
    "mqtt-ca": ("mqtt", "tls", "ca"),
    "mqtt-certificate": ("mqtt", "tls", "certificate"),
    "mqtt-key": ("mqtt", "tls", "key"),
}
"""The key for which each credential is the file, if it is in $CREDENTIALS_DIRECTORY."""


@dataclass(frozen=True, slots=True)
class Layered:
    """A document with all layers, and for the keys that are not from the file where they are
    from."""

    document: Mapping[str, Any]
    origins: Mapping[str, str] = field(default_factory=dict)

    def blame(self, problems: Iterable[str], file: str) -> tuple[str, ...]:
        """Return what is wrong with a document, with the layer that said it instead of the file."""
        return tuple(self._blamed(each, file) for each in problems)

    def _blamed(self, problem: str, file: str) -> str:
        for key, origin in self.origins.items():
            if problem.startswith(f"{file}: {key}: "):
                return f"{origin} ({key}): {problem.removeprefix(f'{file}: {key}: ')}"
        return problem


def layered(document: Mapping[str, Any], environ: Mapping[str, str] | None) -> Layered:
    """Return a document with what an environment says in its place; None says nothing.

    Credentials belong to `[mqtt]` and make no such table. A password file takes the place of a
    password that stands in the file, a host that of several brokers. Raises ConfigError for a port
    that is no number, and for credentials that may not be read.
    """
    if environ is None:
        return Layered(document)
    made: dict[str, Any] = {
        key: dict(value) if isinstance(value, Mapping) else value for key, value in document.items()
    }
    origins: dict[str, str] = {}
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    for name, path in CREDENTIALS.items():
        if folder and isinstance(made.get("mqtt"), dict) and _is_there(Path(folder) / name):
            _put(made, path, str(Path(folder) / name))
            origins[".".join(path)] = f"credential {name}"
    for name, path in ENVIRONMENT.items():
        if text := environ.get(name, ""):
            _put(made, path, _port(name, text) if path[-1] == "port" else text)
            origins[".".join(path)] = name
    if "mqtt.host" in origins:
        made["mqtt"].pop("brokers", None)  # the one instead of all of them
    if "mqtt.password_file" in origins and isinstance(made["mqtt"], dict):
        made["mqtt"].pop("password", None)
    return Layered(made, origins)


def _is_there(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError as error:
        raise ConfigError(f"$CREDENTIALS_DIRECTORY: {file}: cannot be read: {error}") from None


def _put(document: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    table = document
    for key in path[:-1]:
        inner = table.get(key)
        table[key] = table = dict(inner) if isinstance(inner, Mapping) else {}
    table[path[-1]] = value


def _port(name: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text):
        raise ConfigError(f"{name}: {text!r} is no port; an integer from 1 to 65535 is allowed")
    return int(text)
