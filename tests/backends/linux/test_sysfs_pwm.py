"""Hardware PWM on a folder like /sys/class/pwm, behind which a kernel watches what is written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekernel.backends.linux import LinuxBackend
from edgekernel.core.errors import (
    BoundaryError,
    BrokenError,
    BusyError,
    ClosedError,
    ConfigError,
    InvalidValueError,
)
from edgekernel.hal import PwmOutput
from edgekernel.hal.address import LineAddress, PwmAddress
from edgekernel.sim.clock import SimClock

LINE = LineAddress("GPIO18", "pinctrl-bcm2711", 18)
TIMER = PwmAddress(LINE, "fe20c000.pwm", 0)


class Kernel:
    """Reacts to what is written below a folder as drivers/pwm/sysfs.c and core.c do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.held: set[int] = set()
        """Channels that a kernel driver has."""
        self.shortest_ns = 100
        self.refused: dict[str, int] = {}
        """Error numbers of writes, by the name of the file."""
        self.written: list[tuple[str, str]] = []
        self.real_write = os.write

    def add_chip(self, number: int, device: str, channels: int) -> Path:
        """Put a controller into the machine."""
        chip = self.folder / f"pwmchip{number}"
        chip.mkdir()
        home = self.folder.parent / "devices" / device
        home.mkdir(parents=True)
        (chip / "device").symlink_to(home)
        (chip / "npwm").write_text(f"{channels}\n")
        for name in ("export", "unexport"):
            (chip / name).touch()
        return chip

    def add_channel(self, chip: Path, number: int, **values: object) -> Path:
        """Export a channel; its values are those of a reset, if not given."""
        channel = chip / f"pwm{number}"
        channel.mkdir()
        reset: dict[str, object] = {"period": 0, "duty_cycle": 0, "enable": 0, "polarity": "normal"}
        for name, value in {**reset, **values}.items():
            (channel / name).write_text(f"{value}\n")
        return channel

    def write(self, fd: int, data: bytes) -> int:
        """Write a file; raise OSError where the kernel would refuse it."""
        file = Path(os.readlink(f"/proc/self/fd/{fd}"))
        if file.is_relative_to(self.folder):
            self._react(file, data.decode().strip())
        return self.real_write(fd, data)

    def _react(self, file: Path, value: str) -> None:
        if file.name in self.refused:
            raise OSError(self.refused[file.name], os.strerror(self.refused[file.name]))
        if file.name == "export":
            if int(value) in self.held:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            self.add_channel(file.parent, int(value))
        elif file.name == "unexport":
            channel = file.parent / f"pwm{value}"
            for attribute in channel.iterdir():
                attribute.unlink()
            channel.rmdir()
        else:
            self._apply(file, value)
        self.written.append((file.name, value))

    def _apply(self, file: Path, value: str) -> None:
        names = ("period", "duty_cycle", "enable", "polarity")
        state = {
            name: value if name == file.name else (file.parent / name).read_text().strip()
            for name in names
        }
        period_ns, duty_ns = int(state["period"]), int(state["duty_cycle"])
        busy = file.name == "polarity" and state["enable"] == "1"
        if period_ns < self.shortest_ns or duty_ns > period_ns or busy:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """A Raspberry Pi 4 with a second controller, whose number comes first."""
    made = Kernel(tmp_path / "pwm")
    made.folder.mkdir()
    made.add_chip(0, "1-0040", 16)
    made.add_chip(3, "fe20c000.pwm", 2)
    monkeypatch.setattr(os, "write", made.write)
    return made


@pytest.fixture
def backend(kernel: Kernel, tmp_path: Path) -> Iterator[LinuxBackend]:
    """A LinuxBackend on it, in simulated time."""
    with SimClock() as clock:
        made = LinuxBackend(clock, folder=tmp_path, pwm_folder=kernel.folder)
        yield made
        made.close()


