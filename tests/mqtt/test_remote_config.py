"""Desired and reported: a node is configured from afar, once for each document."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt import About, MqttInterface, Settings
from edgekernel.mqtt.payloads import PayloadError
from edgekernel.mqtt.remote_config import RemoteConfig, parse_desired
from edgekernel.node.config_messages import ConfigApplied
from edgekernel.node.config_record import digest_of
from edgekernel.node.plan import make_plan
from tests.mqtt.signing import Signer, request
from tests.node.changing import FAN, HEAD, ROOM, VENT, Changing
from tests.stages import Got, Peer, SimStage

BASE = "edge/bench"
MQTT = '[mqtt]\nhost = "127.0.0.1"\nremote_config = true\n'
LAMP = {"driver": "led", "pin": "GPIO22"}
ANNA = Signer("anna")
FANS = {"fan": {"driver": "relay", "pin": "GPIO17"}}


class Node:
    """A node in simulated time, linked to a broker in the process, and who configures it."""

    def __init__(self, stage: SimStage, stack: ExitStack, folder: Path, text: str) -> None:
        def link(plan: Any) -> MqttInterface:
            settings = Settings.of(plan, with_secrets=False)
            about, remote = About.of(plan), RemoteConfig(self.node.config)
            return MqttInterface(settings, about=about, medium=stage.medium, remote=remote)

        self.stage = stage
        self.node = Changing(folder, stage.sim_clock, text, make_link=link)
        self.node.runtime.register(link(self.node.config.plan))
        stack.enter_context(self.node)
        self.admin: Peer = stage.peer(f"admin-{stage.sim_clock.monotonic()}")
        self.admin.subscribe(f"{BASE}/#")
        stage.until(lambda: self.reported, "the first report")

    @property
    def reports(self) -> list[dict[str, Any]]:
        """What was reported, in order."""
        return [got.document for got in self.admin.received if _is_report(got)]

    @property
    def reported(self) -> dict[str, Any]:
        """The latest report; empty before any."""
        return self.reports[-1] if self.reports else {}

    def desire(self, payload: object) -> dict[str, Any]:
        """Publish a document, retained, and return what is reported of it at the end."""
        sent = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.admin.publish(f"{BASE}/desired", sent, retain=True)
        self.stage.until(lambda: self._judged(sent), "a result")
        found: dict[str, Any] = self.reported["desired"]
        return found

    def _judged(self, sent: bytes) -> bool:
        desired = self.reported.get("desired") or {}
        return desired.get("digest") == digest_of(sent) and desired["result"] != "trying"


def _is_report(got: Got) -> bool:
    return got.topic == f"{BASE}/reported"


@pytest.fixture
def make(sim_stage: SimStage, tmp_path: Path) -> Iterator[Callable[[str], Node]]:
    """Give a function that boots a node of a file, linked to the broker."""
    with ExitStack() as stack:
        yield lambda text: Node(sim_stage, stack, tmp_path, text)


def test_applied(make: Callable[[str], Node]) -> None:
    """A document is applied and reported, first as on trial, with its version and the hash."""
    node = make(FAN + MQTT)
    assert node.reported["source"] == "file"
    assert node.reported["remote"] is True
    judged = node.desire({"version": 7, "config": {"devices": FANS | {"lamp": LAMP}}})
    assert (judged["result"], judged["version"], judged["problems"]) == ("applied", "7", [])
    assert node.reported["version"] == "7"
    assert node.reported["source"] == "remote"
    assert node.reported["hash"] == node.node.config.hash
    assert [(each["desired"] or {}).get("result") for each in node.reports] == [
        None,
        "trying",
        "applied",
    ]
    assert "lamp" in node.node.runtime.devices
    (told,) = node.node.told(ConfigApplied)
    assert (told.version, told.principal) == ("7", "mqtt")


def test_rejected_once(make: Callable[[str], Node], sim_stage: SimStage) -> None:
    """A document with mistakes is rejected with all of them, and not again when it comes again:
    with a new link, and after a restart."""
    node = make(FAN + MQTT)
    devices = {"fan": {"driver": "relay", "pin": "GPIO99"}, "x": {"driver": "bmx"}}
    judged = node.desire({"version": "a", "config": {"devices": devices}})
    assert judged["result"] == "rejected"
    assert [each.split(":")[1] for each in judged["problems"]] == [
        " devices.fan.pin",
        " devices.x.driver",
    ]
    count = len(node.node.events)
    sim_stage.kill()
    sim_stage.start()
    sim_stage.sim_clock.advance(120)
    names = [event.payload.name for event in node.node.events[count:]]
    assert "mqtt.connected" in names
    assert not [name for name in names if name in ("config.rejected", "config.applied")]
    node.node.runtime.shutdown()
    payload = json.dumps({"version": "a", "config": {"devices": devices}})
    sim_stage.peer("again").publish(f"{BASE}/desired", payload, retain=True)
    again = make(FAN + MQTT)
    sim_stage.sim_clock.advance(60)
    assert again.reported["desired"]["result"] == "rejected"
    assert not [e for e in again.node.events if e.payload.name == "config.rejected"]


def test_rolled_back(make: Callable[[str], Node]) -> None:
    """A configuration with which the node is not well is reported as rolled back, and why."""
    node = make(FAN + MQTT)
    node.node.reconfiguration._plug = lambda plan, ids: None
    room = {"driver": "bme280", "bus": "i2c1"}
    judged = node.desire({"config": {"devices": FANS | {"room": room}}})
    assert judged["result"] == "rolled_back"
    assert judged["problems"][0].startswith("devices.room: ")
    assert node.reported["source"] == "file"
    assert list(node.node.runtime.devices) == ["fan"]


def test_closed_by_default(make: Callable[[str], Node], sim_stage: SimStage) -> None:
    """P11: without `remote_config` a node takes no document, and says so beforehand."""
    node = make(FAN + MQTT.replace("true", "false"))
    assert node.reported["remote"] is False
    node.admin.publish(f"{BASE}/desired", json.dumps({"config": {}}), retain=True)
    sim_stage.sim_clock.advance(60)
    assert node.reported["desired"] is None
    assert list(node.node.runtime.devices) == ["fan"]


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"mqtt": {"host": "evil"}}, "mqtt.host: is the node's own"),
        ({"mqtt": {"password_file": "/etc/shadow"}}, "mqtt.password_file: is the node's own"),
        ({"mqtt": {"remote_config": False}}, "mqtt.remote_config: is the node's own"),
        ({"mqtt": {"signatures": {"keys": {"eve": "e.pem"}}}}, "mqtt.signatures: is the node's"),
        ({"mqtt": {"username": "u", "password": "hush"}}, "mqtt.password: a document from afar"),
        ({"node": {"app": "evil"}}, "node.toml: node.app: needs a restart"),
        ({"node": {"data": "/tmp"}}, "node.toml: node.data: needs a restart"),
        ({"node": 1}, "node: a table is allowed"),
        ({"devices": {"fan": {}}}, "devices.fan.driver: is missing"),
    ],
)
def test_what_is_the_nodes_own(
    make: Callable[[str], Node], config: dict[str, Any], problem: str
) -> None:
    """P11: nobody changes from afar to whom a node speaks, as whom, or whom it trusts; and what
    needs a restart is refused."""
    node = make(FAN + MQTT)
    judged = node.desire({"config": {"devices": FANS, **config}})
    assert judged["result"] == "rejected"
    assert problem in judged["problems"][0]
    assert "hush" not in json.dumps(node.reports)


def test_what_is_left_out_stays(make: Callable[[str], Node]) -> None:
    """What a document leaves out of `[node]`, and of `[mqtt]` what is the node's own, is as the
    node has it; a document as `config.show` returns it can be sent back."""
    mine = 'username = "u"\npassword = "hush"\nhistory = "5s"\n'
    node = make(HEAD + 'labels = { zone = "north" }\n' + FAN + MQTT + mine)
    shown = node.node.config.show()["document"]
    assert node.desire({"version": 1, "config": shown})["result"] == "applied"
    assert node.node.config.own is not None
    assert node.node.config.plan.document.mqtt == node.node.config.own.document.mqtt
    assert node.desire({"version": 2, "config": {"devices": FANS}})["result"] == "applied"
    document = node.node.config.plan.document
    assert document.node.labels == {"zone": "north"}
    assert document.mqtt is not None
    assert (document.mqtt.password, document.mqtt.history) == ("hush", 5.0)


def test_the_link_can_be_made_anew(make: Callable[[str], Node]) -> None:
    """What is changed of the link itself makes it anew, and the result still arrives."""
    node = make(FAN + MQTT)
    judged = node.desire({"config": {"devices": FANS, "mqtt": {"history": "1s"}}})
    assert judged["result"] == "applied"


def now_of(node: Node) -> datetime:
    """Return the time of a node's clock."""
    return datetime.fromtimestamp(node.node.clock.time_ns() / 1e9, UTC)


