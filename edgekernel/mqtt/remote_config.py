"""Desired and reported: the configuration that a node is to have, and what has come of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.errors import ConfigError
from edgekernel.core.time_quality import quality_of
from edgekernel.mqtt.encoding import encode
from edgekernel.mqtt.freshness import MAX_AHEAD_S
from edgekernel.mqtt.payloads import (
    PRINCIPAL,
    PayloadError,
    ReplyAddress,
    Request,
    parse_json,
)
from edgekernel.mqtt.signatures import Signatures
from edgekernel.mqtt.topics import Topics
from edgekernel.mqtt.transport import Inbound
from edgekernel.node.config_record import digest_of
from edgekernel.node.configuring import Configuration, Proposal
from edgekernel.node.desired import plan_from_afar

ROLE = "admin"
"""What a node's own roles call those who may configure it."""
_MAX_VERSION = 64
_STAMP = ("topic", "id", "issued_at", "ttl", "boot")


class RemoteConfig:
    """Takes the documents that are published to `desired`, and publishes `reported`.

    A document is handled once, also across restarts, though it comes again with each link. It is
    an object with `config`, the tables of a node file, `version`, a text or number that is
    reported, and `now`, true if it is not to wait while the node is busy. A node that takes
    signatures takes no unsigned one; what is signed counts until one that was signed later comes,
    since it waits on the broker for nodes that are away: its `ttl` is not looked at.
    """

    def __init__(self, configuration: Configuration) -> None:
        """Speak for the configuration of one node."""
        self._configuration = configuration
        self._signatures: Signatures | None = None
        self._topics: Topics | None = None
        self._retain: Callable[[str, bytes], object] = lambda topic, payload: None

    @property
    def filters(self) -> tuple[str, ...]:
        """What to subscribe to: nothing, unless the node file allows it."""
        table = self._configuration.plan.document.mqtt
        wanted = self._topics is not None and table is not None and table.remote_config
        return (self._topics.desired,) if wanted and self._topics is not None else ()

    def join(
        self,
        topics: Topics,
        signatures: Signatures | None,
        retain: Callable[[str, bytes], object],
    ) -> tuple[str, ...]:
        """Use a link from now on; return what it is to subscribe to. `retain` publishes."""
        self._topics, self._signatures, self._retain = topics, signatures, retain
        self._configuration.changed = self.publish
        return self.filters

    def publish(self) -> None:
        """Publish what the node runs and what has come of the latest document."""
        if self._topics is not None:
            self._retain(self._topics.reported, encode(self._configuration.report()))

    def arrived(self, message: Inbound) -> bool:
        """Take a message if it is a document; say whether it is. Called in the network thread."""
        topics = self._topics
        if topics is None or message.topic != topics.desired:
            return False
        if message.payload and self.filters:
            payload = message.payload
            self._configuration.desire(digest_of(payload), lambda: self._read(payload))
        return True

    def _read(self, payload: bytes) -> Proposal:
        try:
            return self._proposal(payload)
        except PayloadError as error:
            raise ConfigError(f"desired: {error}") from None

    def _proposal(self, payload: bytes) -> Proposal:
        assert self._topics is not None
        principal, issued_ns = PRINCIPAL, 0
        if self._signatures is None:
            request = parse_desired(payload)
        else:
            request = self._signatures.read_request(self._topics.desired, payload, parse_desired)
            if request.stamp is None:
                raise PayloadError("unsigned: a node that takes signatures takes no other document")
            principal, issued_ns = request.stamp.principal, request.stamp.issued_ns
            self._check_role(principal)
            self._refuse_future(issued_ns)
        version, document, now = request.content
        mine = self._configuration
        return Proposal(
            lambda: plan_from_afar(document, mine.plan, mine.own),
            version,
            principal,
            issued_ns,
            now,
        )

    def _refuse_future(self, issued_ns: int) -> None:
        """Refuse what was signed with a clock that is ahead: until its time has come, all that is
        signed with a right one would count as older."""
        clock = self._configuration.clock
        ahead_s = (issued_ns - clock.time_ns()) / NANOSECONDS
        if ahead_s > MAX_AHEAD_S and quality_of(clock) == "synchronised":
            raise PayloadError(
                f"issued_at is {ahead_s:.1f} s in the future here: set the clock of the computer "
                "that signs, and sign it anew"
            )

    def _check_role(self, principal: str) -> None:
        """Where the node file grants roles, it takes that of an administrator."""
        mqtt = self._configuration.plan.document.mqtt
        roles = None if mqtt is None or mqtt.signatures is None else mqtt.signatures.roles
        if roles and ROLE not in roles.get(principal, ()):
            raise PayloadError(
                f"{principal} has not been granted {ROLE!r} in mqtt.signatures.roles, which it "
                "takes to configure this node"
            )


def parse_desired(payload: bytes) -> Request:
    """Read `{"version": ..., "config": {...}}`, with or without what a signed request says of
    itself. Raises PayloadError."""
    document: Any = parse_json(payload)
    if not isinstance(document, dict):
        raise PayloadError('not an object: expected {"version": ..., "config": {...}}')
    unknown = [key for key in document if key not in ("version", "config", "now", *_STAMP)]
    if unknown:
        raise PayloadError(f"unknown key {unknown[0][:64]!r}; version, config and now are known")
    config, version = document.get("config"), document.get("version", "")
    now = document.get("now", False)
    if not isinstance(config, dict):
        raise PayloadError("'config' must be an object: the tables of a node file")
    if isinstance(version, bool) or not isinstance(version, str | int):
        raise PayloadError("'version' must be a text or an integer")
    if not isinstance(now, bool):
        raise PayloadError("'now' must be true or false")
    text = str(version)
    if len(text) > _MAX_VERSION or not text.isprintable():
        raise PayloadError(f"'version' has at most {_MAX_VERSION} characters that can be printed")
    return Request((text, config, now), ReplyAddress())


def desired_payload(config: dict[str, Any], version: str) -> bytes:
    """Return an unsigned document. Raises ValueError for what JSON cannot hold."""
    return json.dumps({"version": version, "config": config}, allow_nan=False).encode()
