"""The serial ports of Linux (/dev/ttyAMA0, /dev/serial/by-id/..., ...), through pyserial.

A port is opened by the path that was given, each time: what a stable name such as
/dev/serial/by-id/... stands for may be another device file after a replug.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from edgekernel.backends.linux.holders import file_processes
from edgekernel.backends.pyserial_port import OpenStream, PortSettings, Stream, place_of
from edgekernel.core.errors import BoundaryError, BrokenError, BusyError
from edgekernel.hal.address import PortAddress


def serial_opener(port: PortAddress, proc: Path = Path("/proc")) -> OpenStream:
    """Return what opens a port; errors say what the processes and the kernel in `proc` say."""

    def open_stream(settings: PortSettings) -> Stream:
        from edgekernel.backends.linux.tty import open_tty

        try:
            return open_tty(port.device, settings)
        except OSError as error:
            raise _refusal(port, error, proc) from error
        except ValueError as error:
            if settings.rs485 is None or "RS485" not in str(error):  # pyserial tells it so only
                raise
            raise ValueError(
                "the kernel's driver of this port knows no RS-485. Take an adapter that switches "
                f"direction by itself and leave out the RS-485 setting ({error})"
            ) from error

    return open_stream


def _refusal(port: PortAddress, error: OSError, proc: Path) -> BoundaryError:
    place = place_of(port)
    match error.errno:
        case errno.EBUSY | errno.EAGAIN:
            holders = ", ".join(file_processes(port.device, proc)) or (
                f"another process; `sudo fuser -v {port.device}` names it"
            )
            return BusyError(f"{place}: in use by {holders}{_console_hint(port.device, proc)}")
        case errno.ENOENT | errno.ENODEV | errno.ENXIO:
            return BrokenError(
                f"{place}: not there. Plug it in, or enable it "
                "(on a Raspberry Pi enable_uart=1 in config.txt)"
            )
        case errno.EACCES | errno.EPERM:
            return BrokenError(
                f"{place}: no permission. Add the user to the group dialout "
                "(sudo usermod -aG dialout $USER) and log in again"
                f"{_console_hint(port.device, proc)}"
            )
        case _:
            return BrokenError(f"{place}: cannot be opened: {error}")


def _console_hint(device: str, proc: Path) -> str:
    """Say so if the kernel has its console, and with it a login, on this port."""
    try:
        words = (proc / "cmdline").read_text().split()
    except OSError:
        return ""
    ours = {Path(device).name, Path(os.path.realpath(device)).name}
    for word in words:
        key, _, value = word.partition("=")
        if key == "console" and value.partition(",")[0] in ours:
            return (
                f". The serial console is on this port ({word} in /proc/cmdline): take that out "
                "of the kernel's command line (raspi-config, Interface Options, Serial Port) "
                "and reboot"
            )
    return ""
