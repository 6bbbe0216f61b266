"""Software PWM: what reaches lgpio."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgekernel.backends.linux import LinuxBackend
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import BusyError, InvalidValueError
from edgekernel.hal.address import LineAddress, PwmAddress
from tests.backends.linux.conftest import LgpioError, Machine

FAN = PwmAddress(LineAddress("GPIO17", "pinctrl-bcm2711", 17))


@pytest.fixture
def backend(machine: Machine) -> Iterator[LinuxBackend]:
    """A LinuxBackend on the stand-in."""
    made = LinuxBackend(SystemClock(), folder=machine.folder)
    yield made
    made.close()


def test_pulses(backend: LinuxBackend, machine: Machine) -> None:
    """The line is claimed low, then lgpio makes pulses; they end before the line is freed, low."""
    output = backend.pwm_output(FAN, software=True)
    assert (output.hardware, machine.calls) == (False, [])
    output.open(25, 0.125)
    output.write(1)
    output.close()
    output.close()
    assert machine.calls == [
        ("claim_output", 1, 17, 0),
        ("tx_pwm", 1, 17, 25, 12.5),
        ("tx_pwm", 1, 17, 25, 100),
        ("tx_pwm", 1, 17, 0, 0),
        ("write", 1, 17, 0),
        ("free", 1, 17),
    ]
    assert machine.levels[1, 17] == 0


def test_backend_close_ends_them(backend: LinuxBackend, machine: Machine) -> None:
    """Closing the backend ends the pulses, at low, and a line that was pulsed can be an output."""
    backend.pwm_output(FAN, software=True).open(0.1, 1)
    backend.close()
    assert machine.calls[-3:] == [("tx_pwm", 1, 17, 0, 0), ("write", 1, 17, 0), ("free", 1, 17)]
    output = backend.digital_output(FAN.line)
    output.open(True)
    output.close()
    assert machine.calls[-2:] == [("claim_output", 1, 17, 1), ("free", 1, 17)]


def test_busy(backend: LinuxBackend, machine: Machine) -> None:
    """A line that somebody else holds is busy."""
    machine.consumers[1, 17] = "lg"
    with pytest.raises(BusyError, match="consumer 'lg'"):
        backend.pwm_output(FAN, software=True).open(25, 0.5)


def test_frequency(backend: LinuxBackend, machine: Machine) -> None:
    """A frequency beyond lgpio's is refused before anything happens."""
    with pytest.raises(InvalidValueError, match=r"software makes 0\.1 to 10000 Hz"):
        backend.pwm_output(FAN, software=True).open(10_001, 0.5)
    assert machine.calls == []


def test_start_fails(
    backend: LinuxBackend, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If lgpio makes no pulses, the line is freed, low."""

    def refuse(*_: object) -> None:
        raise LgpioError("TX queue full")

    monkeypatch.setattr("lgpio.tx_pwm", refuse)
    with pytest.raises(OSError, match=r"GPIO17 .*: TX queue full"):
        backend.pwm_output(FAN, software=True).open(25, 0.5)
    assert machine.calls == [("claim_output", 1, 17, 0), ("free", 1, 17)]
