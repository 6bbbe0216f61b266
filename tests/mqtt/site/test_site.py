"""A site: a real mosquitto with its configuration lets in whom it should, and to what it should."""

from __future__ import annotations

import json
import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edgekernel.core.errors import BusyError, ConfigError, InvalidValueError, UnknownTargetError
from edgekernel.mqtt.site import Site
from tests.brokers import HOST, free_port
from tests.mqtt.site.clients import Client, node, trusting, user
from tests.mqtt.site.site_broker import SiteBroker


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site on free loopback ports."""
    return Site.make(
        tmp_path / "site", [HOST, "localhost"], node_port=free_port(), user_port=free_port()
    )


@pytest.fixture
def broker(site: Site, tmp_path: Path) -> Iterator[SiteBroker]:
    """A broker of the site, not started yet."""
    made = SiteBroker(site, tmp_path)
    yield made
    made.stop()


@pytest.fixture
def clients() -> Iterator[list[Client]]:
    """Clients that are closed at the end."""
    made: list[Client] = []
    yield made
    for client in made:
        client.close()


def test_one_node_cannot_write_anothers_topics(
    site: Site, broker: SiteBroker, clients: list[Client]
) -> None:
    """It may publish below its own name; everywhere else the broker says no."""
    for name in ("one", "two"):
        site.enroll(name)
    broker.start()
    one = node(site, "one", clients)
    assert one.publish("edge/one/state/room") in ("Success", "No matching subscribers")
    for topic in (
        "edge/two/state/room",
        "edge/two/set/pump/power",
        "edge/two/status",
        "edge/two/reply/ctl",
        "homeassistant/device/two/config",
        "homeassistant/switch/two/pump_set_power/config",
        "elsewhere",
        "edge/one/set/pump/power",
    ):
        assert one.publish(topic) == "Not authorized", topic


def test_one_node_cannot_read_anothers_topics(
    site: Site, broker: SiteBroker, clients: list[Client]
) -> None:
    """Whatever it subscribes to, only requests to itself come."""
    for name in ("one", "two"):
        site.enroll(name)
    password = site.add_user("alice", "operator")
    broker.start()
    one, alice = node(site, "one", clients), user(site, "alice", password, clients)
    two = node(site, "two", clients)
    for wanted in ("#", "edge/two/#", "edge/+/set/+/+", "homeassistant/#"):
        one.subscribe(wanted)
    two.publish("edge/two/state/room")
    two.publish("homeassistant/device/two/config")
    two.publish("homeassistant/switch/two/pump_set_power/config")
    alice.publish("edge/two/set/pump/power")
    alice.publish("edge/one/set/pump/power")  # last: what came before it would be there
    one.wait_for("edge/one/set/pump/power")
    assert one.topics() == {"edge/one/set/pump/power"}


def test_a_node_finds_what_it_told_home_assistant(
    site: Site, broker: SiteBroker, clients: list[Client]
) -> None:
    """It writes its own discovery messages, for the node or for each entity, and reads them back to
    take away what is gone."""
    site.enroll("one")
    broker.start()
    one = node(site, "one", clients)
    for wanted, topic in (
        ("homeassistant/device/one/config", "homeassistant/device/one/config"),
        ("homeassistant/+/one/+/config", "homeassistant/switch/one/pump_set_power/config"),
    ):
        one.subscribe(wanted)
        assert one.publish(topic) == "Success"
        one.wait_for(topic)


def test_a_node_cannot_throw_another_off(
    site: Site, broker: SiteBroker, clients: list[Client]
) -> None:
    """A certificate with somebody else's client id leaves that one connected."""
    for name in ("one", "two"):
        site.enroll(name)
    broker.start()
    one = node(site, "one", clients)
    impostor = node(site, "two", clients, client_id="one")
    assert impostor.let_in
    assert impostor.publish("edge/two/state/room") in ("Success", "No matching subscribers")
    assert one.publish("edge/one/state/room") in ("Success", "No matching subscribers")
    assert not one.lost.is_set()


def test_nobody_comes_without_credentials(
    site: Site, broker: SiteBroker, clients: list[Client]
) -> None:
    """No certificate, one of another site, no password, a wrong one: nobody is let in."""
    site.add_user("alice", "operator")
    broker.start()
    stranger = Site.make(site.folder.parent / "other", [HOST])
    foreign = trusting(site, stranger.enroll("one"))
    without = [
        Client(site.record.node_port, trusting(site), "one"),
        Client(site.record.node_port, foreign, "one"),
        Client(site.record.user_port, trusting(site)),
        Client(site.record.user_port, trusting(site), username="alice", password="guess"),
        Client(site.record.user_port, trusting(site), username="mallory", password="guess"),
    ]
    clients += without
    assert not [client for client in without if client.let_in]


def test_the_broker_is_known(site: Site, broker: SiteBroker) -> None:
    """Who trusts another site does not talk to this broker."""
    broker.start()
    tls = trusting(Site.make(site.folder.parent / "other", [HOST]))
    port = site.record.user_port
    unknown = pytest.raises(ssl.SSLCertVerificationError)
    with socket.create_connection((HOST, port)) as plain, unknown:
        tls.wrap_socket(plain, server_hostname=HOST)


