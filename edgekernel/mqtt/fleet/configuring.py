"""The configurations of nodes: what they run, and another one pushed to them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from edgekernel.core.errors import ForbiddenError, InvalidValueError
from edgekernel.mqtt.deliveries import Delivery
from edgekernel.mqtt.fleet.connection import Connection
from edgekernel.mqtt.fleet.documents import Document, read_document, read_text, read_time
from edgekernel.mqtt.fleet.errors import NoAnswerError, RequestRefusedError
from edgekernel.mqtt.fleet.listening import Answer, Arrival, Listener
from edgekernel.mqtt.fleet.sealing import Seal, plain
from edgekernel.mqtt.payloads import MAX_BYTES
from edgekernel.node.config_record import digest_of

UNDECIDED = ("waiting", "trying")
PUSH_LIMIT_S = 90.0
"""How long a push waits for its result: a node takes half a minute if it is not well."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """What a node runs: the tables of its node file, secrets hidden, where they are from ("file",
    "remote" or "last good"), and why it is not the file if it should be."""

    node: str
    document: Mapping[str, Any] = field(default_factory=dict)
    hash: str = ""
    version: str = ""
    source: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DesiredResult:
    """What has come of a document: "waiting" (the node is busy), "trying", "applied",
    "rejected" or "rolled_back", and why."""

    result: str
    version: str = ""
    problems: tuple[str, ...] = ()
    at: datetime | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a node has reported of its configuration; `remote` says whether it takes another one
    from afar, and `desired` what has come of the latest."""

    node: str
    hash: str = ""
    version: str = ""
    source: str = ""
    remote: bool = False
    desired: DesiredResult | None = None


def read_config(node: str, result: Any) -> NodeConfig:
    """Read what a node has answered to `config.show`."""
    found: Mapping[str, Any] = result if isinstance(result, Mapping) else {}
    document = found.get("document")
    return NodeConfig(
        node,
        document if isinstance(document, Mapping) else {},
        hash=read_text(found, "hash"),
        version=read_text(found, "version"),
        source=read_text(found, "source"),
        problems=_texts(found.get("problems")),
    )


def read_report(node: str, document: Document) -> NodeReport:
    """Read what is retained on `reported`."""
    desired = document.get("desired")
    return NodeReport(
        node,
        hash=read_text(document, "hash"),
        version=read_text(document, "version"),
        source=read_text(document, "source"),
        remote=document.get("remote") is True,
        desired=_read_desired(desired) if isinstance(desired, Mapping) else None,
    )


def push(
    connection: Connection,
    report: NodeReport,
    body: Mapping[str, Any],
    limit_s: float,
    seal: Seal = plain,
) -> NodeReport:
    """Publish a document to a node that has reported, and wait for what comes of it; `seal` makes
    its payload.

    Raises ForbiddenError for a node that takes none and if the broker takes none from us,
    InvalidValueError for what is too large or no
    JSON, RequestRefusedError with the node's reasons, and NoAnswerError.
    """
    node = report.node
    if not report.remote:
        raise ForbiddenError(
            f"{node} takes no configuration from afar: its node file has to say "
            "remote_config = true in [mqtt]"
        )
    document = {**body, "id": os.urandom(16).hex()}  # so that the same one may come again
    payload = _sealed(f"{connection.prefix}/{node}/desired", document, limit_s, seal)
    digest = digest_of(payload)
    with connection.listening(f"{node}/reported") as listener:
        delivery = connection.retain(
            f"{node}/desired", payload, on_refused=lambda reason: listener.put(Answer())
        )
        found = _wait(connection, listener, node, digest, delivery, limit_s)
        connection.withdraw(delivery)
    if delivery.refusal:
        raise connection.refusal_of(delivery)
    if found is not None and found.desired is not None and found.desired.result in UNDECIDED:
        waits = "; ".join(found.desired.problems) or "it is on trial"
        raise NoAnswerError(
            f"{node} has no result within {limit_s:g} s and goes on by itself: {waits}"
        )
    if found is None:
        waits = "waits on the broker, and is applied when the node comes to it" + connection.doubt
        left = "was not sent, and is taken back"
        if delivery.was_sent:
            left = "was not acknowledged by the broker: it may still arrive, and be applied"
        raise NoAnswerError(
            f"{node} has reported no result within {limit_s:g} s; the document "
            f"{waits if delivery.wait(0) else left}"
        )
    result = found.desired
    if result is None or result.result != "applied":
        reasons = () if result is None else result.problems
        code = "rejected" if result is None else result.result
        raise RequestRefusedError(code, "\n".join(reasons) or "no reason given")
    return found


def _sealed(topic: str, body: Mapping[str, Any], limit_s: float, seal: Seal) -> bytes:
    try:
        payload = seal(topic, body, limit_s)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(f"the document cannot be sent as JSON: {error}") from None
    if len(payload) > MAX_BYTES:
        raise InvalidValueError(f"the document has {len(payload)} bytes; {MAX_BYTES} are allowed")
    return payload


def _wait(
    connection: Connection,
    listener: Listener,
    node: str,
    digest: str,
    delivery: Delivery,
    limit_s: float,
) -> NodeReport | None:
    """Return the report in which the document of a digest has a result, or the latest of it; None
    if none comes, and as soon as the broker does not take the document."""
    end_s = connection.clock.monotonic() + limit_s
    latest: NodeReport | None = None
    while (left_s := end_s - connection.clock.monotonic()) > 0 and not delivery.refusal:
        arrival = listener.get(left_s)
        document = read_document(arrival.payload) if isinstance(arrival, Arrival) else None
        if document is None:
            continue
        report = read_report(node, document)
        desired = report.desired
        if desired is None or desired.digest != digest:
            continue
        if desired.result not in UNDECIDED:
            return report
        latest = report
    return latest


def _read_desired(document: Mapping[str, Any]) -> DesiredResult:
    return DesiredResult(
        read_text(document, "result"),
        read_text(document, "version"),
        _texts(document.get("problems")),
        read_time(document.get("at")),
        read_text(document, "digest"),
    )


def _texts(found: object) -> tuple[str, ...]:
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()
