"""TLS to a broker: whom the node trusts, and how it shows who it is."""

from __future__ import annotations

import re
import ssl
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from edgekernel.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM. `ca` has the authorities that are trusted, those of the system if it is None;
    `certificate` and `key` go together, for a broker that asks who is there.

    `alpn` names the protocol where one port serves several, such as "mqtt" on port 443. The name
    that is asked for (SNI) and that the certificate must have is the host's, or `server_name`:
    for a broker that is reached by an address, or through a tunnel.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    alpn: str = ""
    server_name: str = ""

    def context(self) -> ssl.SSLContext:
        """Read the files, anew at each call, so that renewed ones count from the next connection.

        TLS 1.2 at least, and the broker's name is checked. Raises ConfigError that names the key.
        """
        if (self.certificate is None) is not (self.key is None):
            missing = "key" if self.key is None else "certificate"
            raise ConfigError(f"mqtt.tls.{missing}: certificate and key go together")
        context = _Context.trusting()
        context.server_name = self.server_name
        try:
            if self.ca is None:
                context.load_default_certs()
            else:
                context.load_verify_locations(_there("ca", self.ca))
            if self.certificate is not None and self.key is not None:
                files = _there("certificate", self.certificate), _there("key", self.key)
                context.load_cert_chain(*files, password=_refuse_password)
        except ssl.SSLError as error:
            names = ", ".join(str(each) for each in (self.ca, self.certificate, self.key) if each)
            raise ConfigError(
                f"mqtt.tls: {names}: no usable PEM, or the key is not that of the certificate: "
                f"{error.reason or error}"
            ) from None
        context.sslsocket_class = _Socket
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.alpn:
            context.set_alpn_protocols([self.alpn])
        return context


class _Context(ssl.SSLContext):
    """Asks for the server by another name than the host's, if one is given."""

    server_name = ""

    @classmethod
    def trusting(cls) -> Self:
        """Return one that checks certificates as strictly as `ssl.create_default_context` does."""
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        if sys.version_info >= (3, 13):
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
        return context

    def wrap_socket(self, *args: Any, **named: Any) -> ssl.SSLSocket:
        """Wrap a socket, as the base class does."""
        if self.server_name:
            named["server_hostname"] = self.server_name
        return super().wrap_socket(*args, **named)


class _Socket(ssl.SSLSocket):
    """Is closed when the other side is not trusted, which paho leaves open, and keeps what the
    other side objects to, which paho does not tell."""

    alert = ""
    """Why the other side has ended the connection, as the TLS alert says (RFC 8446, 6)."""

    def do_handshake(self, block: bool = False) -> None:
        """Agree on keys, or close the socket and raise."""
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Receive, as the base class does.

        With TLS 1.3 the client's handshake is over before the server has looked at its
        certificate, so that what is wrong with it comes as the first answer.
        """
        try:
            return super().recv(buflen, flags)
        except ssl.SSLError as error:
            self.alert = alert_of(error)
            raise

    def send(self, data: Any, flags: int = 0) -> int:
        """Send, as the base class does; where nobody listens any more, see why first."""
        try:
            return super().send(data, flags)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            with suppress(OSError):
                self.recv(1)
            raise


def alert_of(error: ssl.SSLError) -> str:
    """Return the alert of the other side that an error tells of, in small letters; "" if none."""
    text = error.reason or str(error)  # Python has no name for some, and OpenSSL's words then
    found = re.search(r"\balert ([a-z ]*[a-z])", text.lower().replace("_", " "))
    return found[1] if found else ""


def _there(key: str, path: Path) -> str:
    try:
        path.read_bytes()
    except OSError as error:
        raise ConfigError(f'mqtt.tls.{key}: "{path}" cannot be read: {error.strerror}') from None
    return str(path)


def _refuse_password() -> str:
    raise ConfigError("mqtt.tls.key: the key is encrypted: nobody is there to type a password")