def test_only_what_is_signed(make: Callable[[str], Node], tmp_path: Path) -> None:
    """A node that takes signatures takes no unsigned document, none for another topic, and none
    that was signed before the latest one; one that is new counts, however long it has waited."""
    (tmp_path / "anna.pem").write_bytes(ANNA.public)
    node = make(FAN + MQTT + 'signatures = { keys = { anna = "anna.pem" } }\n')
    config = {"devices": FANS | {"lamp": LAMP}}
    topic, then = f"{BASE}/desired", now_of(node) - timedelta(days=3)

    def signed(minutes: int, to: str = topic, **others: Any) -> bytes:
        at = then + timedelta(minutes=minutes)
        return ANNA.sign(request(to, at, **{"version": minutes, "config": config, **others}))

    assert "unsigned" in node.desire({"config": config})["problems"][0]
    wrong = node.desire(signed(1, "edge/other/desired"))
    assert "sent to this topic" in wrong["problems"][0]
    assert list(node.node.runtime.devices) == ["fan"]
    assert node.desire(signed(5))["result"] == "applied"
    assert node.node.told(ConfigApplied)[-1].principal == "anna"
    old = node.desire(signed(4, config={"devices": FANS}))
    assert "signed before another one" in old["problems"][0]
    assert "lamp" in node.node.runtime.devices
    forged = Signer("anna").sign(request(topic, version=9, config=config))
    assert "signature" in node.desire(forged)["problems"][0]
    assert node.desire(signed(6, config={"devices": FANS}))["result"] == "applied"
    year = 365 * 24 * 60
    ahead = node.desire(signed(year))
    assert "in the future here" in ahead["problems"][0]
    assert node.desire(signed(7))["result"] == "applied"


