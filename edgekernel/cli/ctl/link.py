"""Where the broker is, and how a subcommand speaks with its nodes and ends."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from edgekernel.cli.console import err, fail_with
from edgekernel.cli.exits import Exit
from edgekernel.core.errors import ConfigError, EdgekernelError, RefusedError
from edgekernel.mqtt.fleet import Fleet, NoAnswerError, RequestRefusedError
from edgekernel.mqtt.settings import PLAIN_PORT, TLS_PORT, WEB_PORT, WEB_TLS_PORT, Settings
from edgekernel.mqtt.signing import Signer
from edgekernel.mqtt.tls import Tls
from edgekernel.mqtt.transport import Server

OPTIONS = {
    "mqtt.host": "--host",
    "mqtt.port": "--port",
    "mqtt.brokers": "--broker",
    "mqtt.path": "--websocket",
    "mqtt.tls": "--tls",
    "mqtt.tls.ca": "--ca",
    "mqtt.tls.certificate": "--cert",
    "mqtt.tls.key": "--cert-key",
    "mqtt.tls.server_name": "--server-name",
    "mqtt.tls.alpn": "--alpn",
    "mqtt.username": "--username",
    "mqtt.password": "--password-file",
    "mqtt.client_id": "--client-id",
    "mqtt.protocol": "--protocol",
    "mqtt.prefix": "--prefix",
}
"""The option of `ctl` for a key of a node file that a mistake or a reason may name."""

_INTERRUPTED = 130
"""The exit code of who is ended by SIGINT, as shells have it: 128 and its number."""

_ENDS = {"fell_back": Exit.FELL_BACK, "not_installed": Exit.FAILED}
"""How an update has ended that is not confirmed."""


class Link:
    """Where the broker is, from the options of `ctl`."""

    def __init__(
        self, settings: Settings, timeout_s: float, key: Path | None = None, principal: str = ""
    ) -> None:
        self.settings = settings
        self.timeout_s = timeout_s
        self.principal = principal
        self._key = key

    @contextmanager
    def open(self, *, as_json: bool = False, endless: bool = False) -> Iterator[Fleet]:
        """Connect for one subcommand; every failure ends it with its reason and an exit code. One
        that is `endless` has done its work when Ctrl-C ends it."""
        try:
            signer = self._signer()
            with Fleet(self.settings, timeout_s=self.timeout_s, signer=signer) as fleet:
                yield fleet
        except EdgekernelError as error:
            fail_with(exit_of(error), code_of(error), [said(error, as_json=as_json)], as_json)
        except KeyboardInterrupt:
            if endless:
                raise click.exceptions.Exit(Exit.DONE) from None
            err.print("interrupted: what was sent may be carried out", soft_wrap=True)
            raise click.exceptions.Exit(_INTERRUPTED) from None

    def _signer(self) -> Signer | None:
        """Read the key; not before it is needed: it may be what is to be made."""
        if self._key is None:
            if self.principal:
                raise ConfigError("--as: whose key? give it with --key")
            return None
        try:
            return Signer.read(self._key, self.principal)
        except ConfigError as error:
            raise ConfigError(*(f"--key: {problem}" for problem in error.problems)) from None


def link_of(options: dict[str, Any]) -> Link:
    """Return the link that the options of `ctl` describe. Raises ConfigError."""
    password = os.environ.get("EDGEKERNEL_PASSWORD", "")
    file: Path | None = options.get("password_file")
    if file is not None:
        try:
            password = file.read_text(encoding="utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: cannot be read: {error}") from None
    try:
        (host, port), *others = _places(options)
        tls = _tls(options)
        path: str = options.get("path", "")
        settings = Settings(
            host=host,
            port=port,
            username=options["username"],
            password=password,
            prefix=options["prefix"],
            tls=tls,
            path=path,
            fallbacks=tuple(Server(*each, tls, path) for each in others),
            client_id=options.get("client_id", ""),
            protocol=options.get("protocol", "auto"),
        )
    except ConfigError as error:
        places = {"mqtt.host": "--broker", "mqtt.port": "--broker"}
        instead = places if options.get("brokers") else {}
        texts = (as_option(problem, instead) for problem in error.problems)
        raise ConfigError(*texts) from None
    return Link(settings, options["timeout"], options.get("key"), options.get("principal") or "")


def _places(options: dict[str, Any]) -> list[tuple[str, int]]:
    """Return host and port of each broker."""
    port: int | None = options.get("port")
    secure = _is_encrypted(options)
    if port is None and options.get("path"):
        port = WEB_TLS_PORT if secure else WEB_PORT
    elif port is None:
        port = TLS_PORT if secure else PLAIN_PORT
    brokers: tuple[str, ...] = options.get("brokers") or ()
    if not brokers:
        return [(options["host"], port)]
    return [_place(each, port) for each in brokers]


def _place(broker: str, port: int) -> tuple[str, int]:
    found = re.fullmatch(r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:]*))(?::(?P<port>\d+))?", broker)
    if found is None:
        return broker, port  # an address of IPv6 without brackets, or a mistake that is told later
    return found["v6"] or found["host"], int(found["port"] or port)


def _is_encrypted(options: dict[str, Any]) -> bool:
    return any(
        options.get(each)
        for each in ("tls", "ca", "certificate", "cert_key", "server_name", "alpn")
    )


def _tls(options: dict[str, Any]) -> Tls | None:
    """Return how the connection is encrypted, the files being readable. Raises ConfigError."""
    if not _is_encrypted(options):
        return None
    ca, certificate, key = (options.get(each) for each in ("ca", "certificate", "cert_key"))
    names = {each: options.get(each) or "" for each in ("alpn", "server_name")}
    tls = Tls(ca, certificate, key, **names)
    tls.context()
    return tls


def as_option(problem: str, instead: Mapping[str, str] = {}) -> str:
    """Say a mistake with the options of `ctl` instead of the keys of a node file.

    `instead` has other options for some of the keys.
    """
    options = {**OPTIONS, **instead}
    keys = sorted(options, key=len, reverse=True)
    pattern = "|".join(re.escape(key) for key in keys)
    return re.sub(rf"\b({pattern})(\.\d+\.\w+)?\b", lambda found: options[found[1]], problem)


def exit_of(error: EdgekernelError) -> Exit:
    """Return the exit code that an error ends with."""
    if isinstance(error, NoAnswerError):
        return Exit.NO_ANSWER
    return _ENDS.get(code_of(error), Exit.REFUSED)


def code_of(error: EdgekernelError) -> str:
    """Return an error in one word."""
    return "invalid" if isinstance(error, ConfigError) else str(getattr(error, "code", "failed"))


def said(error: EdgekernelError, *, as_json: bool) -> str:
    """Return an error in a sentence; for people with the word for why, if the node gave one."""
    text = "\n".join(error.problems) if isinstance(error, ConfigError) else str(error)
    if isinstance(error, NoAnswerError):  # why the broker cannot be reached
        text = as_option(text)
    if as_json or not isinstance(error, RefusedError | RequestRefusedError):
        return text
    code = code_of(error)
    return f"failed: {text}" if code == "failed" else f"refused ({code}): {text}"
