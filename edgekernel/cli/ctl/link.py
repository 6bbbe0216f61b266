"""Where the broker is, and how a subcommand speaks with its nodes and ends."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from edgekernel.cli.console import Exit, fail_with
from edgekernel.core.errors import ConfigError, EdgekernelError, RefusedError
from edgekernel.mqtt.fleet import Fleet, NoAnswerError, RequestRefusedError
from edgekernel.mqtt.settings import PLAIN_PORT, TLS_PORT, Settings
from edgekernel.mqtt.signing import Signer
from edgekernel.mqtt.tls import Tls


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
    def open(self, *, as_json: bool = False) -> Iterator[Fleet]:
        """Connect for one subcommand; every failure ends it with its reason and an exit code."""
        try:
            signer = self._signer()
            with Fleet(self.settings, timeout_s=self.timeout_s, signer=signer) as fleet:
                yield fleet
        except EdgekernelError as error:
            fail_with(exit_of(error), code_of(error), [said(error, as_json=as_json)], as_json)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(Exit.DONE) from None

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
    ca: Path | None = options.get("ca")
    tls = Tls(ca) if options.get("tls") or ca is not None else None
    port: int | None = options.get("port")
    try:
        if tls is not None:
            tls.context()
        settings = Settings(
            host=options["host"],
            port=port if port is not None else TLS_PORT if tls else PLAIN_PORT,
            username=options["username"],
            password=password,
            prefix=options["prefix"],
            tls=tls,
        )
    except ConfigError as error:
        texts = (re.sub(r"\bmqtt\.(tls\.)?", "--", problem) for problem in error.problems)
        raise ConfigError(*texts) from None
    return Link(settings, options["timeout"], options.get("key"), options.get("principal") or "")


def exit_of(error: EdgekernelError) -> Exit:
    """Return the exit code that an error ends with."""
    return Exit.NO_ANSWER if isinstance(error, NoAnswerError) else Exit.REFUSED


def code_of(error: EdgekernelError) -> str:
    """Return an error in one word."""
    return "invalid" if isinstance(error, ConfigError) else str(getattr(error, "code", "failed"))


def said(error: EdgekernelError, *, as_json: bool) -> str:
    """Return an error in a sentence; for people with who has refused it."""
    text = "\n".join(error.problems) if isinstance(error, ConfigError) else str(error)
    refused = isinstance(error, RefusedError | RequestRefusedError)
    return f"refused ({code_of(error)}): {text}" if refused and not as_json else text