def test_open_write_close(backend: LinuxBackend, kernel: Kernel) -> None:
    """From the export to the unexport every write is one that the kernel takes: first the period,
    then the duty, and only then the switch; at the end low, then off."""
    output: PwmOutput = backend.pwm_output(TIMER)
    assert kernel.written == []
    assert (output.name, output.hardware) == ("GPIO18", True)
    output.open(1000, 0.25)
    output.write(1)
    output.close()
    output.close()
    assert kernel.written == [
        ("export", "0"),
        ("period", "1000000"),
        ("duty_cycle", "250000"),
        ("enable", "1"),
        ("duty_cycle", "1000000"),
        ("duty_cycle", "0"),
        ("enable", "0"),
        ("unexport", "0"),
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    left_hz=st.floats(0.25, 5e6),
    left_duty=st.floats(0, 1),
    enabled=st.booleans(),
    polarity=st.sampled_from(["normal", "inversed"]),
    frequency_hz=st.floats(0.25, 5e6),
    duty=st.floats(0, 1),
)
def test_takes_over(
    backend: LinuxBackend,
    kernel: Kernel,
    left_hz: float,
    left_duty: float,
    enabled: bool,
    polarity: str,
    frequency_hz: float,
    duty: float,
) -> None:
    """Whatever a process that died has left: no write is refused, the pulses are those asked for,
    and no share of a period is applied to another period."""
    left_ns = round(1e9 / left_hz)
    channel = kernel.add_channel(
        kernel.folder / "pwmchip3",
        0,
        period=left_ns,
        duty_cycle=round(left_ns * left_duty),
        enable=int(enabled),
        polarity=polarity,
    )
    kernel.written.clear()
    output = backend.pwm_output(TIMER)
    output.open(frequency_hz, duty)
    state = {file.name: file.read_text().strip() for file in channel.iterdir()}
    period_ns = round(1e9 / frequency_hz)
    assert state == {
        "period": str(period_ns),
        "duty_cycle": str(round(duty * period_ns)),
        "enable": "1",
        "polarity": "normal",
    }
    names = [name for name, _ in kernel.written]
    assert names[:3] == ["duty_cycle", "enable", "period"]
    output.close()


def test_other_number(backend: LinuxBackend, kernel: Kernel) -> None:
    """The controller is found by its device, also where the kernel numbers it otherwise."""
    (kernel.folder / "pwmchip3").rename(kernel.folder / "pwmchip7")
    output = backend.pwm_output(TIMER)
    output.open(50, 0.075)
    assert (kernel.folder / "pwmchip7/pwm0/duty_cycle").read_text() == "1500000\n"
    output.close()


def test_backend_close_stops(backend: LinuxBackend, kernel: Kernel) -> None:
    """Closing the backend stops the pulses; before open and after close, writing is an error."""
    output = backend.pwm_output(TIMER)
    with pytest.raises(ClosedError, match=r"GPIO18 \(PWM fe20c000.pwm, channel 0\): not open"):
        output.write(0.5)
    output.open(50, 0.5)
    backend.close()
    assert kernel.written[-3:] == [("duty_cycle", "0"), ("enable", "0"), ("unexport", "0")]
    with pytest.raises(ClosedError):
        output.write(0.5)


def test_one_user(backend: LinuxBackend) -> None:
    """Neither the line nor the channel can be opened twice in this process; two channels can."""
    backend.pwm_output(TIMER).open(50, 0.5)
    with pytest.raises(BusyError, match="GPIO18 on pinctrl-bcm2711: already open"):
        backend.digital_output(LINE).open(True)
    twin = LineAddress("GPIO12", "pinctrl-bcm2711", 12)
    with pytest.raises(BusyError, match=r"GPIO12 on fe20c000\.pwm: already open"):
        backend.pwm_output(PwmAddress(twin, "fe20c000.pwm", 0)).open(50, 0.5)
    backend.pwm_output(PwmAddress(twin, "fe20c000.pwm", 1)).open(50, 0.5)


