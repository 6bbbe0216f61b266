"""Nodes seen and controlled, the same on a real mosquitto and on the in-process broker."""

from __future__ import annotations

import pytest

from edgekernel import Severity
from edgekernel.core.errors import (
    ConfigError,
    InvalidValueError,
    UnknownTargetError,
)
from edgekernel.mqtt import About, Fleet, NoAnswerError, RequestRefusedError
from edgekernel.mqtt.fleet import DeviceState, LinkState, NodeEvent, NodeStatus, Text
from edgekernel.mqtt.layout import Form
from tests.brokers import free_port
from tests.mqtt.fleet.conftest import Enter
from tests.mqtt.parts import Tick, settings, staged_node
from tests.stages import SimStage, Stage

NORTH = About("raspberrypi/4b", "abc", {"zone": "north", "row": "2"})
SOUTH = About("raspberrypi/5", "def", {"zone": "south"})


def test_nodes(stage: Stage, enter: Enter) -> None:
    """Every node is there with its status and info, also one that has gone, in order of names."""
    with staged_node(stage, name="n2", about=SOUTH):
        pass
    with staged_node(stage, name="n1", about=NORTH):
        fleet = enter()
        first, second = fleet.nodes()
        assert (first.name, first.online, first.status.cause) == ("n1", True, "started")
        assert (second.name, second.online) == ("n2", False)
        assert second.status.since is not None
        assert first.info is not None
        assert first.info.labels == {"zone": "north", "row": "2"}
        assert fleet.info("n1") == first.info
        assert first.info.boot == first.status.boot


def test_where(stage: Stage, enter: Enter) -> None:
    """Nodes are picked by labels, fields of their info and their state, all of them, exactly."""
    with (
        staged_node(stage, name="n1", about=NORTH),
        staged_node(stage, name="n2", about=SOUTH),
    ):
        fleet = enter()

        def found(**where: str) -> list[str]:
            return [node.name for node in fleet.nodes(where)]

        assert found(zone="north") == ["n1"]
        assert found(zone="north", row="2") == ["n1"]
        assert found(zone="north", board="raspberrypi/5") == []
        assert found(zone="nor") == []
        assert found(state="online") == ["n1", "n2"]
        with pytest.raises(UnknownTargetError, match="no node has a field 'zoen'; did you mean"):
            found(zoen="north")


def test_get(stage: Stage, enter: Enter) -> None:
    """States come with value, unit and quality; of one device, or of all."""
    with staged_node(stage) as n1:
        n1.lamp.light_level.update(55.5)
        n1.heater.fan_speed.set(40)
        fleet = enter()
        stage.until(
            lambda: fleet.get("n1")["lamp"].signals["light_level"].value == 55.5, "the level"
        )
        states = fleet.get("n1")
        assert sorted(states) == ["heater", "lamp"]
        assert states["lamp"].online
        level = states["lamp"].signals["light_level"]
        assert (level.value, level.unit, level.quality) == (55.5, "lx", "good")
        assert level.time is not None
        (heater,) = fleet.get("n1", "heater").values()
        assert heater.signals["fan_speed"].setpoint == 40
        with pytest.raises(UnknownTargetError, match=r"n1 has no device 'lmap'.*'lamp'\?$"):
            fleet.get("n1", "lmap")


@pytest.mark.parametrize("form", [Form(), Form("signal"), Form("signal", "plain")])
def test_a_fleet_reads_every_form(stage: Stage, enter: Enter, form: Form) -> None:
    """Names, values, units and qualities are the same in all of them."""
    with staged_node(stage, form=form) as n1:
        fleet = enter()
        fleet.set("n1", "lamp/power", True)
        n1.heater.warnings.fail("frozen")
        states = fleet.get("n1")
        assert fleet.get("n1", "lamp")["lamp"].signals["power"].value is True
        signals = {
            f"{device}.{name}": (each.value, each.unit, each.quality, each.reason)
            for device, state in states.items()
            for name, each in state.signals.items()
        }
        assert signals == {
            "lamp.power": (True, "", "good", ""),
            "lamp.light_level": (100.0, "lx", "good", ""),
            "heater.fan_speed": (0.0, "%", "good", ""),
            "heater.warnings": (None, "", "bad", "frozen"),
        }
        assert all(each.online for each in states.values())
        info = fleet.info("n1")
        assert (info.layout, info.payloads) == (form.layout, form.payloads)


def test_watch_reads_plain_values(stage: Stage, enter: Enter) -> None:
    """A change is the device as it is then."""
    with staged_node(stage, form=Form("signal", "plain")) as n1, enter().watch("n1") as stream:
        n1.lamp.power.set(True)
        for item in stream.during(10):
            if isinstance(item, DeviceState) and item.device == "lamp":
                power = item.signals.get("power")
                if power is not None and power.value and power.quality == "good":
                    return
        raise AssertionError("never on")