def test_roles(make: Callable[[str], Node], tmp_path: Path) -> None:
    """Where the node file grants roles, only an administrator configures the node."""
    boris = Signer("boris")
    for signer in (ANNA, boris):
        (tmp_path / f"{signer.principal}.pem").write_bytes(signer.public)
    keys = 'keys = { anna = "anna.pem", boris = "boris.pem" }'
    roles = 'roles = { anna = ["admin"], boris = ["operator"] }'
    node = make(FAN + MQTT + f"signatures = {{ {keys}, {roles} }}\n")
    config = {"devices": FANS | {"lamp": LAMP}}
    sent = boris.sign(request(f"{BASE}/desired", now_of(node), version=1, config=config))
    assert "boris has not been granted 'admin'" in node.desire(sent)["problems"][0]
    sent = ANNA.sign(request(f"{BASE}/desired", now_of(node), version=2, config=config))
    assert node.desire(sent)["result"] == "applied"


def test_a_node_that_ended_on_trial(make: Callable[[str], Node], sim_stage: SimStage) -> None:
    """A document during whose trial the agent ended is rolled back, and does not come again."""
    node = make(FAN + MQTT)
    payload = json.dumps({"version": 3, "config": {"devices": FANS | {"lamp": LAMP}}})
    node.admin.publish(f"{BASE}/desired", payload, retain=True)
    sim_stage.until(lambda: (node.reported["desired"] or {}).get("result") == "trying", "a trial")
    node.node.runtime.shutdown()
    again = make(FAN + MQTT)
    sim_stage.sim_clock.advance(60)
    assert again.reported["desired"]["result"] == "rolled_back"
    assert "ended before" in again.reported["desired"]["problems"][0]
    assert list(again.node.runtime.devices) == ["fan"]


