"""Pain 18: a USB serial adapter is unplugged and comes back under another number, and the program
has to be restarted.

pyserial/pyserial#558, #331, PR#506, PR#534; rwaldron/johnny-five#649, #1546, #617;
enesbcs/rpieasy#187.
"""

from __future__ import annotations

import fcntl
import os
import sys
import termios
import time
import tty
from collections.abc import Iterator
from functools import reduce
from itertools import groupby
from operator import xor
from pathlib import Path

import pytest

from edgekernel import Effect, Event, Message, Quality, Runtime, message
from edgekernel.backends.linux import LinuxBackend
from edgekernel.sim import SimClock
from tests.pains.conftest import MakeLinuxNode, MakeNode
from tests.pains.parts import Thermostat

FULL = 2048
"""So much fits into any port."""
LIMIT_S = 60.0
NAME = "usb-FTDI_FT232R_A50285BI-if00-port0"
SCALE = """
[devices.scale]
driver = "line_sensor"
port = "{port}"
pattern = '(?P<mass>[0-9.]+) kg'
readings = {{ mass = {{ unit = "kg", range = [0, 1000] }} }}
"""
HEATER = """
[devices.heater]
driver = "modbus_rtu"
port = "uart0"

[devices.heater.outputs]
power = { address = 3, kind = "coil", safe = false }

[devices.room]
driver = "ds18b20"
bus = "w1"
"""
GPS = """
[devices.boat]
driver = "gps"
port = "{port}"
"""


class Adapter:
    """A USB adapter: a pseudo-terminal, and the stable name that udev gives it."""

    def __init__(self, folder: Path) -> None:
        self.by_id = folder / "by-id" / NAME
        self.by_id.parent.mkdir()
        self._files = list(os.openpty())

    def plug_in(self) -> str:
        """Appear; return the device file."""
        tty.setraw(self._files[1])
        device = os.ttyname(self._files[1])
        self.by_id.symlink_to(device)
        return device

    def pull_out(self) -> None:
        """Vanish, name and all; the number is another one the next time."""
        self.by_id.unlink()
        others = list(os.openpty())
        while self._files:
            os.close(self._files.pop())
        self._files = others

    def send(self, data: bytes) -> None:
        """Send what the sensor says; return when the port has it, or is full."""
        arrived = min(self._waiting() + len(data), FULL)
        os.write(self._files[0], data)
        end = time.monotonic() + LIMIT_S
        while self._waiting() < arrived:  # the kernel takes its time, simulated time does not
            assert time.monotonic() < end

    def _waiting(self) -> int:
        """How many bytes nobody has read."""
        answer = fcntl.ioctl(self._files[1], termios.FIONREAD, bytes(4))
        return int.from_bytes(answer, sys.byteorder)

    def close(self) -> None:
        """Give everything back."""
        for file in self._files:
            os.close(file)


@pytest.fixture
def adapter(tmp_path: Path) -> Iterator[Adapter]:
    """An adapter, not plugged in."""
    made = Adapter(tmp_path)
    yield made
    made.close()


@pytest.fixture
def linux(clock: SimClock) -> Iterator[LinuxBackend]:
    """A LinuxBackend: its ports are real ones."""
    made = LinuxBackend(clock)
    yield made
    made.close()


def node_at(
    make: MakeLinuxNode, linux: LinuxBackend, text: str, adapter: Adapter, folder: Path
) -> tuple[Runtime, list[Event]]:
    """A node whose port is the adapter's stable name."""
    # As in /dev/serial/by-id, which this test may not write to.
    port = f"/dev/../{adapter.by_id}"
    runtime = make(text.format(port=port), linux)
    events: list[Event] = []
    runtime.subscribe(Message, events.append)
    return runtime, events


def talk(adapter: Adapter, clock: SimClock, data: bytes, seconds: int) -> None:
    """Let the sensor say the same each second."""
    for _ in range(seconds):
        adapter.send(data)
        clock.advance(1)


