"""Signed requests over a real broker, and the audit of every request."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from edgekernel.mqtt.signatures import Signatures
from tests.brokers import Mosquitto, Watcher
from tests.mqtt.parts import Node, node
from tests.mqtt.signing import Signer, request

ANNA, EVE, BOB = Signer("anna"), Signer("anna"), Signer("bob")
BASE = "edge/n1"
REPLY = f"{BASE}/reply/me"


@pytest.fixture
def n1(broker: Mosquitto) -> Iterator[Node]:
    """Give a connected node that serves what Anna, who is an operator, has signed."""
    signatures = Signatures({"anna": ANNA.public}, required=True)
    operators = {("anna", "operator")}
    with node(
        broker.port, signatures=signatures, authorizer=lambda *asked: asked in operators
    ) as made:
        yield made


class Asking:
    """A client that signs for this start of the node."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self.boot = watcher.on(f"{BASE}/status", state="online").document["boot"]

    def document(self, topic: str, id: int, **others: Any) -> dict[str, Any]:
        """Return a request for this start."""
        mine = {"id": id, "boot": self.boot, "reply_to": REPLY}
        return request(f"{BASE}/{topic}", **{**mine, **others})

    def send(self, topic: str, id: int, payload: bytes) -> dict[str, Any]:
        """Send bytes and return the reply to the id."""
        self._watcher.forget()
        self._watcher.publish(f"{BASE}/{topic}", payload)
        reply: dict[str, Any] = self._watcher.on(REPLY, id=id).document
        return reply

    def ask(self, topic: str, id: int, **others: Any) -> dict[str, Any]:
        """Sign a request as Anna and return the reply."""
        return self.send(topic, id, ANNA.sign(self.document(topic, id, **others)))


def audit(n1: Node, count: int) -> list[tuple[str, ...]]:
    """Return what the audit says of so many requests."""
    n1.seen.wait("request.answered", count)
    keys = ("kind", "target", "principal", "id", "outcome")
    return [tuple(each[key] for key in keys) for each in n1.seen.of("request.answered")]


def test_the_principal_is_who_has_signed(n1: Node, watcher: Watcher) -> None:
    """A set and a call are carried out for her, with her roles, and the audit says so."""
    asking = Asking(watcher)
    assert asking.ask("set/lamp/power", 1, value="on")["ok"] is True
    assert n1.lamp.power.get() is True
    boosted = asking.ask("call/room-control/boost", 2, args={"minutes": 5})
    assert boosted["result"]["minutes"] == 5
    assert n1.seen.wait("command.done")["principal"] == "anna"
    reset = asking.ask("call/room-control/reset", 3)
    assert reset["error"]["code"] == "failed"  # she may; it is the command that fails
    assert audit(n1, 3) == [
        ("set", "lamp.power", "anna", "1", "ok"),
        ("call", "room-control.boost", "anna", "2", "ok"),
        ("call", "room-control.reset", "anna", "3", "failed"),
    ]


def test_unsigned_and_forged_requests_are_refused(n1: Node, watcher: Watcher) -> None:
    """Without a signature, with another's key or for another topic nothing is switched, it is
    answered where it can be, and audited as nobody's."""
    asking = Asking(watcher)
    plain = {"value": "on", "id": 1, "reply_to": REPLY}
    watcher.publish(f"{BASE}/set/lamp/power", plain)
    refused = watcher.on(REPLY, id=1).document["error"]
    assert (refused["code"], "have to be signed" in refused["message"]) == ("forbidden", True)
    watcher.publish(f"{BASE}/set/lamp/power", EVE.sign(asking.document("set/lamp/power", 2)))
    n1.seen.wait("command.refused", 2)
    other = ANNA.sign(asking.document("set/heater/fan-speed", 3, value=1))
    assert "signed for" in asking.send("set/lamp/power", 3, other)["error"]["message"]
    assert n1.lamp.power.get() is False
    assert [each[2:] for each in audit(n1, 3)] == [
        ("mqtt", "1", "forbidden"),
        ("mqtt", "", "forbidden"),
        ("mqtt", "3", "forbidden"),
    ]


