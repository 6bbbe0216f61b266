"""The MQTT interface of a running node."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edgekernel import Runtime
from edgekernel.core.errors import BootError, ConfigError
from edgekernel.mqtt import MqttConnected, MqttDisconnected, MqttInterface, MqttProblem
from tests.brokers import LIMIT_S, Mosquitto, Watcher, free_port, watching
from tests.mqtt.parts import Lamp, Seen, Tick, node, settings

STATUS = "edge/n1/status"
STATE = "edge/n1/state/lamp"


def test_status_and_states_are_retained(broker: Mosquitto, watcher: Watcher) -> None:
    """Who comes later finds the status and the state of every device."""
    with node(broker.port) as n1:
        watcher.on(STATUS, state="online")  # the last of them: the broker has them all
        with watching(broker.port) as late:
            status = late.on(STATUS, state="online", cause="started")
            assert status.retained
            assert len(status.document["boot"]) == 32
            state = late.on(STATE, online=True, power=False)
            assert state.retained
            assert state.document["light_level"]["unit"] == "lx"
            assert late.on("edge/n1/state/heater", online=True).retained
        assert n1.interface.connected
        assert n1.interface.status()["broker"] == f"127.0.0.1:{broker.port}"


def test_handlers_of_the_link_do_not_run_in_its_thread(broker: Mosquitto) -> None:
    """What happens on the link is handled elsewhere: a slow handler keeps no ping waiting."""
    threads: list[str] = []
    with node(broker.port) as n1:
        for kind in (MqttConnected, MqttDisconnected, MqttProblem):
            n1.runtime.subscribe(kind, lambda _: threads.append(threading.current_thread().name))
        broker.kill()
        n1.seen.wait("mqtt.problem")
        broker.start()
        n1.seen.wait("mqtt.connected", 2)
        assert n1.runtime.turns.wait_idle(LIMIT_S)
    assert len(threads) >= 3
    assert not [name for name in threads if name.startswith(("paho", "mqtt:"))]


def test_every_change_is_published(broker: Mosquitto, watcher: Watcher) -> None:
    """A reading, an output and going offline each bring a new state; the last is the truth."""
    with node(broker.port) as n1:
        n1.lamp.light_level.update(55.5)
        watcher.on(STATE, light_level=55.5)
        n1.lamp.power.set(True)
        changed = watcher.on(STATE, power=True)
        assert changed.document["power"]["setpoint"] is True
        n1.lamp.set_offline("unplugged")
        bad = watcher.on(STATE, online=False).document["light_level"]
        assert (bad["quality"], bad["reason"]) == ("bad", "offline: unplugged")
        n1.lamp.set_online()
        watcher.wait_for(lambda r: r.topic == STATE and r.document["online"], "online again")


def test_a_burst_of_changes_ends_on_the_last_value(broker: Mosquitto, watcher: Watcher) -> None:
    """2,000 changes never come out of order, and the last one stands."""
    with node(broker.port) as n1:
        for number in range(2000):
            n1.heater.warnings.update(number)
        watcher.on("edge/n1/state/heater", warnings=1999)
    values = [
        r.document["warnings"]["value"] or 0
        for r in watcher.received
        if r.topic == "edge/n1/state/heater"
    ]
    assert values == sorted(values)
    assert values[-1] == 1999


def test_every_message_is_an_event(broker: Mosquitto, watcher: Watcher) -> None:
    """Messages are published, not retained, with their place in the order."""
    with node(broker.port) as n1:
        for number in range(50):
            n1.runtime.emit(Tick(number), source="test")
        watcher.wait_for(lambda r: r.topic == "edge/n1/event/tick" and b'"number":49' in r.payload)
    ticks = [r.document for r in watcher.received if r.topic == "edge/n1/event/tick"]
    assert [tick["fields"]["number"] for tick in ticks] == list(range(50))
    assert [tick["seq"] for tick in ticks] == sorted({tick["seq"] for tick in ticks})
    assert (ticks[0]["source"], ticks[0]["name"], ticks[0]["severity"]) == ("test", "tick", "info")
    boot = watcher.on(STATUS, state="online").document["boot"]
    assert {tick["boot"] for tick in ticks} == {boot}
    with watching(broker.port) as late:
        late.on(STATUS, state="offline")
        assert not [r for r in late.received if "/event/" in r.topic]


def test_a_shutdown_ends_with_safe_states_and_status_offline(
    broker: Mosquitto, watcher: Watcher
) -> None:
    """The last state shows the safe outputs, then the status says offline and why; no will."""
    with node(broker.port) as n1:
        n1.lamp.power.set(True)
        watcher.on(STATE, power=True)
        n1.runtime.shutdown("maintenance")
    offline = watcher.on(STATUS, state="offline").document
    assert offline["cause"] == "maintenance"
    assert offline["since"] is not None
    retained = [r for r in watcher.received if "/event/" not in r.topic]
    assert retained[-1].topic == STATUS
    states = [r.document for r in watcher.received if r.topic == STATE]
    assert (states[-1]["power"]["value"], states[-1]["online"]) == (False, True)


def test_a_shutdown_without_a_broker_is_bounded() -> None:
    """A node that never reached its broker boots and stops all the same."""
    with node(free_port(), wait=False) as n1:
        assert "connection refused" in n1.seen.wait("mqtt.problem")["error"]
        assert not n1.interface.connected
    assert not n1.seen.of("shutdown.step.failed")
    assert not n1.interface.connected


_PROGRAM = """
import sys
from edgekernel.core.runtime import Runtime
from edgekernel.mqtt import MqttInterface, Settings
runtime = Runtime(name="n1")
runtime.register(MqttInterface(Settings("127.0.0.1", int(sys.argv[1]))))
runtime.run()
"""


def test_a_killed_node_leaves_its_last_will(broker: Mosquitto, watcher: Watcher) -> None:
    """After SIGKILL the broker says offline, with the boot id of the one that is gone."""
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM, str(broker.port)])
    try:
        online = watcher.on(STATUS, state="online").document
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(LIMIT_S)
    offline = watcher.on(STATUS, state="offline").document
    assert (offline["cause"], offline["boot"]) == ("connection lost", online["boot"])


def test_after_an_outage_everything_is_right_again(broker: Mosquitto) -> None:
    """The broker lost all it had; the node is online, serves requests and shows the new value."""
    with node(broker.port) as n1:
        broker.kill()
        assert n1.seen.wait("mqtt.disconnected")["reason"] == "connection lost"
        n1.lamp.power.set(True)
        n1.heater.fan_speed.set(50)
        broker.start()
        n1.seen.wait("mqtt.connected", 2)
        with watching(broker.port) as late:
            late.on(STATUS, state="online", cause="reconnected")
            late.on(STATE, power=True)
            late.on("edge/n1/state/heater", fan_speed=50.0)
            assert [r for r in late.received if r.topic == STATE][-1].document["power"]["value"]
            late.publish("edge/n1/set/lamp/power", "off")
            late.on(STATE, power=False)


def test_events_of_an_outage_come_in_order(broker: Mosquitto) -> None:
    """What happened meanwhile is published after the reconnect, before what is new."""
    with node(broker.port) as n1:
        broker.kill()
        n1.seen.wait("mqtt.disconnected")
        for number in range(200):
            n1.runtime.emit(Tick(number))
        broker.start()
        with watching(broker.port, "edge/n1/event/tick") as watcher:
            n1.seen.wait("mqtt.connected", 2)
            n1.runtime.emit(Tick(200))
            watcher.wait_for(lambda r: b'"number":200' in r.payload)
            numbers = [r.document["fields"]["number"] for r in watcher.received]
    assert numbers == sorted(numbers)
    assert n1.interface.status().get("dropped_events", 0) == 0


def test_events_that_found_no_room_are_counted(tmp_path: Path) -> None:
    """Of too many events the oldest go, and a message says how many after the connect."""
    broker = Mosquitto(tmp_path)
    with node(broker.port, wait=False, max_events=20) as n1:
        n1.seen.wait("mqtt.problem")
        for number in range(100):
            n1.runtime.emit(Tick(number))
        assert n1.interface.status()["dropped_events"] >= 80
        broker.start()
        dropped = n1.seen.wait("mqtt.events.dropped")["dropped"]
        assert dropped >= 80
        assert len(n1.seen.of("mqtt.events.dropped")) == 1
    broker.stop()


def test_a_lost_link_is_told_once(broker: Mosquitto) -> None:
    """An outage of many attempts is one disconnected and one problem."""
    with node(broker.port) as n1:
        broker.kill()
        n1.seen.wait("mqtt.problem")
        threading.Event().wait(1.0)  # several attempts
        assert len(n1.seen.of("mqtt.problem")) == 1
        assert len(n1.seen.of("mqtt.disconnected")) == 1
        broker.start()
        n1.seen.wait("mqtt.connected", 2)


def test_names_that_share_a_topic_keep_the_node_from_booting() -> None:
    """Two devices of one segment are a mistake that is told by name at boot."""
    runtime = Runtime(name="n1")
    runtime.register(Lamp("desk_lamp"))
    runtime.register(Lamp("desk-lamp"))
    runtime.register(MqttInterface(settings(free_port())))
    with pytest.raises(BootError) as caught:
        runtime.boot()
    (error,) = caught.value.exceptions
    assert isinstance(error, ConfigError)
    assert "'desk_lamp' and 'desk-lamp' are both 'desk-lamp'" in str(error)


def test_a_node_name_that_is_no_segment_keeps_it_from_booting() -> None:
    """The topics need a node name of their characters."""
    runtime = Runtime(name="Node 1")
    runtime.register(MqttInterface(settings(free_port())))
    with pytest.raises(BootError, match="did not boot") as caught:
        runtime.boot()
    assert "node name 'Node 1'" in str(caught.value.exceptions[0])


def test_a_broker_that_stops_answering_does_not_hold_the_shutdown() -> None:
    """With a peer that accepts and never answers, stop takes its bounded time."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        runtime = Runtime(name="n1")
        seen = Seen(runtime)
        runtime.register(MqttInterface(settings(server.getsockname()[1])))
        with runtime:
            peer, _ = server.accept()
        peer.close()
    assert not seen.of("shutdown.step.failed")
