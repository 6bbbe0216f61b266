"""A fleet on a broker that is closed by default: rights by role, and a node's own leftovers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekernel import Device, Runtime
from edgekernel.cli import main
from edgekernel.core.errors import ForbiddenError
from edgekernel.mqtt import Fleet, MqttInterface, NoAnswerError, Settings
from edgekernel.mqtt.fleet import NodeEvent
from edgekernel.mqtt.site import Site
from edgekernel.mqtt.site.dialect import plugins_for
from edgekernel.mqtt.tls import Tls
from edgekernel.mqtt.versions import Protocol
from edgekernel.node import make_plan
from tests.brokers import HOST, free_port
from tests.mqtt.parts import Heater, Lamp, Seen
from tests.mqtt.site.site_broker import SiteBroker


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site with a node and two users, and its broker, started."""
    site = Site.make(
        tmp_path / "site",
        [HOST],
        node_port=free_port(),
        user_port=free_port(),
        plugins=plugins_for("auto"),
    )
    site.enroll("one")
    site.add_user("alice", "operator", "a-long-password")
    site.add_user("bob", "viewer", "b-long-password")
    broker = SiteBroker(site, tmp_path)
    broker.start()
    yield site
    broker.stop()


@contextmanager
def node(site: Site, *devices: Device) -> Iterator[None]:
    """Run the node with what was issued to it."""
    folder = site.folder / "nodes/one"
    head = '[node]\nname = "one"\nboard = "sim"\n'
    (folder / "node.toml").write_text(head + (folder / "mqtt.toml").read_text())
    runtime = Runtime(name="one")
    runtime.register(MqttInterface(Settings.of(make_plan(folder / "node.toml"))))
    for device in devices:
        runtime.register(device)
    seen = Seen(runtime)
    with runtime:
        seen.wait("mqtt.connected")
        yield


def authority(site: Site) -> Path:
    """Return whom users are to trust."""
    return site.folder / "broker/ca.crt"


def fleet(site: Site, user: str, timeout_s: float = 10.0, protocol: Protocol = "auto") -> Fleet:
    """Return a user's fleet."""
    password = f"{user[0]}-long-password"
    tls = Tls(authority(site))
    to = Settings(
        HOST, site.record.user_port, username=user, password=password, tls=tls, protocol=protocol
    )
    return Fleet(to, timeout_s=timeout_s)


def test_an_operator_controls_and_a_viewer_sees(site: Site) -> None:
    """Who may only look is told so at once when he asks for something, and nothing happens."""
    lamp = Lamp("lamp")
    with node(site, lamp), fleet(site, "alice") as alice, fleet(site, "bob") as bob:
        alice.set("one", "lamp/power", True)
        assert [each.name for each in bob.nodes()] == ["one"]
        assert [each.name for each in bob.schema("one").outputs] == ["lamp/power"]
        with pytest.raises(ForbiddenError, match=r"edge/one/set/lamp/power: not authorized; check"):
            bob.set("one", "lamp/power", False)
        with pytest.raises(ForbiddenError, match=r"edge/one/call/lamp/reset: not authorized"):
            bob.call("one", "lamp.reset", check=False)
        assert lamp.power.get() is True


def test_where_the_broker_cannot_tell_it_is_a_doubt(site: Site) -> None:
    """On MQTT 3.1.1 the broker acknowledges what it drops: that is said with the silence."""
    lamp = Lamp("lamp")
    with node(site, lamp), fleet(site, "bob", 1.0, protocol="3.1.1") as bob:
        with pytest.raises(NoAnswerError, match=r"one did not answer .* access rules forbid us"):
            bob.set("one", "lamp/power", True)
        assert lamp.power.get() is False


def test_a_viewer_shares_events(site: Site) -> None:
    """Who may read events may share them with others who may."""
    with node(site, Lamp("lamp")), fleet(site, "alice") as alice, fleet(site, "bob") as bob:
        name = "request.answered"
        with alice.events(name=name, share="log") as one, bob.events(name=name, share="log") as two:
            for _ in range(2):
                alice.set("one", "lamp/power", True)
            assert all(isinstance(each.get(10), NodeEvent) for each in (one, two))


def test_a_node_clears_what_it_has_left(site: Site) -> None:
    """The rights of a node are enough to find and to clear its own states."""
    with node(site, Lamp("lamp"), Heater("heater")):
        pass
    with node(site, Heater("heater")), fleet(site, "bob") as bob:
        looks = (list(bob.get("one")) for _ in range(50))  # each waits for the broker
        assert any(found == ["heater"] for found in looks)


def test_who_may_not_forget_is_told(site: Site) -> None:
    """Who has no right to a node's topics clears nothing; where the broker cannot say so, it is
    seen that they are still there."""
    with node(site, Lamp("lamp")):
        pass
    with fleet(site, "alice") as alice, fleet(site, "alice", protocol="3.1.1") as older:
        with pytest.raises(ForbiddenError, match=r"edge/one/.*: not authorized; check"):
            alice.forget("one")
        with pytest.raises(NoAnswerError, match=r"still has (\d+) of \1 .* rules forbid us that"):
            older.forget("one")
        assert [each.name for each in alice.nodes()] == ["one"]


def test_ctl_tells_what_the_broker_forbids(site: Site) -> None:
    """`set` of a viewer is refused with exit 1: to ask again does not help."""
    options = ["ctl", "--port", str(site.record.user_port), "--username", "bob"]
    options += ["--ca", str(authority(site)), "set", "one", "lamp/power", "on"]
    with node(site, Lamp("lamp")):
        done = CliRunner().invoke(main, options, env={"EDGEKERNEL_PASSWORD": "b-long-password"})
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("refused (forbidden): 127.0.0.1:")
    assert "edge/one/set/lamp/power: not authorized" in done.stderr


def test_ctl_over_tls(site: Site) -> None:
    """`--ca` encrypts and says whom to trust; a file that is not there is told by its option."""
    options = ["ctl", "--port", str(site.record.user_port), "--username", "bob"]
    env = {"EDGEKERNEL_PASSWORD": "b-long-password"}
    with node(site):
        done = CliRunner().invoke(
            main, [*options, "--ca", str(authority(site)), "nodes", "--json"], env=env
        )
    assert (done.exit_code, done.stderr) == (0, "")
    assert [row["name"] for row in json.loads(done.stdout)] == ["one"]
    wrong = CliRunner().invoke(main, [*options, "--ca", "/no/such/file", "nodes"], env=env)
    assert wrong.exit_code == 1
    assert wrong.stderr.startswith('--ca: "/no/such/file" cannot be read')
