"""Whether the kernel keeps outputs when the agent has ended, for each GPIO chip."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.examination.kept_levels import look_at_kept_levels
from tests.node.computers import computer, lay

PARAMETER = "/sys/module/{}/parameters/persist_gpio_outputs"
CONFIG = "/boot/firmware/config.txt"


def look(root: Path, chip: str) -> Finding:
    """Look at one chip."""
    (found,) = look_at_kept_levels(computer(root), [chip, chip])
    return found


@pytest.mark.parametrize(
    ("chip", "module"),
    [
        ("pinctrl-bcm2835", "pinctrl_bcm2835"),
        ("pinctrl-bcm2711", "pinctrl_bcm2835"),
        ("pinctrl-rp1", "pinctrl_rp1"),
    ],
)
def test_a_parameter_of_the_kernel(tmp_path: Path, chip: str, module: str) -> None:
    """Each chip has its module; what is off comes with the parameter that switches it on."""
    lay(tmp_path, {PARAMETER.format(module): "Y\n"})
    found = look(tmp_path, chip)
    assert (found.level, found.subject) == (Level.OK, f"levels after the agent ({chip})")
    lay(tmp_path, {PARAMETER.format(module): "N\n"})
    found = look(tmp_path, chip)
    assert found.level is Level.WARNING
    where = "put {}.persist_gpio_outputs=1 into the kernel's command line and reboot;"
    assert found.fix.startswith(where.format(module))
    lay(tmp_path, {CONFIG: "dtparam=audio=on\n"})
    assert " into /boot/firmware/cmdline.txt and reboot" in look(tmp_path, chip).fix


def test_switched_off_in_config_txt(tmp_path: Path) -> None:
    """Where config.txt switches it off, that line is what has to go."""
    lay(tmp_path, {PARAMETER.format("pinctrl_rp1"): "N\n", CONFIG: "dtparam=strict_gpiod\n"})
    found = look(tmp_path, "pinctrl-rp1")
    assert found.fix.startswith(f"take dtparam=strict_gpiod out of {CONFIG} and reboot")


def test_an_older_kernel(tmp_path: Path) -> None:
    """A kernel without the parameter may do either: that is no safe level."""
    found = look(tmp_path, "pinctrl-bcm2711")
    assert found.level is Level.WARNING
    assert "a resistor" in found.fix


def test_a_chip_of_another_maker(tmp_path: Path) -> None:
    """Of other chips it is said that nobody tells."""
    found = look(tmp_path, "periphs-banks")
    assert found.level is Level.OK
    assert "does not tell" in found.text
