"""The first start of a card that is larger than the image, with network settings on it."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekernel.mqtt import Fleet
from edgekernel.platform.data_partition import grow_partition
from images.test.conftest import CACHE
from images.test.crash_points import Disk, partition, read
from images.test.machine import GUEST_BROKER, Machine, Unwatched, is_online, newest, until
from tests.brokers import Mosquitto

NODE = f"""
[node]
name = "first"
board = "raspberrypi/4b"

[mqtt]
host = "{GUEST_BROKER}"
"""
# 10.0.2.0/24 is the network of QEMU's guest; DHCP would tell 10.0.2.15.
FIXED = """
hostname = "shed-1"
[ethernet]
address = "10.0.2.77/24"
gateway = "10.0.2.2"
dns = "10.0.2.3"
[time]
servers = ["ntp.example.org"]
"""
WIFI = """
[wifi]
ssid = "plänt"
passphrase = "correct horse battery"
country = "DE"
address = "192.168.77.2/24"
"""
# The other radio of the two that the kernel simulates: an access point.
ACCESS_POINT = r"""
systemctl mask --runtime edgekernel-wifi@wlan1
modprobe mac80211_hwsim radios=2
udevadm settle
printf 'country=DE\nnetwork={\nssid="pl\303\244nt"\nmode=2\nfrequency=2437\n' >/run/point.conf
printf 'key_mgmt=WPA-PSK\nproto=RSN\npairwise=CCMP\n' >>/run/point.conf
printf 'psk="correct horse battery"\n}\n' >>/run/point.conf
systemd-run --unit=point wpa_supplicant -iwlan1 -Dnl80211 -c/run/point.conf
""".strip()
NETWORK = FIXED + WIFI
WRONG = FIXED.replace("/24", "")
CARD = 3 * 2**30
START_LIMIT_S = 1000.0
"""Emulated, with other work beside it."""
POINTS = 30
DATA = 4
MIB = 2**20


def new_machine(folder: Path, broker: Mosquitto, size: int) -> Unwatched:
    """Return a computer with a node on a card of this size, which has never been started."""
    image = newest(CACHE, "disk") / "sdcard.img"
    made = Unwatched(folder, newest(CACHE, "tools"), image, broker)
    os.truncate(made.card, size)
    made.put("node.toml", NODE)
    made.allow_shell()
    return made


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, broker: Mosquitto) -> Iterator[Machine]:
    """Give a computer at its first start on a larger card, with every write to it logged."""
    made = new_machine(tmp_path_factory.mktemp("first"), broker, CARD)
    try:
        made.put("network.toml", NETWORK)
        assert made.holds(NETWORK[-80:])
        shutil.copy(made.card, made.folder / "before.img")
        made.start(log_writes=True)
        yield made
    finally:
        made.close()


def slots(card: Path) -> str:
    """Return a hash of both root slots."""
    digest = hashlib.sha256()
    for number in (2, 3):
        begin, size = partition(card, number)
        with card.open("rb") as file:
            file.seek(begin)
            digest.update(file.read(size))
    return digest.hexdigest()


def grown(machine: Machine) -> int:
    """Return the size of the file system of the data partition in MiB, as the guest sees it."""
    return int(machine.shell("findmnt -bno SIZE /data").split()[-1]) // MIB


def addresses(machine: Machine) -> list[str]:
    """Return the addresses of its interfaces, with the lengths of their networks."""
    said = machine.shell("ip -c=never -4 -o address show scope global")
    return re.findall(r"inet (\S+)", said)


def ready(machine: Machine, fleet: Fleet) -> None:
    """Wait until its node is there, and what a start does is done."""
    until(lambda: is_online(fleet, "first"), machine, START_LIMIT_S)
    ask = "systemctl is-active edgekernel-grow || true"
    ended = {"active", "failed"}
    until(lambda: bool(ended & set(machine.shell(ask).split())), machine, START_LIMIT_S)
    assert "active" in machine.shell(ask).split()


def test_a_larger_card(first: Machine, fleet: Fleet) -> None:
    """At the first start the data partition takes all of the card."""
    ready(first, fleet)
    assert "takes the rest of it now" in first.said()
    assert grown(first) > (CARD - partition(first.card, DATA)[0]) // MIB * 0.95


def test_the_network(first: Machine) -> None:
    """The computer has the address and the name that the card says, and its time servers; what was
    on the card is root's alone, and no longer there, nor between the files of its file system."""
    assert addresses(first) == ["10.0.2.77/24"]
    assert first.shell("uname -n").strip().endswith("shed-1")
    assert "ntp.example.org" in first.shell("cat /run/systemd/netif/links/*")
    assert first.read("network.toml") == ""
    assert not first.holds(NETWORK[-80:])
    assert "600 root root" in first.shell("stat -c '%a %U %G' /data/network/network.toml")
    assert "failed" not in first.shell("systemctl is-failed 'edgekernel-*' || true").split()


