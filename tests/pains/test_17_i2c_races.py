"""Pain 17: two threads use one I²C bus, and one reads what the other has asked for.

flynneva/bno055#60; radxa/kernel#292; jayofelony/pwnagotchi PR#512; badgerloop/pod-embedded#96.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from edgekernel import Clock, Context, Service, SystemClock
from edgekernel.backends.sim import SimI2CBus
from edgekernel.sim import SimClock
from tests.pains.conftest import MakeNode, Node

NODE = """
[devices.soil]
driver = "ads1115"
bus = "i2c1"
every = "100ms"
measure = ["a0", "a1"]

[devices.room]
driver = "bme280"
bus = "i2c1"
address = 0x76
every = "50ms"

[devices.io]
driver = "mcp23017"
bus = "i2c1"

[devices.lamp]
driver = "relay"
pin = "io:GPA0"

[devices.fan]
driver = "relay"
pin = "io:GPA1"
"""
REGISTERS = 64


class Probe:
    """A logic analyser at one address: passes on to the chip, slowly, and notes who talks."""

    def __init__(self, chip: Any, clock: Clock, on_bus: list[Probe], faults: list[str]) -> None:
        self._chip, self._clock = chip, clock
        self._on_bus, self._faults = on_bus, faults
        self.transfers = 0

    def write(self, data: bytes) -> None:
        """Take bytes."""
        self._pass(partial(self._chip.write, data))

    def read(self, length: int) -> bytes:
        """Give bytes."""
        answer: bytes = self._pass(partial(self._chip.read, length))
        return answer

    def _pass(self, transfer: Any) -> Any:
        if self._on_bus:
            self._faults.append(f"{type(self._on_bus[0]._chip).__name__} was interrupted")
        self._on_bus.append(self)
        self.transfers += 1
        self._clock.sleep(0.0005)
        try:
            return transfer()
        finally:
            self._on_bus.remove(self)


class Switcher(Service):
    """Switches a line of the expander to and fro, as fast as it can."""

    interval = 0.003

    def __init__(self, node: Node, label: str) -> None:
        self.name = f"switch-{label.partition('.')[0]}"
        self._output = node.output(label)
        self._on = False

    def tick(self, ctx: Context) -> None:
        """Switch, and look whether the line has followed."""
        self._on = not self._on
        self._output.set(self._on)
        assert self._output.value is self._on


class RegisterChip:
    """A chip whose registers hold their own numbers; within a transaction it dawdles."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pointer = 0

    def write(self, data: bytes) -> None:
        """Set the register that is read next."""
        self._pointer = data[0]
        self._clock.sleep(0)

    def read(self, length: int) -> bytes:
        """Read from there on."""
        return bytes(range(self._pointer, self._pointer + length))


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_devices_never_interleave(make_node: MakeNode, seed: int | None) -> None:
    """Sensors stop answering, or answer nonsense, since a second thread uses the bus: with three
    chips that several threads hammer, in any order of the threads, each transaction is whole and
    every reading is right."""
    with SimClock(seed=seed) as clock:
        node = make_node(NODE, clock=clock)
        on_bus: list[Probe] = []
        faults: list[str] = []
        probes = []
        for device, address in (("soil", 0x48), ("room", 0x76), ("io", 0x20)):
            node.bus().unplug(address)
            probes.append(Probe(node.bench.chip(device), clock, on_bus, faults))
            node.bus().plug(address, probes[-1])
        node.bench.set_quantity("soil", "a0_v", 1.25)
        node.bench.set_quantity("room", "temperature_c", 31.0)
        for label in ("lamp.power", "fan.power"):
            node.runtime.register_service(Switcher(node, label))
        with node.runtime:
            clock.advance(20)
            assert faults == []
            assert min(each.transfers for each in probes) > 300
            assert node.runtime.status()["errors"] == 0
            assert node.reading("soil.a0").value == pytest.approx(1.25, abs=0.001)
            assert node.reading("room.temperature").value == pytest.approx(31.0, abs=0.02)


@pytest.fixture
def hurried() -> Iterator[None]:
    """Let threads be interrupted after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hurried")
def test_threads_read_what_they_asked_for() -> None:
    """Eight real threads read different registers of one chip: each gets its own, always."""
    clock = SystemClock()
    bus = SimI2CBus("i2c1", clock)
    bus.plug(0x40, RegisterChip(clock))
    bus.open()
    wrong: list[tuple[int, bytes]] = []

    def read(first: int) -> None:
        for register in range(first, first + 200):
            wanted = register % REGISTERS
            answer = bus.write_read(0x40, bytes([wanted]), 2)
            if answer != bytes([wanted, wanted + 1]):
                wrong.append((wanted, answer))

    threads = [threading.Thread(target=read, args=(n * 7,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bus.close()
    assert wrong == []