def sentence(satellites: int) -> bytes:
    """Return a GGA sentence with a position."""
    content = f"GNGGA,120000.00,4722.61322,N,00832.50164,E,1,{satellites:02d},1.0,408.0,M,47.0,M,,"
    return f"${content}*{reduce(xor, content.encode()):02X}\r\n".encode()


def test_another_number_the_same_name(
    make_linux_node: MakeLinuxNode,
    linux: LinuxBackend,
    adapter: Adapter,
    clock: SimClock,
    tmp_path: Path,
) -> None:
    """The cable is out for 40 s, in the middle of a line, and the adapter comes back as another
    ttyUSB: the node goes on by itself, and takes no half of a line for a weight."""
    first = adapter.plug_in()
    runtime, events = node_at(make_linux_node, linux, SCALE, adapter, tmp_path)
    seen: list[object] = []
    with runtime:
        mass = runtime.devices["scale"].readings["mass"]
        effect = Effect(lambda: seen.append(mass.sample.value))
        talk(adapter, clock, b"7.5 kg\n98", 5)
        assert mass.value == 987.5
        adapter.pull_out()
        clock.advance(40)
        assert mass.quality is Quality.BAD
        assert NAME in mass.sample.reason
        assert adapter.plug_in() != first
        talk(adapter, clock, b"1.5 kg\n61", 40)  # found by the next try, whose delay has grown
        assert mass.value == 611.5
        effect.dispose()
    assert [value for value, _ in groupby(seen)] == [None, 987.5, 611.5]
    kinds = (message.DeviceOnline, message.DeviceOffline)
    told = [type(e.payload) for e in events if isinstance(e.payload, kinds)]
    assert told == [message.DeviceOnline, message.DeviceOffline, message.DeviceOnline]


def test_framing_is_found_again(
    make_linux_node: MakeLinuxNode,
    linux: LinuxBackend,
    adapter: Adapter,
    clock: SimClock,
    tmp_path: Path,
) -> None:
    """A receiver comes back in the middle of a sentence, with noise: halves are dropped, and
    whole sentences count."""
    adapter.plug_in()
    runtime, _ = node_at(make_linux_node, linux, GPS, adapter, tmp_path)
    with runtime:
        satellites = runtime.devices["boat"].readings["satellites"]
        talk(adapter, clock, sentence(7), 3)
        adapter.send(sentence(8)[:30])
        clock.advance(1.5)
        assert satellites.value == 7
        adapter.pull_out()
        clock.advance(40)
        assert satellites.quality is Quality.BAD
        adapter.plug_in()
        talk(adapter, clock, sentence(5)[25:] + b"\xff\x00$GN" + sentence(9), 40)
        assert satellites.value == 9


def test_simulated_unplug(make_node: MakeNode, clock: SimClock) -> None:
    """The same on the simulated board, with noise from the plug: nobody restarts anything."""
    node = make_node(SCALE.format(port="/dev/serial/by-id/scale"))
    port = node.backend.port("/dev/serial/by-id/scale")
    node.bench.chip("scale").line = "12.5 kg"
    with node.runtime:
        clock.advance(5)
        assert node.reading("scale.mass").value == 12.5
        port.present = False
        clock.advance(40)
        assert node.reading("scale.mass").quality is Quality.BAD
        port.present = True
        port.inject(b"99\xfe9 kg")
        clock.advance(75)
        assert node.reading("scale.mass").value == 12.5


def test_an_output_behind_the_adapter(make_node: MakeNode, clock: SimClock) -> None:
    """The heater hangs on the adapter that is out, and meanwhile its sensor dies: it could not be
    switched off then, and is as soon as the adapter answers."""
    node = make_node(HEATER)
    node.runtime.register(Thermostat())
    node.bench.chip("room").temperature_c = 15.0
    coils = node.bench.chip("heater").coil
    with node.runtime:
        clock.advance(10)
        assert coils[3]
        node.backend.port("uart0").present = False
        node.backend.onewire("w1").unplug(node.bench.chip("room").rom)
        clock.advance(40)
        assert coils[3]
        node.backend.port("uart0").present = True
        assert clock.run_until(lambda: not coils[3], limit_s=75)
