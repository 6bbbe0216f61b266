"""What keeps a link from working, in words: which broker, what is wrong, what to look at."""

from __future__ import annotations

import errno
import socket
import ssl

_HINTS = {
    "bad user name or password": "check mqtt.username and mqtt.password",
    "not authorized": "it does not accept {who}: check mqtt.username and mqtt.password",
    "client identifier not valid": "check mqtt.client_id",
}
"""By the reason, in the words of MQTT 5 (section 2.4)."""


def unreachable(broker: str, error: OSError) -> str:
    """Say why a broker cannot be reached."""
    what = f"{broker} cannot be reached"
    if isinstance(error, socket.gaierror):
        return f"{what}: the host name is unknown; check mqtt.host and the name server"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"{broker} is not trusted: {error.verify_message}; check mqtt.tls.ca, and that "
            "mqtt.host is a name in the broker's certificate"
        )
    if isinstance(error, ssl.SSLError):
        return (
            f"{broker}: no TLS connection: {error.reason or error}; does this port have TLS, and "
            "does the broker accept mqtt.tls.certificate?"
        )
    if isinstance(error, ConnectionRefusedError):
        return f"{what}: connection refused; is the broker running, and is mqtt.port right?"
    if isinstance(error, TimeoutError):
        return f"{what}: no answer; check the network and mqtt.host"
    if error.errno in (errno.EMFILE, errno.ENFILE):  # not the network's fault
        return f"{what}: {error.strerror}"
    return f"{what}: {error.strerror or error}; check the network"


def refused(broker: str, username: str, reason: str) -> str:
    """Say why a broker does not take the client."""
    who = f"user {username!r}" if username else "a client without a user name"
    hint = _HINTS.get(reason, "trying again").format(who=who)
    return f"{broker} refused the connection: {reason}; {hint}"


def no_answer(broker: str, loss: str, *, tls: bool = False) -> str:
    """Say that a connection was made, and that nothing came of it."""
    ask = "is it an MQTT broker, and is this port without TLS?"
    if tls:
        ask = "is it an MQTT broker, and does it accept mqtt.tls.certificate?"
    if loss:
        return f"{broker} accepts connections, but: {loss}; {ask}"
    return f"{broker} closed the connection without an answer; {ask}"


def unsubscribed(broker: str, refused: list[str]) -> str:
    """Say that requests will not come."""
    return (
        f"{broker} does not let this node subscribe to {', '.join(refused)}: no requests reach "
        "it; check the broker's access rules"
    )


def contested(broker: str, client_id: str, links: int) -> str:
    """Say that links end soon after they were made."""
    return (
        f"{broker} closed the connection soon after it was made, {links} times in a row: another "
        f"client may use the id {client_id!r}; check mqtt.client_id and the names of the nodes"
    )


def hanging(broker: str) -> str:
    """Say that the thread of a link has not ended with it."""
    return (
        f"the network thread of the link to {broker} hangs in a handler; it is left to itself, "
        "and a new link is made"
    )
