"""A node in a running Home Assistant, over a real broker."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.brokers import Mosquitto, Watcher, watching
from tests.cli.conftest import Agent
from tests.home_assistant.home import NODE, Home, start_node, write_node

Start = Callable[..., Agent]

PLATFORMS = {
    "sensor.bench_1_status": "degraded",  # without the ghost
    "switch.bench_1_fan": "off",
    "light.bench_1_lamp": "off",
    "light.bench_1_strip": "off",
    "number.bench_1_flap": "unknown",
    "text.bench_1_screen": "",
    "binary_sensor.bench_1_bell": "off",
    "event.bench_1_bell": "unknown",
    "binary_sensor.bench_1_door": "on",
    "sensor.bench_1_room_temperature": "20.0",
    "sensor.bench_1_room_humidity": "50.0",
    "sensor.bench_1_room_pressure": "1013.25",
    "sensor.bench_1_meter_count": "0",
    "sensor.bench_1_meter_total": "0.0",
    "sensor.bench_1_meter_rate": "0.0",
    "sensor.bench_1_scale": "unknown",  # it has said nothing yet
    "sensor.bench_1_ghost": "unavailable",  # the device does not answer
    "button.bench_1_meter_reset": "unknown",
    "button.bench_1_plant_flush": "unknown",
    "number.bench_1_plant_boost": "unknown",
    "switch.bench_1_plant_lock": "unknown",
    "select.bench_1_plant_choose": "unknown",
    "text.bench_1_plant_show": "unknown",
}
"""Every entity, and its state when nothing has happened yet."""
DOOR = '[devices.door]\ndriver = "contact"\npin = "GPIO24"\n'


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """Give a broker."""
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def home(broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Give a Home Assistant on that broker, which has logged no complaint at the end."""
    home = Home(tmp_path_factory.mktemp("home"), broker.port)
    yield home
    home.close()
    assert home.complaints() == []


@pytest.fixture
def start(broker: Mosquitto, home: Home, tmp_path: Path) -> Iterator[Start]:
    """Give a function that runs the node; what it has announced is taken away at the end."""
    agents: list[Agent] = []

    def start(text: str = NODE, **table: str) -> Agent:
        table = {"lights": '["strip.level"]', "birth_delay": '"100ms"'} | table
        agents.append(start_node(write_node(tmp_path, broker.port, text, **table)))
        return agents[-1]

    yield start
    for agent in agents:
        agent.close()
    with watching(broker.port, "homeassistant/+/#") as cleaner:
        cleaner.publish("homeassistant/last/probe", "")  # it comes after all that is retained
        cleaner.wait_for(lambda got: got.topic == "homeassistant/last/probe")
        for topic in {got.topic for got in cleaner.received if got.payload}:
            cleaner.publish(topic, "", retain=True)
    home.until(lambda: not [each for each in home.look()["states"] if "bench_1" in each], "empty")


@pytest.fixture
def watcher(broker: Mosquitto) -> Iterator[Watcher]:
    """Give a client that sees what goes over the broker."""
    with watching(broker.port, "edge/#") as watcher:
        yield watcher


def appeared(home: Home) -> None:
    """Wait until the node is there with all that it has."""
    home.until(lambda: home.look()["states"].keys() >= PLATFORMS.keys(), "every entity")
    home.shows("sensor.bench_1_room_temperature", "20.0")


def level(watcher: Watcher, line: str) -> Any:
    """Return the electrical level of a line of the node's simulated board."""
    watcher.forget()
    body = {"args": {"line": line}, "reply_to": "edge/bench-1/reply/test"}
    watcher.publish("edge/bench-1/call/sim/level", body)
    return watcher.on("edge/bench-1/reply/test").document["result"]


def test_every_entity_appears(home: Home, start: Start) -> None:
    """Each with its platform and state: no more and no fewer."""
    start()
    appeared(home)
    home.until(lambda: _shown(home) == PLATFORMS, "as it is when nothing has happened")
    parts = home.attributes("sensor.bench_1_status")["parts"]
    assert list(parts) == ["ghost"]


def _shown(home: Home) -> dict[str, str]:
    """Return the states of the node's entities."""
    return {
        entity: each["state"]
        for entity, each in home.look()["states"].items()
        if "bench_1" in entity and "_sim_" not in entity
    }


def test_units_classes_and_the_device(home: Home, start: Start) -> None:
    """What is measured, how it is counted, and which device all of it belongs to."""
    start()
    appeared(home)
    temperature = home.attributes("sensor.bench_1_room_temperature")
    assert temperature["unit_of_measurement"] == "°C"
    assert temperature["device_class"] == "temperature"
    assert temperature["state_class"] == "measurement"
    assert home.attributes("sensor.bench_1_meter_count")["state_class"] == "total_increasing"
    assert home.attributes("binary_sensor.bench_1_door")["device_class"] == "opening"
    flap = home.attributes("number.bench_1_flap")
    assert (flap["min"], flap["max"], flap["step"]) == (-90, 90, 0.1)
    found = home.look()
    [device] = [each for each in found["devices"] if each["name"] == "bench-1"]
    assert device["identifiers"] == [["mqtt", "edgekernel_bench-1"]]
    bus = found["entities"]["sensor.bench_1_i2c1_errors"]
    assert (bus["disabled"], bus["category"]) == (True, "diagnostic")


