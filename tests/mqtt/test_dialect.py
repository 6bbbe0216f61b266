"""Dialects: another topic map is a package with an entry point, and takes the place of ours."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt import Settings
from edgekernel.mqtt.dialect import GROUP, dialects, load_dialect, read_own
from edgekernel.mqtt.signatures import Signatures
from tests.mqtt.parts import staged_node
from tests.stages import SimStage

SHOUT = '''
"""A dialect in words: HALL/LAMP/POWER says ON, and HALL/ASK takes "lamp power on"."""

from dataclasses import dataclass

from edgekernel import ConfigError
from edgekernel.core.effect import Effect
from edgekernel.mqtt.dialect import Dialect
from edgekernel.mqtt.payloads import ReplyAddress, Request
from edgekernel.mqtt.requests import Requests
from edgekernel.mqtt.topics import Target
from edgekernel.mqtt.transport import Will


@dataclass
class Words:
    on: str = "ON"
    off: str = "OFF"


class Shout(Dialect):
    def __init__(self, carrier, own):
        self.carrier, self.words = carrier, own
        self.hall = carrier.node.upper()
        self.will = Will(self.hall, b"GONE")
        self.subscriptions = (f"{self.hall}/ASK/+/+",)
        self.effects = []
        self.requests = Requests(carrier.ctx, self, self.answered, read=self.understand)

    @classmethod
    def read(cls, table):
        if wrong := table.keys() - {"on", "off"}:
            raise ConfigError(*(f"{key}: unknown key" for key in sorted(wrong)))
        return Words(**table)

    def watch(self):
        for device in self.carrier.ctx.devices.values():
            for output in device.outputs.values():
                self.effects.append(Effect(lambda output=output: self.shout(output)))

    def shout(self, output):
        word = self.words.on if output.readback.sample.value else self.words.off
        topic = f"{self.hall}/{output.label.replace('.', '/').upper()}"
        self.carrier.outgoing.retain(topic, word.encode())

    def connected(self, cause):
        self.carrier.outgoing.retain_last(self.hall, cause.upper().encode())

    def message(self, message):
        self.requests.arrived(message.topic, message.payload, message.retained)

    def target(self, topic):
        _, _, device, output = topic.split("/")
        return Target("set", device.lower(), output.lower())

    def check_reply(self, topic):
        pass

    def understand(self, target, payload):
        return Request(payload.decode() == self.words.on, ReplyAddress(f"{self.hall}/ANSWER"))

    def answered(self, topic, answer, *beside):
        self.carrier.outgoing.reply(topic, b"YES" if b'"ok":true' in answer else b"NO")

    def leave(self, reason):
        self.carrier.outgoing.retain_last(self.hall, b"BYE")

    def close(self):
        self.requests.close()
        for effect in self.effects:
            effect.dispose()
'''


def install(site: Path, name: str, value: str, package: str = "shouting") -> None:
    """Install a distribution with a module of a dialect, and an entry point of this name."""
    info = site / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {value}\n")
    (site / f"{package}.py").write_text(SHOUT)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder in which packages are found."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("shouting", None)


def test_ours_are_installed() -> None:
    """The native topic map and Homie are found as those of others are."""
    assert {"edgekernel", "homie"} <= set(dialects())
    assert [load_dialect(name).__name__ for name in ("edgekernel", "homie")] == ["Native", "Homie"]


def test_a_third_party_adds_one(site: Path, sim_stage: SimStage) -> None:
    """Its states, requests, answers, goodbye and last will are on the broker; ours are not."""
    install(site, "shout", "shouting:Shout")
    peer = sim_stage.peer("peer")
    peer.subscribe("#")

    def last(topic: str) -> bytes:
        return ([got.payload for got in peer.received if got.topic == topic] or [b""])[-1]

    told = {"on": "LIGHT", "off": "DARK"}
    with staged_node(sim_stage, dialect="shout", dialect_table=told) as n1:
        sim_stage.until(lambda: last("N1") == b"STARTED", "started")
        assert last("N1/LAMP/POWER") == b"DARK"
        peer.publish("N1/ASK/LAMP/POWER", "LIGHT")
        sim_stage.until(lambda: last("N1/LAMP/POWER") == b"LIGHT", "lit")
        sim_stage.until(lambda: last("N1/ANSWER") == b"YES", "answered")
        assert n1.lamp.power.get() is True
        peer.publish("N1/ASK/LAMP/HORN", "LIGHT")
        sim_stage.until(lambda: last("N1/ANSWER") == b"NO", "refused")
    sim_stage.until(lambda: last("N1") == b"BYE", "gone")
    assert not [got.topic for got in peer.received if got.topic.startswith("edge")]


def test_its_last_will(site: Path, sim_stage: SimStage) -> None:
    """What the dialect says is published when the link breaks."""
    install(site, "shout", "shouting:Shout")
    peer = sim_stage.peer("peer")
    peer.subscribe("N1")
    with staged_node(sim_stage, dialect="shout"):
        sim_stage.until(lambda: [g.payload for g in peer.received] == [b"STARTED"], "started")
        sim_stage.peer("edge-n1").drop()
        sim_stage.until(lambda: b"GONE" in [g.payload for g in peer.received], "gone")
        sim_stage.until(lambda: peer.received[-1].payload == b"RECONNECTED", "back")


def test_its_own_settings(site: Path) -> None:
    """A mistake in its table is told with the table's name."""
    install(site, "shout", "shouting:Shout")
    with pytest.raises(ConfigError, match=r"^mqtt\.shout\.no: unknown key$"):
        read_own(Settings("h", dialect="shout", dialect_table={"no": 1}))
    with pytest.raises(ConfigError, match=r"^mqtt\.edgekernel\.a: unknown key; there are none$"):
        read_own(Settings("h", dialect_table={"a": 1}))


def test_signatures_are_never_left_unchecked() -> None:
    """P11: where signed requests count, no dialect runs that cannot tell them from others."""
    signatures = Signatures({}, required=True)
    with pytest.raises(ConfigError, match=r"^mqtt\.signatures: the dialect homie knows no signed"):
        read_own(Settings("h", dialect="homie", signatures=signatures))
    read_own(Settings("h", signatures=signatures))


def test_one_that_is_not_installed() -> None:
    """The nearest name is suggested; far from all, what is installed is listed."""
    with pytest.raises(ConfigError, match=r'"homy" is not installed; did you mean \'homie\'\?'):
        load_dialect("homy")
    with pytest.raises(ConfigError, match=r'"x" is not installed; there are: edgekernel, homie'):
        load_dialect("x")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("shouting:Words", "is no class that inherits from"),
        ("shouting:Gone", "cannot be imported: AttributeError"),
        ("nowhere:Shout", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_one_that_cannot_be_loaded(site: Path, value: str, why: str) -> None:
    """The entry point is named, with what is wrong with it."""
    install(site, "shout", value)
    with pytest.raises(ConfigError, match=why) as caught:
        load_dialect("shout")
    assert f"'shout' ({value}, entry point group {GROUP})" in str(caught.value)


def test_two_of_one_name(site: Path) -> None:
    """Which of them is meant nobody can know."""
    install(site, "shout", "shouting:Shout")
    install(site, "shout", "louder:Shout", package="louder")
    with pytest.raises(
        ConfigError, match=r"in two packages: louder:Shout and shouting:Shout; uninstall"
    ):
        load_dialect("shout")
