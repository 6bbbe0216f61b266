"""Requests over a real broker, from a client that is none of ours."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edgekernel.core import message
from edgekernel.core.policy import Policy
from edgekernel.core.turn import Turn
from edgekernel.mqtt.requests import MAX_WAITING, Requests
from edgekernel.mqtt.topics import Topics
from edgekernel.mqtt.transport import Inbound
from tests.brokers import LIMIT_S, Mosquitto, Received, Watcher, watching
from tests.mqtt.parts import Node, fill, node, staged_node
from tests.mqtt.seer import Seer
from tests.stages import SimStage, Stage

REPLY = "edge/n1/reply/me"


@pytest.fixture
def n1(broker: Mosquitto) -> Iterator[Node]:
    """Give a connected node named n1."""
    with node(broker.port) as made:
        yield made


def ask(watcher: Watcher, topic: str, id: int | str = 1, **body: object) -> dict[str, Any]:
    """Send a request and return its reply."""
    watcher.publish(f"edge/n1/{topic}", {**body, "id": id, "reply_to": REPLY})
    reply: dict[str, Any] = watcher.on(REPLY, id=id).document
    return reply


@contextmanager
def busy(n1: Node) -> Iterator[None]:
    """Keep the node in one turn."""
    begun, hold = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        hold.wait()

    holder = threading.Thread(target=lambda: n1.runtime.turns.call(wait, "hold"))
    holder.start()
    assert begun.wait(LIMIT_S)
    try:
        yield
    finally:
        hold.set()
        holder.join()


def test_set_as_an_object_switches_and_replies(n1: Node, watcher: Watcher) -> None:
    """A set with id and reply_to drives the output and is answered, and the state follows."""
    assert ask(watcher, "set/lamp/power", value="on") == {"id": 1, "ok": True, "result": None}
    assert n1.lamp.power.get() is True
    watcher.on("edge/n1/state/lamp", power=True, light_level=100.0)


def test_set_is_witnessed(n1: Node, watcher: Watcher) -> None:
    """Who witnesses the calls is told of an output that is set, before it is; not of a refusal."""

    class Witness:
        """Keeps what it is told of outputs, and their values then."""

        def __init__(self) -> None:
            self.told: list[tuple[str, object, str, object]] = []

        def begins(self, call: object) -> None:
            """Nothing is called here."""

        def ended(self, call: object) -> None:
            """Nothing is called here."""

        def output_set(self, output: str, value: object, principal: str) -> None:
            """Keep it."""
            self.told.append((output, value, principal, n1.lamp.power.get()))

    witness = n1.runtime.commands.witness = Witness()
    assert ask(watcher, "set/lamp/power", value="on")["ok"] is True
    assert ask(watcher, "set/lamp/nothing", id=2, value="on")["ok"] is False
    assert witness.told == [("lamp.power", "on", "mqtt", False)]


@pytest.mark.parametrize(
    ("topic", "payload", "expected"),
    [
        ("set/lamp/power", "on", {"power": True}),
        ("set/lamp/power", "true", {"power": True}),
        ("set/lamp/power", '"ON"', {"power": True}),
        ("set/heater/fan-speed", "21.5", {"fan_speed": 21.5}),
        ("set/heater/fan-speed", "30", {"fan_speed": 30.0}),
    ],
)
def test_set_as_a_plain_value(
    n1: Node, watcher: Watcher, topic: str, payload: str, expected: dict[str, object]
) -> None:
    """A value without any JSON around it does as well."""
    watcher.publish(f"edge/n1/{topic}", payload)
    watcher.on(f"edge/n1/state/{topic.split('/')[1]}", **expected)


def test_call_returns_the_result_as_json(n1: Node, watcher: Watcher) -> None:
    """A command is called with its arguments, and its result comes back in plain JSON."""
    reply = ask(watcher, "call/room-control/boost", args={"minutes": 5})
    assert reply == {"id": 1, "ok": True, "result": {"minutes": 5, "mode": "eco"}}
    done = n1.seen.wait("command.done")
    assert (done["command"], done["principal"]) == ("room_control.boost", "mqtt")
    watcher.publish("edge/n1/call/room-control/boost", "")
    n1.seen.wait("command.done", 2)


@pytest.mark.parametrize(
    ("topic", "body", "code", "text"),
    [
        ("set/lmap/power", {"value": 1}, "unknown", "no device 'lmap'; did you mean 'lamp'?"),
        ("set/lamp/powr", {"value": 1}, "unknown", "no output 'powr'; did you mean 'power'?"),
        ("set/lamp/light-level", {"value": 1}, "unknown", "no output 'light-level'"),
        ("set/heater/fan_speed", {"value": 1}, "unknown", "did you mean 'fan-speed'?"),
        ("set/heater/fan-speed", {"value": 101}, "invalid", "a number from 0 to 100 %"),
        ("set/heater/fan-speed", {"value": "fast"}, "invalid", "'fast' is not allowed"),
        ("set/lamp/power", {"value": 2}, "invalid", "on or off"),
        ("set/lamp/power", {"valeu": 1}, "invalid", "did you mean 'value'?"),
        ("call/room-control/bost", {}, "unknown", "did you mean 'room-control/boost'?"),
        ("call/room-control/boost", {"args": 5}, "invalid", "'args' must be an object"),
        ("call/room-control/boost", {"args": {"x": 1}}, "invalid", "the arguments are"),
        ("call/room-control/reset", {}, "forbidden", "needs the role 'operator'"),
    ],
)
def test_a_refusal_is_answered_and_reported(
    n1: Node, watcher: Watcher, topic: str, body: dict[str, Any], code: str, text: str
) -> None:
    """What is refused switches nothing, says why to the client, and is a message in the node."""
    reply = ask(watcher, topic, **body)
    assert (reply["ok"], reply["error"]["code"]) == (False, code)
    assert text in reply["error"]["message"]
    refused = n1.seen.wait("command.refused")
    _, owner, member = topic.split("/")
    assert refused["target"].replace("_", "-") == f"{owner}.{member}".replace("_", "-")
    assert refused["code"] == code
    assert refused["error"] == reply["error"]["message"]
    assert (n1.lamp.power.get(), n1.heater.fan_speed.get()) == (False, 0.0)


@pytest.mark.parametrize("payload", [b"{value: on}", b"\xff\x00", b"", b"[1, 2]", b"NaN"])
def test_bytes_that_are_no_request_are_reported(n1: Node, watcher: Watcher, payload: bytes) -> None:
    """Without a readable reply_to there is no reply, but there is the message."""
    watcher.publish("edge/n1/set/lamp/power", payload)
    refused = n1.seen.wait("command.refused")
    assert (refused["target"], refused["code"]) == ("lamp.power", "invalid")
    assert n1.lamp.power.get() is False


def test_retained_requests_are_refused(broker: Mosquitto, watcher: Watcher) -> None:
    """A request that was left on the broker is not carried out at connect, and is answered."""
    body = {"value": "on", "id": 9, "reply_to": REPLY}
    watcher.publish("edge/n1/set/lamp/power", body, retain=True)
    with node(broker.port) as n1:
        refused = n1.seen.wait("command.refused")
        assert "retain" in refused["error"]
        assert watcher.on(REPLY, id=9).document["ok"] is False
        assert n1.lamp.power.get() is False


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_clearing_a_retained_call_does_not_call(
    broker: Mosquitto, watcher: Watcher, protocol: str
) -> None:
    """The empty message that takes a refused retained call off the broker is no call itself, and
    it is told."""
    topic = "edge/n1/call/room-control/boost"
    watcher.publish(topic, {}, retain=True)
    with node(broker.port, protocol=protocol) as n1:
        n1.seen.wait("command.refused")
        watcher.publish(topic, b"", retain=True)
        ask(watcher, "set/lamp/power", value="off")
        n1.seen.wait("request.answered", 3)
        assert not n1.seen.of("command.done")
        outcomes = [each["outcome"] for each in n1.seen.of("request.answered")]
        assert outcomes == ["refused", "cleared", "ok"]
        watcher.publish(topic, b"")
        n1.seen.wait("command.done")


def has(id: int, reply: Any) -> bool:
    """Say whether a reply has an id."""
    return bool(reply["id"] == id)


def test_a_retained_request_is_refused_when_it_is_published(stage: Stage) -> None:
    """On MQTT 5 also one that comes while the node is linked, with a reply; a call without
    arguments on that topic is still a call."""
    seer = Seer(stage)
    with staged_node(stage, protocol="5") as n1:
        for number in range(2):
            body = {"args": {}, "id": number, "reply_to": REPLY}
            seer.peer.publish("edge/n1/call/room-control/boost", body, retain=True)
            error = seer.sees(REPLY, partial(has, number)).document["error"]
            assert error["code"] == "refused"
            assert "retain" in error["message"]
        assert not n1.seen.of("command.done")
        seer.peer.publish("edge/n1/call/room-control/boost", b"")
        stage.until(lambda: n1.seen.of("command.done"), "done")
        seer.peer.publish("edge/n1/call/room-control/boost", b"", retain=True)
        assert seer.ask("set/lamp/power", "end", value="on")["ok"] is True
        assert len(n1.seen.of("command.done")) == 1


@pytest.mark.parametrize("elsewhere", ["edge/n2/set/door/lock", "edge/n1/set/lamp/power", "x/+"])
def test_a_reply_topic_elsewhere_is_refused(n1: Node, watcher: Watcher, elsewhere: str) -> None:
    """The node writes no reply outside its reply topics, and does not do what was asked."""
    body = {"value": "on", "id": 1, "reply_to": elsewhere}
    watcher.publish("edge/n1/set/lamp/power", body)
    assert n1.seen.wait("command.refused")["code"] == "forbidden"
    assert n1.lamp.power.get() is False
    ask(watcher, "set/lamp/power", id=2, value="off")  # all before it has been published by now
    there = [r.document for r in watcher.received if r.topic == elsewhere]
    assert not [document for document in there if "ok" in document]


def test_what_a_command_raises_is_the_reply(n1: Node, watcher: Watcher) -> None:
    """A command that fails says so to the client, and is an error in the node."""
    reply = ask(watcher, "call/room-control/fail")
    assert reply["error"] == {"code": "failed", "message": "KeyError: 'no such row'"}
    error = n1.seen.wait("interface.error")
    assert (error["interface"], error["event"]) == ("mqtt", "call room-control.fail")
    assert "no such row" in error["traceback"]


def test_a_result_without_json_form_is_an_internal_error(n1: Node, watcher: Watcher) -> None:
    """The client learns that the command was done and its result cannot be told."""
    error = ask(watcher, "call/room-control/odd")["error"]
    assert error["code"] == "internal"
    assert "done, but result is a lock" in error["message"]


def test_a_role_that_is_granted_opens_the_command(broker: Mosquitto, watcher: Watcher) -> None:
    """The authorizer is asked for the principal mqtt."""
    asked: list[tuple[str, str]] = []

    def grants(principal: str, role: str) -> bool:
        asked.append((principal, role))
        return True

    with node(broker.port, authorizer=grants):
        assert ask(watcher, "call/room-control/reset")["error"]["code"] == "failed"
    assert asked == [("mqtt", "operator")]


RULES = """\
user n1
topic readwrite edge/n1/#
user gardener
topic write edge/n1/call/room-control/boost
topic read edge/n1/reply/gardener
"""


def test_the_access_list_decides_who_may_call_what(tmp_path: Path) -> None:
    """The command is in the topic: a broker's rules let a user call one command and no other."""
    broker = Mosquitto(tmp_path, {"n1": "a", "gardener": "b"}, rules=RULES)
    broker.start()
    mine = "edge/n1/reply/gardener"
    try:
        with (
            node(broker.port, username="n1", password="a") as n1,
            watching(broker.port, mine, username="gardener", password="b") as gardener,
        ):
            for number, name in enumerate(("boost", "fail", "survey", "boost")):
                body = {"id": number, "reply_to": mine}
                gardener.publish(f"edge/n1/call/room-control/{name}", body)
            gardener.publish("edge/n1/set/lamp/power", "on")
            gardener.publish("edge/n1/call/room-control/boost", {"id": 9, "reply_to": mine})
            assert gardener.on(mine, id=9).document["ok"] is True
            assert [r.document["id"] for r in gardener.received] == [0, 3, 9]
            n1.seen.wait("request.answered", 3)
            assert [each["id"] for each in n1.seen.of("request.answered")] == ["0", "3", "9"]
    finally:
        broker.stop()