def test_set(stage: Stage, enter: Enter) -> None:
    """When `set` returns it is done; what the schema does not allow is not sent at all."""
    with staged_node(stage) as n1:
        fleet = enter()
        fleet.set("n1", "lamp/power", True)
        assert n1.lamp.power.get() is True
        fleet.set("n1", "heater.fan_speed", 40)
        assert n1.heater.fan_speed.get() == 40
        for output, value, kind, said in (
            ("heater/fan-speed", 101, InvalidValueError, "101 is not allowed: a number from 0 to"),
            ("lamp/power", "sideways", InvalidValueError, "on or off"),
            ("lamp/powr", True, UnknownTargetError, "did you mean 'lamp/power'"),
            ("lamp/light_level", 1, UnknownTargetError, "is a reading: it cannot be set"),
            ("lamp", 1, InvalidValueError, "write device/output"),
        ):
            with pytest.raises(kind, match=said):
                fleet.set("n1", output, value)
        assert n1.seen.of("command.refused") == []


def test_call(stage: Stage, enter: Enter) -> None:
    """A command's result comes back; arguments are checked against the node's schema first."""
    with staged_node(stage) as n1:
        fleet = enter()
        assert fleet.call("n1", "room_control.boost", {"minutes": 5}) == {
            "minutes": 5,
            "mode": "eco",
        }
        assert fleet.call("n1", "room-control/boost")["minutes"] == 10
        with pytest.raises(InvalidValueError, match='minutes: "5" is not allowed; an integer is'):
            fleet.call("n1", "room_control.boost", {"minutes": "5"})
        with pytest.raises(InvalidValueError, match="minuts: there is no such argument; did you"):
            fleet.call("n1", "room_control.boost", {"minuts": 5})
        with pytest.raises(UnknownTargetError, match=r"no command 'room_control\.bost'; did"):
            fleet.call("n1", "room_control.bost")
        assert n1.seen.of("command.refused") == []


def test_what_a_person_has_typed(stage: Stage, enter: Enter) -> None:
    """A text becomes what the schema wants, and without a schema what JSON says."""
    with staged_node(stage) as n1:
        fleet = enter()
        fleet.set("n1", "lamp/power", Text("on"))
        fleet.set("n1", "heater/fan_speed", Text("40"))
        assert (n1.lamp.power.get(), n1.heater.fan_speed.get()) == (True, 40)
        assert fleet.call("n1", "room_control.boost", {"minutes": Text("5")})["minutes"] == 5
        with pytest.raises(InvalidValueError, match="'x' is not allowed: a number from 0 to 100"):
            fleet.set("n1", "heater/fan_speed", Text("x"))
        fleet.set("n1", "heater/fan_speed", Text("50"), check=False)
        assert n1.heater.fan_speed.get() == 50


def test_the_node_has_the_last_word(stage: Stage, enter: Enter) -> None:
    """What the node refuses, or fails at, is an error with its code and reason."""
    with staged_node(stage):
        fleet = enter()
        for command, code in (("reset", "forbidden"), ("fail", "failed")):
            with pytest.raises(RequestRefusedError) as refused:
                fleet.call("n1", f"room_control.{command}")
            assert refused.value.code == code
        with pytest.raises(RequestRefusedError) as refused:
            fleet.set("n1", "lamp/powr", True, check=False)
        assert refused.value.code == "unknown"


def test_nodes_that_are_not_there(stage: Stage, enter: Enter) -> None:
    """Of an unknown node the nearest name is told, of one that is offline since when and why, and
    nothing is sent; a name that no node can have is refused."""
    with staged_node(stage, name="green-1"):
        pass
    fleet = enter()
    with pytest.raises(UnknownTargetError, match="no node 'green-2'; did you mean 'green-1'"):
        fleet.call("green-2", "room_control.boost")
    for read in (fleet.get, fleet.info, fleet.schema, fleet.health):
        with pytest.raises(UnknownTargetError, match="no node 'green-2'"):
            read("green-2")
    with pytest.raises(NoAnswerError, match=r"green-1 is offline since .* UTC: "):
        fleet.set("green-1", "lamp/power", True)
    assert fleet.get("green-1", "lamp")["lamp"].signals["power"].value is False
    with pytest.raises(ConfigError, match="Green 1"):
        fleet.get("Green 1")


def test_a_node_that_does_not_answer(stage: Stage, enter: Enter) -> None:
    """A request whose reply stays out says that it may have been carried out."""
    somebody = stage.peer("somebody")
    somebody.publish("edge/n9/status", {"state": "online"}, retain=True)
    fleet = enter(timeout_s=0.5)
    with pytest.raises(NoAnswerError, match="so that it may have been carried out"):
        fleet.call("n9", "room.boost")


def test_a_request_that_cannot_leave_is_taken_back(stage: Stage, enter: Enter) -> None:
    """While the broker is away a request is no success, and is not carried out later."""
    with staged_node(stage) as n1:
        fleet = enter(timeout_s=0.5)
        fleet.set("n1", "lamp/power", True)
        stage.kill()
        stage.until(lambda: n1.seen.of("mqtt.disconnected"), "the loss")
        with pytest.raises(NoAnswerError, match=r"is taken back|may arrive"):
            fleet.set("n1", "lamp/power", False, check=False)
        stage.start()
        stage.until(lambda: len(n1.seen.of("mqtt.connected")) == 2, "a second connect")
        stage.until(lambda: _answers(fleet), "an answer")
        assert n1.lamp.power.get() is True


