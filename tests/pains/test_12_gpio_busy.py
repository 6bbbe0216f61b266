"""Pain 12: "GPIO busy", and nothing says who has it: another process, or a reloaded program.

gpiozero/gpiozero#1151, #1057, #1074; waveform80/rpi-lgpio#25; jayofelony/pwnagotchi#109.
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
OTHER = "import sys; file = open(sys.argv[1]); print(flush=True); sys.stdin.read()"


def test_the_holder_is_named(make_linux_node: MakeLinuxNode, machine: Machine) -> None:
    """Somebody's old script still holds the pin: the boot fails with line, chip, consumer, the
    other process and what to do, and works when that process has ended."""
    machine.consumers[1, 17] = "lg"
    backend = LinuxBackend(SystemClock(), folder=machine.folder)
    runtime = make_linux_node(LAMP, backend, board="raspberrypi/4b")
    chip = machine.folder / "gpiochip1"
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, chip], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(BootError) as caught:
            runtime.boot()
    (error,) = caught.value.exceptions
    said = f"GPIO17 on pinctrl-bcm2711 ({chip}, line 17): in use (consumer 'lg'); "
    assert str(error).startswith(said)
    assert f"(process {other.pid})" in str(error)
    assert str(error).endswith("Stop that program or choose another line")
    assert error.__notes__ == ["while attaching device 'lamp'"]
    machine.consumers.clear()
    with make_linux_node(LAMP, backend, board="raspberrypi/4b") as again:
        assert again.devices["lamp"].online
    backend.close()


def test_a_reloaded_node_is_not_its_own_rival(
    make_linux_node: MakeLinuxNode, machine: Machine
) -> None:
    """A program that reloads itself finds its own pins busy: a node that has ended, however often,
    leaves every line to the next one in the same process."""
    backend = LinuxBackend(SystemClock(), folder=machine.folder)
    for _ in range(20):
        with make_linux_node(LAMP, backend, board="raspberrypi/4b") as runtime:
            runtime.devices["lamp"].outputs["power"].set(True)  # type: ignore[arg-type]
    backend.close()
    names = [call[0] for call in machine.calls]
    assert names.count("claim_output") == names.count("free") == 20
    assert machine.open_chips == []