def test_a_held_output_is_unavailable(n1: Node, watcher: Watcher) -> None:
    """What the device refuses at the moment is answered as unavailable."""
    n1.lamp.hold_safe("maintenance")
    error = ask(watcher, "set/lamp/power", value="on")["error"]
    assert error["code"] == "unavailable"
    assert "maintenance" in error["message"]


def test_requests_on_a_busy_node_keep_their_order(n1: Node, watcher: Watcher) -> None:
    """Requests that arrive while a handler runs are carried out after it, in order."""
    with busy(n1):
        for number in range(50):
            watcher.publish("edge/n1/set/heater/fan-speed", str(number))
    watcher.on("edge/n1/state/heater", fan_speed=49.0)
    speeds = [
        r.document["fan_speed"]["value"]
        for r in watcher.received
        if r.topic == "edge/n1/state/heater"
    ]
    assert speeds == sorted(speeds)


def test_too_many_waiting_requests_are_turned_away(n1: Node, watcher: Watcher) -> None:
    """A node that cannot keep up refuses, says so once, and forgets nothing it has accepted."""
    with busy(n1):
        for number in range(MAX_WAITING + 10):
            body = {"value": "on", "id": number, "reply_to": REPLY}
            watcher.publish("edge/n1/set/lamp/power", body)
        for number in (MAX_WAITING, MAX_WAITING + 9):
            assert watcher.on(REPLY, id=number).document["error"]["code"] == "unavailable"
    assert watcher.on(REPLY, id=MAX_WAITING - 1).document["ok"] is True
    assert ask(watcher, "set/lamp/power", id=9999, value="off")["ok"] is True
    assert len(n1.seen.of("command.refused")) == 1
    assert n1.interface.status()["requests_turned_away"] == 10


