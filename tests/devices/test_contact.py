from collections.abc import Callable

import pytest
from edgekernel_devices.contact import Contact

from edgekernel import Effect, Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.hal.address import LineAddress
from edgekernel.sim import SimClock

LINE = LineAddress("GPIO27", "sim", 27)

Boot = Callable[..., Runtime]


@pytest.mark.parametrize("active_low", [True, False])
def test_open_follows_the_circuit(
    clock: SimClock, backend: SimBackend, boot: Boot, active_low: bool
) -> None:
    """An open circuit is `open`, whichever level a closed one has."""
    door = Contact("door", pin=backend.digital_input(LINE), active_low=active_low)
    line = backend.line("GPIO27")
    line.drive(not active_low)  # closed
    boot(door)
    assert not door.open.value
    line.drive(active_low)
    clock.advance(0.06)
    assert door.open.value
    line.drive(not active_low)
    clock.advance(0.06)
    assert not door.open.value


def test_cut_cable_is_open(backend: SimBackend, boot: Boot) -> None:
    """A line that nothing drives is an open contact, held by the pull-up."""
    door = Contact("door", pin=backend.digital_input(LINE))
    boot(door)
    assert door.open.value


def test_bounce_is_one_change(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """A contact that bounces for less than `settle` opens once."""
    door = Contact("door", pin=backend.digital_input(LINE), settle=0.05)
    line = backend.line("GPIO27")
    line.drive(False)
    boot(door)
    clock.advance(1)
    seen: list[bool] = []
    watching = Effect(lambda: seen.append(door.open.value))
    for level in (True, False, True, False, True):
        line.drive(level)
        clock.advance(0.01)
    clock.advance(0.1)
    watching.dispose()
    assert seen == [False, True]


def test_line_is_free_again(backend: SimBackend, boot: Boot) -> None:
    """After shutdown somebody else can have the line."""
    boot(Contact("door", pin=backend.digital_input(LINE))).shutdown()
    backend.digital_output(LINE).open(False)
