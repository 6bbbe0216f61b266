"""Discovery on a link: on a real mosquitto and on the in-process broker."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekernel.mqtt.home_assistant import HomeAssistant
from edgekernel.mqtt.home_assistant.settings import Mode
from tests.mqtt.parts import Lamp, staged_node
from tests.stages import KINDS, Got, Peer, SimStage, Stage, staged

CONFIG = "homeassistant/device/n1/config"
BIRTH = "homeassistant/status"


@pytest.fixture(params=KINDS)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Give a broker, started: mosquitto, and ours."""
    with staged(request.param, tmp_path) as made:
        yield made


class Home:
    """A peer in the place of Home Assistant."""

    def __init__(self, stage: Stage, name: str = "home") -> None:
        self._stage = stage
        self.peer: Peer = stage.peer(name)
        self.peer.subscribe("homeassistant/#")
        self.peer.subscribe("edge/#")

    def on(self, topic: str) -> list[Got]:
        """Return what has come on a topic."""
        return [got for got in list(self.peer.received) if got.topic == topic]

    def ends_with(self, cleared: str, told: str) -> bool:
        """Say whether one topic was cleared, and another one told after that."""
        found = [got for got in self.peer.received if got.topic in (cleared, told)]
        return [(got.topic, bool(got.payload)) for got in found[-2:]] == [
            (cleared, False),
            (told, True),
        ]

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Let time pass until something is so."""
        self._stage.until(condition, what)

    def configs(self, count: int) -> list[Any]:
        """Wait for so many messages that announce the node, and return them."""
        self.until(lambda: len(self.on(CONFIG)) >= count, f"{count} messages on {CONFIG}")
        return [got.document if got.payload else None for got in self.on(CONFIG)]


def platforms(config: Any) -> dict[str, str]:
    """Return the platforms of the components of a message, by key."""
    return {key: each["platform"] for key, each in config["components"].items()}


def kept(stage: Stage, topic: str) -> bytes:
    """Return what the broker keeps on a topic; nothing if it keeps nothing."""
    late = stage.peer("late")
    late.subscribe(topic)
    late.subscribe("probe")
    late.publish("probe", "x")  # it comes after what is retained
    stage.until(lambda: any(got.topic == "probe" for got in late.received), "the probe")
    found = [got.payload for got in late.received if got.topic == topic]
    late.close()
    return found[-1] if found else b""


def test_a_node_announces_itself(stage: Stage) -> None:
    """One retained message has all that it has; it stays when the node goes."""
    home = Home(stage)
    with staged_node(stage, home_assistant=HomeAssistant(name="Node one")):
        [config] = home.configs(1)
    assert config["device"]["name"] == "Node one"
    assert config["origin"]["name"] == "edgekernel"
    assert platforms(config) == {
        "node_node_status": "sensor",
        "lamp_state_light_level": "sensor",
        "lamp_set_power": "switch",
        "heater_state_warnings": "sensor",
        "heater_set_fan_speed": "number",
        "room-control_call_linger": "button",
        "room-control_call_boost": "number",
        "room-control_call_fail": "button",
        "room-control_call_odd": "button",
        "room-control_call_survey": "button",
        "room-control_call_breathe": "button",
        "room-control_call_reset": "button",
    }
    assert json.loads(kept(stage, CONFIG)) == config


def test_without_the_table_it_says_nothing(stage: Stage) -> None:
    """A node writes below its own prefix only, unless it is told to."""
    home = Home(stage)
    with staged_node(stage):
        home.until(lambda: home.on("edge/n1/status"), "the status")
    assert home.on(CONFIG) == []


def test_what_the_configuration_no_longer_has_is_taken_away(stage: Stage) -> None:
    """After a restart: the old message is found on the broker, so nothing is kept on the node."""
    home = Home(stage)
    with staged_node(stage, home_assistant=HomeAssistant()):
        home.configs(1)
    home.peer.received.clear()
    excluded = HomeAssistant(exclude=("lamp.power", "heater.warnings"))
    with staged_node(stage, home_assistant=excluded):
        between, last = home.configs(2)
    gone = {"lamp_set_power": "switch", "heater_state_warnings": "sensor"}
    assert {key: {"platform": each} for key, each in gone.items()}.items() <= between[
        "components"
    ].items()
    assert not set(gone) & set(platforms(last))
    assert last == json.loads(kept(stage, CONFIG))


def test_a_restart_without_a_change_announces_once(stage: Stage) -> None:
    """What is found on the broker is what is announced: there is nothing to take away."""
    home = Home(stage)
    for count in (1, 2):
        with staged_node(stage, home_assistant=HomeAssistant()) as n1:
            assert n1.interface.connected
            configs = home.configs(count)
    assert configs == [configs[0]] * 2


def test_a_device_that_is_removed_while_the_node_runs(stage: Stage) -> None:
    """Its entities are taken away at once, and one that is added comes."""
    home = Home(stage)
    with staged_node(stage, home_assistant=HomeAssistant()) as n1:
        home.configs(1)
        n1.runtime.hot_remove("lamp")
        _, between, last = home.configs(3)
        assert between["components"]["lamp_set_power"] == {"platform": "switch"}
        assert "lamp_set_power" not in platforms(last)
        n1.runtime.hot_add(Lamp("other"))
        assert platforms(home.configs(4)[3])["other_set_power"] == "switch"


def test_when_home_assistant_has_started(stage: Stage) -> None:
    """All is told again, after a while of chance: discovery, states and status."""
    home = Home(stage)
    with staged_node(stage, home_assistant=HomeAssistant(birth_delay_s=0.2)):
        home.configs(1)
        home.until(lambda: home.on("edge/n1/status"), "the status")
        home.peer.received.clear()
        home.peer.publish(BIRTH, "online")
        home.configs(1)
        home.until(lambda: home.on("edge/n1/status"), "the status again")
        home.until(lambda: home.on("edge/n1/state/lamp"), "the state again")


def test_when_the_broker_has_lost_it(stage: Stage) -> None:
    """After a reconnect all is announced again."""
    home = Home(stage)
    with staged_node(stage, home_assistant=HomeAssistant()) as n1:
        home.configs(1)
        stage.kill()
        stage.start()
        stage.until(lambda: len(n1.seen.of("mqtt.connected")) >= 2, "the second connect")
        assert json.loads(kept(stage, CONFIG))["device"]["name"] == "n1"


@pytest.mark.parametrize("discovery", ["device", "entities"])
def test_nothing_piles_up_while_the_link_flaps(sim_stage: SimStage, discovery: Mode) -> None:
    """A link that breaks again and again before the broker has acknowledged anything: each one is
    told once, and the last not what all those before were told."""
    broker, told = sim_stage.broker, list[str]()
    broker.troubles.ack_delay_s = 10.0
    wanted = HomeAssistant(discovery=discovery)
    with staged_node(sim_stage, wait=False, home_assistant=wanted):
        broker.watch(lambda publication: told.append(publication.topic))
        for _ in range(10):
            told.clear()
            sim_stage.kill()
            sim_stage.start()
            sim_stage.sim_clock.advance(5)
    shown = [topic for topic in told if topic.startswith("homeassistant/")]
    assert shown
    assert len(shown) == len(set(shown))


def test_one_message_for_each_entity(stage: Stage) -> None:
    """For older versions; the message for the whole node, and what is gone, is cleared."""
    home = Home(stage)
    with staged_node(stage, home_assistant=HomeAssistant()):
        home.configs(1)
    foreign = "homeassistant/sensor/n1/foreign/config"
    switch = "homeassistant/switch/n1/lamp_set_power/config"
    home.peer.publish(foreign, {"origin": {"name": "other"}}, retain=True)
    with staged_node(stage, home_assistant=HomeAssistant(discovery="entities")):
        assert home.configs(2)[1] is None
        home.until(lambda: home.on(switch), "the switch")
    assert json.loads(kept(stage, switch))["unique_id"] == "edgekernel_n1_lamp_set_power"
    entities = HomeAssistant(discovery="entities", exclude=("lamp.power",))
    with staged_node(stage, home_assistant=entities):
        home.until(lambda: home.on(switch)[-1].payload == b"", "the empty message")
    assert kept(stage, switch) == b""
    assert kept(stage, CONFIG) == b""
    assert kept(stage, foreign)


def test_from_each_form_to_the_other(stage: Stage) -> None:
    """What was announced in the other form is cleared, and then this one is told again: Home
    Assistant takes an entity only when the other one of its id has gone."""
    home = Home(stage)
    switch = "homeassistant/switch/n1/lamp_set_power/config"
    for _ in range(2):
        with staged_node(stage, home_assistant=HomeAssistant(discovery="entities")):
            home.until(lambda: home.on(switch) and home.on(switch)[-1].payload, "the switch")
        home.peer.received.clear()
        with staged_node(stage, home_assistant=HomeAssistant()):
            home.until(lambda: home.ends_with(switch, CONFIG), "the node, after the clearing")
        told = [got.topic for got in home.peer.received if got.topic == CONFIG and got.payload]
        assert len(told) == 1  # when all of the others had gone
        assert kept(stage, switch) == b""
        assert json.loads(kept(stage, CONFIG))["components"]["lamp_set_power"]
        home.peer.received.clear()


def test_off_takes_all_away(stage: Stage) -> None:
    """What was announced before is cleared, and nothing is announced."""
    home = Home(stage)
    with staged_node(stage, home_assistant=HomeAssistant()):
        home.configs(1)
    with staged_node(stage, home_assistant=HomeAssistant(discovery="off")):
        assert home.configs(2)[1] is None
    assert kept(stage, CONFIG) == b""


def test_values_that_expire_are_told_again(stage: Stage) -> None:
    """Within the time after which Home Assistant would take them for lost."""
    home = Home(stage)
    with staged_node(stage, home_assistant=HomeAssistant(expire_after_s=1)):
        [config] = home.configs(1)
        assert config["components"]["lamp_state_light_level"]["expire_after"] == 1
        home.until(lambda: len(home.on("edge/n1/state/lamp")) >= 3, "the state, three times")


def test_a_setting_that_names_nothing_is_told(stage: Stage) -> None:
    """With the nearest name."""
    with staged_node(stage, home_assistant=HomeAssistant(lights=("lamp.powr",))) as n1:
        stage.until(lambda: n1.seen.of("mqtt.problem"), "the problem")
        [problem] = n1.seen.of("mqtt.problem")
    assert problem["error"] == (
        "mqtt.home_assistant.lights: there is no \"lamp.powr\"; did you mean 'lamp.power'?"
    )


def test_what_is_not_shown_is_in_the_status(stage: Stage) -> None:
    """With the reason."""
    with staged_node(stage, home_assistant=HomeAssistant()) as n1:
        left_out = n1.interface.status()["not_in_home_assistant"]
    assert [text.partition(":")[0] for text in left_out] == ["room_control.login"]
