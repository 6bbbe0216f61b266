"""What a broker still has of a node that is no more, and how it forgets it."""

from __future__ import annotations

from edgekernel.core.errors import InvalidValueError, UnavailableError
from edgekernel.mqtt.deliveries import Delivery
from edgekernel.mqtt.fleet.connection import Connection
from edgekernel.mqtt.fleet.documents import read_document, read_status
from edgekernel.mqtt.fleet.errors import NoAnswerError
from edgekernel.mqtt.home_assistant.messages import device_topic, entity_topics, is_ours
from edgekernel.mqtt.topics import prefix_problem

DISCOVERY = "homeassistant"
"""Where Home Assistant is told of nodes, unless it was set up otherwise."""


_STATES = ("status", "info", "schema", "health", "state", "quality", "desired", "reported")
_KINDS = frozenset((*_STATES, "busy", "update", "event", "data", "set", "call", "lease", "reply"))
"""What follows the name of a node. Where anything else does, the name is a part of a prefix, and
what is there is of other nodes."""

Left = dict[str, bytes]
"""What is retained, by topic below the prefix of a connection."""


def left_of(connection: Connection, node: str, *, force: bool) -> Left:
    """Return all that is retained of a node. Raises UnavailableError for one that is online, unless
    by `force`."""
    found = connection.retained(f"{node}/#")
    left = {topic: each for topic, each in found.items() if topic.split("/")[1] in _KINDS}
    document = read_document(left.get(f"{node}/status", b""))
    if not force and document is not None and read_status(node, document).online:
        raise UnavailableError(
            f"{node} is online: what is retained is what it says of itself; stop it first. By "
            "force it is forgotten all the same, until it connects again"
        )
    return left


def announced_by(connection: Connection, node: str, prefix: str) -> Left:
    """Return what tells Home Assistant of the node below a prefix. The connection is to what is
    below the prefix of discovery; of what others have made there nothing is returned."""
    here = f"{connection.prefix}/"
    filters = (device_topic(connection.prefix, node), entity_topics(connection.prefix, node))
    found = connection.retained(*(each.removeprefix(here) for each in filters))
    base = f"{prefix}/{node}"
    return {topic: each for topic, each in found.items() if is_ours(each) and _is_below(each, base)}


def checked_discovery(prefix: str) -> str:
    """Return a prefix of discovery. Raises InvalidValueError for one that we cannot read below."""
    if prefix_problem(prefix):
        raise InvalidValueError(
            f"discovery: {prefix!r} is not allowed; segments of a-z, 0-9 and '-' are, such as "
            f"{DISCOVERY!r}"
        )
    return prefix


def clear(connection: Connection, left: Left) -> None:
    """Take what is retained off the broker, and see that it is gone; the status of a node goes
    last, so that whoever is interrupted still finds it.

    Raises ForbiddenError if the broker does not let us, NoAnswerError if it does not answer or has
    some of it still.
    """
    last = [topic for topic in left if topic.endswith("/status")]
    for topics in ([topic for topic in left if topic not in last], last):
        _publish(connection, topics)
    after = connection.retained(*left)
    if still := [topic for topic in left if after.get(topic) == left[topic]]:
        raise NoAnswerError(
            f"{connection.broker} still has {len(still)} of {len(left)} retained messages, such as "
            f"on {connection.prefix}/{still[0]}: it takes what clears them{connection.doubt}"
        )


def _publish(connection: Connection, topics: list[str]) -> None:
    """Clear topics; if one of them fails, no more is sent."""
    clock = connection.clock
    sent: list[Delivery] = [connection.retain(topic, b"") for topic in topics]
    end_s = clock.monotonic() + connection.timeout_s
    try:
        for each in sent:
            if not each.wait(max(0.0, end_s - clock.monotonic())):
                raise NoAnswerError(
                    f"{connection.broker} did not answer within {connection.timeout_s:g} s; some "
                    "of it may be cleared: to ask again does the rest"
                )
            if each.refusal:
                raise connection.refusal_of(each)
    finally:
        for each in sent:
            connection.withdraw(each)


def _is_below(payload: bytes, base: str) -> bool:
    """Say whether a discovery message is of the node with this base: one of the same name may be
    below another prefix."""
    found = read_document(payload) or {}
    places = found.get("availability")
    named = [
        each for each in (places if isinstance(places, list) else []) if isinstance(each, dict)
    ]
    topics = [each.get("topic") for each in named]
    topics += [each for key, each in found.items() if key.endswith("_topic")]
    return any(isinstance(each, str) and each.startswith(f"{base}/") for each in topics)
