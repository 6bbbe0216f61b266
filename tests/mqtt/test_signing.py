"""The signer of a client: what it signs is read by nodes, and by others."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.freshness import Stamp
from edgekernel.mqtt.keys import make_pair
from edgekernel.mqtt.payloads import parse_set
from edgekernel.mqtt.signatures import Signatures
from edgekernel.mqtt.signing import Signer

TOPIC = "edge/n1/set/lamp/power"
AT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def _decoded(part: bytes) -> bytes:
    return urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def test_a_node_reads_what_it_signs(tmp_path: Path) -> None:
    """The content, the principal, the time and the start come through."""
    private, public = make_pair("anna", tmp_path)
    payload = Signer.read(private).sign(TOPIC, {"value": True, "id": "7f"}, AT, 30, "b00t")
    node = Signatures({"anna": public.read_bytes()}, required=True)
    found = node.read_request(TOPIC, payload, parse_set)
    assert found.content is True
    assert found.stamp == Stamp("anna", "7f", AT, 30, "b00t")


def test_it_is_a_compact_jws(tmp_path: Path) -> None:
    """Header and payload are those of RFC 7515, and the key's own library finds the signature
    right."""
    private, public = make_pair("anna", tmp_path)
    payload = Signer.read(private).sign(TOPIC, {"value": 1, "id": 1}, AT, 9000)
    head, body, signature = payload.split(b".")
    assert json.loads(_decoded(head)) == {"alg": "EdDSA", "kid": "anna"}
    said = {"value": 1, "id": 1, "topic": TOPIC, "issued_at": "2026-01-31T12:00:00.000Z"}
    assert json.loads(_decoded(body)) == {**said, "ttl": 3600}
    key = load_pem_public_key(public.read_bytes())
    key.verify(_decoded(signature), head + b"." + body)  # type: ignore[union-attr, call-arg]


def test_the_name_of_the_key(tmp_path: Path) -> None:
    """It is the file's, or another that is given; one that no node file can have is refused."""
    private, _ = make_pair("anna", tmp_path)
    assert Signer.read(private).principal == "anna"
    assert Signer.read(str(private), "anna-at-work").principal == "anna-at-work"
    with pytest.raises(ConfigError, match=r'anna\.key": \'Anna\' is no principal'):
        Signer.read(private, "Anna")


def test_files_that_are_no_key(tmp_path: Path) -> None:
    """A file that is missing, public, locked, of another kind or nothing at all is named, with
    what is wrong with it."""
    _, public = make_pair("anna", tmp_path)
    pkcs8 = (form.Encoding.PEM, form.PrivateFormat.PKCS8)
    locked = form.BestAvailableEncryption(b"word")
    files = {
        "locked": Ed25519PrivateKey.generate().private_bytes(*pkcs8, locked),
        "other": X25519PrivateKey.generate().private_bytes(*pkcs8, form.NoEncryption()),
        "text": b"no key",
        "bytes": bytes(range(256)),
    }
    for name, content in files.items():
        (tmp_path / f"{name}.key").write_bytes(content)
    for file, problem in (
        (tmp_path / "none.key", "cannot be read: No such file"),
        (public, "this is a public key: to sign takes the private one"),
        (tmp_path / "locked.key", "has a passphrase"),
        (tmp_path / "other.key", "this is no Ed25519 key"),
        (tmp_path / "text.key", "this is no private key in PEM"),
        (tmp_path / "bytes.key", "this is no private key in PEM"),
    ):
        with pytest.raises(ConfigError, match=problem) as refused:
            Signer.read(file)
        assert str(refused.value).startswith(f'"{file}"')
