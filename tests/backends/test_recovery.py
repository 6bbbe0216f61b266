"""Ways to free a bus: nine clocks, and a power cycle."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from edgekernel.backends.recovery import NineClocks, OpenDrain, PowerCycle
from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import StuckError
from edgekernel.hal.address import LineAddress
from edgekernel.sim.clock import SimClock

SCL, SDA, POWER = (LineAddress(f"GPIO{n}", "chip", n) for n in (5, 6, 13))


class Wires:
    """SCL and SDA with pull-ups, where a chip holds SDA low for a number of clocks."""

    def __init__(self, backend: SimBackend, clocks: int) -> None:
        self._lines = [backend.line(each.name) for each in (SCL, SDA)]
        self.clocks = clocks
        self.pulses = 0
        self.stops = 0
        self._before = (True, clocks == 0)

    def look(self) -> None:
        """Take note of a change of the lines, as every chip does."""
        driven = [line.function == "output" for line in self._lines]
        scl = not driven[0] or self._lines[0].level
        if scl and not self._before[0]:
            self.pulses += 1
        free = self.pulses >= self.clocks
        if not driven[1]:
            self._lines[1].drive(free)
        sda = free and (not driven[1] or self._lines[1].level)
        if scl and self._before == (True, False) and sda:
            self.stops += 1
        self._before = scl, sda


class Line(OpenDrain):
    """A line whose every change is seen on the wires."""

    look: Callable[[], None]

    def pull_low(self) -> None:
        super().pull_low()
        self.look()

    def let_go(self) -> bool:
        super().let_go()
        self.look()
        return super().let_go()


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock."""
    with SimClock() as made:
        yield made


@pytest.fixture
def backend(clock: SimClock) -> Iterator[SimBackend]:
    """A simulated board."""
    made = SimBackend(clock)
    yield made
    made.close()


def line(backend: SimBackend, address: LineAddress) -> Line:
    """Return a line that is pulled low or let go."""
    return Line(backend.digital_output(address), backend.digital_input(address))


@pytest.mark.parametrize(("held", "pulses"), [(1, 2), (5, 6), (9, 10), (99, 10)])
def test_nine_clocks(clock: SimClock, backend: SimBackend, held: int, pulses: int) -> None:
    """SCL is clocked until SDA is free, nine times at most; then a stop condition follows."""
    scl, sda = line(backend, SCL), line(backend, SDA)
    wires = Wires(backend, held)
    scl.look = sda.look = wires.look
    NineClocks(scl, sda, clock).free_bus()
    assert wires.pulses == pulses  # the last of them belongs to the stop condition
    assert wires.stops == (1 if held <= 9 else 0)
    for each in (SCL, SDA):
        assert backend.line(each.name).function == "input"
        backend.digital_output(each).open(True)  # given back: nobody holds it


def test_lines_are_never_driven_high(clock: SimClock, backend: SimBackend) -> None:
    """While clocking, a line is driven low or not at all: a chip may hold it."""
    scl, sda = line(backend, SCL), line(backend, SDA)
    seen: set[tuple[str, bool]] = set()

    def look() -> None:
        for each in (SCL, SDA):
            outside = backend.line(each.name)
            if outside.function == "output":
                seen.add((each.name, outside.level))

    scl.look = sda.look = look
    NineClocks(scl, sda, clock).free_bus()
    assert seen == {("GPIO5", False), ("GPIO6", False)}


@pytest.mark.parametrize("active_high", [True, False])
def test_power_cycle(clock: SimClock, backend: SimBackend, active_high: bool) -> None:
    """The chips lose their power for as long as was said, and have as long to start."""
    switch = backend.digital_output(POWER)
    switch.open(active_high)
    PowerCycle(switch, clock, active_high=active_high, off_s=0.25).free_bus()
    assert backend.line("GPIO13").levels == (active_high, not active_high, active_high)
    assert clock.monotonic() == 0.5


def test_a_stuck_bus_is_clocked_free(clock: SimClock, backend: SimBackend) -> None:
    """A bus that opening anew does not free is freed by its recovery, and is in use again."""

    class Clocks:
        def free_bus(self) -> None:
            bus.pulse(9)

    bus = backend.bus("i2c1")
    bus.use_recovery(Clocks())
    bus.open()
    bus.stick("sda", until="clocks")
    with pytest.raises(StuckError, match="sda is held low"):
        bus.read(0x50, 1)
    assert bus.stuck is None
    assert bus.health.state == "closed"
    assert bus.health.recoveries == 1


@pytest.mark.parametrize("had_power", [True, False])
def test_power_from_the_start(clock: SimClock, backend: SimBackend, had_power: bool) -> None:
    """Chips without power are given it and have time to start; with it nothing changes."""
    before = backend.digital_output(POWER)
    before.open(had_power)
    before.close()
    power = PowerCycle(backend.digital_output(POWER), clock, off_s=0.25)
    power.open()
    assert backend.line("GPIO13").levels == ((True,) if had_power else (False, True))
    assert clock.monotonic() == (0 if had_power else 0.25)
    power.close()
    power.close()
    assert backend.line("GPIO13").level
