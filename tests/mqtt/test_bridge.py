"""The bridge of a node, the same on a real mosquitto and on the in-process broker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.mqtt.parts import Node, Tick, staged_node
from tests.mqtt.seer import BASE, Seer
from tests.stages import Stage

STATUS = f"{BASE}/status"
LAMP = f"{BASE}/state/lamp"


def status_is(state: str, cause: str = "") -> Callable[[Any], bool]:
    """Match a status."""
    return lambda document: document["state"] == state and cause in document["cause"]


def power_is(on: bool) -> Callable[[Any], bool]:
    """Match a state of the lamp."""
    return lambda document: document["power"]["value"] is on


def connected(node: Node, stage: Stage, count: int) -> None:
    """Wait for a connect."""
    stage.until(lambda: len(node.seen.of("mqtt.connected")) >= count, f"connect {count}")


def test_who_comes_later_finds_everything(stage: Stage) -> None:
    """Status and states are retained, and the status came last."""
    early = Seer(stage)
    with staged_node(stage):
        early.sees(STATUS, status_is("online", "started"))
        assert {f"{BASE}/state/heater", LAMP} <= {g.topic for g in early.peer.received}
        late = Seer(stage, "late")
        assert late.sees(STATUS, status_is("online")).retained
        assert late.sees(LAMP, power_is(False)).retained


def test_a_request_is_carried_out_and_answered(stage: Stage) -> None:
    """Set and call do what they say, with a reply, and the state follows."""
    seer = Seer(stage)
    with staged_node(stage) as n1:
        assert seer.ask("set/lamp/power", value="on") == {"id": "1", "ok": True, "result": None}
        assert n1.lamp.power.get() is True
        seer.sees(LAMP, power_is(True))
        reply = seer.ask("call/room-control/boost", "2", args={"minutes": 5})
        assert reply["result"] == {"minutes": 5, "mode": "eco"}
        assert seer.ask("set/lamp/powr", "3", value="on")["error"]["code"] == "unknown"


def test_a_retained_request_is_refused(stage: Stage) -> None:
    """What waited on the broker when the node came switches nothing."""
    seer = Seer(stage)
    seer.peer.publish(f"{BASE}/set/lamp/power", {"value": True}, retain=True)
    with staged_node(stage) as n1:
        refused = seer.sees(f"{BASE}/event/command-refused").document["fields"]
        assert "retained" in refused["error"]
        assert n1.lamp.power.get() is False


def test_a_request_to_a_node_that_is_away_is_gone(stage: Stage) -> None:
    """The session is clean: what was asked meanwhile is not carried out later."""
    seer = Seer(stage)
    with staged_node(stage):
        seer.sees(STATUS, status_is("online"))
    seer.peer.publish(f"{BASE}/set/lamp/power", "on")
    seer.forget()
    with staged_node(stage) as n1:
        assert seer.ask("set/heater/fan-speed", value=5)["ok"]
        assert n1.lamp.power.get() is False


def test_a_burst_ends_on_the_last_value(stage: Stage) -> None:
    """Of 500 changes none comes out of order, and the last one stands."""
    seer = Seer(stage)
    with staged_node(stage) as n1:
        for number in range(500):
            n1.heater.warnings.update(number)
        seer.sees(f"{BASE}/state/heater", lambda state: state["warnings"]["value"] == 499)
    values = [each["warnings"]["value"] or 0 for each in seer.on(f"{BASE}/state/heater")]
    assert values == sorted(values)


def test_events_are_told_in_order_and_not_kept(stage: Stage) -> None:
    """Every message is an event with its number; a late comer gets none of them."""
    seer = Seer(stage, filter=f"{BASE}/event/tick")
    with staged_node(stage) as n1:
        for number in range(100):
            n1.runtime.emit(Tick(number))
        stage.until(lambda: len(seer.peer.received) >= 100, "100 ticks")
    ticks = seer.on(f"{BASE}/event/tick")
    assert [tick["fields"]["number"] for tick in ticks] == list(range(100))
    late = Seer(stage, "late")
    late.sees(STATUS, status_is("offline"))
    assert not [each for each in late.peer.received if "/event/" in each.topic]


def test_a_goodbye_says_why_and_brings_no_will(stage: Stage) -> None:
    """After a shutdown the safe states stand, then the status says offline and the reason."""
    seer = Seer(stage)
    with staged_node(stage) as n1:
        n1.lamp.power.set(True)
        seer.sees(LAMP, power_is(True))
        n1.runtime.shutdown("maintenance")
    seer.sees(STATUS, status_is("offline", "maintenance"))
    seer.peer.publish("mark", "1")
    seer.sees("mark")
    assert [each["cause"] for each in seer.on(STATUS)][1:] == ["maintenance"]
    assert seer.on(LAMP)[-1]["power"]["value"] is False


def test_a_cut_is_seen_by_all_and_mended(stage: Stage) -> None:
    """Another client with its id cuts the node off: the will says offline; it comes back, says
    online and serves requests."""
    seer = Seer(stage)
    with staged_node(stage) as n1:
        seer.sees(STATUS, status_is("online", "started"))
        stage.peer("edge-n1").drop()
        seer.sees(STATUS, status_is("offline", "connection lost"))
        connected(n1, stage, 2)
        seer.sees(STATUS, status_is("online", "reconnected"))
        (told,) = n1.seen.of("mqtt.disconnected")
        assert told["broker"] == f"127.0.0.1:{stage.port}"
        # MQTT 5 has a word for it (3.1.4-3), which mosquitto 2.0.11 does not say
        assert told["reason"].startswith(("connection lost", "session taken over; another client"))
        assert seer.ask("set/lamp/power", value="on")["ok"]
    states = [each["state"] for each in seer.on(STATUS)]
    assert states == ["online", "offline", "online", "offline"]


def test_after_a_restart_of_the_broker_all_is_right(stage: Stage) -> None:
    """The broker lost all it had: the node is online, its states are those of now, the events of
    the outage come in order, and requests are served."""
    with staged_node(stage) as n1:
        stage.kill()
        stage.until(lambda: n1.seen.of("mqtt.problem"), "a problem")
        n1.lamp.power.set(True)
        for number in range(100):
            n1.runtime.emit(Tick(number))
        assert len(n1.seen.of("mqtt.disconnected")) == 1
        assert "connection refused" in n1.seen.of("mqtt.problem")[0]["error"]
        stage.start()
        seer = Seer(stage)
        seer.sees(STATUS, status_is("online", "reconnected"))
        seer.sees(LAMP, power_is(True))
        assert seer.on(LAMP)[-1]["power"]["value"] is True
        n1.runtime.emit(Tick(100))
        tick = f"{BASE}/event/tick"
        seer.sees(tick, lambda event: event["fields"]["number"] == 100)
        numbers = [each["fields"]["number"] for each in seer.on(tick)]
        assert numbers == sorted(numbers)
        assert seer.ask("set/lamp/power", value="off")["ok"]
        assert n1.lamp.power.get() is False


@pytest.mark.parametrize("busy", [False, True])
def test_a_silent_broker_is_found_out(stage: Stage, busy: bool) -> None:
    """A broker that says nothing, with the connection open, is a lost link within 1.5 times the
    keep-alive; also while the node has much to tell. Afterwards everything is right."""
    with staged_node(stage, keepalive_s=1) as n1:
        n1.runtime.emit(Tick(0))
        stage.freeze()
        begun_s = stage.clock.monotonic()
        if busy:
            n1.lamp.power.set(True)
        stage.until(lambda: n1.seen.of("mqtt.disconnected"), "the loss")
        took_s = stage.clock.monotonic() - begun_s
        assert n1.seen.of("mqtt.disconnected")[0]["reason"] == "no answer for 0.5 s"
        assert not n1.interface.connected
        if stage.medium is not None:  # real time may be late
            assert took_s <= (1.0 if busy else 1.5)
        n1.heater.fan_speed.set(40)
        stage.thaw()
        connected(n1, stage, 2)
        seer = Seer(stage)
        seer.sees(STATUS, status_is("online", "reconnected"))
        seer.sees(LAMP, power_is(busy))
        seer.sees(f"{BASE}/state/heater", lambda state: state["fan_speed"]["value"] == 40)


def test_an_idle_link_is_kept(stage: Stage) -> None:
    """A node that has nothing to tell for many keep-alives stays connected, on both sides."""
    seer = Seer(stage)
    with staged_node(stage, keepalive_s=1) as n1:
        seer.sees(STATUS, status_is("online"))
        end_s = stage.clock.monotonic() + 4
        stage.until(lambda: stage.clock.monotonic() >= end_s, "4 s")
        assert n1.interface.connected
        assert len(n1.seen.of("mqtt.connected")) == 1
    assert [each["state"] for each in seer.on(STATUS)] == ["online", "offline"]


def test_two_nodes_of_one_name_are_told(stage: Stage) -> None:
    """Who is thrown off again and again hears why."""
    with staged_node(stage) as one, staged_node(stage) as other:

        def problems() -> list[dict[str, Any]]:
            return [each for node in (one, other) for each in node.seen.of("mqtt.problem")]

        stage.until(problems, "a problem")
        assert "another client may use the id 'edge-n1'" in problems()[0]["error"]
