"""The other side: a client that finds nodes and asks them for things."""

from __future__ import annotations

import pytest

from edgekernel.mqtt import Settings
from edgekernel.mqtt.remote import NoAnswerError, Remote, RequestRefusedError
from tests.brokers import HOST, Mosquitto, Watcher, free_port
from tests.mqtt.parts import node


def remote(port: int, *filters: str, timeout_s: float = 10.0) -> Remote:
    """Return a client of the nodes on a broker."""
    return Remote(Settings(host=HOST, port=port), filters, timeout_s)


def test_request_is_answered_or_refused(broker: Mosquitto) -> None:
    """A request gives the node's result, and a refusal is an error with the node's reason."""
    with node(broker.port), remote(broker.port, "n1/reply/+") as client:
        client.request("n1", "set/lamp/power", {"value": True})
        with pytest.raises(RequestRefusedError, match="on or off") as refused:
            client.request("n1", "set/lamp/power", {"value": "sideways"})
    assert refused.value.code == "invalid"


def test_retained_documents_are_found(broker: Mosquitto) -> None:
    """What is retained below the prefix comes as JSON by topic; what is no JSON is left out."""
    with node(broker.port), remote(broker.port, "+/status", "+/state/+") as client:
        found = client.retained()
    assert found["n1/status"]["state"] == "online"
    assert found["n1/state/lamp"]["power"]["value"] is False


def test_others_replies_are_not_taken_for_ours(broker: Mosquitto, watcher: Watcher) -> None:
    """A reply with another id, or to another client, does not answer a request."""
    with remote(broker.port, "n1/reply/+", timeout_s=0.5) as client:
        for name in (client.name, "somebody"):
            topic = f"edge/n1/reply/{name}"
            watcher.publish(topic, {"id": "another", "ok": True, "result": 1})
        with pytest.raises(NoAnswerError, match="n1 did not answer"):
            client.request("n1", "call/room/boost", {})


def test_no_broker() -> None:
    """Without a broker entering says which one was tried and what to look at."""
    port = free_port()
    with pytest.raises(NoAnswerError, match=f"{port} cannot be reached"):
        remote(port, "+/status").__enter__()
