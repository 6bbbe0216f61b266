"""A foreign client that signs, with the library's own primitives and none of our code."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)


class Signer:
    """Somebody with a private key."""

    def __init__(self, principal: str) -> None:
        self.principal = principal
        self._key = Ed25519PrivateKey.generate()

    @property
    def public(self) -> bytes:
        """The public key in PEM."""
        form = PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(Encoding.PEM, form)

    @property
    def private(self) -> bytes:
        """The private key in PEM."""
        form = PrivateFormat.PKCS8
        return self._key.private_bytes(Encoding.PEM, form, NoEncryption())

    def sign(self, document: dict[str, Any], **header: object) -> bytes:
        """Return a document as compact JWS; `header` says what is other in the header."""
        head = {"alg": "EdDSA", "kid": self.principal, **header}
        text = b".".join(_base64(json.dumps(each).encode()) for each in (head, document))
        return text + b"." + _base64(self._key.sign(text))


def request(topic: str, at: datetime | None = None, **others: Any) -> dict[str, Any]:
    """Return what a request for a topic has to say, issued at a time, now unless given."""
    issued_at = (at or datetime.now(UTC)).isoformat()
    return {"topic": topic, "id": 1, "issued_at": issued_at, "ttl": 30, **others}


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
