"""What an earlier run has left is cleared, the same on a real mosquitto and on the in-process
broker."""

from __future__ import annotations

from edgekernel import Runtime
from edgekernel.mqtt.leftovers import Leftovers
from edgekernel.mqtt.topics import Topics
from edgekernel.mqtt.transport import Inbound
from edgekernel.node.update_watch import STATE as UPDATE
from tests.mqtt.parts import staged_node
from tests.mqtt.seer import BASE, Seer
from tests.stages import Stage


def test_states_of_devices_that_are_gone_are_cleared(stage: Stage) -> None:
    """Of 50 states that are left none stays, what belongs to others and what there is does."""
    seer = Seer(stage)
    for number in range(50):
        seer.peer.publish(f"{BASE}/state/old-{number}", {"online": True}, retain=True)
    seer.peer.publish("edge/n2/state/old", {"online": True}, retain=True)
    seer.forget()
    with staged_node(stage):

        def cleared() -> int:
            return len({got.topic for got in seer.peer.received if not got.payload})

        stage.until(lambda: cleared() == 50, "50 empty states")
        late = Seer(stage, "late")
        late.sees(f"{BASE}/status")
        kept = {got.topic for got in late.peer.received if "/state/" in got.topic}
    assert kept == {f"{BASE}/state/lamp", f"{BASE}/state/heater", "edge/n2/state/old"}


def test_an_update_of_before_is_cleared(stage: Stage) -> None:
    """A node that is updated by nobody any more does not say for ever how the last one went."""
    seer = Seer(stage)
    seer.peer.publish(f"{BASE}/update", {"phase": "done"}, retain=True)
    seer.forget()
    with staged_node(stage):
        stage.until(
            lambda: any(got.topic == f"{BASE}/update" for got in seer.peer.received), "cleared"
        )
    assert [got.payload for got in seer.peer.received if got.topic == f"{BASE}/update"] == [b""]


def test_an_update_that_there_is_stays(stage: Stage) -> None:
    """What is known of an update is not taken off."""
    Seer(stage, "first").peer.publish(f"{BASE}/update", {"phase": "old"}, retain=True)

    def prepare(runtime: Runtime) -> None:
        runtime.state.set(UPDATE, {"phase": "trial"})

    seer = Seer(stage)
    with staged_node(stage, prepare=prepare) as n1:
        exchange = n1.interface._exchange
        assert exchange is not None
        seer.sees(f"{BASE}/update", lambda found: found["phase"] == "trial")
        client = exchange.client
        stage.until(lambda: f"{BASE}/state/+" not in client.subscriptions, "given up")
    told = [got.payload for got in seer.peer.received if got.topic == f"{BASE}/update"]
    assert all(told)


def test_states_do_not_come_back_to_the_node(stage: Stage) -> None:
    """When all is looked through the subscription is given up."""
    with staged_node(stage) as n1:
        exchange = n1.interface._exchange
        assert exchange is not None
        client = exchange.client
        stage.until(lambda: f"{BASE}/state/+" not in client.subscriptions, "given up")
        assert "edge/n1/state/+" not in client.subscriptions


def test_only_what_the_broker_had_kept_is_cleared() -> None:
    """A state that is published now is nobody's leftover, and other topics are not its business."""
    cleared: list[str] = []
    leftovers = Leftovers(Topics("edge", "n1"), [{f"{BASE}/state/lamp"}], cleared.append)
    assert not leftovers.arrived(Inbound(f"{BASE}/set/lamp/power", b"on"))
    assert leftovers.arrived(Inbound(f"{BASE}/state/lamp", b"{}", retained=True))
    assert leftovers.arrived(Inbound(f"{BASE}/state/new", b"{}"))
    assert leftovers.arrived(Inbound(f"{BASE}/state/old", b"", retained=True))
    assert cleared == []
    assert leftovers.arrived(Inbound(f"{BASE}/state/old", b"{}", retained=True))
    assert cleared == [f"{BASE}/state/old"]