def test_a_request_that_is_not_acknowledged(sim_stage: SimStage) -> None:
    """What was sent may arrive, whatever becomes of the link: nothing else is said of it."""
    terms = settings(sim_stage.port)
    with (
        staged_node(sim_stage),
        Fleet(terms, timeout_s=0.5, clock=sim_stage.clock, medium=sim_stage.medium) as fleet,
    ):
        fleet.set("n1", "lamp/power", True)
        sim_stage.broker.troubles.ack_delay_s = 60.0
        sim_stage.broker.troubles.denies = "edge/n1/set/lamp/power".__eq__  # it is slow to say so
        with pytest.raises(NoAnswerError, match="has not acknowledged the request: it may arrive"):
            fleet.set("n1", "lamp/power", False, check=False)


def _answers(fleet: Fleet) -> bool:
    try:
        fleet.call("n1", "room_control.boost")
    except (NoAnswerError, UnknownTargetError):  # it has to come back to the broker first
        return False
    return True


def test_health_and_schema(stage: Stage, enter: Enter) -> None:
    """A node's health is there with its figures, and its schema with what can be asked for."""
    with staged_node(stage):
        fleet = enter()
        schema = fleet.schema("n1")
        assert [each.name for each in schema.outputs] == ["lamp/power", "heater/fan_speed"]
        assert "room_control.boost" in [each.name for each in schema.commands]
        stage.until(lambda: _has_health(fleet), "a health")
        health = fleet.health("n1")
    assert (health.node, health.state, health.connections) == ("n1", "running", 1)
    assert health.dropped == {"turns": 0, "events": 0, "replies": 0, "requests": 0, "refused": 0}


def _has_health(fleet: Fleet) -> bool:
    try:
        fleet.health("n1")
    except NoAnswerError:
        return False
    return True


def test_watch(stage: Stage, enter: Enter) -> None:
    """Status and states come first as they are, then what happens, as typed items."""
    with staged_node(stage) as n1:
        fleet = enter()
        with fleet.watch("n1") as stream:
            first = [stream.get(10) for _ in range(3)]
            assert {type(each) for each in first} == {NodeStatus, DeviceState}
            n1.heater.fan_speed.set(40)
            n1.runtime.emit(Tick(7))
            seen: list[object] = []
            while not any(isinstance(each, NodeEvent) and each.name == "tick" for each in seen):
                seen.append(stream.get(10))
                assert seen[-1] is not None
            (tick,) = [each for each in seen if isinstance(each, NodeEvent) and each.name == "tick"]
            assert (tick.node, tick.fields, tick.severity) == ("n1", {"number": 7}, Severity.INFO)
            assert stream.get(0.01) is None or stream.dropped == 0
            n1.runtime.hot_remove("heater")
            gone = DeviceState("n1", "heater", False)
            stage.until(lambda: stream.get(0.01) == gone, "the removal")


def test_events(stage: Stage, enter: Enter) -> None:
    """Events are picked by name and by severity, and end when the stream is closed."""
    with staged_node(stage) as n1:
        fleet = enter()
        with fleet.events("n1", name="tick") as ticks, fleet.events(least=Severity.WARNING) as bad:
            for number in range(3):
                n1.runtime.emit(Tick(number))
            n1.lamp.set_offline("no answer")
            found = [ticks.get(10) for _ in range(3)]
            assert [each.fields["number"] for each in found if isinstance(each, NodeEvent)] == [
                0,
                1,
                2,
            ]
            worst = bad.get(10)
            assert isinstance(worst, NodeEvent)
            assert (worst.name, worst.severity) == ("device.offline", Severity.WARNING)
        assert list(ticks) == []


def test_a_watcher_is_told_of_its_own_link(stage: Stage, enter: Enter) -> None:
    """Between what it sees a stream says when the link goes and comes, and then all comes again."""
    with staged_node(stage) as n1:
        fleet = enter()
        with fleet.watch("n1") as stream:
            stage.kill()
            links: list[bool] = []

            def look() -> list[bool]:
                item = stream.get(0.01)
                links.extend([item.up] if isinstance(item, LinkState) else [])
                return links

            stage.until(lambda: look() == [False], "the loss")
            stage.start()
            stage.until(lambda: look() == [False, True], "the return")
            stage.until(lambda: len(n1.seen.of("mqtt.connected")) == 2, "the node's return")
            stage.until(lambda: isinstance(stream.get(0.01), DeviceState), "a state")


def test_no_broker() -> None:
    """Without a broker entering says which one was tried."""
    port = free_port()
    with pytest.raises(NoAnswerError, match=f"{port} cannot be reached"):
        Fleet(settings(port), timeout_s=10).__enter__()
