"""PWM outputs of the simulated board."""

from __future__ import annotations

import pytest

from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import BusyError, ClosedError, ConfigError, InvalidValueError
from edgekernel.hal import PwmOutput
from edgekernel.hal.address import LineAddress, PwmAddress

LINE = LineAddress("GPIO18", "pinctrl-bcm2711", 18)
HARDWARE = PwmAddress(LINE, "fe20c000.pwm", 0)
SOFTWARE = PwmAddress(LINE)


def test_pulses_show(backend: SimBackend) -> None:
    """The line shows frequency and duty while there are pulses, and is low before and after."""
    line = backend.line("GPIO18")
    line.drive(True)
    output: PwmOutput = backend.pwm_output(HARDWARE)
    assert (output.name, output.hardware) == ("GPIO18", True)
    assert (line.duty, line.frequency_hz, line.function) == (None, None, "input")
    output.open(1000, 0)
    assert (line.duty, line.frequency_hz, line.level) == (0, 1000, False)
    output.write(0.25)
    assert (line.duty, line.frequency_hz, line.level) == (0.25, 1000, True)
    output.close()
    output.close()
    assert (line.duty, line.frequency_hz) == (None, None)
    assert (line.function, line.level, line.levels) == ("output", False, (False, True, False))


def test_closed(backend: SimBackend) -> None:
    """Before open and after close, writing raises ClosedError; the backend's close stops pulses."""
    output = backend.pwm_output(HARDWARE)
    with pytest.raises(ClosedError, match="GPIO18"):
        output.write(0.5)
    output.open(50, 0.5)
    backend.close()
    with pytest.raises(ClosedError, match="GPIO18"):
        output.write(0.5)
    assert backend.line("GPIO18").level is False


def test_one_user(backend: SimBackend) -> None:
    """A line that makes pulses is busy for others, and goes on."""
    backend.pwm_output(HARDWARE).open(50, 0.5)
    with pytest.raises(BusyError, match="GPIO18 on pinctrl-bcm2711: already open"):
        backend.digital_output(LINE).open(True)
    with pytest.raises(BusyError):
        backend.pwm_output(SOFTWARE, software=True).open(50, 0.5)
    assert backend.line("GPIO18").duty == 0.5


def test_one_timer(backend: SimBackend) -> None:
    """A channel of a hardware timer that two lines lead to serves one of them at a time."""
    first = backend.pwm_output(HARDWARE)
    twin = LineAddress("GPIO12", "pinctrl-bcm2711", 12)
    second = backend.pwm_output(PwmAddress(twin, "fe20c000.pwm", 0))
    first.open(50, 0.5)
    with pytest.raises(BusyError, match=r"GPIO12 on fe20c000\.pwm: already open"):
        second.open(50, 0.5)
    backend.digital_output(twin).open(True)
    first.close()
    backend.pwm_output(HARDWARE).open(50, 0.5)


def test_software_must_be_allowed(backend: SimBackend) -> None:
    """Without a hardware timer the error says what to do; allowed, the pulses are software's."""
    with pytest.raises(ConfigError, match=r"GPIO18: no hardware timer .*software = true"):
        backend.pwm_output(SOFTWARE)
    assert backend.pwm_output(SOFTWARE, software=True).hardware is False
    assert backend.pwm_output(HARDWARE, software=True).hardware is True


@pytest.mark.parametrize(
    ("address", "frequency_hz"),
    [
        (SOFTWARE, 0.09),
        (SOFTWARE, 10_001),
        (SOFTWARE, float("nan")),
        (HARDWARE, 0),
        (HARDWARE, 2e8),
        (HARDWARE, float("inf")),
    ],
)
def test_impossible_frequency(
    backend: SimBackend, address: PwmAddress, frequency_hz: float
) -> None:
    """A frequency that cannot be made is refused with the limits, and the line stays free."""
    with pytest.raises(InvalidValueError, match=r"GPIO18: pulses of .* Hz"):
        backend.pwm_output(address, software=True).open(frequency_hz, 0.5)
    backend.digital_output(LINE).open(True)


@pytest.mark.parametrize("duty", [-0.01, 1.01, float("nan")])
def test_impossible_duty(backend: SimBackend, duty: float) -> None:
    """A duty that is no share is refused, at open and later, and changes nothing."""
    output = backend.pwm_output(HARDWARE)
    with pytest.raises(InvalidValueError, match="GPIO18: a duty of"):
        output.open(50, duty)
    output.open(50, 0.5)
    with pytest.raises(InvalidValueError):
        output.write(duty)
    assert backend.line("GPIO18").duty == 0.5
