"""The lines of config.txt that count for a computer."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel.node.examination.boot_config import lines_in_force
from tests.node.computers import computer, lay

CONFIG = """\
# comment
dtparam=i2c_arm=on,spi=on   # two at once
[pi4]
dtoverlay=i2c4
[pi5]
dtoverlay=i2c5
[cm4]
dtoverlay=i2c6
[all]
  dtoverlay=w1-gpio,gpiopin=5
[pi4]
[EDID=VSC-TD2220]
dtoverlay=never
[pi4]
dtoverlay=neither
[none]
dtoverlay=nor
[all]
arm_boost=1
"""


@pytest.mark.parametrize(
    ("compatible", "models"),
    [
        ("raspberrypi,4-model-b", ["dtoverlay=i2c4"]),
        ("raspberrypi,5-model-b", ["dtoverlay=i2c5"]),
        ("raspberrypi,4-compute-module", ["dtoverlay=i2c4", "dtoverlay=i2c6"]),
        ("another,board", []),
    ],
)
def test_filters(tmp_path: Path, compatible: str, models: list[str]) -> None:
    """A filter lets its own models through, [all] everything, and one that cannot be judged from
    here nothing, whatever comes before the next [all]."""
    lay(
        tmp_path,
        {
            "/proc/device-tree/compatible": f"{compatible}\0",
            "/boot/firmware/config.txt": CONFIG,
        },
    )
    assert lines_in_force(computer(tmp_path)) == [
        "dtparam=i2c_arm=on",
        "dtparam=spi=on",
        *models,
        "dtoverlay=w1-gpio,gpiopin=5",
        "arm_boost=1",
    ]


def test_no_config(tmp_path: Path) -> None:
    """A computer without a config.txt has no lines."""
    assert lines_in_force(computer(tmp_path)) == []