def test_a_full_turn_queue_loses_no_request(n1: Node, watcher: Watcher) -> None:
    """Where others' turns are dropped, each request that was taken has its turn and its answer, and
    so has a call that ends meanwhile; and none counts as waiting for ever."""
    turns = n1.runtime.turns
    watcher.publish("edge/n1/call/room-control/survey", {"id": "call", "reply_to": REPLY})
    assert n1.room.lingers.wait(LIMIT_S)
    with busy(n1):
        fill(turns)
        full = turns.depth
        for number in range(MAX_WAITING):
            body = {"value": number, "id": number, "reply_to": REPLY}
            watcher.publish("edge/n1/set/heater/fan-speed", body)
        turned_away = watcher.on(REPLY, id=MAX_WAITING - 1).document
        assert turned_away["error"]["code"] == "unavailable"
        assert turns.depth == full + MAX_WAITING - 1
        n1.room.may_leave.set()
        end_s = time.monotonic() + LIMIT_S
        while turns.depth < full + MAX_WAITING and time.monotonic() < end_s:
            time.sleep(0.01)
    assert watcher.on(REPLY, id="call").document["ok"] is True
    for number in range(MAX_WAITING - 1):
        watcher.on(REPLY, id=number)
    for number in range(MAX_WAITING):
        assert ask(watcher, "set/lamp/power", id=f"later {number}", value="off")["ok"] is True


