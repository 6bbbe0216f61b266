"""Updates of the image as built: signed, on trial, kept if the node is healthy, else taken back."""

from __future__ import annotations

import shutil
import time

import pytest

from edgekernel.mqtt import Fleet
from images.test.conftest import CACHE
from images.test.machine import GUEST_BROKER, Machine, is_online, newest, until

NODE = f"""
[node]
name = "updated"
board = "raspberrypi/4b"
data = "/data/edgekernel/state"

[devices.relays]
driver = "modbus_rtu"
port = "/dev/ttyUSB0"
parity = "none"
outputs = {{ pump = {{ address = 3, kind = "coil", safe = false }} }}

[mqtt]
host = "{GUEST_BROKER}"
"""
# Signed by somebody whom the image does not know.
FOREIGN = """
mkdir foreign
head -c 1M /dev/urandom >foreign/root.ext4
printf '[update]\\ncompatible=edgekernel-arm64\\nversion=6\\n[bundle]\\nformat=verity\\n' \
    >foreign/manifest.raucm
printf '[image.root]\\nfilename=root.ext4\\n' >>foreign/manifest.raucm
openssl req -x509 -newkey rsa:2048 -nodes -batch -subj /CN=somebody -keyout f.key -out f.pem
rauc --cert=f.pem --key=f.key bundle foreign foreign.raucb
"""
PARTS = {"A": "edce2026-02", "B": "edce2026-03"}
SHORT = "EDGEKERNEL_HEALTHY_FOR_S=10\nEDGEKERNEL_TRIAL_LIMIT_S=60\n"
UNHEALTHY = "[Service]\nExecStart=\nExecStart=/bin/false\n"


@pytest.fixture(scope="module", autouse=True)
def booted(machine: Machine, fleet: Fleet) -> None:
    """Boot the image with a node, a shell, and a stick with updates; times of trials are short."""
    machine.put("node.toml", NODE)
    machine.allow_shell()
    bundle = machine.folder / "update.raucb"
    shutil.copy(newest(CACHE, "bundle") / "update.raucb", bundle)
    machine.in_tools(FOREIGN)
    machine.plug_in(bundle, machine.folder / "foreign.raucb")
    machine.start()
    until(lambda: is_online(fleet, "updated"), machine)
    machine.shell(f"printf '{SHORT}' >/data/edgekernel/confirm.env; sync")
    machine.shell("mount -o ro /dev/disk/by-label/STICK /mnt")


def running(machine: Machine) -> str:
    """Return the slot that runs."""
    return machine.shell("cat /proc/cmdline").partition("rauc.slot=")[2][0]


def restart(machine: Machine, last: str) -> str:
    """Start the machine anew; return what its console says until `last` is said."""
    seen = len(machine.said())
    began = time.monotonic()
    machine.shell("sync; systemctl reboot")
    until(lambda: last in machine.said()[seen:], machine)
    print(f"\n{last!r} after {time.monotonic() - began:.0f} s")
    return machine.said()[seen:]


def install(machine: Machine) -> None:
    """Let RAUC write the bundle on the stick into the other slot."""
    began = time.monotonic()
    machine.shell("mountpoint -q /mnt || mount -o ro /dev/disk/by-label/STICK /mnt")
    machine.shell("rauc install /mnt/update.raucb", 400)
    print(f"\ninstalled in {time.monotonic() - began:.0f} s")


def test_by_a_stranger(machine: Machine) -> None:
    """A bundle that a stranger has signed is refused, and changes nothing."""
    said = machine.shell("! rauc install /mnt/foreign.raucb")
    assert "signature verification failed" in said
    assert "BOOT_ORDER=A B" in machine.shell("fw_printenv")


def test_kept(machine: Machine, fleet: Fleet) -> None:
    """An update runs in the other slot on trial, and is kept when its node was healthy; what the
    node keeps is still there, and its outputs are safe."""
    fleet.set("updated", "relays/pump", True)
    install(machine)
    said = restart(machine, "edgekernel: slot B is good")
    assert "edgekernel: slot B is on trial" in said
    assert running(machine) == "B"
    assert "BOOT_B_LEFT=3" in machine.shell("fw_printenv")
    until(lambda: is_online(fleet, "updated"), machine)
    assert not machine.serial.pump
    assert fleet.info("updated").restart_cause != "first"


def test_unhealthy(machine: Machine, fleet: Fleet) -> None:
    """An update whose agent does not start is given up, and the slot before it runs again."""
    before = running(machine)
    other = "B" if before == "A" else "A"
    install(machine)
    folder = "/run/other/etc/systemd/system/edgekernel.service.d"
    machine.shell(f"mkdir /run/other; mount /dev/disk/by-partuuid/{PARTS[other]} /run/other")
    machine.shell(f"mkdir {folder}; printf '{UNHEALTHY}' >{folder}/broken.conf; umount /run/other")
    said = restart(machine, f"edgekernel: slot {before} is good")
    assert f"edgekernel: slot {other} is on trial" in said
    assert f"edgekernel: the update in slot {other} is given up" in said
    assert running(machine) == before
    until(lambda: is_online(fleet, "updated"), machine)


def test_damaged(machine: Machine, fleet: Fleet) -> None:
    """A slot of which nothing is left uses up its tries, and then the other one runs again."""
    before = running(machine)
    other = "B" if before == "A" else "A"
    machine.shell(f"dd if=/dev/zero of=/dev/disk/by-partuuid/{PARTS[other]} bs=1M count=8")
    machine.shell("rauc status mark-active other")
    said = restart(machine, f"edgekernel: slot {before} is good")
    assert said.count(f"edgekernel: slot {other} does not boot") == 3
    assert running(machine) == before
    until(lambda: is_online(fleet, "updated"), machine)
