"""The Raspberry Pi's config.txt: which of its lines count for this computer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgekernel.node.machine import Machine

CONFIG_TXT = "config.txt: "
"""How a board file begins what belongs into it."""

_MODELS = {
    "raspberrypi,3-model-b": {"pi3"},
    "raspberrypi,3-model-b-plus": {"pi3", "pi3+"},
    "raspberrypi,3-model-a-plus": {"pi3", "pi3+"},
    "raspberrypi,4-model-b": {"pi4"},
    "raspberrypi,400": {"pi4", "pi400"},
    "raspberrypi,4-compute-module": {"pi4", "cm4"},
    "raspberrypi,5-model-b": {"pi5"},
    "raspberrypi,500": {"pi5", "pi500"},
    "raspberrypi,5-compute-module": {"pi5", "cm5"},
    "raspberrypi,model-zero-w": {"pi0", "pi0w"},
    "raspberrypi,model-zero-2-w": {"pi0", "pi02"},
}
"""The filters that let a model through (Raspberry Pi documentation, "Conditional filters")."""
_FILTER = re.compile(r"\[(.+)\]")


def lines_in_force(machine: Machine) -> list[str]:
    """Return the lines of config.txt that count for this computer, without comments.

    A line with several parameters counts as a line for each: "dtparam=i2c_arm=on,spi=on" as
    "dtparam=i2c_arm=on" and "dtparam=spi=on". What stands below a filter that cannot be judged from
    here, such as one for a monitor, is left out.
    """
    config = machine.boot_config
    models = {each for name in machine.compatible for each in _MODELS.get(name, ())}
    found: list[str] = []
    for line in _filtered(machine.read(config) if config else "", models):
        found += _split(line)
    return found


def _filtered(text: str, models: set[str]) -> Iterator[str]:
    """Give the lines that pass; filters of different kinds must all let them through, of the same
    kind the latest counts."""
    model = judged = True
    for written in text.splitlines():
        line = written.partition("#")[0].strip()
        named = _FILTER.fullmatch(line)
        if named is None:
            if line and model and judged:
                yield line
        elif named[1] == "all":
            model = judged = True
        elif re.fullmatch(r"(pi|cm)\d.*", named[1]):
            model = named[1] in models
        else:
            judged = False  # [none] too


def _split(line: str) -> list[str]:
    if not line.startswith("dtparam="):
        return [line]
    return [f"dtparam={each.strip()}" for each in line.removeprefix("dtparam=").split(",")]
