"""gpiozero's own tests for real pins, run on the simulated ones with a jumper wire between two."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITE = Path(sys.prefix) / "foreign" / f"gpiozero-{version('gpiozero')}" / "tests"

NO_HARDWARE = "Test cannot run with non-local pin factories"
SKIPPED = {
    "test_spi_hardware_same_port": "Test assumes LocalPiHardwareSPI descendant",
    "test_spi_hardware_read": NO_HARDWARE,
    "test_spi_hardware_write": NO_HARDWARE,
    "test_spi_hardware_modes": NO_HARDWARE,
}
"""What is about gpiozero's own SPI on Linux, and why it says that it does not run here."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """Run the suite in a process of its own: per test its outcome and the reason."""
    if not SUITE.is_dir():
        pytest.fail(f"{SUITE} is missing: run tools/fetch-foreign-suites {sys.prefix}")
    if "edgekernel-sim" not in entry_points(group="gpiozero_pin_factories").names:
        pytest.fail("edgekernel is installed without its pin factory: install it anew (make test)")
    folder = tmp_path_factory.mktemp("gpiozero")
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", SUITE / "test_real_pins.py", "-k", "edgekernel-sim"),
            *("-c", folder / "pytest.ini", "-p", "tests.foreign.gpiozero_fixtures"),
            *("-p", "no:cacheprovider", f"--junitxml={folder / 'results.xml'}"),
        ],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "GPIOZERO_PIN_FACTORY": "edgekernel-sim",
            "GPIOZERO_TEST_LOCK": str(folder / "lock"),
            "EDGEKERNEL_SIM_WIRES": "GPIO22-GPIO27",  # the pins that the suite wants wired
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr  # 1: some failed
    return dict(map(_result, ElementTree.parse(folder / "results.xml").iter("testcase")))


def _result(case: ElementTree.Element) -> tuple[str, tuple[str, str]]:
    name = case.attrib["name"].removesuffix("[edgekernel-sim]")
    for outcome in case:
        if outcome.tag in ("failure", "error", "skipped"):
            return name, (outcome.tag, outcome.attrib["message"])
    return name, ("passed", "")


def test_nothing_fails(results: dict[str, tuple[str, str]]) -> None:
    """gpiozero's tests accept the simulated pins as real ones."""
    assert {name: why for name, (how, why) in results.items() if how in ("failure", "error")} == {}
    assert len([name for name, (how, _) in results.items() if how == "passed"]) >= 16


def test_skips_are_known(results: dict[str, tuple[str, str]]) -> None:
    """What the suite skips is about other things than pins, and no more than is listed here."""
    assert {name: why for name, (how, why) in results.items() if how == "skipped"} == SKIPPED
