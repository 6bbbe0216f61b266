"""Pain 14: the installation breaks: a library is compiled, or installed while the program runs.

flyte/mqtt-io#357, #355, #433, #91, #334.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from edgekernel import SystemClock
from edgekernel.backends.linux import LinuxBackend
from edgekernel.core.errors import BootError
from tests.backends.linux.conftest import Machine
from tests.pains.conftest import MakeLinuxNode

LAMP = '[devices.lamp]\ndriver = "relay"\npin = "GPIO17"\n'


def test_without_lgpio(
    make_linux_node: MakeLinuxNode, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library is missing, and the program tries to install it, in vain: here the boot says which
    one is missing and what installs it, and starts no other program."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was to be installed")

    monkeypatch.setitem(sys.modules, "lgpio", None)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    backend = LinuxBackend(SystemClock(), folder=machine.folder)
    with pytest.raises(BootError) as caught:
        make_linux_node(LAMP, backend, board="raspberrypi/4b").boot()
    backend.close()
    (error,) = caught.value.exceptions
    assert str(error).startswith("GPIO17: the Python package lgpio cannot be imported (")
    assert str(error).endswith("same virtual environment: pip install 'edgekernel[pi]'")
