"""Pain 3: at the end of the program pins float or become inputs, and the motor moves.

gpiozero/gpiozero#1146, #707, #1066, #1009; NVIDIA/jetson-gpio#117.
"""

from __future__ import annotations

import pytest

from edgekernel import Device, SystemClock
from edgekernel.backends.linux import LinuxBackend
from edgekernel.core.errors import BootError
from edgekernel.sim import SimClock
from tests.backends.linux.conftest import Machine
from tests.pains.conftest import MakeLinuxNode, MakeNode

MOTOR = """
[devices.motor]
driver = "relay"
pin = "GPIO17"
active_high = {active_high}
safe = "{safe}"
"""


class Broken(Device):
    """A part that cannot be started."""

    def connect(self) -> None:
        raise OSError("no such hardware")


def motor(active_high: bool, safe: str) -> str:
    """The node file of a motor."""
    return MOTOR.format(active_high=str(active_high).lower(), safe=safe)


@pytest.mark.parametrize("safe", ["off", "on"])
@pytest.mark.parametrize("active_high", [True, False], ids=["active-high", "active-low"])
def test_safe_level_stays(
    make_node: MakeNode, clock: SimClock, active_high: bool, safe: str
) -> None:
    """The agent ends and the motor starts to move: the line keeps driving its safe level after
    everything has been given back."""
    node = make_node(motor(active_high, safe))
    line = node.backend.line("GPIO17")
    with node.runtime:
        node.output("motor.power").set(safe == "off")
        clock.advance(1)
        assert line.level is ((safe == "off") is active_high)
    node.backend.close()
    clock.advance(3600)
    assert (line.function, line.level) == ("output", (safe == "on") is active_high)


def test_failed_boot(make_node: MakeNode) -> None:
    """The program dies as it starts and leaves the pin to itself: after a boot that failed the
    line has its safe level, and had no other."""
    node = make_node(motor(active_high=False, safe="off"))
    node.runtime.attach_device(Broken("broken"))
    with pytest.raises(BootError):
        node.runtime.boot()
    line = node.backend.line("GPIO17")
    assert (line.function, line.levels) == ("output", (True,))


def test_never_an_input_on_linux(make_linux_node: MakeLinuxNode, machine: Machine) -> None:
    """gpiozero turns a pin into an input when it is closed: here the last thing that happens to
    the line is its safe level, then it is freed as it is."""
    backend = LinuxBackend(SystemClock(), folder=machine.folder)
    runtime = make_linux_node(motor(active_high=False, safe="off"), backend, board="raspberrypi/4b")
    with runtime:
        runtime.devices["motor"].outputs["power"].set(True)  # type: ignore[arg-type]  # a switch
    backend.close()
    assert {call[0] for call in machine.calls} == {"claim_output", "write", "free"}
    assert machine.calls[-2:] == [("write", 1, 17, 1), ("free", 1, 17)]
    assert machine.levels[1, 17] == 1
