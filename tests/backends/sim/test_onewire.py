"""Simulated 1-Wire: chips by ROM code, conversions that take their time."""

from __future__ import annotations

from functools import partial

import pytest

from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import (
    BrokenError,
    BusyError,
    ClosedError,
    InvalidValueError,
    NackError,
)
from edgekernel.hal.address import OneWireAddress
from edgekernel.sim.clock import SimClock

ROM, OTHER = "28-0316a2795bff", "28-00000521f8aa"


class Chip:
    """A chip that counts its conversions in its scratchpad."""

    def __init__(self, rom: str, length: int = 9) -> None:
        self.rom = rom
        self._length = length
        self._count = 0

    def convert(self) -> float:
        self._count += 1
        return 0.75

    def scratchpad(self) -> bytes:
        return bytes([self._count] * self._length)


def test_measure(backend: SimBackend, clock: SimClock) -> None:
    """A measurement waits for the conversion of the chip that was meant."""
    bus = backend.onewire_bus(OneWireAddress("w1"))
    backend.onewire("w1").plug(Chip(ROM))
    backend.onewire("w1").plug(Chip(OTHER))
    bus.open()
    assert bus.search() == (OTHER, ROM)
    assert bus.measure(ROM) == b"\x01" * 9
    assert bus.measure(ROM) == b"\x02" * 9
    assert bus.measure(OTHER) == b"\x01" * 9
    assert clock.monotonic() == 2.25


def test_one_at_a_time(backend: SimBackend, clock: SimClock) -> None:
    """Measurements of several devices never interleave: the bus waits for a conversion."""
    bus = backend.onewire("w1")
    bus.plug(Chip(ROM))
    bus.plug(Chip(OTHER))
    bus.open()
    done: list[tuple[float, str]] = []

    def measure(rom: str) -> None:
        bus.measure(rom)
        done.append((clock.monotonic(), rom))

    threads = [clock.Thread(partial(measure, rom), rom) for rom in (ROM, OTHER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [(0.75, ROM), (1.5, OTHER)]


def test_no_answer(backend: SimBackend, clock: SimClock) -> None:
    """A chip that is not there, or is unplugged while it converts, does not answer."""
    bus = backend.onewire("w1")
    bus.open()
    with pytest.raises(NackError, match=f"w1, {ROM}: .*found: none"):
        bus.measure(ROM)
    bus.plug(Chip(ROM))

    def pull_out() -> None:
        clock.sleep(0.5)
        bus.unplug(ROM)

    thread = clock.Thread(pull_out, "hand")
    thread.start()
    with pytest.raises(NackError, match=ROM):
        bus.measure(ROM)
    thread.join()
    bus.unplug(ROM)


def test_plug(backend: SimBackend) -> None:
    """A ROM code is there once, and is one."""
    bus = backend.onewire("w1")
    bus.plug(Chip(ROM))
    with pytest.raises(BusyError, match=ROM):
        bus.plug(Chip(ROM))
    with pytest.raises(InvalidValueError, match="no ROM code"):
        bus.plug(Chip("28"))


def test_short_scratchpad(backend: SimBackend) -> None:
    """A scratchpad of another length is broken."""
    bus = backend.onewire("w1")
    bus.plug(Chip(ROM, 8))
    bus.open()
    with pytest.raises(BrokenError, match="8 bytes"):
        bus.measure(ROM)


def test_closed(backend: SimBackend) -> None:
    """Before open and after the last close every call raises ClosedError."""
    bus = backend.onewire("w1")
    bus.plug(Chip(ROM))
    for _ in range(2):
        with pytest.raises(ClosedError, match="w1"):
            bus.measure(ROM)
        bus.open()
        bus.open()
        bus.close()
        bus.search()
        bus.close()
