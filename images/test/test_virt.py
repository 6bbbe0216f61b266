"""The image as built, booted through U-Boot in QEMU and driven from outside over MQTT."""

from __future__ import annotations

import ipaddress
import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgekernel.cli import main
from edgekernel.mqtt import Fleet
from edgekernel.mqtt.fleet import NoAnswerError
from images.build.rootfs import read_list
from images.test.machine import GUEST_BROKER, Machine, alone, is_online, until
from tests.brokers import HOST, Mosquitto

NODE = f"""
[node]
name = "pump-house"
board = "raspberrypi/4b"
app = "pumping"
data = "/data/edgekernel/state"

[devices.relays]
driver = "modbus_rtu"
port = "/dev/ttyUSB0"
parity = "none"
outputs = {{ pump = {{ address = 3, kind = "coil", safe = false }} }}

[update]
remote = true

[mqtt]
host = "{GUEST_BROKER}"
"""
APP = '''
import os
import signal
from edgekernel import Process, command


class Pumping(Process):
    """Ends the agent when asked to, as a crash would."""

    name = "pumping"

    @command
    def die(self) -> None:
        """End the agent without a word."""
        os.kill(os.getpid(), signal.SIGKILL)

    @command
    def freeze(self) -> None:
        """Let nothing of the agent move any more."""
        os.kill(os.getpid(), signal.SIGSTOP)

    @command
    def eat(self) -> None:
        """Take memory until the kernel takes the agent."""
        taken = []
        while True:
            taken.append(b"x" * 2**24)


def setup(runtime):
    runtime.register_process(Pumping())
'''
SECRET = "a password that is on the card at first"
MASKED = Path(__file__).parents[1] / "units-masked.txt"
DHCP = (68, 546)
"""The ports of its clients, which answer to nobody (RFC 2131, RFC 8415)."""


@pytest.fixture(scope="module")
def booted(machine: Machine, fleet: Fleet) -> Machine:
    """Boot the image with a configuration on the card; give the machine when its node is there."""
    machine.put("node.toml", NODE)
    machine.put("pumping.py", APP)
    machine.put("password", SECRET)
    assert machine.holds(SECRET)
    machine.allow_shell()
    began = time.monotonic()
    machine.start()
    until(lambda: is_online(fleet, "pump-house"), machine)
    print(f"\nfrom power on to the first message over MQTT: {time.monotonic() - began:.0f} s")
    return machine


@pytest.mark.usefixtures("booted")
def test_it_is_driven_from_outside(machine: Machine, fleet: Fleet) -> None:
    """A command over MQTT switches a relay behind a USB adapter, by the kernel's own driver."""
    began = time.monotonic()
    fleet.set("pump-house", "relays/pump", True)
    assert machine.serial.pump
    print(f"\na set over MQTT, on the line and back: {(time.monotonic() - began) * 1000:.0f} ms")
    fleet.set("pump-house", "relays/pump", False)
    assert not machine.serial.pump


@pytest.mark.usefixtures("booted")
def test_the_card_is_clean(machine: Machine, fleet: Fleet) -> None:
    """What was on the card's first partition is in use, and no longer there, nor between the files
    of its file system."""
    assert fleet.info("pump-house").restart_cause == "first"
    assert "pump-house runs with this configuration" in machine.read("APPLIED.txt")
    names = ("node.toml", "pumping.py", "password")
    assert [machine.read(name) for name in names] == ["", "", ""]
    assert [machine.holds(text) for text in (SECRET, APP[-80:])] == [False, False]


@pytest.mark.usefixtures("booted")
def test_nobody_gets_in(machine: Machine) -> None:
    """No account has a password, no login waits anywhere, what is masked stays so, and nothing but
    the computer itself reaches a port that listens: ssh least of all."""
    passwords = [line.split(":")[1] for line in machine.shell("cat /etc/shadow").splitlines()]
    assert passwords
    assert {each[:1] for each in passwords} <= {"*", "!"}
    logins = machine.shell("cat /proc/[0-9]*/comm 2>/dev/null || true").split()
    assert "systemd" in logins
    assert not {"agetty", "getty", "login", "sshd"}.intersection(logins)
    masked = read_list(MASKED)
    assert machine.shell(f"systemctl is-enabled {' '.join(masked)} || true").split() == [
        "masked" for _ in masked
    ]
    reached = [each for each in listening(machine) if not each[1].is_loopback]
    assert [each for each in reached if each[0] == "tcp"] == []
    assert {port for _, _, port in reached} <= set(DHCP)


