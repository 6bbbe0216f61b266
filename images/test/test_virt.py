"""The image as built, booted through U-Boot in QEMU and driven from outside over MQTT."""

from __future__ import annotations

import time

import pytest

from edgekernel.mqtt import Fleet
from edgekernel.mqtt.fleet import NoAnswerError
from images.test.machine import GUEST_BROKER, Machine, is_online, until

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
@pytest.mark.parametrize(
    ("how", "cause"), [("die", "killed"), ("freeze", "watchdog"), ("eat", "out-of-memory")]
)
def test_a_dead_agent_leaves_it_safe(machine: Machine, fleet: Fleet, how: str, cause: str) -> None:
    """P8: the agent is killed in the guest, freezes there and is ended by its watchdog, or has its
    memory used up: the pump goes off, and a new agent knows why."""
    before = fleet.info("pump-house").boot
    fleet.set("pump-house", "relays/pump", True)
    since = time.monotonic()
    with pytest.raises(NoAnswerError):
        fleet.call("pump-house", f"pumping.{how}")
    until(lambda: not machine.serial.pump, machine)
    off = next(when for when, on in machine.serial.changes if not on and when >= since)
    print(f"\n{how} in the guest: safe after {off - since:.1f} s")
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
