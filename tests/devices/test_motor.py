from collections.abc import Callable

import pytest
from edgekernel_devices.motor import Motor

from edgekernel import Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.hal.address import LineAddress, PwmAddress
from edgekernel.sim import SimClock

FORWARD = PwmAddress(LineAddress("GPIO12", "sim", 12), "sim", 0)
BACKWARD = PwmAddress(LineAddress("GPIO13", "sim", 13), "sim", 1)
ENABLE = LineAddress("GPIO17", "sim", 17)

Boot = Callable[..., Runtime]


@pytest.fixture
def motor(backend: SimBackend) -> Motor:
    """A motor with an enable line."""
    return Motor(
        "pump",
        forward=backend.pwm_output(FORWARD),
        backward=backend.pwm_output(BACKWARD),
        enable=backend.digital_output(ENABLE),
        dead_time=0.2,
    )


@pytest.mark.parametrize(
    ("speed", "forward", "backward"), [(0.5, 0.5, 0), (-0.25, 0, 0.25), (1, 1, 0), (0, 0, 0)]
)
def test_speed_drives_one_input(
    backend: SimBackend, boot: Boot, motor: Motor, speed: float, forward: float, backward: float
) -> None:
    """The sign of the speed chooses the input and its size the pulses; enabled while it turns."""
    boot(motor)
    motor.speed.set(speed)
    assert backend.line("GPIO12").duty == pytest.approx(forward)
    assert backend.line("GPIO13").duty == pytest.approx(backward)
    assert backend.line("GPIO17").level == (speed != 0)


def test_rests_before_it_reverses(
    clock: SimClock, backend: SimBackend, boot: Boot, motor: Motor
) -> None:
    """Both inputs are off for the dead time before the direction changes, and only then."""
    boot(motor)
    motor.speed.set(1.0)
    began = clock.monotonic()
    motor.speed.set(0.5)
    assert clock.monotonic() == began
    reversing = clock.Thread(lambda: motor.speed.set(-1.0), "reversing")
    reversing.start()
    clock.advance(0.1)
    assert backend.line("GPIO12").duty == backend.line("GPIO13").duty == 0
    clock.advance(0.15)
    assert backend.line("GPIO13").duty == 1
    reversing.join()


def test_stops_when_held_safe(backend: SimBackend, boot: Boot, motor: Motor) -> None:
    """Held safe, the motor is off and not enabled."""
    runtime = boot(motor)
    motor.speed.set(-0.8)
    runtime.shutdown()
    for line in ("GPIO12", "GPIO13", "GPIO17"):
        assert not backend.line(line).level