def test_a_revoked_node_is_shut_out(site: Site, broker: SiteBroker, clients: list[Client]) -> None:
    """Its certificate is worthless, and so is the earlier one of a node enrolled anew."""
    lost = trusting(site, site.enroll("lost"))
    earlier = trusting(site, site.enroll("renewed"))
    site.revoke("lost")
    site.enroll("renewed")
    broker.start()
    shut_out = [Client(site.record.node_port, tls) for tls in (lost, earlier)]
    clients += shut_out
    assert not [client for client in shut_out if client.let_in]
    assert node(site, "renewed", clients).let_in


def test_roles_of_users(site: Site, broker: SiteBroker, clients: list[Client]) -> None:
    """A viewer asks for nothing; an operator asks and reads the reply, and plays no node."""
    passwords = {role: site.add_user(role, role) for role in ("viewer", "operator")}
    site.enroll("one")
    broker.start()
    one = node(site, "one", clients)
    viewer, operator = (user(site, n, p, clients) for n, p in passwords.items())
    assert viewer.publish("edge/one/set/pump/power") == "Not authorized"
    assert operator.publish("edge/one/status") == "Not authorized"
    one.subscribe("edge/one/call/#")
    operator.subscribe("edge/one/reply/#")
    operator.publish("edge/one/call/plant/boost")
    one.wait_for("edge/one/call/plant/boost")
    one.publish("edge/one/reply/operator-1")
    operator.wait_for("edge/one/reply/operator-1")


def test_one_user_may_come_twice(site: Site, broker: SiteBroker, clients: list[Client]) -> None:
    """Two programs of one person do not throw each other off."""
    password = site.add_user("alice", "operator")
    broker.start()
    first, second = (user(site, "alice", password, clients) for _ in range(2))
    for client in (first, second):
        assert client.publish("edge/one/set/pump/power") in ("Success", "No matching subscribers")
        assert not client.lost.is_set()


def test_the_key_may_stay_on_the_node(
    site: Site, broker: SiteBroker, clients: list[Client]
) -> None:
    """With a signing request no key leaves the node, and what the request calls itself counts
    for nothing."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "two/call")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    folder = site.enroll("one", request=request.public_bytes(serialization.Encoding.PEM))
    assert not (folder / "node.key").exists()
    (folder / "node.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    broker.start()
    one = node(site, "one", clients)
    assert one.publish("edge/one/state/room") in ("Success", "No matching subscribers")
    assert one.publish("edge/two/call/state/room") == "Not authorized"


@pytest.mark.parametrize("name", ["", "One", "a/b", "a+b", "#", "ä", "a" * 65])
def test_names_that_reach_into_topics(site: Site, name: str) -> None:
    """A name that could be more than one segment of a topic is never signed."""
    with pytest.raises(InvalidValueError, match="a-z, 0-9"):
        site.enroll(name)


def test_nodes_and_users_share_no_name(site: Site) -> None:
    """A user of a node's name would have its topics, and the other way round."""
    site.enroll("one")
    site.add_user("alice", "viewer")
    with pytest.raises(InvalidValueError, match="that of a node"):
        site.add_user("one", "viewer")
    with pytest.raises(InvalidValueError, match="that of a user"):
        site.enroll("alice")


def test_what_is_wrong_is_told(site: Site, tmp_path: Path) -> None:
    """A second site in one folder, hosts that are none, folders that are no site, unknown names."""
    with pytest.raises(BusyError, match="is a site already"):
        Site.make(site.folder, [HOST])
    with pytest.raises(ConfigError, match=r"'a b' is no host"):
        Site.make(tmp_path / "new", ["a b"])
    assert not (tmp_path / "new").exists()
    with pytest.raises(ConfigError, match="broker init"):
        Site(tmp_path)
    site.enroll("greenhouse-1")
    with pytest.raises(UnknownTargetError, match="greenhouse-1"):
        site.revoke("greenhouse-2")
    with pytest.raises(InvalidValueError, match="no certificate signing request"):
        site.enroll("one", request=b"nonsense")


def test_secrets_are_for_their_owner(site: Site) -> None:
    """Keys and passwords are readable by nobody else, and no password is kept."""
    password = site.add_user("alice", "operator")
    folder = site.enroll("one")
    secret = [folder / "node.key", site.folder / "site.json", site.folder / "authority/ca.key"]
    secret += [site.folder / "broker" / name for name in ("server.key", "passwords", "acl")]
    assert [stat.S_IMODE(path.stat().st_mode) for path in secret] == [0o600] * len(secret)
    assert not [
        path
        for path in site.folder.rglob("*")
        if path.is_file() and password.encode() in path.read_bytes()
    ]


def test_it_is_there_again(site: Site) -> None:
    """What a site has issued is known after it is opened anew; the files of the broker too."""
    site.enroll("one")
    site.add_user("alice", "admin")
    again = Site(site.folder)
    assert again.record == site.record
    assert json.loads((site.folder / "site.json").read_text())["users"] == {"alice": "admin"}
    again.remove_user("alice")
    assert "alice" not in (site.folder / "broker/acl").read_text()
