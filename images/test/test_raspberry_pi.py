"""The image on a Raspberry Pi 3B of QEMU: the Pi's own drivers, driven from outside over MQTT."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from edgekernel.mqtt import Fleet
from images.test.conftest import CACHE
from images.test.machine import GUEST_BROKER, is_online, newest, until
from images.test.raspberry_pi import RaspberryPi
from tests.brokers import Mosquitto

NODE = f"""
[node]
name = "pi"
board = "raspberrypi/3b-plus"
app = "pins"
data = "/data/edgekernel/state"

[devices.lamp]
driver = "relay"
pin = "GPIO17"

[devices.clock]
driver = "ds3231"
bus = "i2c1"

[devices.room]
driver = "lm75"
bus = "i2c1"
bits = 12

[devices.relays]
driver = "modbus_rtu"
port = "/dev/ttyAMA0"
parity = "none"
outputs = {{ pump = {{ address = 3, kind = "coil", safe = false }} }}

[mqtt]
host = "{GUEST_BROKER}"
"""
# gpiozero as anybody would use it, in the agent's sandbox.
APP = '''
import subprocess
import sys
from edgekernel import Process, command
from gpiozero import DigitalInputDevice, LED
from gpiozero.pins.lgpio import LGPIOFactory

NODE_FILE = "/data/edgekernel/config/node.toml"
FOUND = "/data/edgekernel/state/found.json"


class Pins(Process):
    """Uses pins by gpiozero, with the factory that it comes with."""

    name = "pins"

    @command
    def look(self, line: int) -> bool:
        """Return the level of an input."""
        factory = LGPIOFactory()
        with DigitalInputDevice(line, pull_up=None, active_state=True, pin_factory=factory) as pin:
            return bool(pin.value)

    @command
    def light(self, line: int) -> str:
        """Switch an LED on and off; say what board gpiozero sees."""
        factory = LGPIOFactory()
        with LED(line, pin_factory=factory) as led:
            led.on()
            on = led.value
            led.off()
            return f"{on} {led.value} {factory.board_info.model}"

    @command
    def examine(self) -> None:
        """Let `edgekernel doctor` begin."""
        doctor = [sys.executable, sys.argv[0], "doctor", NODE_FILE, "--json"]
        with open(FOUND, "w") as said:
            self.doctor = subprocess.Popen(doctor, stdout=said, stderr=subprocess.STDOUT)

    @command
    def found(self) -> dict[str, object]:
        """Return how it has ended, None if it has not, and what it has said."""
        with open(FOUND) as said:
            return {"code": self.doctor.poll(), "said": said.read()}


def setup(runtime):
    runtime.register_process(Pins())
'''


@pytest.fixture(scope="module")
def pi(
    tmp_path_factory: pytest.TempPathFactory, broker: Mosquitto, fleet: Fleet
) -> Iterator[RaspberryPi]:
    """Boot the image with a node; give the computer when the node is there."""
    image = newest(CACHE, "disk") / "sdcard.img"
    made = RaspberryPi(tmp_path_factory.mktemp("pi"), newest(CACHE, "tools"), image, broker)
    try:
        made.put("node.toml", NODE)
        made.put("pins.py", APP)
        made.prepare()
        began = time.monotonic()
        made.start()
        until(lambda: is_online(fleet, "pi"), made, 900)
        print(f"\nfrom the kernel's start to MQTT: {time.monotonic() - began:.0f} s")
        yield made
    finally:
        made.close()


def test_a_line_is_driven(pi: RaspberryPi, fleet: Fleet) -> None:
    """An output switches its line of the header, by lgpio and the Pi's GPIO driver."""
    assert not pi.level(17)
    fleet.set("pi", "lamp/power", True)
    assert pi.level(17)
    fleet.set("pi", "lamp/power", False)
    assert not pi.level(17)


def test_gpiozero(pi: RaspberryPi, fleet: Fleet) -> None:
    """gpiozero works as it comes in the agent's sandbox: it knows the board, switches, and reads
    what is driven from outside."""
    assert fleet.call("pi", "pins.light", {"line": 22}, timeout_s=60) == "1 0 3B"
    for high in (True, False, True):
        pi.drive(27, high)
        assert fleet.call("pi", "pins.look", {"line": 27}, timeout_s=60) is high


@pytest.mark.usefixtures("pi")
def test_the_i2c_bus(fleet: Fleet) -> None:
    """A driver reads a chip that others have modelled, by the Pi's I²C controller: its clock goes
    as that of this computer does."""

    def told() -> datetime:
        return datetime.fromisoformat(str(fleet.get("pi", "clock")["clock"].signals["time"].value))

    first = told()
    end = time.monotonic() + 120
    while (passed := (told() - first).total_seconds()) < 5:
        assert time.monotonic() < end, passed


def test_a_temperature(pi: RaspberryPi, fleet: Fleet) -> None:
    """A temperature that is set from outside is what a driver reads at the Pi's I²C bus, to a
    quarter of a degree and below zero too."""
    for celsius in (37.5, -5.25, 80.0):
        pi.heat(celsius)

        def read(expected: float = celsius) -> bool:
            signal = fleet.get("pi", "room")["room"].signals["temperature"]
            return (signal.value, signal.quality) == (expected, "good")

        until(read, pi, 120)


def test_the_uart(pi: RaspberryPi, fleet: Fleet) -> None:
    """A relay board at the Pi's own UART is switched."""
    fleet.set("pi", "relays/pump", True)
    assert pi.serial.pump
    fleet.set("pi", "relays/pump", False)
    assert not pi.serial.pump


def test_the_doctor(pi: RaspberryPi, fleet: Fleet) -> None:
    """`edgekernel doctor`, as the agent's user and in its sandbox, finds the Pi's own GPIO chip,
    bus and port in order, and says what mends each thing that is not."""
    fleet.call("pi", "pins.examine", timeout_s=60)
    ended: dict[str, Any] = {}

    def has_ended() -> bool:
        ended.update(fleet.call("pi", "pins.found", timeout_s=60))
        return ended["code"] is not None

    until(has_ended, pi)
    found = json.loads(ended["said"])
    for each in found:
        print(f"\n{each['level']:8} {each['subject']}: {each['text']} -> {each['fix']}", end="")
    levels = {each["subject"]: each["level"] for each in found}
    for good in ("GPIO chip pinctrl-bcm2835", "i2c1 (/dev/i2c-1)", "/dev/ttyAMA0", "memory"):
        assert levels[good] == "ok"
    assert levels["hardware watchdog"] == "warning"  # QEMU's is left out
    assert [each for each in found if each["level"] != "ok" and not each["fix"]] == []
    assert "error" not in levels.values()
    assert ended["code"] == 0