def _refusal(backend: LinuxBackend, address: PwmAddress = TIMER) -> BoundaryError:
    with pytest.raises(BoundaryError) as raised:
        backend.pwm_output(address).open(50, 0.5)
    return raised.value


def test_kernel_driver_has_it(backend: LinuxBackend, kernel: Kernel) -> None:
    """A channel that a kernel driver has is busy, and can be had afterwards."""
    kernel.held.add(0)
    error = _refusal(backend)
    assert isinstance(error, BusyError)
    assert "in use by a kernel driver" in str(error)
    kernel.held.clear()
    backend.pwm_output(TIMER).open(50, 0.5)


def test_no_controller(backend: LinuxBackend) -> None:
    """A controller that is not there is broken: the text lists those there are, and the overlay."""
    error = _refusal(backend, PwmAddress(LINE, "1f00098000.pwm", 0))
    assert str(error) == (
        "GPIO18 (PWM 1f00098000.pwm, channel 0): no PWM controllers with this device in "
        f"{backend._pwm_folder}; there are: 1-0040, fe20c000.pwm. Enable it (on a Raspberry Pi "
        "dtoverlay=pwm or dtoverlay=pwm-2chan in config.txt) and reboot"
    )


def test_no_channel(backend: LinuxBackend) -> None:
    """A channel that the controller does not have is broken, with the number there are."""
    error = _refusal(backend, PwmAddress(LINE, "fe20c000.pwm", 2))
    assert "the controller has 2 channels, counted from 0" in str(error)


def test_waits_for_udev(
    backend: LinuxBackend, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the export it waits until udev has given the channel to this user's group; if that
    does not happen the text says what to do, and nothing is kept."""
    refused = [False, False, False]
    monkeypatch.setattr(os, "access", lambda path, mode: not refused or refused.pop())
    output = backend.pwm_output(TIMER)
    output.open(50, 0.5)
    assert refused == []
    output.close()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "pwm0/enable: no permission: it belongs to" in str(_refusal(backend))
    assert kernel.written[-1] == ("unexport", "0")


def test_no_permission(backend: LinuxBackend, kernel: Kernel) -> None:
    """If the export is not permitted, the text names the file, its owner and what to do."""
    kernel.refused["export"] = errno.EACCES
    error = _refusal(backend)
    assert isinstance(error, BrokenError)
    assert "pwmchip3/export: no permission: it belongs to" in str(error)


def test_impossible_frequency(backend: LinuxBackend, kernel: Kernel) -> None:
    """A frequency that Linux or the controller cannot make is refused, and nothing is kept."""
    output = backend.pwm_output(TIMER)
    with pytest.raises(InvalidValueError, match=r"hardware makes 0\.25 to 1e\+08 Hz"):
        output.open(0.2, 0.5)
    assert kernel.written == []
    with pytest.raises(InvalidValueError, match=r"the controller makes no pulses of 2e\+07 Hz"):
        output.open(2e7, 0.5)
    assert kernel.written[-1] == ("unexport", "0")
    output.open(1e6, 0.5)


def test_write_fails(backend: LinuxBackend, kernel: Kernel) -> None:
    """A write that fails later is broken, with the file and the kernel's words."""
    output = backend.pwm_output(TIMER)
    output.open(50, 0.5)
    kernel.refused["duty_cycle"] = errno.EIO
    with pytest.raises(BrokenError, match=r"GPIO18 .*pwm0/duty_cycle: Input/output error"):
        output.write(0.1)
    kernel.refused.clear()


def test_software_must_be_allowed(backend: LinuxBackend) -> None:
    """Without a hardware timer the error says what to do."""
    with pytest.raises(ConfigError, match=r"GPIO18: no hardware timer .*software = true"):
        backend.pwm_output(PwmAddress(LINE))
