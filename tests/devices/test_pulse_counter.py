from collections.abc import Callable

import pytest
from edgekernel_devices.pulse_counter import PulseCounter

from edgekernel import Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.hal.address import LineAddress
from edgekernel.sim import SimClock

LINE = LineAddress("GPIO27", "sim", 27)

Boot = Callable[..., Runtime]


def pulses(clock: SimClock, backend: SimBackend, number: int, period_s: float) -> None:
    """Pull the line low for half of each period."""
    line = backend.line("GPIO27")
    for _ in range(number):
        line.drive(False)
        clock.advance(period_s / 2)
        line.drive(True)
        clock.advance(period_s / 2)


@pytest.mark.parametrize(("edge", "counts"), [("falling", 20), ("rising", 20), ("both", 40)])
def test_counts_every_pulse(
    clock: SimClock, backend: SimBackend, boot: Boot, edge: str, counts: int
) -> None:
    """Each chosen change is counted once, and `total` is what they are worth."""
    meter = PulseCounter(
        "water",
        pin=backend.digital_input(LINE),
        edge=edge,  # type: ignore[arg-type]
        per_pulse=0.5,
    )
    boot(meter)
    pulses(clock, backend, 20, 0.1)
    clock.advance(1.1)
    assert meter.count.value == counts
    assert meter.total.value == pytest.approx(counts * 0.5)


def test_rate_is_that_of_the_pulses(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """The rate is what the pulses of the window are worth per second, whatever the polls hit."""
    meter = PulseCounter("flow", pin=backend.digital_input(LINE), per_pulse=1 / 450, window=2.0)
    meter.every = 0.7
    boot(meter)
    pulses(clock, backend, 100, 0.04)
    clock.advance(0.02)
    assert meter.rate.value == pytest.approx(25 / 450, rel=0.15)


def test_rate_falls_when_pulses_stay_away(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """After the last pulse the rate falls to what the silence still allows, and towards 0."""
    meter = PulseCounter("rain", pin=backend.digital_input(LINE))
    boot(meter)
    pulses(clock, backend, 5, 1.0)
    assert meter.rate.value == pytest.approx(1.0, rel=0.1)
    clock.advance(100)
    assert meter.rate.value < 0.011


def test_bounce_counts_once(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """A reed contact that bounces for less than `settle` counts once."""
    meter = PulseCounter("gas", pin=backend.digital_input(LINE), settle=0.02)
    boot(meter)
    clock.advance(1)
    line = backend.line("GPIO27")
    for level in (False, True, False, True, False):
        line.drive(level)
        clock.advance(0.004)
    clock.advance(0.5)
    line.drive(True)
    clock.advance(1.5)
    assert meter.count.value == 1


def test_reset(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """A reset begins at 0, at once."""
    meter = PulseCounter("water", pin=backend.digital_input(LINE))
    runtime = boot(meter)
    pulses(clock, backend, 3, 0.1)
    runtime.invoke("water.reset", {})
    assert meter.count.value == 0
