"""Outputs that keep the level that the line has: what reaches the kernel, bit by bit."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from edgekernel.backends.backend import Backend
from edgekernel.backends.linux import LinuxBackend
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import BrokenError, BusyError, ClosedError
from edgekernel.hal.address import LineAddress
from tests.backends.linux.conftest import Machine
from tests.backends.linux.kernel_lines import OUTPUT, KernelLines

LAMP = LineAddress("GPIO17", "pinctrl-bcm2711", 17)


@pytest.fixture
def backend(machine: Machine) -> Iterator[Backend]:
    """A LinuxBackend on the stand-ins."""
    made = LinuxBackend(SystemClock(), folder=machine.folder)
    yield made
    made.close()


@pytest.mark.parametrize("level", [False, True])
def test_nothing_moves(
    backend: Backend, machine: Machine, kernel: KernelLines, level: bool
) -> None:
    """The line is taken without a direction, read, and made an output at that very level, all in
    one hold; lgpio, which would make an input of it, has no part in it."""
    kernel.levels[17] = level
    output = backend.digital_output(LAMP)
    output.open(None)
    assert kernel.calls == [("get", 17, b"edgekernel"), ("config", 17, OUTPUT, level)]
    assert output.read() is level
    assert machine.calls == []


def test_writes_and_closes(backend: Backend, machine: Machine, kernel: KernelLines) -> None:
    """It is written, read and closed like any other output, and opens again with a level."""
    kernel.levels[17] = True
    output = backend.digital_output(LAMP)
    output.open(None)
    output.write(False)
    assert output.read() is False
    output.write(True)
    output.close()
    output.close()
    with pytest.raises(ClosedError):
        output.read()
    assert kernel.calls[2:] == [("set", 17, 0), ("set", 17, 1)]
    output.open(True)
    assert machine.calls == [("claim_output", 1, 17, 1)]


def test_busy(backend: Backend, machine: Machine, kernel: KernelLines) -> None:
    """A line that somebody holds is busy, and can be had afterwards."""
    kernel.busy.add(17)
    machine.consumers[1, 17] = "W1"
    output = backend.digital_output(LAMP)
    with pytest.raises(BusyError, match=r"GPIO17 .*gpiochip1, line 17\): in use \(consumer 'W1'\)"):
        output.open(None)
    kernel.busy.clear()
    machine.consumers.clear()
    kernel.levels[17] = False
    output.open(None)


def test_refused(backend: Backend, kernel: KernelLines) -> None:
    """If the kernel refuses, the line is given back and the error has its words."""
    kernel.levels[17] = True
    kernel.refusal = errno.EPERM
    output = backend.digital_output(LAMP)
    with pytest.raises(BrokenError, match=r"GPIO17 .*: .*Operation not permitted"):
        output.open(None)
    kernel.refusal = 0
    output.open(None)
    kernel.refusal = errno.ENODEV
    with pytest.raises(BrokenError, match=r"GPIO17 .*: .*No such device"):
        output.write(False)
