"""Pulses from a hardware timer, through the files of /sys/class/pwm.

The files: Linux, Documentation/ABI/testing/sysfs-class-pwm; what the kernel accepts in them:
drivers/pwm/sysfs.c and pwm_apply_might_sleep in drivers/pwm/core.c.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from edgekernel.backends.gpiozero_lines import Lines
from edgekernel.backends.gpiozero_pulses import check_duty, check_frequency, timer_line
from edgekernel.backends.linux.permission import no_permission
from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.core.errors import (
    BoundaryError,
    BrokenError,
    BusyError,
    ClosedError,
    InvalidValueError,
)
from edgekernel.hal.address import PwmAddress

_UDEV_S, _LOOK_S = 2.0, 0.01
"""How long udev may take to give an exported channel to its group, and how often to look."""


class SysfsPwm:
    """A PwmOutput on a channel of a PWM controller, found by the controller's device."""

    hardware = True
    """A hardware timer makes the pulses."""

    def __init__(self, address: PwmAddress, lines: Lines, clock: Clock, folder: Path) -> None:
        """Look for the controller (pwmchip0, ...) in `folder`."""
        self._address = address
        self._lines = lines
        self._clock = clock
        self._folder = folder
        self._taken = (address.line, timer_line(address))
        self._channel: Path | None = None
        self._period_ns = 0

    @property
    def name(self) -> str:
        """The line as people know it, such as "GPIO18"."""
        return self._address.name

    def open(self, frequency_hz: float, duty: float) -> None:
        """Take the channel and begin with `duty` (0 to 1).

        A channel that is in use already is taken over: a process that died has left it so.
        Raises InvalidValueError for what it cannot make, BusyError if the line is open elsewhere
        in this process or a kernel driver has the channel, BrokenError if it cannot be had.
        """
        check_frequency(self.name, frequency_hz, hardware=True)
        check_duty(self.name, duty)
        self._lines.reserve(self, *self._taken)
        try:
            channel = self._channel = self._export()
            self._wait_for_udev(channel / "enable")
            self._period_ns = round(NANOSECONDS / frequency_hz)
            self._begin(channel, frequency_hz, duty)
        except BaseException:
            self._release()
            raise

    def write(self, duty: float) -> None:
        """Change the share that is high, 0 to 1. Raises ClosedError, BrokenError."""
        check_duty(self.name, duty)
        if self._channel is None:
            raise ClosedError(f"{self._place}: not open; open it first")
        self._set(self._channel / "duty_cycle", round(duty * self._period_ns))

    def close(self) -> None:
        """Stop the pulses, leaving the line low, and give it back. Closing twice is harmless."""
        channel = self._channel
        if channel is not None:
            try:
                self._stop(channel)
            finally:
                self._release()

    @property
    def _place(self) -> str:
        return f"{self.name} (PWM {self._address.controller}, channel {self._address.channel})"

    def _release(self) -> None:
        channel, self._channel = self._channel, None
        try:
            if channel is not None:
                self._set(channel.parent / "unexport", self._address.channel)
        finally:
            self._lines.give_back(self, *self._taken)

    def _begin(self, channel: Path, frequency_hz: float, duty: float) -> None:
        """Start the pulses, in an order in which no file is refused and no wrong pulse is made."""
        if _number(channel / "period"):  # with 0, as at first, the kernel takes a period only
            self._stop(channel)
        try:
            _write(channel / "period", self._period_ns)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ERANGE, errno.EOPNOTSUPP):
                raise InvalidValueError(
                    f"{self._place}: the controller makes no pulses of {frequency_hz:g} Hz"
                ) from error
            raise self._failure(channel / "period", error) from error
        if (channel / "polarity").read_text().strip() != "normal":
            self._set(channel / "polarity", "normal")
        self._set(channel / "duty_cycle", round(duty * self._period_ns))
        self._set(channel / "enable", 1)

    def _stop(self, channel: Path) -> None:
        """End at low: a timer that is switched off within a pulse may leave the line high."""
        self._set(channel / "duty_cycle", 0)
        self._set(channel / "enable", 0)

    def _export(self) -> Path:
        """Return the folder of the channel, made if need be."""
        chip = self._find()
        number = self._address.channel
        count = _number(chip / "npwm")
        if number >= count:
            raise BrokenError(
                f"{self._place}: the controller has {count} channels, counted from 0; "
                "correct the channel in the board file"
            )
        channel = chip / f"pwm{number}"
        if not channel.exists():
            self._set(chip / "export", number)
        return channel

    def _wait_for_udev(self, file: Path) -> None:
        """Wait until this user may write a file that has just come into being."""
        end_s = self._clock.monotonic() + _UDEV_S
        while not os.access(file, os.W_OK):
            if self._clock.monotonic() >= end_s:
                raise BrokenError(f"{self._place}: {file}: {no_permission(file, 'pwm')}")
            self._clock.sleep(_LOOK_S)

    def _find(self) -> Path:
        """Return the folder of the controller: its number changes, its device does not."""
        chips = {chip: (chip / "device").resolve().name for chip in self._folder.glob("pwmchip*")}
        found = [chip for chip, device in chips.items() if device == self._address.controller]
        if len(found) == 1:
            return found[0]
        raise BrokenError(
            f"{self._place}: {len(found) or 'no'} PWM controllers with this device in "
            f"{self._folder}; there are: {', '.join(sorted(chips.values())) or 'none'}. Enable it "
            "(on a Raspberry Pi dtoverlay=pwm or dtoverlay=pwm-2chan in config.txt) and reboot"
        )

    def _set(self, file: Path, value: object) -> None:
        try:
            _write(file, value)
        except OSError as error:
            raise self._failure(file, error) from error

    def _failure(self, file: Path, error: OSError) -> BoundaryError:
        match error.errno:
            case errno.EBUSY:
                return BusyError(
                    f"{self._place}: in use by a kernel driver, such as a fan's or a backlight's; "
                    "take its overlay away or choose another line"
                )
            case errno.EACCES | errno.EPERM:
                return BrokenError(f"{self._place}: {file}: {no_permission(file, 'pwm')}")
            case _:
                return BrokenError(
                    f"{self._place}: {file}: {error.strerror or error}; close and reopen it, "
                    "and check the board file"
                )


def _number(file: Path) -> int:
    return int(file.read_text())


def _write(file: Path, value: object) -> None:
    """Write a file of sysfs, in one piece. Raises OSError."""
    fd = os.open(file, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(fd, f"{value}\n".encode())
    finally:
        os.close(fd)
