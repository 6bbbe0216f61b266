"""The audit as a client of the fleet sees it: every request has its entry, whatever came of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from edgekernel.mqtt import Fleet
from edgekernel.mqtt.fleet import NodeEvent
from edgekernel.mqtt.freshness import MAX_AHEAD_S
from edgekernel.mqtt.signatures import Signatures
from tests.mqtt.parts import settings, staged_node
from tests.mqtt.seer import BASE
from tests.mqtt.signing import Signer, request
from tests.stages import SimStage, Stage

ANNA, EVE = Signer("anna"), Signer("anna")
SET = f"{BASE}/set/lamp/power"
KEYS = ("kind", "target", "principal", "id", "outcome")


class Audit:
    """Asks a node as a foreign client does, and reads what a fleet is told of it."""

    def __init__(self, stage: Stage, fleet: Fleet) -> None:
        self._stage = stage
        self._peer = stage.peer("somebody")
        self._entries = fleet.events("n1", name="request.answered")

    def of(self, topic: str, payload: Any) -> tuple[str, ...]:
        """Publish something and return its entry."""
        self._peer.publish(topic, payload)
        return self.next()

    def next(self) -> tuple[str, ...]:
        """Return the next entry."""
        entry = self._entries.get(10)
        assert isinstance(entry, NodeEvent)
        assert entry.time is not None
        return tuple(entry.fields[key] for key in KEYS)

    def is_over(self) -> bool:
        """Say whether there is no other entry, and end."""
        found = self._entries.get(0.5)
        self._entries.close()
        return found is None


def signed(stage: Stage, id: int, signer: Signer = ANNA, late_s: float = 0, **more: Any) -> bytes:
    """Return a signed request to switch the lamp on."""
    at = stage.clock.now_utc() - timedelta(seconds=late_s)
    return signer.sign(request(SET, at, id=id, **{"value": True, **more}))


def test_every_request_has_an_entry(sim_stage: SimStage) -> None:
    """Done, failed, repeated, unsigned, forged, expired, malformed, unknown, without a role and
    retained: each tells who asked for what, and why not."""
    left = sim_stage.peer("long-gone")
    left.publish(SET, '{"value": true, "id": "old"}', retain=True)
    signatures = Signatures({"anna": ANNA.public}, required=True)
    to = settings(sim_stage.port)
    with Fleet(to, clock=sim_stage.clock, medium=sim_stage.medium) as fleet:
        audit = Audit(sim_stage, fleet)
        with staged_node(sim_stage, signatures=signatures) as n1:
            assert audit.next() == ("set", "lamp.power", "mqtt", "old", "refused")
            sim_stage.sim_clock.advance(60 + MAX_AHEAD_S)
            first = signed(sim_stage, 1)
            mine = ("set", "lamp.power", "anna")
            assert audit.of(SET, first) == (*mine, "1", "ok")
            assert audit.of(SET, first) == (*mine, "1", "repeated")
            assert audit.of(SET, signed(sim_stage, 1, ttl=29)) == (*mine, "1", "forbidden")
            assert audit.of(SET, signed(sim_stage, 2, late_s=31)) == (*mine, "2", "expired")
            assert audit.of(SET, signed(sim_stage, 3, value="x")) == (*mine, "3", "invalid")
            nobodys = ("set", "lamp.power", "mqtt")
            assert audit.of(SET, {"value": True, "id": "4"}) == (*nobodys, "4", "forbidden")
            assert audit.of(SET, signed(sim_stage, 5, EVE)) == (*nobodys, "", "forbidden")
            assert audit.of(SET, "on") == (*nobodys, "", "forbidden")
            for number, (command, outcome) in enumerate(
                (("boost", "ok"), ("reset", "forbidden"), ("fail", "failed"), ("nope", "unknown"))
            ):
                topic = f"{BASE}/call/room-control/{command}"
                call = request(topic, sim_stage.clock.now_utc(), id=f"c{number}")
                entry = audit.of(topic, ANNA.sign(call))
                assert entry[:3] == ("call", f"room-control.{command}", "anna")
                assert entry[3:] == (f"c{number}", outcome)
            topic = f"{BASE}/lease/hand"
            assert audit.of(topic, "") == ("lease", "lease.hand", "mqtt", "", "forbidden")
            assert audit.is_over()
            assert n1.lamp.power.get() is True
