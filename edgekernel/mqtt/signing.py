"""The signer: one principal's private key, which signs what a client asks of nodes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.encoding import timestamp
from edgekernel.mqtt.freshness import MAX_TTL_S
from edgekernel.mqtt.keys import fingerprint, needs_extra, principal_problem

_ALGORITHM = "EdDSA"


class Signer:
    """Signs requests as `edgekernel.mqtt.signatures` reads them: compact JWS with Ed25519.

    `principal` is the name that nodes know the key by, `fingerprint` that of its public key.
    """

    def __init__(self, principal: str, pem: bytes) -> None:
        """Take a private key in PEM. Raises ConfigError for what is no Ed25519 key or no name, and
        without the extra `secure`."""
        if problem := principal_problem(principal):
            raise ConfigError(problem)
        try:
            from jwt import PyJWS
        except ImportError:
            raise needs_extra("signing") from None
        self.principal = principal
        self._key = _load(pem)
        self._jws = PyJWS(algorithms=[_ALGORITHM])
        self.fingerprint = fingerprint(self._key.public_key())

    @classmethod
    def read(cls, path: str | Path, principal: str = "") -> Signer:
        """Read a key from a file; the principal is the file's name without its ending unless given:
        that of `keys/anna.key` is anna. Raises ConfigError."""
        path = Path(path)
        try:
            pem = path.read_bytes()
        except OSError as error:
            raise ConfigError(f'"{path}" cannot be read: {error.strerror}') from None
        try:
            return cls(principal or path.stem, pem)
        except ConfigError as error:
            raise ConfigError(*(f'"{path}": {text}' for text in error.problems)) from None

    def sign(
        self, topic: str, request: Mapping[str, Any], now: datetime, ttl_s: float, boot: str = ""
    ) -> bytes:
        """Return a request, which has an `id`, signed for a full topic and for `ttl_s` seconds from
        `now` on, at most an hour; and for one start of the node, if its `boot` is given."""
        stamp: dict[str, Any] = {
            "topic": topic,
            "issued_at": timestamp(now),
            "ttl": min(ttl_s, MAX_TTL_S),
        }
        if boot:
            stamp["boot"] = boot
        text = json.dumps({**request, **stamp}, allow_nan=False).encode()
        head = {"kid": self.principal, "typ": None}  # it is a JWS, and no JWT
        return self._jws.encode(text, self._key, algorithm=_ALGORITHM, headers=head).encode()


def _load(pem: bytes) -> Any:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        raise needs_extra("signing") from None
    if b"PUBLIC KEY" in pem:
        raise ConfigError("this is a public key: to sign takes the private one")
    try:
        key = load_pem_private_key(pem, None)
    except TypeError:
        raise ConfigError("this key has a passphrase: to sign takes one without") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError("this is no private key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError("this is no Ed25519 key")
    return key
