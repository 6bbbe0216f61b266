"""The site's certificate authority: it vouches for the broker and for every node.

Keys are on the curve P-256 (NIST SP 800-186), which every TLS 1.2 stack has. Certificates are valid
from the year 2000 on, because a board without a clock battery starts with a time in the past and
would otherwise refuse the broker until it knows better.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Self

from edgekernel.core.errors import InvalidValueError

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError as error:
    raise ImportError(
        "a broker with TLS needs the package cryptography: "
        "python -m pip install 'edgekernel[secure]'"
    ) from error

VALID_FROM = datetime(2000, 1, 1, tzinfo=UTC)
DEFAULT_DAYS = 3650
_CA_DAYS = 7300

Key = ec.EllipticCurvePrivateKey


class Authority:
    """Signs certificates. Whoever has its key can make nodes: it belongs on no node."""

    def __init__(self, key: Key, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate

    @classmethod
    def make(cls, name: str) -> Self:
        """Make an authority with a new key."""
        key = new_key()
        subject = _named(name)
        usage = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
            encipher_only=False, decipher_only=False,
        )  # fmt: skip
        certificate = (
            _builder(subject, subject, key.public_key(), _CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(_key_id(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    @classmethod
    def load(cls, key_pem: bytes, certificate_pem: bytes) -> Self:
        """Read an authority. Raises InvalidValueError for what is none."""
        try:
            key = serialization.load_pem_private_key(key_pem, None)
            certificate = x509.load_pem_x509_certificate(certificate_pem)
        except (ValueError, TypeError) as error:
            raise InvalidValueError(f"the site's key or certificate is damaged: {error}") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise InvalidValueError("the site's key is no key on an elliptic curve")
        return cls(key, certificate)

    @property
    def key_pem(self) -> bytes:
        """The key, unencrypted, as PEM."""
        return key_pem(self._key)

    @property
    def pem(self) -> bytes:
        """The certificate as PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def vouch_for_server(self, public: ec.EllipticCurvePublicKey, hosts: Sequence[str]) -> bytes:
        """Return the certificate of a broker with these names and addresses, as PEM."""
        builder = self._signed("broker", public, DEFAULT_DAYS, ExtendedKeyUsageOID.SERVER_AUTH)
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        return self._sign(builder.add_extension(names, critical=False))

    def vouch_for_node(
        self, public: ec.EllipticCurvePublicKey, node: str, days: int = DEFAULT_DAYS
    ) -> bytes:
        """Return the certificate of a node, whose name is the common name, as PEM."""
        return self._sign(self._signed(node, public, days, ExtendedKeyUsageOID.CLIENT_AUTH))

    def revocations(self, serials: Iterable[int]) -> bytes:
        """Return the list of certificates that are no longer good, as PEM; it does not expire
        before the authority does."""
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(VALID_FROM)
            .next_update(self._certificate.not_valid_after_utc)
        )
        for serial in sorted(serials):
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _signed(
        self, name: str, public: ec.EllipticCurvePublicKey, days: int, use: x509.ObjectIdentifier
    ) -> x509.CertificateBuilder:
        return (
            _builder(_named(name), self._certificate.subject, public, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(_key_id(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )

    def _sign(self, builder: x509.CertificateBuilder) -> bytes:
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)


def new_key() -> Key:
    """Make a private key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Key) -> bytes:
    """Return a private key, unencrypted, as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def public_key_of_request(pem: bytes) -> ec.EllipticCurvePublicKey:
    """Return the key of a certificate signing request that proves to have its private half.

    The names in the request count for nothing. Raises InvalidValueError for what is none.
    """
    try:
        request = x509.load_pem_x509_csr(pem)
    except ValueError as error:
        raise InvalidValueError(f"it is no certificate signing request: {error}") from None
    key = request.public_key()
    if not request.is_signature_valid or not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidValueError(
            "the request is not signed by its own key on an elliptic curve; make one with: "
            "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
            "-keyout node.key -subj /CN=node -out node.csr"
        )
    return key


def serial_of(pem: bytes) -> int:
    """Return the serial number of a certificate."""
    return x509.load_pem_x509_certificate(pem).serial_number


def problems_of_server(files: Mapping[str, bytes]) -> list[str]:
    """Say what is wrong with the PEM files of a broker, in a sentence each: `ca.crt`, `server.crt`,
    `server.key` and `revoked.crl` belong together, and the key is not the one of the authority.
    """
    name = "ca.crt"
    try:
        authority = x509.load_pem_x509_certificate(files[name])
        name = "server.crt"
        server = x509.load_pem_x509_certificate(files[name])
        name = "revoked.crl"
        revoked = x509.load_pem_x509_crl(files[name])
        name = "server.key"
        public = serialization.load_pem_private_key(files[name], None).public_key()
        name = "ca.crt"
        signs = authority.public_key()
        name = "server.crt"
        certified = server.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return [f"{name}: it is damaged, or encrypted, or for another algorithm"]
    problems = []
    if public == signs:
        problems.append("server.key: it is the key of the authority, which belongs on no board")
    elif public != certified:
        problems.append("server.key: it is not the key of server.crt")
    try:
        server.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        problems.append("server.crt: it is not signed by the authority of ca.crt")
    if not isinstance(signs, ec.EllipticCurvePublicKey) or not revoked.is_signature_valid(signs):
        problems.append("revoked.crl: it is not signed by the authority of ca.crt")
    return problems


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .not_valid_after(datetime.now(UTC) + timedelta(days=days))
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _key_id(public: ec.EllipticCurvePublicKey) -> x509.SubjectKeyIdentifier:
    return x509.SubjectKeyIdentifier.from_public_key(public)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
