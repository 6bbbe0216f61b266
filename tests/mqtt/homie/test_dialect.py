"""A node that speaks Homie, the same on a real mosquitto and on the in-process broker."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from edgekernel import Context, Event, Process, Quality, Runtime
from edgekernel.core.message import RuntimeBooted
from edgekernel.core.turn import CallTurn
from edgekernel.mqtt import MqttInterface
from edgekernel.mqtt.homie import HomieBroadcast
from tests.mqtt.homie.convention import description_problems, value_problem
from tests.mqtt.homie.parts import Door, Fridge
from tests.mqtt.parts import Lamp, Node, fill, settings, staged_node
from tests.mqtt.seer import Seer
from tests.stages import Got, Peer, SimStage, Stage

BASE = "homie/5/n1"
STATE = f"{BASE}/$state"
POWER = f"{BASE}/lamp/power"


class Controller:
    """A client of Homie that is none of ours: it follows what is retained, and sets."""

    def __init__(self, stage: Stage, name: str = "controller") -> None:
        self.stage = stage
        self.peer: Peer = stage.peer(name)
        self.peer.subscribe("homie/5/#")
        self.peer.publish(f"homie/5/$broadcast/{name}", "here")  # comes after what is retained
        stage.until(lambda: any(got.payload == b"here" for got in self.peer.received), "all")
        self.peer.received[:] = [got for got in self.peer.received if got.payload != b"here"]

    def now(self, topic: str) -> str | None:
        """Return what is on a topic; None if nothing is."""
        found = [got.payload for got in list(self.peer.received) if got.topic == topic]
        return found[-1].decode() if found and found[-1] else None

    def all(self, topic: str) -> list[str]:
        """Return all that came on a topic."""
        return [got.payload.decode() for got in list(self.peer.received) if got.topic == topic]

    def sees(self, topic: str, text: str | None) -> None:
        """Wait until this is on a topic."""
        self.stage.until(lambda: self.now(topic) == text, f"{topic} is {text!r}")

    def waits(self, condition: Callable[[], object], what: str) -> None:
        """Wait until something holds."""
        self.stage.until(condition, what)

    def description(self) -> dict[str, Any]:
        """Return the description, as it is now."""
        self.stage.until(lambda: self.now(f"{BASE}/$description"), "a description")
        document: dict[str, Any] = json.loads(self.now(f"{BASE}/$description") or "")
        return document

    def set(self, topic: str, text: str, *, retain: bool = False) -> None:
        """Set a property."""
        self.peer.publish(f"{topic}/set", text, retain=retain)


@contextmanager
def homie_node(stage: Stage, *parts: Any, **table: object) -> Iterator[Node]:
    """Run a node that speaks Homie, with more parts."""

    def prepare(runtime: Runtime) -> None:
        for part in parts:
            runtime.register(part)

    with staged_node(stage, prepare=prepare, dialect="homie", dialect_table=table) as n1:
        yield n1


def properties(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the properties of a description by node/property."""
    return {
        f"{node}/{name}": each
        for node, told in document["nodes"].items()
        for name, each in told["properties"].items()
    }


def test_a_controller_finds_the_node(stage: Stage) -> None:
    """Whoever comes later finds the state, a valid description, and a valid value of each property
    that has a state, all retained."""
    with homie_node(stage, Door("door"), Fridge("fridge")) as n1:
        n1.lamp.light_level.update(1e22)
        early = Controller(stage, "early")
        early.sees(f"{BASE}/lamp/light-level", "1e22")
        late = Controller(stage, "late")
        late.sees(STATE, "ready")
        document = late.description()
        assert description_problems(document) == []
        told = properties(document)
        assert told["lamp/power"] == {
            "name": "Power",
            "datatype": "boolean",
            "format": "off,on",
            "settable": True,
        }
        assert told["lamp/light-level"] == {
            "name": "Light level",
            "datatype": "float",
            "unit": "lx",
        }
        assert told["heater/fan-speed"]["format"] == "0.0:100.0"
        for place, each in told.items():
            got = [g for g in late.peer.received if g.topic == f"{BASE}/{place}" and g.payload]
            assert all(g.retained and not value_problem(each, g.payload) for g in got), place
            if each.get("settable") and each.get("retained", True):
                assert late.now(f"{BASE}/{place}/$target") == late.now(f"{BASE}/{place}")


def test_it_is_ready_after_everything_else(stage: Stage) -> None:
    """The description changes in `init` only, and `ready` vouches for what came before."""
    controller = Controller(stage)
    with homie_node(stage):
        controller.sees(STATE, "ready")
        topics = [got.topic for got in controller.peer.received]
        assert topics[0] == STATE
        assert controller.all(STATE)[0] == "init"
        ready = max(n for n, g in enumerate(controller.peer.received) if g.payload == b"ready")
        needed = {f"{BASE}/$description", POWER, f"{BASE}/heater/fan-speed"}
        assert needed <= set(topics[:ready])
    controller.sees(STATE, "disconnected")
    late = Controller(stage, "late")
    late.sees(STATE, "disconnected")
    assert late.now(POWER) == "false"
    assert not [got for got in late.peer.received if "$alert" in got.topic]