def test_a_switch_switches(home: Home, start: Start, watcher: Watcher) -> None:
    """The simulated relay's line goes high, and the state comes back."""
    start()
    appeared(home)
    home.call("switch.turn_on", "switch.bench_1_fan")
    home.shows("switch.bench_1_fan", "on")
    assert level(watcher, "GPIO17") is True
    home.call("switch.turn_off", "switch.bench_1_fan")
    home.shows("switch.bench_1_fan", "off")
    assert level(watcher, "GPIO17") is False


@pytest.mark.parametrize("link", ['layout = "signal"', 'payloads = "plain"'])
def test_every_form_of_states(home: Home, start: Start, link: str) -> None:
    """With a topic for each signal, and with plain values, Home Assistant shows the same."""
    start(link=link)
    appeared(home)
    measured = {entity: state for entity, state in PLATFORMS.items() if "_plant_" not in entity}
    home.until(lambda: measured.items() <= _shown(home).items(), "the same states")
    home.call("switch.turn_on", "switch.bench_1_fan")
    home.shows("switch.bench_1_fan", "on")
    home.call("light.turn_on", "light.bench_1_strip", brightness=51)
    home.until(lambda: home.attributes("light.bench_1_strip").get("brightness") == 51, "a fifth")
    home.call("number.set_value", "number.bench_1_flap", value=-12.5)
    home.shows("number.bench_1_flap", "-12.5")
    text = 'He said "grün"\\ \n{{ 1 + 1 }}'
    home.call("text.set_value", "text.bench_1_screen", value=text)
    home.shows("text.bench_1_screen", text)


def test_lamps(home: Home, start: Start, watcher: Watcher) -> None:
    """One that switches, and one that dims: half bright is half of the range."""
    start()
    appeared(home)
    home.call("light.turn_on", "light.bench_1_lamp")
    home.shows("light.bench_1_lamp", "on")
    home.call("light.turn_on", "light.bench_1_strip", brightness=51)
    home.shows("light.bench_1_strip", "on")
    watcher.on("edge/bench-1/state/strip", level=0.2)
    home.until(lambda: home.attributes("light.bench_1_strip")["brightness"] == 51, "a fifth")
    home.call("light.turn_off", "light.bench_1_strip")
    home.shows("light.bench_1_strip", "off")
    home.call("light.turn_on", "light.bench_1_strip")
    watcher.on("edge/bench-1/state/strip", level=1.0)


def test_numbers_and_texts(home: Home, start: Start, watcher: Watcher) -> None:
    """They are set as they are written, quotes and all, and come back."""
    start()
    appeared(home)
    home.call("number.set_value", "number.bench_1_flap", value=-12.5)
    home.shows("number.bench_1_flap", "-12.5")
    text = 'He said "grün"\\ \n{{ 1 + 1 }}'
    home.call("text.set_value", "text.bench_1_screen", value=text)
    home.shows("text.bench_1_screen", text)
    watcher.on("edge/bench-1/state/screen", text=text)


def test_a_button_is_pressed(home: Home, start: Start, watcher: Watcher) -> None:
    """The press is an event of the button's entity, with its fields."""
    start()
    appeared(home)
    body = {"args": {"device": "bell", "seconds": 0.2}}
    watcher.publish("edge/bench-1/call/sim/press", body)
    event = "event.bench_1_bell"
    home.until(lambda: home.attributes(event).get("event_type") == "released", "a release")
    assert home.attributes(event)["event_types"] == ["pressed", "released"]
    assert home.attributes(event)["device"] == "bell"


@pytest.mark.parametrize(
    ("service", "entity", "data", "asked"),
    [
        ("button.press", "button.bench_1_plant_flush", {}, "flush"),
        ("number.set_value", "number.bench_1_plant_boost", {"value": 12}, "boost 12"),
        ("switch.turn_on", "switch.bench_1_plant_lock", {}, "lock True"),
        ("select.select_option", "select.bench_1_plant_choose", {"option": "eco"}, "choose eco"),
        ("text.set_value", "text.bench_1_plant_show", {"value": 'a "b"'}, 'show a "b"'),
    ],
)
def test_commands(
    home: Home, start: Start, watcher: Watcher, service: str, entity: str, data: Any, asked: str
) -> None:
    """Each form of entity calls its command, with its argument."""
    start()
    appeared(home)
    home.call(service, entity, **data)
    got = watcher.wait_for(lambda each: each.topic == "edge/bench-1/event/asked", "asked")
    assert got.document["fields"] == {"what": asked}


def test_availability_follows_the_node(home: Home, start: Start) -> None:
    """A node that dies takes its entities' states with it; the status says that it is offline."""
    agent = start()
    appeared(home)
    agent.end(signal.SIGKILL)
    home.shows("switch.bench_1_fan", "unavailable")
    home.shows("sensor.bench_1_room_temperature", "unavailable")
    home.shows("button.bench_1_plant_flush", "unavailable")
    home.shows("sensor.bench_1_status", "offline")
    start()
    home.shows("switch.bench_1_fan", "off")
    home.shows("sensor.bench_1_status", "degraded")