def test_a_file_without_data(tmp_path: Path) -> None:
    """A node that is configured from afar needs a place to keep that."""
    path = tmp_path / "node.toml"
    path.write_text(HEAD.replace('data = "data"\n', "") + MQTT + VENT + ROOM)
    with pytest.raises(ConfigError, match=r"mqtt\.remote_config: needs node\.data"):
        make_plan(path)


@given(
    st.binary(max_size=100)
    | st.recursive(st.none() | st.text(), st.lists).map(repr).map(str.encode)
)
def test_any_payload(payload: bytes) -> None:
    """Whatever is published is read or refused with a reason."""
    with pytest.raises(PayloadError):
        parse_desired(payload)


def test_only_what_is_known() -> None:
    """A document has a config and perhaps a version, and nothing else."""
    assert parse_desired(b'{"config": {}, "version": 7}').content == ("7", {}, False)
    assert parse_desired(b'{"config": {}, "now": true}').content == ("", {}, True)
    for wrong in (b'{"config": []}', b'{"config": {}, "version": true}', b'{"config": {}, "x": 1}'):
        with pytest.raises(PayloadError):
            parse_desired(wrong)


def test_waits_while_busy(make: Callable[[str], Node], sim_stage: SimStage) -> None:
    """A document waits while somebody says "not now", and reports who, why and until when; then it
    is applied."""
    node = make(FAN + MQTT)
    node.node.runtime.busy.hold("kiln", "firing", 300)
    wanted = {"version": "a", "config": {"devices": FANS | {"lamp": LAMP}}}
    node.admin.publish(f"{BASE}/desired", json.dumps(wanted).encode(), retain=True)
    sim_stage.sim_clock.advance(200)
    desired = node.reported["desired"]
    assert desired["result"] == "waiting"
    assert desired["problems"][0].startswith("the node is busy: kiln: firing (until ")
    assert "lamp" not in node.node.runtime.devices
    sim_stage.sim_clock.advance(200)
    assert node.reported["desired"]["result"] == "applied"
    assert "lamp" in node.node.runtime.devices


def test_does_not_wait(make: Callable[[str], Node]) -> None:
    """With `now` it is applied at once, and so is a file on the node itself."""
    node = make(FAN + MQTT)
    node.node.runtime.busy.hold("kiln", "firing", 3600)
    wanted = {"version": "a", "config": {"devices": FANS | {"lamp": LAMP}}, "now": True}
    assert node.desire(wanted)["result"] == "applied"
    assert node.node.reload(FAN + VENT + MQTT).result == "applied"


def test_a_newer_one_takes_its_place(make: Callable[[str], Node], sim_stage: SimStage) -> None:
    """Of two that wait, the later one counts, and what waits is not lost with the agent: it comes
    again from the broker."""
    node = make(FAN + MQTT)
    node.node.runtime.busy.hold("kiln", "firing", 100)
    for version, more in (("a", {"lamp": LAMP}), ("b", {})):
        wanted = {"version": version, "config": {"devices": FANS | more}}
        node.admin.publish(f"{BASE}/desired", json.dumps(wanted).encode(), retain=True)
        sim_stage.sim_clock.advance(5)
    assert node.reported["desired"]["version"] == "b"
    assert node.node.config.record.desired is None
    sim_stage.sim_clock.advance(200)
    assert node.reported["desired"]["result"] == "applied"
    assert "lamp" not in node.node.runtime.devices
    assert [told.version for told in node.node.told(ConfigApplied)] == ["b"]
