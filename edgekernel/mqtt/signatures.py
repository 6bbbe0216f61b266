"""Signed requests: compact JWS (RFC 7515) with Ed25519 (RFC 8037), one key for each principal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.freshness import MAX_TTL_S, Stamp
from edgekernel.mqtt.keys import fingerprint, needs_extra
from edgekernel.mqtt.payloads import (
    MAX_BYTES,
    PayloadError,
    ReplyAddress,
    Request,
    parse_instant,
    parse_json,
    read_reply,
)

_COMPACT = re.compile(rb"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_ALGORITHM = "EdDSA"

Parse = Callable[[bytes], Request]
"""Reads the payload of an unsigned request."""


class SignatureError(PayloadError):
    """A request is not signed as it has to be; nothing in it can be trusted."""

    code = "forbidden"


class Signatures:
    """The public keys of those who may sign, and whether everybody has to.

    What is signed is the JSON object of the request, with these beside its own keys: `topic`, the
    full one that it is published to; `id`, `issued_at` and `ttl` (at most an hour), all needed; and
    `boot`, that of the node's status, where its clock is not synchronised. The header has `alg`
    "EdDSA" and `kid`, the principal.
    """

    def __init__(self, keys: Mapping[str, bytes], *, required: bool = False) -> None:
        """Take public keys in PEM by principal. Raises ConfigError for what is no Ed25519 key, and
        without the extra `secure`."""
        try:
            from jwt import PyJWS
        except ImportError:
            raise needs_extra("mqtt.signatures") from None
        self._jws = PyJWS(algorithms=[_ALGORITHM])
        self.required = required
        self._keys = {principal: _load(principal, pem) for principal, pem in keys.items()}

    @classmethod
    def read(cls, files: Mapping[str, str], folder: Path, *, required: bool) -> Signatures:
        """Read the keys from files, in `folder` unless they are absolute. Raises ConfigError."""
        keys: dict[str, bytes] = {}
        for principal, file in files.items():
            try:
                keys[principal] = (folder / file).read_bytes()
            except OSError as error:
                raise ConfigError(
                    f'mqtt.signatures.keys.{principal}: "{file}" cannot be read: {error.strerror}'
                ) from None
        return cls(keys, required=required)

    def describe(self) -> dict[str, Any]:
        """Return what clients have to know, for the node's schema: whether everybody has to sign,
        and by principal the fingerprint of the key."""
        prints = {principal: fingerprint(key) for principal, key in self._keys.items()}
        return {"required": self.required, "keys": prints}

    def read_request(self, topic: str, payload: bytes, parse: Parse) -> Request:
        """Return a request, with its stamp if it is signed; whether that is fresh is not looked at.

        Raises PayloadError, and SignatureError if it is not signed as it has to be.
        """
        if len(payload) > MAX_BYTES or not _COMPACT.fullmatch(payload.strip()):
            if not self.required:
                return parse(payload)
            raise SignatureError("unsigned: requests to this node have to be signed", _to(payload))
        principal, content = self._open(payload.strip())
        document = parse_json(content)
        if not isinstance(document, dict):
            raise SignatureError("what is signed must be an object")
        reply = read_reply(document)
        signed_for, boot = document.pop("topic", None), document.pop("boot", None)
        if signed_for != topic:
            raise SignatureError(f"signed for {str(signed_for)[:200]!r}, sent to this topic", reply)
        stamp = _stamp(principal, document, boot, reply)
        request = parse(json.dumps(document).encode())
        request.stamp = stamp
        return request

    def _open(self, payload: bytes) -> tuple[str, bytes]:
        """Return who has signed, and what."""
        from jwt import PyJWTError

        try:
            principal = self._jws.get_unverified_header(payload).get("kid")
            key = self._keys.get(principal) if isinstance(principal, str) else None
            if key is None:
                raise SignatureError(f"no key {str(principal)[:64]!r} is known here")
            content = self._jws.decode_complete(payload, key, algorithms=[_ALGORITHM])["payload"]
        except PyJWTError as error:
            raise SignatureError(f"the signature does not count: {error}") from None
        return str(principal), content


def _load(principal: str, pem: bytes) -> Any:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        raise needs_extra("mqtt.signatures") from None
    where = f"mqtt.signatures.keys.{principal}"
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(f"{where}: this is no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{where}: this is no Ed25519 key")
    return key


def _stamp(principal: str, document: dict[str, Any], boot: object, reply: ReplyAddress) -> Stamp:
    """Read what a signed request has to say of itself."""
    missing = [key for key in ("id", "issued_at", "ttl") if document.get(key) is None]
    if missing:
        raise SignatureError(f"a signed request needs {' and '.join(missing)}", reply)
    if not (boot is None or isinstance(boot, str)):
        raise SignatureError("'boot' must be a text", reply)
    issued_at: datetime = parse_instant(document["issued_at"], reply)
    ttl_s = document["ttl"]
    if isinstance(ttl_s, bool) or not isinstance(ttl_s, int | float) or not 0 < ttl_s <= MAX_TTL_S:
        raise SignatureError(f"'ttl' of a signed request is above 0, to {MAX_TTL_S:g} s", reply)
    assert reply.id is not None
    return Stamp(principal, reply.id, issued_at, ttl_s, boot)


def _to(payload: bytes) -> ReplyAddress | None:
    """Return where the refusal of an unsigned request goes, if that can be read."""
    try:
        document = parse_json(payload)
        return read_reply(document) if isinstance(document, dict) else None
    except PayloadError as error:
        return error.reply
