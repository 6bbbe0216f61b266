"""Updates of the image as built: signed, on trial, kept if the node is healthy, else taken back."""

from __future__ import annotations

import base64
import shutil
import time
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from edgekernel.cli import main
from edgekernel.cli.exits import Exit
from edgekernel.mqtt import Fleet, RequestRefusedError
from edgekernel.mqtt.fleet import NodeUpdate
from images.test.conftest import CACHE
from images.test.downloads import giving_out
from images.test.machine import (
    GUEST_BROKER,
    GUEST_DOWNLOADS,
    OFFSET,
    Machine,
    is_online,
    newest,
    until,
)
from tests.brokers import HOST, Mosquitto

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

[update]
remote = true
healthy_for = "10s"
limit = "15min"
max_starts = 3

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
BUNDLE = "/mnt/update.raucb"
DOWNLOAD = f"http://{GUEST_DOWNLOADS}/update.raucb"
UNHEALTHY = "[Service]\nExecStart=\nExecStart=/bin/false\nExecStopPost=\n"
# What the unit of the agent allows is meant for a board: emulated, beside other work, it is slower.
PATIENT = "[Service]\nTimeoutStartSec=900\nTimeoutStopSec=300\nWatchdogSec=300\n"


@pytest.fixture(scope="module", autouse=True)
def booted(machine: Machine, fleet: Fleet) -> Iterator[None]:
    """Boot the image with a node, a shell, a stick with updates, and one behind an address."""
    machine.put("node.toml", NODE)
    allow_shell(machine)
    bundle = machine.folder / "update.raucb"
    shutil.copy(newest(CACHE, "bundle") / "update.raucb", bundle)
    machine.in_tools(FOREIGN)
    machine.plug_in(bundle, machine.folder / "foreign.raucb")
    with giving_out(bundle.parent) as port:
        machine.let_download(port)
        machine.start()
        until(lambda: is_online(fleet, "updated"), machine)
        mount_stick(machine)
        yield


def allow_shell(machine: Machine) -> None:
    """Let it start with a shell; and with a drop-in for the agent's unit, in both slots and at each
    start: a credential on the kernel's command line (systemd-debug-generator(8))."""
    drop_in = base64.b64encode(PATIENT.encode()).decode()
    name = "systemd.unit-dropin.edgekernel.service"
    arguments = f"systemd.debug_shell=hvc0 systemd.set_credential_binary={name}:{drop_in}"
    (machine.folder / "variables").write_text(f"extra_args={arguments}\n")
    machine.in_tools(
        "mkenvimage -s 0x4000 -o uboot.env variables\n"
        f"mcopy -o -i {machine.inside(machine.card)}@@{OFFSET} uboot.env ::uboot.env"
    )


def mount_stick(machine: Machine) -> None:
    """Let the bundles on the stick be there."""
    machine.shell("mountpoint -q /mnt || mount -o ro /dev/disk/by-label/STICK /mnt")


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


def test_by_a_stranger(machine: Machine, fleet: Fleet) -> None:
    """A bundle that a stranger has signed is refused in RAUC's own words, and changes nothing."""
    with pytest.raises(RequestRefusedError, match="signature verification failed") as caught:
        fleet.update("updated", "/mnt/foreign.raucb", wait_s=300)
    assert caught.value.code == "refused"
    assert "BOOT_ORDER=A B" in machine.shell("fw_printenv")


def test_kept(machine: Machine, fleet: Fleet, broker: Mosquitto) -> None:
    """An update behind an address, asked for over MQTT, waits until the node is free, runs in the
    other slot on trial, and is kept when its node was healthy: the command ends with 0 then. What
    the node keeps is still there, its outputs are safe, and it knows why it was started."""
    fleet.set("updated", "relays/pump", True)
    fleet.hold_busy("updated", "a pump runs", 15)
    began = time.monotonic()
    update = ["update", "updated", "--bundle", DOWNLOAD, "--wait"]
    link = ["--host", HOST, "--port", str(broker.port), "--timeout", "30"]
    done = CliRunner().invoke(main, ["ctl", *link, *update], catch_exceptions=False)
    print(f"\nkept after {time.monotonic() - began:.0f} s\n{done.output}")
    assert done.exit_code == Exit.DONE, machine.said()[-4000:]
    for each in ("waiting", "a pump runs", "installing", "trial"):
        assert each in done.stderr
    assert "confirmed" in done.stdout
    assert "edgekernel: slot B is good" in machine.said()
    assert running(machine) == "B"
    assert "BOOT_B_LEFT=3" in machine.shell("fw_printenv")
    assert not machine.serial.pump
    info = fleet.info("updated")
    assert (info.restart_cause, info.update is not None) == ("update", True)
    assert info.restart_detail.endswith("in slot B")


def test_unhealthy(machine: Machine, fleet: Fleet) -> None:
    """An update whose agent does not start is given up after a few starts, the slot before it runs
    again, and who asked for it is told why."""
    mount_stick(machine)
    before = running(machine)
    other = "B" if before == "A" else "A"
    seen: list[str] = []

    def told(found: NodeUpdate) -> None:
        """Break the other slot after it was written and before it is started."""
        seen.append(found.phase)
        if seen.count("installing") == 1 and found.phase == "installing":
            fleet.hold_busy("updated", "a hand is in the machine", 600)
        elif seen.count("waiting") == 1 and found.phase == "waiting":
            break_slot(machine, other)
            fleet.release_busy("updated")

    with pytest.raises(RequestRefusedError, match="starts: the agent was started") as caught:
        fleet.update("updated", BUNDLE, wait_s=1500, told=told)
    assert caught.value.code == "fell_back"
    told_of = [each for each in dict.fromkeys(seen) if each not in ("asked", "installed")]
    told_of = [each for each in told_of if each != "rebooting"]
    assert told_of == ["installing", "waiting", "fell_back"]
    assert f"edgekernel: the update in slot {other} is given up" in machine.said()
    assert running(machine) == before
    until(lambda: is_online(fleet, "updated"), machine)
    info = fleet.info("updated")
    assert info.restart_cause == "update"
    assert f"fell back from 0.1.0 in slot {other}: starts:" in info.restart_detail


def break_slot(machine: Machine, slot: str) -> None:
    """Let the agent in a slot that does not run end as soon as it starts."""
    folder = "/run/other/etc/systemd/system/edgekernel.service.d"
    machine.shell(f"mkdir -p /run/other; mount /dev/disk/by-partuuid/{PARTS[slot]} /run/other")
    machine.shell(f"mkdir {folder}; printf '{UNHEALTHY}' >{folder}/broken.conf; umount /run/other")


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
