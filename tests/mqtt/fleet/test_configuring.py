"""A fleet is configured from Python."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from edgekernel.core.errors import (
    ConfigError,
    ForbiddenError,
    InvalidValueError,
    UnknownTargetError,
)
from edgekernel.mqtt import Fleet, NoAnswerError, RequestRefusedError, Settings
from edgekernel.mqtt.fleet import DeviceForecast
from edgekernel.mqtt.fleet.configuring import read_config, read_report
from edgekernel.mqtt.fleet.results import Outcome
from edgekernel.mqtt.signing import Signer
from edgekernel.node.config_messages import ConfigApplied
from tests.mqtt.parts import settings
from tests.mqtt.test_remote_config import ANNA, FANS, LAMP, MQTT, Node
from tests.node.changing import FAN
from tests.stages import KINDS, SimStage, staged


@pytest.fixture
def node(sim_stage: SimStage, tmp_path: Path) -> object:
    """Give a node that may be configured."""
    with ExitStack() as stack:
        yield Node(sim_stage, stack, tmp_path, FAN + MQTT)


def entered(stage: SimStage, stack: ExitStack, signer: Signer | None = None) -> Fleet:
    """Return a fleet on the stage."""
    settings = Settings("127.0.0.1")
    made = Fleet(settings, clock=stage.clock, medium=stage.medium, signer=signer)
    return stack.enter_context(made)


def test_push(node: Node, sim_stage: SimStage) -> None:
    """What is pushed is applied and reported, and what the node runs can be asked for."""
    with ExitStack() as stack:
        fleet = entered(sim_stage, stack)
        assert fleet.reported("bench").remote
        report = fleet.push_config("bench", {"devices": FANS | {"lamp": LAMP}}, "v2")
        assert report.desired is not None
        assert (report.desired.result, report.version, report.source) == ("applied", "v2", "remote")
        found = fleet.config("bench")
        assert (found.version, found.hash) == ("v2", report.hash)
        assert found.document["devices"]["lamp"] == LAMP


def test_forecast(node: Node, sim_stage: SimStage) -> None:
    """What a document would do is told without doing it; what it may leave out does not change."""
    with ExitStack() as stack:
        fleet = entered(sim_stage, stack)
        found = fleet.forecast_config("bench", {"devices": FANS | {"lamp": LAMP}})
        assert found.devices == (DeviceForecast("lamp", "start", ("devices.lamp",)),)
        assert [(each.key, each.old) for each in found.keys] == [("devices.lamp", None)]
        assert (found.node, found.changes, found.restart, found.link) == ("bench", True, {}, ())
        assert found.document["devices"][0]["device"] == "lamp"
        assert list(fleet.config("bench").document["devices"]) == ["fan"]
        assert not fleet.forecast_config("bench", {"devices": FANS}).changes
        with pytest.raises(ConfigError, match=r"my.toml: devices.fan.driver: unknown driver"):
            fleet.forecast_config("bench", {"devices": {"fan": {"driver": "x"}}}, Path("my.toml"))


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_broker_does_not_take(kind: str, tmp_path: Path) -> None:
    """A document that its access rules forbid is told at once, and not waited for; on MQTT 3.1.1
    that may be why nothing is reported."""
    with ExitStack() as stack:
        stage = stack.enter_context(staged(kind, tmp_path, denied="edge/bench/desired"))
        stage.peer("bench").publish("edge/bench/reported", {"remote": True}, retain=True)
        for protocol, timeout_s, error, said in (
            ("auto", 60.0, ForbiddenError, "publish on edge/bench/desired: not authorized; check"),
            ("3.1.1", 1.0, NoAnswerError, "unless its access rules forbid us that"),
        ):
            to = settings(stage.port, protocol=protocol)
            fleet = stack.enter_context(Fleet(to, clock=stage.clock, medium=stage.medium))
            with pytest.raises(error, match=said):
                fleet.push_config("bench", {"devices": {}}, timeout_s=timeout_s)
        if isinstance(stage, SimStage):
            assert stage.clock.monotonic() < 10


def test_refused(node: Node, sim_stage: SimStage) -> None:
    """What a node rejects is its own reason; what is too large, or no JSON, is not sent."""
    with ExitStack() as stack:
        fleet = entered(sim_stage, stack)
        with pytest.raises(RequestRefusedError, match="unknown driver") as caught:
            fleet.push_config("bench", {"devices": {"fan": {"driver": "rely"}}})
        assert Outcome("bench", error=caught.value).code == "rejected"
        with pytest.raises(InvalidValueError, match="65536 are allowed"):
            fleet.push_config("bench", {"devices": {"fan": {"driver": "x" * 70_000}}})
        with pytest.raises(InvalidValueError, match="JSON"):
            fleet.push_config("bench", {"devices": float("nan")})


def test_busy(node: Node, sim_stage: SimStage) -> None:
    """A push to a busy node says by whom it is kept, and goes on by itself; with `now` it does not
    wait."""
    node.node.runtime.busy.hold("kiln", "firing", 3600)
    with ExitStack() as stack:
        fleet = entered(sim_stage, stack)
        with pytest.raises(NoAnswerError, match=r"goes on by itself: the node is busy: kiln: firi"):
            fleet.push_config("bench", {"devices": FANS | {"lamp": LAMP}}, timeout_s=20)
        report = fleet.push_config("bench", {"devices": FANS | {"lamp": LAMP}}, "v3", now=True)
        assert report.version == "v3"


def test_nobody(node: Node, sim_stage: SimStage) -> None:
    """A node that is away has no answer, and takes the document up when it is back."""
    node.node.runtime.shutdown()
    with ExitStack() as stack:
        fleet = entered(sim_stage, stack)
        with pytest.raises(NoAnswerError, match="waits on the broker"):
            fleet.push_config("bench", {"devices": FANS | {"lamp": LAMP}}, timeout_s=5)
        with pytest.raises(UnknownTargetError, match="no node 'bensh'"):
            fleet.reported("bensh")


def test_closed(node: Node, sim_stage: SimStage) -> None:
    """A node that takes no configuration is not sent one."""
    closed = FAN + MQTT.replace("true", "false")
    assert node.node.reload(closed).result == "applied"
    with ExitStack() as stack:
        fleet = entered(sim_stage, stack)
        with pytest.raises(ForbiddenError, match="remote_config = true"):
            fleet.push_config("bench", {"devices": FANS})


def test_signed(sim_stage: SimStage, tmp_path: Path) -> None:
    """What a fleet with a key pushes is signed: a node that takes signatures takes that only."""
    (tmp_path / "anna.pem").write_bytes(ANNA.public)
    keys = 'signatures = { keys = { anna = "anna.pem" } }\n'
    config = {"devices": FANS | {"lamp": LAMP}}
    with ExitStack() as stack:
        node = Node(sim_stage, stack, tmp_path, FAN + MQTT + keys)
        fleet = entered(sim_stage, stack)
        with pytest.raises(RequestRefusedError, match="unsigned"):
            fleet.push_config("bench", config)
        signing = entered(sim_stage, stack, Signer("anna", ANNA.private))
        assert signing.push_config("bench", config).desired is not None
        (told,) = node.node.told(ConfigApplied)
        assert told.principal == "anna"


def test_whatever_is_published() -> None:
    """What a node says is read as far as it can be."""
    assert read_report("n", {"desired": {"problems": "x", "at": 1}}).desired is not None
    assert read_report("n", {"desired": 3, "hash": 1}).desired is None
    assert read_config("n", None).document == {}
    assert read_config("n", {"document": [], "problems": [1, "a"]}).problems == ("a",)