class Busy(Process):
    """A process that keeps the turns for longer than a link needs to come up."""

    name = "busy"

    def handle_event(self, ctx: Context, evt: Event) -> None:
        """Take its time as soon as the node has booted."""
        if isinstance(evt.payload, RuntimeBooted):
            turn = CallTurn(partial(ctx.clock.sleep, 0.5), "busy")
            ctx.runtime.turns.submit_elsewhere(turn)


def test_ready_waits_for_values_that_are_told_late(stage: Stage) -> None:
    """The values are told in turns: while another one takes long, the node is not ready."""
    controller = Controller(stage)
    with homie_node(stage, Busy()):
        controller.sees(STATE, "ready")
        told = [got.topic for got in controller.peer.received if got.payload != b"init"]
        assert {POWER, f"{BASE}/heater/fan-speed"} <= set(told[: told.index(STATE)])


def test_set_moves_the_output(stage: Stage) -> None:
    """What is set is driven; the target is written as the controller wrote it, and comes first."""
    controller = Controller(stage)
    with homie_node(stage) as n1:
        controller.sees(STATE, "ready")
        controller.set(f"{BASE}/heater/fan-speed", "4.20e1")
        controller.sees(f"{BASE}/heater/fan-speed", "42.0")
        assert n1.heater.fan_speed.get() == 42.0
        assert controller.now(f"{BASE}/heater/fan-speed/$target") == "4.20e1"
        order = [g.payload for g in controller.peer.received if "/fan-speed" in g.topic]
        assert order[-2:] == [b"4.20e1", b"42.0"]
        n1.heater.fan_speed.set(7.0)
        controller.sees(f"{BASE}/heater/fan-speed/$target", "7.0")


def test_what_cannot_be_set_is_refused_and_logged(stage: Stage) -> None:
    """A wrong payload, a value out of range, what is not there, and what was retained: nothing
    moves, and the log says why."""
    controller = Controller(stage)
    log = f"{BASE}/$log/warn"

    def says_at_last(why: str) -> bool:
        return why in (controller.all(log) or [""])[-1]

    with homie_node(stage) as n1:
        controller.sees(STATE, "ready")
        for topic, text, why in (
            (POWER, "on", "true or false"),
            (POWER, "", "true or false"),
            (f"{BASE}/heater/fan-speed", "101", "from 0 to 100"),
            (f"{BASE}/heater/fan-speed", "NaN", "a number such as"),
            (f"{BASE}/lamp/light-level", "1", "has no output"),
            (f"{BASE}/cellar/power", "true", "no device"),
        ):
            controller.set(topic, text)
            controller.waits(partial(says_at_last, why), why)
        assert n1.lamp.power.get() is False
        assert n1.heater.fan_speed.get() == 0.0
    controller.set(POWER, "true", retain=True)
    with homie_node(stage) as n1:
        controller.waits(lambda: any("retained" in each for each in controller.all(log)), "said")
        assert n1.lamp.power.get() is False


def test_commands(stage: Stage) -> None:
    """A command is called by its property, which tells it when it is done; others are listed."""
    controller = Controller(stage)
    with homie_node(stage, Door("door")) as n1:
        told = properties(controller.description())
        assert told["door/ring"] == {
            "name": "Ring",
            "datatype": "enum",
            "format": "run",
            "settable": True,
            "retained": False,
        }
        assert told["door/open-to"]["format"] == "0:90"
        controller.sees(STATE, "ready")
        controller.set(f"{BASE}/door/open-to", "45")
        controller.sees(f"{BASE}/door/angle", "45")
        controller.sees(f"{BASE}/door/open-to", "45")
        controller.set(f"{BASE}/door/open-to", "wide")
        controller.waits(lambda: controller.all(f"{BASE}/$log/warn"), "refused")
        assert controller.all(f"{BASE}/door/open-to") == ["45"]
        not_shown = n1.interface.status()["not_in_homie"]
        assert any(each.startswith("door.move: ") for each in not_shown)


def test_messages_of_a_device_are_of_a_moment(stage: Stage) -> None:
    """What a driver tells is published and not retained."""
    controller = Controller(stage)
    door = Door("door")
    with homie_node(stage, door):
        assert properties(controller.description())["door/event"]["format"] == "door.rang"
        controller.sees(STATE, "ready")
        controller.set(f"{BASE}/door/ring", "run")
        controller.sees(f"{BASE}/door/event", "door.rang")
        [got] = [
            g for g in controller.peer.received if g.topic == f"{BASE}/door/event" and g.payload
        ]
        assert not got.retained
        late = Controller(stage, "late")
        late.sees(STATE, "ready")
        assert late.now(f"{BASE}/door/event") is None


