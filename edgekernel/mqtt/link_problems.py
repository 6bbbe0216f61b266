"""What keeps a link from working, in words: which broker, what is wrong, what to look at."""

from __future__ import annotations

import errno
import socket
import ssl
from datetime import datetime

from edgekernel.mqtt.tls import alert_of
from edgekernel.mqtt.transport import NoWebsocketError

_HINTS = {
    "bad user name or password": "check mqtt.username and mqtt.password",
    "not authorized": "it does not accept {who}: check mqtt.username and mqtt.password",
    "client identifier not valid": "check mqtt.client_id",
    "unsupported protocol version": "check mqtt.protocol",
    "qos not supported": "a node needs QoS 1, or nothing says that a message has come",
    "retain not supported": "a node needs retained messages: its status and its states are such",
    "banned": "the broker's owner has shut this client out",
    "use another server": "set mqtt.host to the server that its owner names",
    "server moved": "set mqtt.host to where it is now",
}
"""Why a client is not taken, by the reason in the words of MQTT 5 (section 2.4)."""

_ENDS = {
    "session taken over": "another client came with the id {id!r}; check mqtt.client_id and the "
    "names of the nodes",
    "keep alive timeout": "the broker has heard nothing for too long",
    "packet too large": "the broker takes no packet of that size",
    "receive maximum exceeded": "more was on its way than the broker takes at once",
    "quota exceeded": "the broker's owner has set a limit to this client",
    "message rate too high": "the broker's owner has set a limit to this client",
    "not authorized": "the broker's access rules do not let this client go on",
    "administrative action": "the broker's owner has ended it",
    "use another server": "set mqtt.host to the server that its owner names",
    "server moved": "set mqtt.host to where it is now",
}
"""Why a broker ends a link, by the reason in the words of MQTT 5 (section 3.14.2.1)."""

_NOT_TAKEN = {
    "not authorized": "check the broker's access rules",
    "quota exceeded": "the broker's owner has set a limit to this client",
    "packet too large": "the broker takes no packet of that size",
    "implementation specific error": "it may be larger than the broker takes",
}
"""Why a message is not taken, likewise (section 3.4.2.1)."""


_ALERTS = {
    "certificate expired": "mqtt.tls.certificate has expired; renew it, or set the broker's clock",
    "certificate revoked": "mqtt.tls.certificate has been revoked; let the node in anew",
    "unknown ca": "it does not know who has issued mqtt.tls.certificate",
    "certificate required": "it asks who is there: set mqtt.tls.certificate and mqtt.tls.key",
    "bad certificate": "it does not accept mqtt.tls.certificate",
    "unrecognized name": "it does not know the name it is asked for: check mqtt.tls.server_name",
    "no application protocol": "it does not know the protocol: check mqtt.tls.alpn",
}
"""By the alert of the broker (RFC 8446, 6.2)."""

_NOT_YET, _EXPIRED = 9, 10
_OTHER_NAMES = (62, 64)
"""What OpenSSL finds wrong with a certificate (x509_vfy.h)."""


def unreachable(broker: str, error: OSError, now: datetime) -> str:
    """Say why a broker cannot be reached; it is `now` on this computer's clock."""
    what = f"{broker} cannot be reached"
    if isinstance(error, socket.gaierror):
        return f"{what}: the host name is unknown; check mqtt.host and the name server"
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = _distrusted(error.verify_code, now)
        return f"{broker} is not trusted: {error.verify_message}; {hint}"
    if isinstance(error, ssl.SSLError):
        return _not_encrypted(broker, error)
    if isinstance(error, NoWebsocketError):
        return (
            f"{broker} opens no websocket; check mqtt.port and mqtt.path, and that the broker "
            "listens for websockets there"
        )
    if isinstance(error, ConnectionRefusedError):
        return f"{what}: connection refused; is the broker running, and is mqtt.port right?"
    if isinstance(error, TimeoutError):
        return f"{what}: no answer; check the network and mqtt.host"
    if error.errno in (errno.EMFILE, errno.ENFILE):  # not the network's fault
        return f"{what}: {error.strerror}"
    return f"{what}: {error.strerror or error}; check the network"


def _distrusted(code: int, now: datetime) -> str:
    """Say what to look at when a broker's certificate is not accepted."""
    if code in (_NOT_YET, _EXPIRED):
        renew = "renew the broker's certificate" if code == _EXPIRED else "wait"
        return (
            f"this computer's clock says {now:%Y-%m-%d} (UTC): if that is wrong, let it be "
            f"synchronised; if it is right, {renew}"
        )
    if code in _OTHER_NAMES:
        return (
            "mqtt.host must be a name or address in the broker's certificate; if it is reached by "
            "another one, set mqtt.tls.server_name"
        )
    return "check mqtt.tls.ca: it must have the authority that has issued the broker's certificate"


def _not_encrypted(broker: str, error: ssl.SSLError) -> str:
    if alert := alert_of(error):
        return f"{broker} ends the TLS connection: {alert}; {_objection(alert)}"
    return (
        f"{broker}: no TLS connection: {error.reason or error}; does this port have TLS, and "
        "does the broker accept mqtt.tls.certificate?"
    )


def _objection(alert: str) -> str:
    return _ALERTS.get(alert, "does it accept mqtt.tls.certificate?")


def refused(broker: str, username: str, reason: str) -> str:
    """Say why a broker does not take the client."""
    who = f"user {username!r}" if username else "a client without a user name"
    hint = _HINTS.get(_bare(reason), "trying again").format(who=who)
    return f"{broker} refused the connection: {reason}; {hint}"


def no_answer(broker: str, loss: str, *, tls: bool = False) -> str:
    """Say that a connection was made, and that nothing came of it."""
    ask = "is it an MQTT broker, and is this port without TLS?"
    if loss in _ALERTS:
        return f"{broker} ends the TLS connection: {loss}; {_objection(loss)}"
    if tls:
        ask = "is it an MQTT broker, and does it accept mqtt.tls.certificate?"
    if loss == "protocol error":
        ask = ask.replace("an MQTT broker", "an MQTT broker of the version in mqtt.protocol")
    if loss:
        return f"{broker} accepts connections, but: {loss}; {ask}"
    return f"{broker} closed the connection without an answer; {ask}"


def unsubscribed(broker: str, refused: list[str]) -> str:
    """Say that requests will not come."""
    return (
        f"{broker} does not let this node subscribe to {', '.join(refused)}: no requests reach "
        "it; check the broker's access rules"
    )


def unpublished(broker: str, topic: str, reason: str) -> str:
    """Say that the broker does not take what is published on a topic."""
    hint = _NOT_TAKEN.get(_bare(reason), "look into the broker's log")
    return (
        f"{broker} does not take what is published on {topic}: {reason}; it is dropped, and this "
        f"is told once for a topic; {hint}"
    )


def unpublished_more(broker: str, topics: int) -> str:
    """Say that this happens on too many topics to name them all."""
    return (
        f"{broker} does not take what is published on more than {topics} topics; the others are "
        "not told; check the broker's access rules"
    )


def ended(loss: str, client_id: str) -> str:
    """Say why a link that was up has ended."""
    if not loss:
        return "connection lost"
    hint = _ENDS.get(_bare(loss), "").format(id=client_id)
    return f"{loss}; {hint}" if hint else loss


def _bare(reason: str) -> str:
    """Return a reason without the broker's own words."""
    return reason.partition(":")[0]


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
