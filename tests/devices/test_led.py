from collections.abc import Callable
from itertools import product
from typing import Literal

import pytest
from edgekernel_devices.led import Led

from edgekernel import Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.hal.address import LineAddress

LINE = LineAddress("GPIO17", "sim", 17)
WIRINGS: list[tuple[bool, Literal["off", "on"]]] = list(product((True, False), ("off", "on")))

Boot = Callable[..., Runtime]


@pytest.mark.parametrize(("active_high", "safe"), WIRINGS)
def test_attach_goes_straight_to_safe(
    backend: SimBackend, boot: Boot, active_high: bool, safe: Literal["off", "on"]
) -> None:
    """From the moment it is driven, the line has no other level than the safe one."""
    lamp = Led("lamp", pin=backend.digital_output(LINE), active_high=active_high, safe=safe)
    boot(lamp)
    assert set(backend.line("GPIO17").levels) == {(safe == "on") == active_high}
    assert lamp.light.value == lamp.light.setpoint == (safe == "on")


@pytest.mark.parametrize(("active_high", "safe"), WIRINGS)
def test_detach_leaves_it_safe(
    backend: SimBackend, boot: Boot, active_high: bool, safe: Literal["off", "on"]
) -> None:
    """After the end of the runtime the line has its safe level, whatever was set."""
    lamp = Led("lamp", pin=backend.digital_output(LINE), active_high=active_high, safe=safe)
    runtime = boot(lamp)
    lamp.light.set(safe == "off")
    runtime.shutdown()
    assert backend.line("GPIO17").level == ((safe == "on") == active_high)


@pytest.mark.parametrize("active_high", [True, False])
def test_set_switches(backend: SimBackend, boot: Boot, active_high: bool) -> None:
    """Setting `light` drives the line to the level that lights it, and reads it back."""
    lamp = Led("lamp", pin=backend.digital_output(LINE), active_high=active_high)
    boot(lamp)
    for on in (True, True, False):
        lamp.light.set(on)
        assert backend.line("GPIO17").level == (on == active_high)
        assert lamp.light.value == on


def test_making_one_touches_nothing(backend: SimBackend) -> None:
    """An LED that was made and not attached has not claimed its line."""
    Led("lamp", pin=backend.digital_output(LINE))
    backend.digital_output(LINE).open(False)


def test_line_is_free_again(backend: SimBackend, boot: Boot) -> None:
    """After shutdown somebody else can have the line."""
    boot(Led("lamp", pin=backend.digital_output(LINE))).shutdown()
    backend.digital_output(LINE).open(False)