def test_a_request_that_is_cut_out_of_a_loop_is_answered(n1: Node) -> None:
    """A request whose turn the queue cuts is answered as one of which nothing was done: it may
    come again, and counts as waiting no more."""
    turns, replies, cut = list[Turn](), list[tuple[str, bytes]](), list[object]()
    requests = Requests(
        n1.interface.ctx,
        Topics("edge", "n1"),
        lambda topic, payload, beside: replies.append((topic, payload)),
        submit=turns.append,
    )
    body = b'{"value": "on", "id": 1, "reply_to": "edge/n1/reply/me"}'
    for count in range(1, MAX_WAITING + 2):
        requests.arrived("edge/n1/set/lamp/power", body, retained=False)
        assert len(turns) == count
        turns[-1].cut()
        cut.append(json.loads(replies[-1][1])["error"]["message"])
    requests.arrived("edge/n1/set/lamp/power", body.replace(b"reply/me", b"status"), retained=False)
    turns[-1].cut()
    assert len(replies) == MAX_WAITING + 1
    assert set(cut) == {"cut out of a feedback loop: nothing of it was done"}
    assert {topic for topic, _ in replies} == {REPLY}
    assert n1.lamp.power.get() is False


def test_a_command_that_takes_long_does_not_keep_the_link(n1: Node, watcher: Watcher) -> None:
    """While a command waits the network thread goes on taking messages and sending answers."""
    slow = {"id": "slow", "reply_to": REPLY}
    watcher.publish("edge/n1/call/room-control/linger", slow)
    assert n1.room.lingers.wait(LIMIT_S)
    try:
        for number in range(MAX_WAITING + 1):
            body = {"value": "on", "id": number, "reply_to": REPLY}
            watcher.publish("edge/n1/set/lamp/power", body)
        reply = watcher.on(REPLY, id=MAX_WAITING).document
        assert reply["error"]["code"] == "unavailable"
    finally:
        n1.room.may_leave.set()
    assert "paho" not in watcher.on(REPLY, id="slow").document["result"]