def test_a_removed_device_disappears(home: Home, start: Start, broker: Mosquitto) -> None:
    """With the node that no longer has it its entities go, out of the registry too, and what is
    kept on the broker has the others."""
    agent = start()
    appeared(home)
    agent.end(signal.SIGTERM)
    start(NODE.replace(DOOR, ""))
    home.until(lambda: home.state("binary_sensor.bench_1_door") is None, "gone")
    assert "binary_sensor.bench_1_door" not in home.look()["entities"]
    home.shows("switch.bench_1_fan", "off")
    config = "homeassistant/device/bench-1/config"
    with watching(broker.port, config) as late:
        components = late.wait_for(lambda got: got.topic == config).document["components"]
    assert "fan_set_power" in components
    assert not [key for key in components if key.startswith("door_")]


def test_a_device_is_removed_while_the_node_runs(
    home: Home, start: Start, broker: Mosquitto, tmp_path: Path
) -> None:
    """The node file is read again, without the door: that entity goes, the others go on."""
    agent = start()
    appeared(home)
    home.call("switch.turn_on", "switch.bench_1_fan")
    home.shows("switch.bench_1_fan", "on")
    read_again(agent, tmp_path, broker, NODE.replace(DOOR, ""))
    home.until(lambda: home.state("binary_sensor.bench_1_door") is None, "gone")
    assert "binary_sensor.bench_1_door" not in home.look()["entities"]
    assert home.state("switch.bench_1_fan") == "on"
    read_again(agent, tmp_path, broker, NODE)
    home.shows("binary_sensor.bench_1_door", "on")
    assert home.state("switch.bench_1_fan") == "on"


def test_discovery_is_turned_off_while_the_node_runs(
    home: Home, start: Start, broker: Mosquitto, tmp_path: Path
) -> None:
    """Every entity of the node goes, and nothing about it is left for a later Home Assistant."""
    agent = start()
    appeared(home)
    read_again(agent, tmp_path, broker, NODE, discovery="false")
    home.until(lambda: not [each for each in home.look()["states"] if "bench_1" in each], "empty")
    assert retained(broker) == set()
    read_again(agent, tmp_path, broker, NODE)
    appeared(home)


def read_again(agent: Agent, folder: Path, broker: Mosquitto, text: str, **table: str) -> None:
    """Let a node that runs apply another node file."""
    table = {"lights": '["strip.level"]', "birth_delay": '"100ms"'} | table
    write_node(folder, broker.port, text, **table)
    agent.process.send_signal(signal.SIGHUP)


def test_a_device_that_becomes_a_lamp(home: Home, start: Start) -> None:
    """The switch goes and the light comes."""
    agent = start()
    appeared(home)
    agent.end(signal.SIGTERM)
    start(lights='["strip.level", "fan.power"]')
    home.shows("light.bench_1_fan", "off")
    assert home.state("switch.bench_1_fan") is None


def test_home_assistant_starts_anew(
    broker: Mosquitto, start: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It finds the node on the broker, and is told again when it says that it is there."""
    folder = tmp_path_factory.mktemp("other")
    start()
    for _ in range(2):
        home = Home(folder, broker.port)
        try:
            appeared(home)
            assert home.state("switch.bench_1_fan") == "off"
        finally:
            home.close()


def test_one_message_for_each_entity(home: Home, start: Start) -> None:
    """What older versions are told makes the same entities."""
    start(discovery='"entities"')
    appeared(home)
    home.call("switch.turn_on", "switch.bench_1_fan")
    home.shows("switch.bench_1_fan", "on")


def test_from_each_form_to_the_other(home: Home, start: Start, broker: Mosquitto) -> None:
    """A node that changes the form keeps its entities, each once, and they work; nothing of the
    other form is left on the broker."""
    for form, power in (("entities", "on"), ("device", "off"), ("entities", "on")):
        agent = start(discovery=f'"{form}"')
        home.until(lambda: announced(broker) == form, form)  # noqa: B023  # it is called here
        appeared(home)
        home.call(f"switch.turn_{power}", "switch.bench_1_fan")
        home.shows("switch.bench_1_fan", power)
        assert not [name for name in home.look()["entities"] if name.endswith("_2")]
        agent.end(signal.SIGTERM)
        home.shows("switch.bench_1_fan", "unavailable")


def announced(broker: Mosquitto) -> str:
    """Return in which form the node is announced on the broker; nothing if it is in both."""
    topics = retained(broker)
    by_node = "homeassistant/device/bench-1/config"
    if by_node in topics:
        return "device" if len(topics) == 1 else ""
    return "entities" if topics else ""


def retained(broker: Mosquitto) -> set[str]:
    """Return the topics below homeassistant/ that the broker keeps something of."""
    with watching(broker.port) as late:
        late.publish("probe", "x")  # it comes after what is retained
        late.wait_for(lambda got: got.topic == "probe", "the end")
        return {got.topic for got in late.received if got.topic.startswith("homeassistant/")}
