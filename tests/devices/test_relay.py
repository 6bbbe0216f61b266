from collections.abc import Callable
from itertools import product
from typing import Literal

import pytest
from edgekernel_devices.relay import Relay

from edgekernel import Limits, Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.core.memory import Transient
from edgekernel.hal.address import LineAddress
from edgekernel.sim import SimClock

LINE = LineAddress("GPIO17", "sim", 17)
WIRINGS: list[tuple[bool, Literal["off", "on"]]] = list(product((True, False), ("off", "on")))

Boot = Callable[..., Runtime]


@pytest.mark.parametrize(("active_high", "safe"), WIRINGS)
def test_attach_goes_straight_to_safe(
    backend: SimBackend, boot: Boot, active_high: bool, safe: Literal["off", "on"]
) -> None:
    """From the moment it is driven, the line has no other level than the safe one."""
    lamp = Relay("lamp", pin=backend.digital_output(LINE), active_high=active_high, safe=safe)
    boot(lamp)
    assert set(backend.line("GPIO17").levels) == {(safe == "on") == active_high}
    assert lamp.power.value == lamp.power.setpoint == (safe == "on")


@pytest.mark.parametrize(("active_high", "safe"), WIRINGS)
def test_detach_leaves_it_safe(
    backend: SimBackend, boot: Boot, active_high: bool, safe: Literal["off", "on"]
) -> None:
    """After the end of the runtime the line has its safe level, whatever was set."""
    lamp = Relay("lamp", pin=backend.digital_output(LINE), active_high=active_high, safe=safe)
    runtime = boot(lamp)
    lamp.power.set(safe == "off")
    runtime.shutdown()
    assert backend.line("GPIO17").level == ((safe == "on") == active_high)


@pytest.mark.parametrize("active_high", [True, False])
def test_set_switches(backend: SimBackend, boot: Boot, active_high: bool) -> None:
    """Setting `power` drives the line to the level that switches, and reads it back."""
    lamp = Relay("lamp", pin=backend.digital_output(LINE), active_high=active_high)
    boot(lamp)
    for on in (True, True, False):
        lamp.power.set(on)
        assert backend.line("GPIO17").level == (on == active_high)
        assert lamp.power.value == on


def test_making_one_touches_nothing(backend: SimBackend) -> None:
    """A relay that was made and not attached has not claimed its line."""
    Relay("lamp", pin=backend.digital_output(LINE))
    backend.digital_output(LINE).open(False)


def test_line_is_free_again(backend: SimBackend, boot: Boot) -> None:
    """After shutdown somebody else can have the line."""
    boot(Relay("lamp", pin=backend.digital_output(LINE))).shutdown()
    backend.digital_output(LINE).open(False)


@pytest.mark.parametrize(("active_high", "safe"), WIRINGS)
@pytest.mark.parametrize("level", [True, False])
def test_as_is_shows_no_edge(
    backend: SimBackend,
    boot: Boot,
    active_high: bool,
    safe: Literal["off", "on"],
    level: bool,
) -> None:
    """Taken over as it is, the line keeps its level, and the output says what that means."""
    before = backend.digital_output(LINE)
    before.open(level)
    before.close()
    lamp = Relay("lamp", pin=backend.digital_output(LINE), active_high=active_high, safe=safe)
    lamp.power.limits = Limits(initial="as-is")
    runtime = boot(lamp)
    assert backend.line("GPIO17").levels == (level,)
    assert lamp.power.value == lamp.power.setpoint == (level == active_high)
    lamp.power.set(level != active_high)
    assert backend.line("GPIO17").levels == (level, not level)
    runtime.shutdown()
    assert backend.line("GPIO17").level == ((safe == "on") == active_high)


@pytest.mark.parametrize(("active_high", "safe"), WIRINGS)
@pytest.mark.parametrize("on", [True, False])
def test_restore_shows_no_edge(
    clock: SimClock, backend: SimBackend, active_high: bool, safe: Literal["off", "on"], on: bool
) -> None:
    """What was on before the restart is on from the first level that the line is driven with."""
    memory = Transient()
    memory.put("output/lamp.power", on)
    lamp = Relay("lamp", pin=backend.digital_output(LINE), active_high=active_high, safe=safe)
    lamp.power.limits = Limits(initial="restore")
    runtime = Runtime(clock=clock, memory=memory)
    runtime.attach_device(lamp)
    with runtime:
        assert set(backend.line("GPIO17").levels) == {on == active_high}
        assert lamp.power.value == lamp.power.setpoint == on
