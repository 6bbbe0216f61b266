"""Signed requests: whose they are, for what, and that nothing about them was changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.freshness import Stamp
from edgekernel.mqtt.payloads import PayloadError, parse_call, parse_set
from edgekernel.mqtt.signatures import SignatureError, Signatures
from tests.mqtt.signing import Signer, request

TOPIC = "edge/n1/set/lamp/power"
AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
ANNA, BERT, EVE = Signer("anna"), Signer("bert"), Signer("anna")
SIGNATURES = Signatures({"anna": ANNA.public, "bert": BERT.public}, required=True)
OPEN = Signatures({"anna": ANNA.public})
REPLY = "edge/n1/reply/me"


def test_what_was_signed_is_read() -> None:
    """Content, reply and expiry are those of the signed request, and the stamp says whose it is."""
    document = request(TOPIC, AT, value=True, id="a7", boot="b", reply_to=REPLY)
    read = SIGNATURES.read_request(TOPIC, ANNA.sign(document), parse_set)
    assert read.content is True
    assert (read.reply.topic, read.reply.id) == (REPLY, "a7")
    assert read.stamp == Stamp("anna", "a7", AT, 30, "b")
    args = request("edge/n1/call/a/b", AT, args={"x": 1.5})
    called = SIGNATURES.read_request("edge/n1/call/a/b", BERT.sign(args), parse_call)
    assert called.content == {"x": 1.5}
    assert called.stamp == Stamp("bert", 1, AT, 30)


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (EVE.sign(request(TOPIC, AT, value=1)), "the signature does not count"),
        (BERT.sign(request(TOPIC, AT, value=1), kid="anna"), "the signature does not count"),
        (ANNA.sign(request(TOPIC, AT, value=1), kid="carl"), "no key 'carl' is known here"),
        (ANNA.sign(request(TOPIC, AT, value=1), kid=7), "the signature does not count"),
        (ANNA.sign(request(TOPIC, AT, value=1), alg="none"), "the signature does not count"),
        (ANNA.sign(request(TOPIC, AT, value=1), alg="HS256"), "the signature does not count"),
        (ANNA.sign(request(TOPIC, AT, value=1), crit=["x"], x=1), "the signature does not count"),
        (ANNA.sign(request("edge/n2/set/lamp/power", AT, value=1)), "signed for 'edge/n2/set/l"),
        (ANNA.sign({"value": 1}), "signed for 'None'"),
        (ANNA.sign(request(TOPIC, AT, value=1, id=None)), "a signed request needs id"),
        (ANNA.sign(request(TOPIC, AT, value=1, ttl=None)), "a signed request needs ttl"),
        (ANNA.sign(request(TOPIC, AT, value=1, issued_at=None)), "needs issued_at"),
        (ANNA.sign(request(TOPIC, AT, value=1, ttl=3601)), "above 0, to 3600 s"),
        (ANNA.sign(request(TOPIC, AT, value=1, boot=1)), "'boot' must be a text"),
        (b'{"value": 1}', "requests to this node have to be signed"),
        (b"on", "requests to this node have to be signed"),
        (b"", "requests to this node have to be signed"),
    ],
)
def test_a_request_that_is_not_signed_right(payload: bytes, text: str) -> None:
    """Another key, another algorithm, another topic or no signature: it is forbidden, and why."""
    with pytest.raises(SignatureError) as refused:
        SIGNATURES.read_request(TOPIC, payload, parse_set)
    assert text in str(refused.value)
    assert refused.value.code == "forbidden"


def test_every_byte_counts() -> None:
    """Whichever character of a signed request is another one, it is refused."""
    signed = ANNA.sign(request(TOPIC, AT, value=1))
    for at in range(len(signed)):
        changed = bytearray(signed)
        changed[at] = ord("A") if signed[at] != ord("A") else ord("B")
        if at == len(signed) - 1:
            continue  # its last bits are padding, which base64 decoders do not look at
        with pytest.raises(PayloadError):
            SIGNATURES.read_request(TOPIC, bytes(changed), parse_set)


def test_what_is_signed_is_checked_as_any_request() -> None:
    """A signature makes no request of what is none; the refusal says where it goes."""
    with pytest.raises(PayloadError, match="did you mean 'value'") as refused:
        SIGNATURES.read_request(
            TOPIC, ANNA.sign(request(TOPIC, AT, valeu=1, reply_to=REPLY)), parse_set
        )
    assert (refused.value.reply.topic, refused.value.code) == (REPLY, "invalid")


def test_unsigned_requests_where_they_are_allowed() -> None:
    """Without `required` an unsigned request is one of nobody in particular."""
    read = OPEN.read_request(TOPIC, b"on", parse_set)
    assert (read.content, read.stamp, read.reply.principal) == ("on", None, "mqtt")
    assert OPEN.read_request(TOPIC, b"1.2.3", parse_set).content == "1.2.3"


@given(st.binary() | st.binary().map(lambda tail: b"eyJ" + tail) | st.text().map(str.encode))
def test_no_bytes_crash_it(payload: bytes) -> None:
    """Whatever arrives is a request or a PayloadError."""
    for each in (SIGNATURES, OPEN):
        try:
            each.read_request(TOPIC, payload, parse_set)
        except PayloadError:
            continue


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_no_signed_document_crashes_it(document: Any) -> None:
    """Whatever somebody has signed is a request or a PayloadError."""
    for each in (document, {"topic": TOPIC, "value": document}, request(TOPIC, AT, id=document)):
        try:
            SIGNATURES.read_request(TOPIC, ANNA.sign(each), parse_set)
        except PayloadError:
            continue


def test_keys_that_are_none(tmp_path: Path) -> None:
    """A file that is missing, is no key or is that of another algorithm is named."""
    with pytest.raises(ConfigError, match=r'keys\.anna: "a\.pem" cannot be read: No such file'):
        Signatures.read({"anna": "a.pem"}, tmp_path, required=True)
    with pytest.raises(ConfigError, match=r"keys\.anna: this is no public key in PEM"):
        Signatures({"anna": b"ssh-ed25519 AAAA"})
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    other = X25519PrivateKey.generate().public_key()
    pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(ConfigError, match=r"keys\.anna: this is no Ed25519 key"):
        Signatures({"anna": pem})


def test_it_is_what_another_library_makes() -> None:
    """A request that PyJWT has signed is read."""
    import jwt

    signed = jwt.PyJWS().encode(
        json.dumps(request(TOPIC, AT, value=1)).encode(),
        ANNA._key,
        algorithm="EdDSA",
        headers={"kid": "anna"},
    )
    assert SIGNATURES.read_request(TOPIC, signed.encode(), parse_set).content == 1
