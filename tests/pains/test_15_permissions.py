"""Pain 15: "permission denied", and people run everything as root, or their container as such.

dotnet/iot#2169; joan2937/pigpio#549, #235; Homegear/Homegear-Docker#18;
WebThingsIO/gateway-docker#38.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekernel import SystemClock
from edgekernel.backends.linux import LinuxBackend
from edgekernel.core.errors import BootError
from tests.backends.linux.conftest import Machine
from tests.pains.conftest import MakeLinuxNode

LAMP = '[devices.lamp]\ndriver = "relay"\npin = "GPIO17"\n'
NODE = LAMP + '[devices.scale]\ndriver = "gps"\nport = "/dev/serial/by-id/usb-gps"\n'


@pytest.fixture
def forbid(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Refuse to open the files whose path ends like this, also to root."""
    really_open = os.open

    def forbid(ending: str) -> None:
        def refuse(path: Any, *rest: Any, **more: Any) -> int:
            if str(path).endswith(ending):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            return really_open(path, *rest, **more)

        monkeypatch.setattr(os, "open", refuse)

    return forbid


def errors_of(make: MakeLinuxNode, folder: Path, text: str) -> list[str]:
    """Boot a node that cannot; return what it says."""
    backend = LinuxBackend(SystemClock(), folder=folder)
    with pytest.raises(BootError) as caught:
        make(text, backend, board="raspberrypi/4b").boot()
    backend.close()
    return [str(each) for each in caught.value.exceptions]


def test_gpio(
    make_linux_node: MakeLinuxNode, machine: Machine, forbid: Callable[[str], None]
) -> None:
    """A user who may not open the GPIO chip is told the file, who owns it, and how to become one
    of those who may."""
    file = machine.folder / "gpiochip1"
    os.chmod(file, 0o660)
    machine.refused.add(1)
    forbid("gpiochip1")
    (said,) = errors_of(make_linux_node, machine.folder, LAMP)
    assert f"{file} cannot be opened: no permission: it belongs to " in said
    assert "(-rw-rw----)" in said


def test_all_at_once(
    make_linux_node: MakeLinuxNode, machine: Machine, forbid: Callable[[str], None]
) -> None:
    """Who mends one permission meets the next: a boot tells every one of them, each with what to
    do, and takes nothing meanwhile."""
    machine.refused.add(1)
    forbid("gpiochip1")
    forbid("usb-gps")
    said = errors_of(make_linux_node, machine.folder, NODE)
    assert len(said) == 2
    assert said[1] == (
        "/dev/serial/by-id/usb-gps: no permission. Add the user to the group dialout "
        "(sudo usermod -aG dialout $USER) and log in again"
    )
    assert machine.calls == []
