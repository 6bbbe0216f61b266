"""Nodes that are no more: what they have left is cleared, and nothing else."""

from __future__ import annotations

import pytest

from edgekernel.core.errors import (
    ConfigError,
    ForbiddenError,
    InvalidValueError,
    UnavailableError,
    UnknownTargetError,
)
from edgekernel.mqtt import Fleet
from edgekernel.mqtt.home_assistant.settings import HomeAssistant, Mode
from edgekernel.mqtt.layout import Form
from tests.mqtt.fleet.conftest import Enter
from tests.mqtt.parts import settings, staged_node
from tests.stages import SimStage, Stage

STATUS = {"state": "offline"}


def kept(stage: Stage) -> set[str]:
    """Return the topics on which something is retained."""
    peer = stage.peer("looker")
    peer.subscribe("#")
    peer.publish("end/of/it", "x")
    stage.until(lambda: peer.received and peer.received[-1].topic == "end/of/it", "the end")
    peer.close()
    return {got.topic for got in peer.received if got.retained}


def fleet_on(stage: Stage) -> Fleet:
    """Return a fleet on a stage, not entered."""
    return Fleet(settings(stage.port), timeout_s=10.0, clock=stage.clock, medium=stage.medium)


@pytest.mark.parametrize("form", [Form(), Form("signal", "plain")])
@pytest.mark.parametrize("how", ["device", "entities"])
def test_all_that_it_has_left(stage: Stage, enter: Enter, form: Form, how: Mode) -> None:
    """Everything below its name goes, and what it told Home Assistant; what others have made of the
    same name, and other nodes, stay. A look clears nothing."""
    for name in ("n1", "n2"):
        with staged_node(stage, name=name, form=form, home_assistant=HomeAssistant(how)):
            peer = stage.peer("peer")
            peer.subscribe(f"homeassistant/{'device/' if how == 'device' else '+/'}{name}/#")
            stage.until(lambda: peer.received, "what Home Assistant is told")  # noqa: B023
            peer.close()
    foreign = stage.peer("foreign")
    others = {"origin": {"name": "edgekernel"}, "availability": [{"topic": "other/n1/status"}]}
    foreign.publish("homeassistant/sensor/n1/theirs/config", others, retain=True)
    foreign.publish("homeassistant/sensor/n1/no/config", {"name": "n1"}, retain=True)
    foreign.publish("edge/n1/desired", {"version": "1"}, retain=True)
    before = kept(stage)
    fleet = enter()
    topics = fleet.forget("n1", dry_run=True)
    assert {"edge/n1/status", "edge/n1/schema", "edge/n1/desired"} <= set(topics)
    assert any(each.startswith("homeassistant/") for each in topics)
    assert kept(stage) == before
    assert fleet.forget("n1") == topics
    assert kept(stage) == before - set(topics)
    left = {each for each in kept(stage) if "n1" in each.split("/")}
    assert left == {
        "homeassistant/sensor/n1/theirs/config", "homeassistant/sensor/n1/no/config",
    }  # fmt: skip
    assert [each.name for each in fleet.nodes()] == ["n2"]
    with pytest.raises(UnknownTargetError, match="knows no node 'n1'; there are: n2"):
        fleet.forget("n1")


def test_who_is_online_is_not_forgotten(stage: Stage, enter: Enter) -> None:
    """Unless it is forced: then it is there again when it has connected again."""
    with staged_node(stage) as n1:
        fleet = enter()
        for dry_run in (True, False):
            with pytest.raises(UnavailableError, match=r"n1 is online: .* stop it first"):
                fleet.forget("n1", dry_run=dry_run)
        assert [each.name for each in fleet.nodes()] == ["n1"]
        assert "edge/n1/info" in fleet.forget("n1", force=True)
        assert fleet.nodes() == []
        stage.kill()
        stage.start()
        stage.until(lambda: len(n1.seen.of("mqtt.connected")) > 1, "connected again")
    with fleet_on(stage) as again:
        assert [each.name for each in again.nodes()] == ["n1"]


def test_a_part_of_a_prefix_is_no_node(stage: Stage) -> None:
    """Below a prefix of two segments there are nodes; whoever gives the first one as the prefix and
    the second one as a node clears nothing of theirs."""
    with staged_node(stage, name="n1", prefix="plant/line-1"):
        before = kept(stage)
        assert "plant/line-1/n1/status" in before
        terms = settings(stage.port, prefix="plant")
        above = Fleet(terms, timeout_s=10.0, clock=stage.clock, medium=stage.medium)
        with above, pytest.raises(UnknownTargetError):
            above.forget("line-1")
        assert kept(stage) >= before  # its health may come just now


def test_what_nobody_can_have(stage: Stage, enter: Enter) -> None:
    """A name, or a prefix of discovery, with a wildcard is refused before anything is read."""
    fleet = enter()
    for name in ("+", "n1/#", "#", ""):
        with pytest.raises(ConfigError, match="node name"):
            fleet.forget(name)
    stage.peer("peer").publish("edge/n1/status", STATUS, retain=True)
    with pytest.raises(InvalidValueError, match=r"discovery: '\+' is not allowed"):
        fleet.forget("n1", discovery="+")
    assert fleet.forget("n1", discovery="") == ("edge/n1/status",)


def test_what_the_broker_does_not_let_us_clear(sim_stage: SimStage) -> None:
    """The status stays then, so that the node is still found, and to ask again does the rest."""
    peer = sim_stage.peer("peer")
    peer.publish("edge/n1/info", {"version": "1"}, retain=True)
    peer.publish("edge/n1/status", STATUS, retain=True)
    sim_stage.broker.troubles.denies = "edge/n1/info".__eq__
    with fleet_on(sim_stage) as fleet:
        with pytest.raises(ForbiddenError, match="publish on edge/n1/info: not authorized"):
            fleet.forget("n1")
        assert [each.name for each in fleet.nodes()] == ["n1"]
        sim_stage.broker.troubles.denies = lambda topic: False
        assert fleet.forget("n1") == ("edge/n1/info", "edge/n1/status")