def test_a_frozen_sensor_is_not_shown_as_good(stage: Stage) -> None:
    """A value that is not to be trusted is taken off, and an alert says why until it is good."""
    fridge = Fridge("fridge")
    value, alert = f"{BASE}/fridge/temperature", f"{BASE}/$alert/fridge--temperature"
    controller = Controller(stage)
    with homie_node(stage, fridge):
        controller.sees(STATE, "ready")
        assert controller.now(value) is None
        assert controller.now(alert) is None
        fridge.temperature.update(4.0)
        controller.sees(value, "4.0")
        fridge.set_offline("no answer")
        controller.sees(value, None)
        controller.sees(alert, "fridge.temperature: offline: no answer")
        late = Controller(stage, "late")
        late.sees(alert, "fridge.temperature: offline: no answer")
        assert late.now(value) is None
        fridge.set_online()
        fridge.temperature.update(5.0)
        controller.sees(value, "5.0")
        controller.sees(alert, None)


def test_doubts_and_what_is_no_number(sim_stage: SimStage) -> None:
    """A value with doubts is there with an alert; what is no finite number is not there; an empty
    text is a zero byte."""
    fridge = Fridge("fridge")
    controller = Controller(sim_stage)
    value, alert = f"{BASE}/fridge/temperature", f"{BASE}/$alert/fridge--temperature"
    with homie_node(sim_stage, fridge):
        fridge.temperature.update(4.04, Quality.UNCERTAIN, "door open")
        controller.sees(value, "4.0")
        controller.sees(alert, "fridge.temperature: door open")
        fridge.temperature.update(float("nan"))
        controller.sees(value, None)
        fridge.label.update("")
        controller.sees(f"{BASE}/fridge/label", "\0")
        fridge.temperature.update(4.0)
        controller.sees(value, "4.0")
        controller.sees(alert, None)


def test_the_last_value_stays_if_it_is_wanted(sim_stage: Stage) -> None:
    """With `keep_bad` only the alert tells that a value is old."""
    fridge = Fridge("fridge")
    controller = Controller(sim_stage)
    with homie_node(sim_stage, fridge, keep_bad=True):
        fridge.temperature.update(4.0)
        controller.sees(f"{BASE}/fridge/temperature", "4.0")
        fridge.temperature.update(float("nan"))
        controller.waits(lambda: controller.now(f"{BASE}/$alert/fridge--temperature"), "an alert")
        assert controller.now(f"{BASE}/fridge/temperature") == "4.0"
        fridge.temperature.update(4.0)
        fridge.set_offline("no answer")
        controller.sees(
            f"{BASE}/$alert/fridge--temperature", "fridge.temperature: offline: no answer"
        )
        assert controller.all(f"{BASE}/fridge/temperature")[-1] == "4.0"


def test_a_device_comes_and_goes(stage: Stage) -> None:
    """While it runs: the description changes in `init`, with a higher version, and what was of the
    device that has left is taken off."""
    controller = Controller(stage)
    with homie_node(stage) as n1:
        controller.sees(STATE, "ready")
        first = controller.description()
        n1.runtime.hot_add(Lamp("porch"))
        controller.sees(f"{BASE}/porch/power", "false")
        controller.waits(lambda: "porch" in controller.description()["nodes"], "described")
        second = controller.description()
        assert second["version"] > first["version"]
        n1.runtime.hot_remove("porch")
        controller.waits(lambda: "porch" not in controller.description()["nodes"], "left")
        controller.sees(f"{BASE}/porch/power", None)
        controller.sees(f"{BASE}/porch/power/$target", None)
        controller.sees(STATE, "ready")
        assert controller.description()["version"] > second["version"]
        assert _changed_in_init(controller.peer.received)
        late = Controller(stage, "late")
        late.sees(STATE, "ready")
        assert not [g for g in late.peer.received if "porch" in g.topic]


def _changed_in_init(received: list[Got]) -> bool:
    """Say whether every description that is not the one before came while the state was init."""
    state, description = b"", b""
    for got in list(received):
        if got.topic == STATE:
            state = got.payload
        elif got.topic == f"{BASE}/$description":
            if got.payload != description and state != b"init":
                return False
            description = got.payload
    return True


