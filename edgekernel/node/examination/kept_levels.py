"""Levels after the agent: does the kernel keep what an output has when nobody holds it?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edgekernel.node.examination.boot_config import lines_in_force
from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.machine import Machine

_MODULES = {
    "pinctrl-bcm2835": "pinctrl_bcm2835",
    "pinctrl-bcm2711": "pinctrl_bcm2835",
    "pinctrl-rp1": "pinctrl_rp1",
}
"""The module of a GPIO chip, by its label, that has the parameter: pinctrl-bcm2835.c since Linux
6.9, and that and pinctrl-rp1.c of the Raspberry Pi kernel, where it is on unless told otherwise."""
_STRICT = "dtparam=strict_gpiod"
"""Switches it off (Raspberry Pi's white paper on GPIO from Linux, "libgpiod")."""
_RESISTOR = "a resistor at the input of each load holds it too, whatever the kernel does"


def look_at_kept_levels(machine: Machine, chips: Iterable[str]) -> Iterator[Finding]:
    """Find what becomes of the outputs on these GPIO chips, by label, when the agent has ended:
    decision 0006."""
    for label in dict.fromkeys(chips):
        yield _look_at(machine, label)


def _look_at(machine: Machine, label: str) -> Finding:
    subject = f"levels after the agent ({label})"
    module = _MODULES.get(label)
    if module is None:
        text = "this kernel does not tell whether it keeps them: measure it, or rely on resistors"
        return Finding(Level.OK, subject, text)
    kept = machine.read(f"/sys/module/{module}/parameters/persist_gpio_outputs").strip()
    if kept == "Y":
        return Finding(Level.OK, subject, "the kernel keeps them")
    if kept == "N":
        text = "the kernel makes an input of what nobody holds: outputs float, and are not safe"
        return Finding(Level.WARNING, subject, text, f"{_keep(machine, module)}; {_RESISTOR}")
    text = "this kernel does not tell whether it keeps them: before Linux 6.9 outputs may float"
    return Finding(Level.WARNING, subject, text, f"take a newer kernel; {_RESISTOR}")


def _keep(machine: Machine, module: str) -> str:
    config = machine.boot_config
    if config and _STRICT in lines_in_force(machine):
        return f"take {_STRICT} out of {config} and reboot"
    where = f"{config.rpartition('/')[0]}/cmdline.txt" if config else "the kernel's command line"
    return f"put {module}.persist_gpio_outputs=1 into {where} and reboot"
