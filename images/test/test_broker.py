"""The image with a broker: a board that stands alone, driven through the broker on it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekernel.core.errors import UnknownTargetError
from edgekernel.mqtt import Fleet, Settings
from edgekernel.mqtt.fleet import NoAnswerError
from edgekernel.mqtt.site import Site
from edgekernel.mqtt.tls import Tls
from images.test.conftest import CACHE
from images.test.machine import Unwatched, newest, until
from tests.brokers import HOST
from tests.mqtt.site.clients import Client, trusting

NODE = """
[node]
name = "shed"
board = "raspberrypi/4b"

[devices.relays]
driver = "modbus_rtu"
port = "/dev/ttyUSB0"
parity = "none"
outputs = { pump = { address = 3, kind = "coil", safe = false } }

"""
ANSWER_LIMIT_S = 60.0
LONG_S = 300.0
"""Emulated, with other work beside it."""


class Alone:
    """A board with a node and its broker, and the site of that broker, which is not on it."""

    def __init__(self, folder: Path) -> None:
        image = newest(CACHE, "broker-disk") / "sdcard.img"
        self.machine = Unwatched(folder, newest(CACHE, "tools"), image, None)
        self.site = Site.make(folder / "site", ["localhost", HOST], at="/data/broker")
        self.passwords = {"alice": self.site.add_user("alice", "operator")}
        self.node_port = self.machine.offer(self.site.record.node_port)
        self.user_port = self.machine.offer(self.site.record.user_port)
        mine = self.site.enroll("shed")
        for name in ("ca.crt", "node.crt", "node.key"):
            self.machine.put(name, (mine / name).read_text())
        self.machine.put("node.toml", NODE + (mine / "mqtt.toml").read_text())
        self.machine.put_folder(self.site.broker_folder)
        self.machine.allow_shell()

    def fleet(self, user: str) -> Fleet:
        """Return a client on the broker of the board."""
        tls = Tls(ca=self.site.folder / "broker/ca.crt")
        settings = Settings(HOST, self.user_port, user, self.passwords[user], tls=tls)
        return Fleet(settings, timeout_s=ANSWER_LIMIT_S)

    def switches(self, user: str, on: bool) -> bool:
        """Say whether a user finds the node there, and switches its pump."""
        try:
            with self.fleet(user) as fleet:
                fleet.set("shed", "relays/pump", on)
        except (NoAnswerError, UnknownTargetError):
            return False
        assert self.machine.serial.pump is on
        return True

    def broker_process(self) -> str:
        """Return the number of the broker's process, 0 if there is none."""
        return self.machine.shell("systemctl show -P MainPID edgekernel-broker").strip()

    def user(self, name: str, password: str) -> Client:
        """Return a client that is none of ours, with a name and a password."""
        return Client(self.user_port, trusting(self.site), username=name, password=password)


def is_let_in(client: Client) -> bool:
    """Say whether the broker has let in a client; fail if it has said nothing."""
    answered = client.connected is not None or client.lost.is_set()
    let_in = client.let_in
    client.close()
    assert answered
    return let_in


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    """Boot a board with a broker; give it when its node is there."""
    made = Alone(tmp_path_factory.mktemp("alone"))
    try:
        began = time.monotonic()
        made.machine.start()
        until(lambda: made.switches("alice", True), made.machine)
        print(f"\nfrom power on to a node on its own broker: {time.monotonic() - began:.0f} s")
        yield made
    finally:
        made.machine.close()


def test_it_is_driven_through_its_own_broker(alone: Alone) -> None:
    """A client on another computer sets an output through the broker of the board, over TLS."""
    assert alone.switches("alice", True)
    assert alone.switches("alice", False)


def test_strangers_are_refused(alone: Alone) -> None:
    """Without a certificate, or with one of another site, nobody is a node; without a password, or
    with a wrong one, nobody is a user."""
    site = alone.site
    other = trusting(site, Site.make(alone.machine.folder / "other", [HOST]).enroll("shed"))
    assert is_let_in(alone.user("alice", alone.passwords["alice"]))
    for client in (
        Client(alone.node_port, trusting(site), "shed"),
        Client(alone.node_port, other, "shed"),
        Client(alone.user_port, trusting(site)),
        alone.user("alice", "guess"),
    ):
        assert not is_let_in(client)


def test_its_files_are_the_brokers_alone(alone: Alone) -> None:
    """What was on the card is readable by the broker alone, and no longer on the card; Debian's own
    unit does not start, and ours is not root."""
    shell = alone.machine.shell
    told = shell("stat -c '%a %U' /data/broker /data/broker/server.key /data/broker/data")
    assert told.split("\n")[:3] == ["700 mosquitto", "600 mosquitto", "700 mosquitto"]
    assert alone.machine.read("broker/server.key") == alone.machine.read("broker/passwords") == ""
    assert "masked" in shell("systemctl is-enabled mosquitto || true")
    assert shell(f"stat -c %U /proc/{alone.broker_process()}").strip() == "mosquitto"
    assert "failed" not in shell("systemctl is-failed 'edgekernel*' || true").split()
    print("\n" + shell("systemd-analyze --no-pager security edgekernel-broker | tail -1"))


def test_it_starts_before_the_agent(alone: Alone) -> None:
    """The agent is started when the broker is ready, which it does not require."""
    show = alone.machine.shell
    ready = show("systemctl show -P ActiveEnterTimestampMonotonic edgekernel-broker")
    begun = show("systemctl show -P ExecMainStartTimestampMonotonic edgekernel")
    assert 0 < int(ready) <= int(begun)
    needs = show("systemctl show -P Requires -P BindsTo -P Requisite edgekernel")
    assert "edgekernel-broker" not in needs


def test_it_is_started_again(alone: Alone) -> None:
    """A broker that is killed comes back, and the node on it, without a restart of its agent."""
    with alone.fleet("alice") as fleet:
        before = fleet.info("shed").boot
    number = alone.broker_process()
    alone.machine.shell("systemctl kill --signal=KILL edgekernel-broker")
    until(lambda: alone.broker_process() not in (number, "0"), alone.machine)
    until(lambda: alone.switches("alice", True), alone.machine)
    with alone.fleet("alice") as fleet:
        assert fleet.info("shed").boot == before


def test_a_wrong_folder(alone: Alone) -> None:
    """One that is wrong is told on the console and on the card, and the broker goes on."""
    folder = "/boot/firmware/edgekernel/broker"
    again = "systemctl restart edgekernel-provision"
    alone.machine.shell(f"mkdir {folder}; echo x >{folder}/acl; ! {again} && sync", LONG_S)
    assert "broker/server.key: it is missing" in alone.machine.said()
    assert "broker/server.key: it is missing" in alone.machine.read("BROKER-PROBLEMS.txt")
    alone.machine.shell(f"rm -r {folder} && {again} && sync", LONG_S)
    assert alone.switches("alice", False)


def test_another_visit_of_the_card(alone: Alone) -> None:
    """With the folder put on the card once more a new user is let in, and one that is gone and a
    node that was revoked are not."""
    site, machine = alone.site, alone.machine
    lost = trusting(site, site.enroll("lost"))
    assert is_let_in(Client(alone.node_port, lost, "lost"))
    site.revoke("lost")
    site.remove_user("alice")
    alone.passwords["bob"] = site.add_user("bob", "operator")
    machine.cut_power()
    machine.put_folder(site.broker_folder)
    machine.start()
    until(lambda: alone.switches("bob", True), machine)
    assert not is_let_in(Client(alone.node_port, lost, "lost"))
    assert not is_let_in(alone.user("alice", alone.passwords["alice"]))
