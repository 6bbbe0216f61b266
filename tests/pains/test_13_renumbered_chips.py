"""Pain 13: a kernel update gives the GPIO chip another number, and every pin is a wrong one.

gpiozero/gpiozero#1166, #1162, PR#1181, PR#1216; raspberrypi/linux#6347; flyte/mqtt-io#340, #427;
sunfounder/pironman5#58.
"""

from __future__ import annotations

import pytest

from edgekernel import SystemClock
from edgekernel.backends.linux import LinuxBackend
from edgekernel.core.errors import BootError
from tests.backends.linux.conftest import Machine
from tests.pains.conftest import MakeLinuxNode

LAMP = '[devices.lamp]\ndriver = "relay"\npin = "J8:11"\n'


@pytest.mark.parametrize("number", [0, 1, 4, 13])
@pytest.mark.parametrize(
    ("board", "label", "other"),
    [
        ("raspberrypi/4b", "pinctrl-bcm2711", "raspberrypi-exp-gpio"),
        ("raspberrypi/5", "pinctrl-rp1", "gpio-brcmstb@107d508500"),
    ],
)
def test_found_by_label(
    make_linux_node: MakeLinuxNode,
    machine: Machine,
    board: str,
    label: str,
    other: str,
    number: int,
) -> None:
    """On a Raspberry Pi 5 the header was gpiochip4 and is gpiochip0 since kernel 6.6.45: whatever
    the number, the same node file switches the same pin, and touches no other chip."""
    machine.clear()
    for each in range(5):
        machine.add_chip(each, f"{other}{each}")
    machine.add_chip(number, label)
    backend = LinuxBackend(SystemClock(), folder=machine.folder)
    with make_linux_node(LAMP, backend, board=board) as runtime:
        runtime.devices["lamp"].outputs["power"].set(True)  # type: ignore[arg-type]  # a switch
        assert machine.levels == {(number, 17): 1}
    backend.close()
    assert {call[1] for call in machine.calls} == {number}


def test_wrong_board(make_linux_node: MakeLinuxNode, machine: Machine) -> None:
    """A card moved from one model to another must not drive pins at random: a chip that is not
    there is told with the labels that are, and nothing is claimed."""
    backend = LinuxBackend(SystemClock(), folder=machine.folder)
    with pytest.raises(BootError) as caught:
        make_linux_node(LAMP, backend, board="raspberrypi/5").boot()
    backend.close()
    assert str(caught.value.exceptions[0]) == (
        "GPIO17: no GPIO chip is called 'pinctrl-rp1'; found: pinctrl-bcm2711, "
        "raspberrypi-exp-gpio; is this the board that the node file names?"
    )
    assert machine.calls == []