@pytest.mark.parametrize(
    ("topic", "body"),
    [("set/lamp/power", {"value": "on"}), ("call/room-control/boost", {"args": {}})],
)
@pytest.mark.parametrize("quality", ["synchronised", "unknown"])
def test_a_request_that_comes_too_late_is_refused(
    n1: Node,
    watcher: Watcher,
    monkeypatch: pytest.MonkeyPatch,
    quality: str,
    topic: str,
    body: dict[str, Any],
) -> None:
    """A request is carried out until it expires, and refused as expired after that, unless the
    clock is known to be wrong."""
    monkeypatch.setattr("edgekernel.core.time_quality.system_quality", lambda: quality)
    now = datetime.now(UTC)
    late = (now - timedelta(hours=1)).isoformat()
    error = ask(watcher, topic, id=1, **body, issued_at=late, ttl=60)["error"]
    assert error["code"] == "expired"
    assert "issued_at + ttl" in error["message"]
    assert n1.seen.wait("command.refused")["code"] == "expired"
    assert n1.lamp.power.get() is False
    assert not n1.seen.of("command.done")
    assert ask(watcher, topic, id=2, **body, issued_at=now.isoformat(), ttl=3600)["ok"] is True


def test_without_a_clock_a_request_counts_from_its_arrival(
    sim_stage: SimStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the clock is not synchronised nobody knows how late a request is: it counts for its
    `ttl` from its arrival on, and is refused if its turn comes after that."""
    monkeypatch.setattr("edgekernel.mqtt.requests.quality_of", lambda clock: "unsynchronised")
    turns, outcomes = list[Turn](), list[dict[str, Any]]()
    with staged_node(sim_stage) as n1:
        requests = Requests(
            n1.interface.ctx,
            Topics("edge", "n1"),
            lambda topic, payload, beside: outcomes.append(json.loads(payload)),
            submit=turns.append,
        )
        for issued_at in ("1999-01-01T00:00:00Z", "2099-01-01T00:00:00Z"):
            for waits_s in (59.0, 61.0):
                body = {"value": True, "issued_at": issued_at, "ttl": 60, "reply_to": REPLY}
                requests.arrived(
                    "edge/n1/set/lamp/power", json.dumps(body).encode(), retained=False
                )
                sim_stage.sim_clock.advance(waits_s)
                n1.runtime.turns.call(turns[-1].step, "its turn", LIMIT_S)
    assert [each["ok"] for each in outcomes] == [True, False] * 2
    assert outcomes[1]["error"] == {
        "code": "expired",
        "message": "expired 1.0 s ago: it has waited for longer than its ttl",
    }


def test_a_blocking_command_keeps_no_other_request(n1: Node, watcher: Watcher) -> None:
    """P2: while a command blocks, others are served; it is answered at its end."""
    watcher.publish("edge/n1/call/room-control/survey", {"id": "slow", "reply_to": REPLY})
    assert n1.room.lingers.wait(LIMIT_S)
    try:
        assert ask(watcher, "set/lamp/power", value="on")["ok"] is True
        assert ask(watcher, "call/room-control/boost", id=2)["ok"] is True
    finally:
        n1.room.may_leave.set()
    assert "worker" in watcher.on(REPLY, id="slow").document["result"]
    assert ask(watcher, "call/room-control/breathe", id=3)["result"].endswith(":loop")


def test_an_internal_command_is_unknown(n1: Node, watcher: Watcher) -> None:
    """P11: what is not visible on MQTT is not there for it, nor suggested."""
    error = ask(watcher, "call/room-control/tune")["error"]
    assert error["code"] == "unknown"
    assert "did you mean 'room-control/tune'" not in error["message"]


def test_policies_hold_for_mqtt(n1: Node, watcher: Watcher) -> None:
    """P11: a policy that is set while the node runs counts from the next request on."""
    assert ask(watcher, "call/room-control/boost")["ok"] is True
    n1.runtime.policies.set("mqtt", Policy(deny=("room_control.*",)))
    error = ask(watcher, "call/room-control/boost", id=2)["error"]
    assert error["code"] == "forbidden"
    assert n1.seen.wait("command.refused")["target"] == "room_control.boost"


def test_no_secret_is_told(n1: Node, watcher: Watcher) -> None:
    """P11: who sent a secret may see it again in the error; no message of the node shows it."""
    error = ask(watcher, "call/room-control/login", args={"word": "open sesame"})["error"]
    assert error["message"] == "ValueError: open sesame is wrong"
    assert n1.seen.wait("interface.error")["error"] == "ValueError: *** is wrong"
    n1.seen.wait("dead.letter")
    assert "open sesame" not in repr(n1.seen.messages)


def test_what_was_not_subscribed_is_ignored(n1: Node) -> None:
    """A broker that delivers foreign topics cannot make the node do or say anything."""
    exchange = n1.interface._exchange
    assert exchange is not None
    for topic in ("edge/n2/set/lamp/power", "edge/n1/state/lamp", "other", ""):
        exchange.message(Inbound(topic, b"on", True))
    assert n1.lamp.power.get() is False
    assert not [m for m in n1.seen.messages if isinstance(m, message.CommandRefused)]


def test_a_request_that_comes_twice_acts_once(n1: Node, watcher: Watcher) -> None:
    """The same id with the same content is one request: it acts once, the answer comes twice."""
    body = {"args": {"minutes": 7}, "id": "one", "reply_to": REPLY}
    for _ in range(2):
        watcher.publish("edge/n1/call/room-control/boost", body)
    watcher.publish("edge/n1/set/lamp/power", {"value": "on", "id": "on"})
    watcher.on("edge/n1/state/lamp", power=True)
    watcher.publish("edge/n1/set/lamp/power", {"value": "off", "id": "off"})
    watcher.on("edge/n1/state/lamp", power=False)
    watcher.publish("edge/n1/set/lamp/power", {"value": "on", "id": "on"})  # late, once more
    assert ask(watcher, "set/heater/fan-speed", id="end", value=3)["ok"]
    assert n1.lamp.power.get() is False
    assert len(n1.seen.of("command.done")) == 1
    watcher.wait_for(lambda _: len(replies(watcher, "one")) == 2, "two answers")
    assert {reply.payload for reply in replies(watcher, "one")} == {
        b'{"id":"one","ok":true,"result":{"minutes":7,"mode":"eco"}}'
    }


def replies(watcher: Watcher, id: str) -> list[Received]:
    """Return the replies with an id."""
    return [r for r in watcher.received if r.topic == REPLY and r.document["id"] == id]


def test_who_repeats_before_the_answer_gets_it_too(n1: Node, watcher: Watcher) -> None:
    """A fast repeat waits for the first answer: it acts once, and each arrival has one reply."""
    body = {"id": "slow", "reply_to": REPLY}
    for _ in range(3):
        watcher.publish("edge/n1/call/room-control/survey", body)
    n1.seen.wait("request.answered", 2)
    assert [each["outcome"] for each in n1.seen.of("request.answered")] == ["repeated"] * 2
    assert replies(watcher, "slow") == []
    n1.room.may_leave.set()
    watcher.wait_for(lambda _: len(replies(watcher, "slow")) == 3, "three answers")
    assert len({reply.payload for reply in replies(watcher, "slow")}) == 1
    watcher.publish("edge/n1/call/room-control/survey", body)
    watcher.wait_for(lambda _: len(replies(watcher, "slow")) == 4, "one more")
    assert len(n1.seen.of("command.done")) == 1


def test_who_repeats_before_a_refusal_hears_it_too(n1: Node, watcher: Watcher) -> None:
    """Each arrival has one reply also where nothing is done."""
    with busy(n1):
        for _ in range(3):
            body = {"value": 3, "id": "no", "reply_to": REPLY}
            watcher.publish("edge/n1/set/heater/fan-speeed", body)
    watcher.wait_for(lambda _: len(replies(watcher, "no")) == 3, "three refusals")
    assert {each.document["error"]["code"] for each in replies(watcher, "no")} == {"unknown"}
    assert ask(watcher, "set/heater/fan-speed", id="end", value=3)["ok"]
    assert len(replies(watcher, "no")) == 3


def test_what_was_refused_may_be_asked_again(n1: Node, watcher: Watcher) -> None:
    """A repeat of a request of which nothing was done is carried out."""
    n1.runtime.policies.set("mqtt", Policy(deny=("room_control.*",)))
    assert ask(watcher, "call/room-control/boost", id="r")["error"]["code"] == "forbidden"
    n1.runtime.policies.set("mqtt", Policy())
    watcher.forget()
    assert ask(watcher, "call/room-control/boost", id="r")["ok"] is True
