from collections.abc import Callable

import pytest
from edgekernel_devices.pwm_output import PwmOutput

from edgekernel import ConfigError, InvalidValueError, Limits, Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.hal.address import LineAddress, PwmAddress

ADDRESS = PwmAddress(LineAddress("GPIO18", "sim", 18), "sim", 0)

Boot = Callable[..., Runtime]


@pytest.mark.parametrize("active_high", [True, False])
def test_level_is_the_share_with_power(backend: SimBackend, boot: Boot, active_high: bool) -> None:
    """A level is the share of each period in which the load has power, at the set frequency."""
    lamp = PwmOutput(
        "lamp",
        pin=backend.pwm_output(ADDRESS),
        frequency=500,
        active_high=active_high,
        safe=float(not active_high),
    )
    boot(lamp)
    line = backend.line("GPIO18")
    for level in (0.25, 1.0, 0.0):
        lamp.level.set(level)
        assert line.duty == pytest.approx(level if active_high else 1 - level)
        assert line.frequency_hz == 500
        assert lamp.level.value == level


@pytest.mark.parametrize("active_high", [True, False])
def test_safe_at_start_and_end(backend: SimBackend, boot: Boot, active_high: bool) -> None:
    """It begins with the safe level, and the line, which is low without pulses, ends with it."""
    safe = float(not active_high)
    lamp = PwmOutput("lamp", pin=backend.pwm_output(ADDRESS), active_high=active_high, safe=safe)
    runtime = boot(lamp)
    assert lamp.level.value == safe
    lamp.level.set(0.7)
    runtime.shutdown()
    assert not backend.line("GPIO18").level


def test_full_power_without_pulses_must_be_safe(backend: SimBackend) -> None:
    """A load that has full power while nothing drives the line is refused, unless that is safe."""
    with pytest.raises(ConfigError, match="write safe = 1 if that is safe"):
        PwmOutput("lamp", pin=backend.pwm_output(ADDRESS), active_high=False)


def test_more_than_all_is_refused(backend: SimBackend, boot: Boot) -> None:
    """A level above 1 is refused and nothing changes."""
    lamp = PwmOutput("lamp", pin=backend.pwm_output(ADDRESS))
    boot(lamp)
    with pytest.raises(InvalidValueError, match="from 0 to 1"):
        lamp.level.set(1.1)
    assert backend.line("GPIO18").duty == 0.0


@pytest.mark.parametrize("active_high", [True, False])
def test_begins_with_what_was_said(backend: SimBackend, boot: Boot, active_high: bool) -> None:
    """The first pulses are those of the level that it begins with, not of the safe one."""
    lamp = PwmOutput(
        "lamp",
        pin=backend.pwm_output(ADDRESS),
        active_high=active_high,
        safe=float(not active_high),
    )
    lamp.level.limits = Limits(initial=0.3)
    seen: list[float | None] = []
    opened = lamp._pin.open

    def open(frequency_hz: float, duty: float) -> None:
        seen.append(duty)
        opened(frequency_hz, duty)

    lamp._pin.open = open  # type: ignore[method-assign]  # to see what it is opened with
    boot(lamp)
    assert seen == [pytest.approx(0.3 if active_high else 0.7)]
    assert lamp.level.value == 0.3