def listening(machine: Machine) -> list[tuple[str, Any, int]]:
    """Return protocol, address and port of each socket that waits for others (ss(8))."""
    found = []
    for line in machine.shell("ss -Hltun").splitlines():
        protocol, _, _, _, local = line.split()[:5]
        address, _, port = local.rpartition(":")
        plain = address.strip("[]").partition("%")[0].replace("*", "::")
        found.append((protocol, ipaddress.ip_address(plain), int(port)))
    assert found, "systemd-resolved listens at least"
    return found


@pytest.mark.usefixtures("booted")
def test_the_time_is_kept(machine: Machine) -> None:
    """A service that takes the time from the network runs."""
    assert machine.shell("systemctl is-active systemd-timesyncd").strip() == "active"


@pytest.mark.usefixtures("booted")
def test_the_doctor(machine: Machine) -> None:
    """`edgekernel doctor`, as the agent's user, finds what the node needs in order, and says what
    mends what is not; of a board that this computer is not it misses the GPIO chip, and fails."""
    code, found = examined(machine, "/data/edgekernel/config/node.toml")
    levels = {each["subject"]: each["level"] for each in found}
    for good in ("/dev/ttyUSB0", "disk (/data/edgekernel/state)", "memory", "hardware watchdog"):
        assert levels[good] == "ok"
    assert levels["board"] == "warning"
    assert code == 0
    code, found = examined(machine, "--board raspberrypi/4b")
    errors = [each["subject"] for each in found if each["level"] == "error"]
    assert (errors, code) == (["GPIO chip pinctrl-bcm2711"], 1)


def examined(machine: Machine, arguments: str) -> tuple[int, list[dict[str, str]]]:
    """Return the exit code of `edgekernel doctor` and its findings, of which each has its fix."""
    command = f"runuser -u edgekernel -- edgekernel doctor {arguments} --json"
    text, _, code = machine.shell(f"{command}; echo $?", 600).strip().rpartition("\n")
    found = json.loads(text)
    print(f"\ndoctor {arguments}: ends with {code}")
    for each in found:
        print(f"  {each['level']:8} {each['subject']}: {each['text']} -> {each['fix'] or '-'}")
    assert [each for each in found if each["level"] != "ok" and not each["fix"]] == []
    assert int(code) == any(each["level"] == "error" for each in found)
    return int(code), found


@pytest.mark.usefixtures("booted")
def test_an_operator_restarts_it(machine: Machine, fleet: Fleet, broker: Mosquitto) -> None:
    """`ctl restart` lets the agent end with its output safe, and the new one knows who wanted it,
    and why."""
    before = fleet.info("pump-house").boot
    fleet.set("pump-house", "relays/pump", True)
    link = ["--host", HOST, "--port", str(broker.port), "--timeout", "30"]
    restart = ["restart", "pump-house", "--reason", "a new cable"]
    done = CliRunner().invoke(main, ["ctl", *link, *restart], catch_exceptions=False)
    assert (done.exit_code, "restarts" in done.stdout) == (0, True), done.output
    until(lambda: fleet.info("pump-house").boot != before, machine)
    info = fleet.info("pump-house")
    assert info.restart_cause == "operator"
    assert info.restart_detail.endswith("a new cable")
    assert not machine.serial.pump
    until(lambda: is_online(fleet, "pump-house"), machine)


@pytest.mark.usefixtures("booted")
@pytest.mark.parametrize(
    ("how", "cause"), [("die", "killed"), ("freeze", "watchdog"), ("eat", "out-of-memory")]
)
def test_a_dead_agent_leaves_it_safe(machine: Machine, fleet: Fleet, how: str, cause: str) -> None:
    """P8: the agent is killed in the guest, freezes there and is ended by its watchdog, or has its
    memory used up: the pump goes off while there is no agent, and a new one knows why."""
    before = fleet.info("pump-house").boot
    with alone(machine):
        fleet.set("pump-house", "relays/pump", True)
        since = time.monotonic()
        with pytest.raises(NoAnswerError):
            fleet.call("pump-house", f"pumping.{how}")
        until(lambda: not machine.serial.pump, machine)
        off = next(when for when, on in machine.serial.changes if not on and when >= since)
        print(f"\n{how} in the guest: safe after {off - since:.1f} s")
        assert fleet.info("pump-house").boot == before
    until(lambda: fleet.info("pump-house").boot != before, machine)
    assert fleet.info("pump-house").restart_cause == cause
    until(lambda: is_online(fleet, "pump-house"), machine)


