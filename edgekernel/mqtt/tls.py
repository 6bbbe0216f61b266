"""TLS to a broker: whom the node trusts, and how it shows who it is."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from edgekernel.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM. `ca` has the authorities that are trusted, those of the system if it is None;
    `certificate` and `key` go together, for a broker that asks who is there.

    `alpn` names the protocol where one port serves several, such as "mqtt" on port 443.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    alpn: str = ""

    def context(self) -> ssl.SSLContext:
        """Read the files, anew at each call, so that renewed ones count from the next connection.

        TLS 1.2 at least, and the broker's name is checked. Raises ConfigError that names the key.
        """
        if (self.certificate is None) is not (self.key is None):
            missing = "key" if self.key is None else "certificate"
            raise ConfigError(f"mqtt.tls.{missing}: certificate and key go together")
        context = ssl.create_default_context()
        try:
            if self.ca is not None:
                context = ssl.create_default_context(cafile=_there("ca", self.ca))
            if self.certificate is not None and self.key is not None:
                files = _there("certificate", self.certificate), _there("key", self.key)
                context.load_cert_chain(*files, password=_refuse_password)
        except ssl.SSLError as error:
            names = ", ".join(str(each) for each in (self.ca, self.certificate, self.key) if each)
            raise ConfigError(
                f"mqtt.tls: {names}: no usable PEM, or the key is not that of the certificate: "
                f"{error.reason or error}"
            ) from None
        context.sslsocket_class = _ClosedIfRefused
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.alpn:
            context.set_alpn_protocols([self.alpn])
        return context


class _ClosedIfRefused(ssl.SSLSocket):
    """Is closed when the other side is not trusted: paho leaves such a one open."""

    def do_handshake(self, block: bool = False) -> None:
        """Agree on keys, or close the socket and raise."""
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def _there(key: str, path: Path) -> str:
    try:
        path.read_bytes()
    except OSError as error:
        raise ConfigError(f'mqtt.tls.{key}: "{path}" cannot be read: {error.strerror}') from None
    return str(path)


def _refuse_password() -> str:
    raise ConfigError("mqtt.tls.key: the key is encrypted: nobody is there to type a password")