def test_what_an_earlier_run_has_left_is_cleared(stage: Stage) -> None:
    """Values, targets and alerts of what is no more go, those of others stay, and the version
    counts on, whatever the clock says."""
    controller = Controller(stage)
    far = 4_000_000_000
    left = {
        f"{BASE}/$state": "ready",
        f"{BASE}/$description": f'{{"homie":"5.0","version":{far},"nodes":{{}}}}',
        f"{BASE}/cellar/power": "true",
        f"{BASE}/cellar/power/$target": "true",
        f"{BASE}/$alert/cellar--power": "gone",
        "homie/5/n2/cellar/power": "true",
    }
    for topic, text in left.items():
        controller.peer.publish(topic, text, retain=True)
    with homie_node(stage):
        for topic in list(left)[2:5]:
            controller.sees(topic, None)
        controller.waits(lambda: controller.description()["version"] == far + 1, "counts on")
        controller.sees(STATE, "ready")
        assert controller.now("homie/5/n2/cellar/power") == "true"
        assert controller.now(POWER) == "false"


def test_after_an_outage_it_is_ready_again(stage: Stage) -> None:
    """What has changed while there was no broker is on the one that comes back."""
    with homie_node(stage) as n1:
        Controller(stage, "before").sees(STATE, "ready")
        stage.kill()
        n1.lamp.power.set(True)
        stage.start()
        after = Controller(stage, "after")
        after.sees(POWER, "true")
        after.sees(STATE, "ready")
        assert description_problems(after.description()) == []


def test_what_a_full_queue_has_dropped_is_told(sim_stage: SimStage) -> None:
    """Effects whose turns were dropped: the values are right within half a minute without another
    change, and at once with a new link."""
    with homie_node(sim_stage) as n1:
        seer = Controller(sim_stage)
        for value, is_new in (("true", False), ("false", True)):
            fill(n1.runtime.turns)
            n1.lamp.power.set(value == "true")
            sim_stage.sim_clock.advance(5)
            assert n1.runtime.turns.depth == 0
            assert seer.now(POWER) != value
            if is_new:
                sim_stage.kill()
                sim_stage.start()
                seer = Controller(sim_stage, "late")
            sim_stage.sim_clock.advance(5 if is_new else 30)
            assert seer.now(POWER) == value
            assert seer.now(f"{POWER}/$target") == value


def test_nothing_piles_up_while_the_link_flaps(sim_stage: SimStage) -> None:
    """A link that breaks again and again before the broker has acknowledged anything: the last one
    is not told that it begins for all those before."""
    broker, told = sim_stage.broker, list[bytes]()
    broker.troubles.ack_delay_s = 10.0
    with staged_node(sim_stage, dialect="homie", wait=False):
        broker.watch(lambda each: told.append(each.payload) if each.topic == STATE else None)
        for _ in range(10):
            told.clear()
            sim_stage.kill()
            sim_stage.start()
            sim_stage.sim_clock.advance(5)
    assert told.count(b"init") == 1


def test_a_cut_is_seen_by_all(stage: Stage) -> None:
    """When the link breaks the state is `lost`; after the next connect it is `ready` again."""
    controller = Controller(stage)
    with homie_node(stage):
        controller.sees(STATE, "ready")
        stage.peer("edge-n1").drop()
        controller.waits(lambda: "lost" in controller.all(STATE), "lost")
        # A `ready` whose acknowledgement the cut has taken is sent again first.
        controller.waits(lambda: controller.all(STATE)[-2:] == ["init", "ready"], "ready again")


class Second(MqttInterface):
    """A second link of the node."""

    name = "homie"


def test_beside_the_native_dialect(stage: Stage) -> None:
    """On a link of its own a node speaks Homie beside our topic map; what is set over one of them
    is told by both."""
    to = settings(stage.port, dialect="homie", client_id="n1-homie")
    beside = Second(to, medium=stage.medium)
    seer, controller = Seer(stage), Controller(stage)
    with staged_node(stage, prepare=lambda runtime: runtime.register(beside)):
        controller.sees(STATE, "ready")
        controller.set(POWER, "true")
        seer.sees("edge/n1/state/lamp", lambda state: state["power"]["value"] is True)
        assert seer.ask("set/lamp/power", value=False)["ok"]
        controller.sees(POWER, "false")
    controller.sees(STATE, "disconnected")
    seer.sees("edge/n1/status", lambda status: status["state"] == "offline")


def test_broadcasts_are_messages_of_the_node(sim_stage: Stage) -> None:
    """With `broadcast` an application hears what is said to all devices."""
    controller = Controller(sim_stage)
    heard: list[HomieBroadcast] = []

    def hear(event: Event) -> None:
        assert isinstance(event.payload, HomieBroadcast)
        heard.append(event.payload)

    with homie_node(sim_stage, broadcast=True) as n1:
        n1.runtime.subscribe(HomieBroadcast, hear)
        controller.peer.publish("homie/5/$broadcast/security/alert", "Intruder")
        sim_stage.until(lambda: heard, "heard")
    assert heard == [HomieBroadcast("security/alert", "Intruder")]
