"""Certificates of a site that are wrong in one respect."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edgekernel.mqtt.site import Site


def spoil_server(site: Site, *, days: tuple[int, int] = (-10, 10), host: str = "") -> None:
    """Give the broker a certificate that is valid between `days` from now, for its hosts or for
    another one."""
    hosts = [host] if host else site.record.hosts
    names = x509.SubjectAlternativeName([_name(each) for each in hosts])
    place = site.folder / "broker"
    key = (place / "server.key").read_bytes()
    made = _sign(site, "broker", key, days, ExtendedKeyUsageOID.SERVER_AUTH, names)
    (place / "server.crt").write_bytes(made)


def spoil_node(site: Site, node: str, *, days: tuple[int, int]) -> None:
    """Give a node that is enrolled a certificate that is valid between `days` from now."""
    place = site.folder / "nodes" / node
    key = (place / "node.key").read_bytes()
    made = _sign(site, node, key, days, ExtendedKeyUsageOID.CLIENT_AUTH)
    (place / "node.crt").write_bytes(made)


def _sign(
    site: Site,
    name: str,
    key_pem: bytes,
    days: tuple[int, int],
    use: x509.ObjectIdentifier,
    *more: x509.ExtensionType,
) -> bytes:
    folder = site.folder / "authority"
    authority = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    issuer = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    key = serialization.load_pem_private_key(key_pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert isinstance(authority, ec.EllipticCurvePrivateKey)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
    )
    extensions = (
        x509.ExtendedKeyUsage([use]),
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),
        *more,
    )
    for each in extensions:
        builder = builder.add_extension(each, critical=False)
    signed = builder.sign(authority, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