@pytest.mark.usefixtures("booted")
def test_the_watchdog_is_armed(machine: Machine) -> None:
    """systemd has the computer's watchdog open and feeds it."""
    folder = "/sys/class/watchdog/watchdog0"
    told = machine.shell(f"cat {folder}/identity {folder}/state {folder}/timeout").split("\n")
    assert told[:3] == ["i6300ESB timer", "active", "15"]
    assert "/dev/watchdog0" in machine.shell("readlink /proc/1/fd/*")
    assert machine.shell("systemctl show -P RuntimeWatchdogUSec").strip() == "15s"


@pytest.mark.usefixtures("booted")
@pytest.mark.parametrize(
    "hang",
    [
        "echo 0 >/proc/sys/kernel/panic; echo c >/proc/sysrq-trigger",
        "echo 1 >/sys/fs/cgroup/init.scope/cgroup.freeze",
    ],
    ids=["kernel", "systemd"],
)
def test_a_hung_computer_comes_back(machine: Machine, fleet: Fleet, hang: str) -> None:
    """If the kernel or systemd does not move any more, the watchdog resets the computer; its node
    comes back by itself, with its output safe, and knows why. (A kernel that panics restarts by
    itself, which is switched off here.)"""
    fleet.set("pump-house", "relays/pump", True)
    before, seen = fleet.info("pump-house").boot, len(machine.said())
    machine.shell(f"sync; echo 1 >/proc/sys/kernel/sysrq; (sleep 1; {hang}) >/dev/null 2>&1 &")
    since = time.monotonic()
    until(lambda: "U-Boot 20" in machine.said()[seen:], machine, 120)
    print(f"\nreset {time.monotonic() - since:.0f} s after it hung", end="")
    until(lambda: not machine.serial.pump, machine)
    print(f", safe after {time.monotonic() - since:.0f} s", end="")
    until(lambda: fleet.info("pump-house").boot != before, machine)
    print(f", back after {time.monotonic() - since:.0f} s")
    assert fleet.info("pump-house").restart_cause == "watchdog"


@pytest.mark.usefixtures("booted")
def test_a_wrong_configuration(machine: Machine, fleet: Fleet) -> None:
    """One that is wrong is told on the console and on the card, and the one before it goes on."""
    machine.cut_power()
    until(lambda: not is_online(fleet, "pump-house"), machine)
    machine.put("node.toml", NODE.replace("parity", "paritty"))
    machine.start()
    until(lambda: is_online(fleet, "pump-house"), machine)
    assert fleet.info("pump-house").restart_cause == "power-loss"
    assert "paritty" in machine.read("PROBLEMS.txt")
    assert "paritty" in machine.said()
    fleet.set("pump-house", "relays/pump", True)
    assert machine.serial.pump


@pytest.mark.usefixtures("booted")
def test_a_damaged_configuration(machine: Machine, fleet: Fleet) -> None:
    """If the node file on the data partition is damaged, the node comes up with its last good
    configuration, its memory with it, and says so over MQTT, on the console and on the card."""
    kept = "grep -q '\"good\": {' /data/edgekernel/state/config.json && echo kept || echo not yet"
    until(lambda: machine.shell(kept).split() == ["kept"], machine)
    node = "/data/edgekernel/config/node.toml"
    machine.shell(f"dd if=/dev/urandom of={node} bs=700 count=1 && sync")
    machine.cut_power()
    until(lambda: not is_online(fleet, "pump-house"), machine)
    machine.remove("node.toml")  # the wrong one
    machine.remove("PROBLEMS.txt")
    machine.start()
    until(lambda: is_online(fleet, "pump-house"), machine)
    until(lambda: fleet.reported("pump-house").source == "last good", machine)
    assert fleet.info("pump-house").restart_cause == "power-loss"
    assert "the node starts with its last good configuration" in machine.said()
    assert "is damaged: put it here again" in machine.read("PROBLEMS.txt")
    fleet.set("pump-house", "relays/pump", True)
    assert machine.serial.pump