def test_wifi(first: Machine, fleet: Fleet) -> None:
    """A simulated radio joins a simulated network by the passphrase on the card, with the address
    that was set, and nobody can talk to its daemon."""
    ready(first, fleet)
    first.shell(ACCESS_POINT)
    until(lambda: first.shell("cat /sys/class/net/wlan0/operstate").split()[-1] == "up", first)
    until(lambda: "192.168.77.2/24" in addresses(first), first)
    assert "correct horse" not in first.shell("grep -r horse /run/edgekernel-network || true")
    assert first.shell("test ! -e /run/wpa_supplicant && echo absent").split()[-1] == "absent"
    assert "inactive" in first.shell("systemctl is-active wpa_supplicant || true")
    print("\n" + first.shell("systemd-analyze --no-pager security edgekernel-wifi@wlan0 | tail -1"))


def test_every_crash_point(first: Machine, fleet: Fleet) -> None:
    """At every moment of that start the partition table was the old or the new one, and the file
    system was whole in either, or repairs itself from its journal; the slots are as they were."""
    time.sleep(6)  # the file system commits every 5 s
    first.cut_power()
    until(lambda: not is_online(fleet, "first"), first)
    assert slots(first.card) == slots(first.folder / "before.img")
    begin, _ = partition(first.card, DATA)
    replay = Replay(first, begin)
    sizes = replay.points(random.Random(4))
    print(f"\n{POINTS} crash points: the partition has {sorted(set(sizes))} MiB")
    assert len(set(sizes)) == 2
    replay.whole(max(sizes))
    with pytest.raises(AssertionError, match="e2fsck"):  # as it would be in the other order
        replay.whole(min(sizes))


def test_the_power_went_between_the_steps(tmp_path: Path, broker: Mosquitto, fleet: Fleet) -> None:
    """A card whose partition has grown and whose file system has not is finished at its next start;
    network settings that are wrong at the very first one leave Ethernet with DHCP."""
    machine = new_machine(tmp_path, broker, CARD)
    try:
        assert grow_partition(machine.card, DATA)
        machine.put("network.toml", WRONG)
        machine.start()
        ready(machine, fleet)
        assert grown(machine) > (CARD - partition(machine.card, DATA)[0]) // MIB * 0.95
        assert "takes the rest of it now" not in machine.said()
        assert addresses(machine) == ["10.0.2.15/24"]
        assert 'ethernet.address: "10.0.2.77"' in machine.read("NETWORK-PROBLEMS.txt")
        assert 'ethernet.address: "10.0.2.77"' in machine.said()
    finally:
        machine.close()
    until(lambda: not is_online(fleet, "first"), machine)


def test_the_next_start(first: Machine, fleet: Fleet) -> None:
    """At the next start nothing is left to grow; wrong network settings are told, and those before
    them go on."""
    first.put("network.toml", WRONG)
    first.start()
    ready(first, fleet)
    assert "takes the rest of it now" not in first.said()
    assert addresses(first) == ["10.0.2.77/24"]
    assert 'ethernet.address: "10.0.2.77"' in first.read("NETWORK-PROBLEMS.txt")
    assert 'ethernet.address: "10.0.2.77"' in first.said()


class Replay:
    """The first start once more, stopped at random moments."""

    def __init__(self, machine: Machine, begin: int) -> None:
        self._machine = machine
        self._writes = list(read(machine.writes))
        self._table = Disk(machine.folder / "table", 0, 512)
        self._data = Disk(machine.folder / "data", begin, CARD - begin)
        for disk in (self._table, self._data):
            copy = ("dd", f"if={machine.folder / 'before.img'}", f"of={disk.file}", "bs=1M")
            place = (f"skip={disk.begin}", f"count={disk.size}", "iflag=skip_bytes,count_bytes")
            subprocess.run([*copy, *place, "conv=sparse"], check=True, capture_output=True)

    def points(self, chance: random.Random) -> list[int]:
        """Return the size of the partition in MiB at so many moments, half of them about the
        change of the table. Fails if something is wrong then."""
        changed = next(at for at, write in enumerate(self._writes)
                       if write.data and write.offset < 512)  # fmt: skip
        around = range(changed, min(changed + 60, len(self._writes)))
        moments = sorted(chance.sample(range(len(self._writes)), POINTS // 2)
                         + chance.sample(around, POINTS // 2))  # fmt: skip
        sizes, done = [], 0
        for moment in moments:
            for write in self._writes[done:moment]:
                self._table.take(write)
                self._data.take(write)
            done = moment
            sizes.append(self._look(chance))
        return sizes

    def _look(self, chance: random.Random) -> int:
        for disk in (self._table, self._data):
            copy = disk.file.with_suffix(".copy")
            subprocess.run(["cp", "--sparse=always", disk.file, copy], check=True)
            disk.crash(copy, chance)
        begin, size = partition(self._machine.folder / "table.copy", DATA)
        assert begin == self._data.begin
        self.whole(size // MIB)
        return size // MIB

    def whole(self, mib: int) -> None:
        """Fail if the file system is not whole, and does not mend itself, in so many MiB."""
        self._machine.in_tools(
            f"truncate -s {mib}M data.copy\ne2fsck -fp data.copy >fsck.log || test $? = 1"
        )
