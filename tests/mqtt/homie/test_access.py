"""The access list of a site for nodes that speak Homie, on a real mosquitto."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekernel import Runtime
from edgekernel.core.errors import ConfigError
from edgekernel.mqtt import MqttInterface, Settings
from edgekernel.mqtt.site import Site
from edgekernel.mqtt.tls import Tls
from tests.brokers import HOST, free_port
from tests.mqtt.parts import Lamp
from tests.mqtt.site.clients import Client, node, user
from tests.mqtt.site.site_broker import SiteBroker

FINE = ("Success", "No matching subscribers")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site with the nodes one and two, which speak Homie."""
    made = Site.make(
        tmp_path / "site",
        [HOST, "localhost"],
        node_port=free_port(),
        user_port=free_port(),
        dialects=["homie"],
    )
    for name in ("one", "two"):
        made.enroll(name)
    return made


@pytest.fixture
def clients() -> Iterator[list[Client]]:
    """Clients that are closed at the end."""
    made: list[Client] = []
    yield made
    for client in made:
        client.close()


@pytest.fixture
def passwords(site: Site, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The passwords of an operator and a viewer; the broker is started."""
    made = {"openhab": site.add_user("openhab", "operator"), "eve": site.add_user("eve", "viewer")}
    broker = SiteBroker(site, tmp_path)
    broker.start()
    yield made
    broker.stop()


def test_a_node_and_its_controller(
    site: Site, passwords: dict[str, str], clients: list[Client]
) -> None:
    """Whom the site has enrolled is ready, is found by an operator, and does what that one sets."""
    folder = site.folder / "nodes/one"
    tls = Tls(folder / "ca.crt", folder / "node.crt", folder / "node.key")
    settings = Settings(HOST, site.record.node_port, tls=tls, dialect="homie")
    openhab = user(site, "openhab", passwords["openhab"], clients)
    openhab.subscribe("homie/5/#")
    runtime = Runtime(name="one")
    runtime.register(Lamp("lamp"))
    runtime.register(MqttInterface(settings))
    with runtime:
        openhab.wait_for("homie/5/one/$state", b"ready")
        openhab.wait_for("homie/5/one/$description")
        openhab.wait_for("homie/5/one/lamp/power", b"false")
        assert openhab.publish("homie/5/one/lamp/power/set", "true") in FINE
        openhab.wait_for("homie/5/one/lamp/power/$target", b"true")
        openhab.wait_for("homie/5/one/lamp/power", b"true")
    openhab.wait_for("homie/5/one/$state", b"disconnected")


def test_one_node_cannot_write_anothers_topics(
    site: Site, passwords: dict[str, str], clients: list[Client]
) -> None:
    """A node publishes what is its own and nothing else: neither what another one says, nor what
    controllers ask of another one, of all, or of itself."""
    one = node(site, "one", clients)
    for below in ("$state", "$description", "fan/power", "fan/power/$target", "$log/warn"):
        assert one.publish(f"homie/5/one/{below}") in FINE, below
        assert one.publish(f"homie/5/two/{below}") == "Not authorized", below
    for topic in ("two/fan/power/set", "one/fan/power/set", "$broadcast/alert"):
        assert one.publish(f"homie/5/{topic}") == "Not authorized", topic


def test_one_node_cannot_read_anothers_topics(
    site: Site, passwords: dict[str, str], clients: list[Client]
) -> None:
    """Whatever it subscribes to, only what is set on itself and said to all comes."""
    one, two = node(site, "one", clients), node(site, "two", clients)
    openhab = user(site, "openhab", passwords["openhab"], clients)
    one.subscribe("#")
    for topic in ("$state", "fan/power", "$log/warn"):
        assert two.publish(f"homie/5/two/{topic}") in FINE
    for topic in ("two/fan/power/set", "$broadcast/alert", "one/fan/power/set"):
        assert openhab.publish(f"homie/5/{topic}") in FINE
    one.wait_for("homie/5/one/fan/power/set")  # the last: what came before it would be there
    assert one.topics() == {"homie/5/one/fan/power/set", "homie/5/$broadcast/alert"}


def test_a_viewer_sets_nothing(
    site: Site, passwords: dict[str, str], clients: list[Client]
) -> None:
    """It reads what devices say, and neither sets anything nor sees what others set."""
    one = node(site, "one", clients)
    eve = user(site, "eve", passwords["eve"], clients)
    openhab = user(site, "openhab", passwords["openhab"], clients)
    eve.subscribe("homie/5/#")
    for topic in ("one/fan/power/set", "$broadcast/alert", "one/$state"):
        assert eve.publish(f"homie/5/{topic}") == "Not authorized", topic
    openhab.publish("homie/5/one/fan/power/set")
    one.publish("homie/5/one/$state")
    eve.wait_for("homie/5/one/$state")
    assert eve.topics() == {"homie/5/one/$state"}


def test_dialects_that_cannot_be(tmp_path: Path) -> None:
    """One that is not installed, or that is there anyhow, is told before anything is written."""
    for name, problem in (("homi", "did you mean 'homie'"), ("edgekernel", "is always there")):
        with pytest.raises(ConfigError, match=problem):
            Site.make(tmp_path / "site", [HOST], dialects=[name])
    assert not (tmp_path / "site").exists()


def test_a_site_learns_a_dialect_later(tmp_path: Path) -> None:
    """Writing its configuration anew adds dialects, and leaves them as they are without any."""
    site = Site.make(tmp_path / "site", [HOST])
    rules = site.folder / "broker/acl"
    assert "homie" not in rules.read_text()
    site.rewrite("", ["homie"])
    assert "pattern read homie/5/%u/+/+/set\n" in rules.read_text()
    Site(site.folder).rewrite("")
    assert "pattern read homie/5/%u/+/+/set\n" in rules.read_text()