def test_a_replay_does_nothing(n1: Node, watcher: Watcher) -> None:
    """The same bytes again get the first answer and switch nothing; other content under the same
    id is refused, and so is what is signed for another start or too late."""
    asking = Asking(watcher)
    signed = ANNA.sign(asking.document("set/lamp/power", 1, value="on"))
    assert asking.send("set/lamp/power", 1, signed)["ok"] is True
    n1.lamp.power.set(False)
    assert asking.send("set/lamp/power", 1, signed)["ok"] is True
    used = asking.ask("set/lamp/power", 1, value="on", ttl=29)
    assert "was used before" in used["error"]["message"]
    other = asking.ask("set/lamp/power", 2, value="on", boot="another")
    assert other["error"]["code"] == "forbidden"
    old = (datetime.now(UTC) - timedelta(seconds=31)).isoformat()
    # By the clock, or where that is not synchronised by the newer ones that have come before.
    late = asking.ask("set/lamp/power", 3, value="on", issued_at=old)
    assert late["error"]["code"] == "expired"
    assert n1.lamp.power.get() is False
    outcomes = [each[3:] for each in audit(n1, 5)]
    assert outcomes == [
        ("1", "ok"),
        ("1", "repeated"),
        ("1", "forbidden"),
        ("2", "forbidden"),
        ("3", "expired"),
    ]


def test_an_output_that_needs_a_role(broker: Mosquitto, watcher: Watcher) -> None:
    """Who has it sets it; others are refused, signed or not, and nothing is driven."""
    signatures = Signatures({"anna": ANNA.public, "bob": BOB.public})
    with node(broker.port, signatures=signatures, authorizer=lambda who, _: who == "anna") as n1:
        n1.lamp.power.role = "operator"
        asking = Asking(watcher)
        topic = "set/lamp/power"
        watcher.publish(f"{BASE}/{topic}", {"value": "on", "id": 1, "reply_to": REPLY})
        refused = [watcher.on(REPLY, id=1).document["error"]]
        document = asking.document(topic, 2, value="on")
        refused.append(asking.send(topic, 2, BOB.sign(document))["error"])
        assert [each["code"] for each in refused] == ["forbidden"] * 2
        assert [each["message"] for each in refused] == [
            f"lamp.power needs the role 'operator', which '{who}' has not been granted"
            for who in ("mqtt", "bob")
        ]
        assert n1.lamp.power.get() is False
        assert asking.ask(topic, 3, value="on")["ok"] is True
        assert n1.lamp.power.get() is True
        n1.lamp.power.set(False)  # the program needs none
        assert [each[2:] for each in audit(n1, 3)] == [
            ("mqtt", "1", "forbidden"),
            ("bob", "2", "forbidden"),
            ("anna", "3", "ok"),
        ]


def test_unsigned_requests_beside_signed_ones(broker: Mosquitto, watcher: Watcher) -> None:
    """Where signatures are not required, an unsigned request is nobody's: it has no role."""
    signatures = Signatures({"anna": ANNA.public})
    with node(broker.port, signatures=signatures, authorizer=lambda who, _: who == "anna") as n1:
        asking = Asking(watcher)
        watcher.publish(f"{BASE}/set/lamp/power", "on")
        watcher.on(f"{BASE}/state/lamp", power=True)
        watcher.publish(f"{BASE}/call/room-control/reset", {"id": 1, "reply_to": REPLY})
        assert watcher.on(REPLY, id=1).document["error"]["code"] == "forbidden"
        assert asking.ask("call/room-control/reset", 2)["error"]["code"] == "failed"
        assert [each[2:] for each in audit(n1, 3)] == [
            ("mqtt", "", "ok"),
            ("mqtt", "1", "forbidden"),
            ("anna", "2", "failed"),
        ]
