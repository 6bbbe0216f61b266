from collections.abc import Callable

import pytest
from edgekernel_devices.servo import Servo

from edgekernel import ConfigError, Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.hal.address import LineAddress, PwmAddress

ADDRESS = PwmAddress(LineAddress("GPIO18", "sim", 18), "sim", 0)

Boot = Callable[..., Runtime]


@pytest.mark.parametrize(
    ("angle", "pulse_s"), [(-90, 0.0005), (0, 0.0015), (45, 0.002), (90, 0.0025)]
)
def test_angle_is_the_length_of_the_pulse(
    backend: SimBackend, boot: Boot, angle: float, pulse_s: float
) -> None:
    """Pulses come 50 times a second and are between those of -90° and +90° in proportion."""
    arm = Servo("arm", pin=backend.pwm_output(ADDRESS), pulse_low=0.0005, pulse_high=0.0025)
    boot(arm)
    arm.angle.set(angle)
    line = backend.line("GPIO18")
    assert line.frequency_hz == 50
    assert line.duty == pytest.approx(pulse_s * 50)
    assert arm.angle.value == angle


def test_nothing_moves_at_start(backend: SimBackend, boot: Boot) -> None:
    """Without a safe angle there are no pulses before the first set, nor after the end."""
    arm = Servo("arm", pin=backend.pwm_output(ADDRESS))
    runtime = boot(arm)
    assert backend.line("GPIO18").duty == 0.0
    arm.angle.set(10.0)
    runtime.shutdown()
    assert not backend.line("GPIO18").level


def test_safe_angle_at_start_and_stop(backend: SimBackend, boot: Boot) -> None:
    """With a safe angle that is where it is when it starts and when it is held safe."""
    arm = Servo("arm", pin=backend.pwm_output(ADDRESS), safe=-90)
    boot(arm)
    assert backend.line("GPIO18").duty == pytest.approx(0.05)
    arm.angle.set(90)
    arm.hold_safe("test")
    assert backend.line("GPIO18").duty == pytest.approx(0.05)


def test_pulses_that_make_no_sense(backend: SimBackend) -> None:
    """Equal pulses, or one longer than the period, are refused with the reason."""
    pin = backend.pwm_output(ADDRESS)
    with pytest.raises(ConfigError, match="are equal"):
        Servo("arm", pin=pin, pulse_low=0.001, pulse_high=0.001)
    with pytest.raises(ConfigError, match=r"does not fit into a period at 333\.4 Hz"):
        Servo("arm", pin=pin, pulse_high=0.003, frequency=333.4)
