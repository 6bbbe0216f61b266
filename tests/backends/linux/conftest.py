"""A stand-in for the C functions of lgpio: the GPIO chips of a machine that is not there.

What they do with a line is that of lgpio 0.2.2.0 (lgGpio.c).
"""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.backends.linux.kernel_lines import KernelLines

IN_USE, OUTPUT = 1, 2


class LgpioError(Exception):
    """What lgpio raises: a text, and nothing else."""


class Machine:
    """GPIO chips by number, and every call that lgpio would have carried out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.labels: dict[int, str] = {}
        self.refused: set[int] = set()
        self.refusal = ""
        """What lgpio says to every claim, if not empty."""
        self.consumers: dict[tuple[int, int], str] = {}
        self.levels: dict[tuple[int, int], int] = {}
        self.flags: dict[tuple[int, int], int] = {}
        self.watchers: dict[tuple[int, int], Callable[[int, int, int, int], None]] = {}
        self.open_chips: list[int] = []
        self.calls: list[tuple[object, ...]] = []
        """Calls that concern a line: name, chip number, offset, arguments."""

    def add_chip(self, number: int, label: str) -> None:
        """Put a chip into the machine."""
        self.labels[number] = label
        (self.folder / f"gpiochip{number}").touch()

    def clear(self) -> None:
        """Take every chip out."""
        for number in self.labels:
            (self.folder / f"gpiochip{number}").unlink()
        self.labels.clear()

    def edge(self, chip: int, offset: int, level: int, at_ns: int) -> None:
        """Change the level of a line from outside; the kernel's time of the edge is `at_ns`."""
        self.levels[chip, offset] = level
        if (chip, offset) in self.watchers:
            self.watchers[chip, offset](chip, offset, level, at_ns)


class _Callback:
    def __init__(self, machine: Machine, line: tuple[int, int]) -> None:
        self._machine, self._line = machine, line

    def cancel(self) -> None:
        self._machine.calls.append(("cancel", *self._line))
        del self._machine.watchers[self._line]


def make_lgpio(machine: Machine) -> ModuleType:
    """Return a module in place of lgpio, whose chips are those of a machine."""
    module: Any = ModuleType("lgpio")
    module.error = LgpioError
    module.RISING_EDGE, module.FALLING_EDGE, module.BOTH_EDGES = 1, 2, 3
    module.SET_PULL_UP, module.SET_PULL_DOWN, module.SET_PULL_NONE = 32, 64, 128

    def gpiochip_open(number: int) -> int:
        if number in machine.refused or number not in machine.labels:
            raise LgpioError("can not open gpiochip")
        machine.open_chips.append(number)
        return number

    def claim(name: str, chip: int, offset: int, flags: int, *arguments: int) -> None:
        machine.calls.append((name, chip, offset, *arguments))
        if (chip, offset) in machine.consumers:
            raise LgpioError("GPIO busy")
        if machine.refusal:
            raise LgpioError(machine.refusal)
        machine.flags[chip, offset] = flags | IN_USE

    def gpio_claim_output(chip: int, offset: int, level: int = 0, flags: int = 0) -> None:
        claim("claim_output", chip, offset, flags | OUTPUT, level)
        machine.levels[chip, offset] = level

    def gpio_claim_input(chip: int, offset: int, flags: int = 0) -> None:
        claim("claim_input", chip, offset, flags, flags)

    def gpio_claim_alert(chip: int, offset: int, edges: int, flags: int = 0) -> None:
        claim("claim_alert", chip, offset, flags, edges, flags)

    def gpio_free(chip: int, offset: int) -> None:
        machine.calls.append(("free", chip, offset))
        del machine.flags[chip, offset]

    def gpio_write(chip: int, offset: int, level: int) -> None:
        machine.calls.append(("write", chip, offset, level))
        machine.levels[chip, offset] = level

    def tx_pwm(chip: int, offset: int, frequency: float, duty: float) -> int:
        machine.calls.append(("tx_pwm", chip, offset, frequency, duty))
        if frequency:
            machine.levels[chip, offset] = 1  # where pulses that are ended may leave it
        return 19  # entries left in its queue

    def gpio_get_line_info(chip: int, offset: int) -> list[object]:
        user = machine.consumers.get((chip, offset))
        return [0, offset, 0 if user is None else IN_USE, "", user or ""]

    def callback(chip: int, offset: int, edge: int, func: Any) -> _Callback:
        machine.watchers[chip, offset] = func
        return _Callback(machine, (chip, offset))

    for function in (
        gpiochip_open,
        gpio_claim_output,
        gpio_claim_input,
        gpio_claim_alert,
        gpio_free,
        gpio_write,
        tx_pwm,
        gpio_get_line_info,
        callback,
    ):
        setattr(module, function.__name__, function)
    module.gpiochip_close = machine.open_chips.remove
    module.gpio_get_chip_info = lambda chip: [0, 54, f"gpiochip{chip}", machine.labels[chip]]
    module.gpio_get_mode = lambda chip, offset: machine.flags.get((chip, offset), 0)
    module.gpio_read = lambda chip, offset: machine.levels.get((chip, offset), 0)
    return module  # type: ignore[no-any-return]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A Raspberry Pi 4 whose first chip is not the one with the header."""
    made = Machine(tmp_path)
    made.add_chip(0, "raspberrypi-exp-gpio")
    made.add_chip(1, "pinctrl-bcm2711")
    monkeypatch.setitem(sys.modules, "lgpio", make_lgpio(made))
    for name in ("gpiozero.pins.lgpio", "edgekernel.backends.linux.lgpio_pins"):
        # Imported anew, on the stand-in; afterwards what was there before is there again.
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
        del sys.modules[name]
    return made


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KernelLines:
    """The kernel's own lines of the chip with the header."""
    made = KernelLines(tmp_path / "gpiochip1")
    monkeypatch.setattr(fcntl, "ioctl", made.ioctl)
    return made
