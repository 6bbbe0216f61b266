"""pyserial's own test runner, run on the simulated port with a loopback plug in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITE = Path(sys.prefix) / "foreign" / f"pyserial-{version('pyserial')}" / "test"

NO_DEVICE_FILE = "exclusive test only compatible with real serial port"
SKIPPED = {
    # They open a device file with pyserial's own class, whatever port they were given.
    "test_exclusive.Test_exclusive.test_exclusive_none": NO_DEVICE_FILE,
    "test_exclusive.Test_exclusive.test_exclusive_false": NO_DEVICE_FILE,
    "test_exclusive.Test_exclusive.test_exclusive_true": NO_DEVICE_FILE,
    # For Windows.
    "test_exclusive.Test_exclusive.test_exclusive_only_true": (
        "platform is not restricted to exclusive=True (and None)"
    ),
    # It tests pyserial's RS-485 in software, a subclass of its class for device files.
    "test_rs485.Test_RS485_class.test_RS485_class": (
        "RS485 test only compatible with real serial port"
    ),
}
"""What does not apply to a port without a device file, and what the suite says of it."""

OTHERS = {
    "test_pty": 3,
    "test_rfc2217": 1,
    "test_timeout_class": 4,
    "test_url": 3,
    "test_util": 2,
}
"""How many tests are about other things than the port that they are given. `test_asyncio` has
none: pyserial 3.5 has no `serial.aio`."""

Outcomes = dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """Run the suite in a process of its own: per test its outcome and the reason."""
    if not SUITE.is_dir():
        pytest.fail(f"{SUITE} is missing: run tools/fetch-foreign-suites {sys.prefix}")
    folder = tmp_path_factory.mktemp("pyserial")
    results = folder / "results.json"
    runner = (sys.executable, "-m", "tests.foreign.pyserial_runner")
    done = subprocess.run(
        [*runner, str(SUITE), "edgekernel://loop", str(results)],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert results.exists(), done.stdout + done.stderr
    found = json.loads(results.read_text(encoding="utf-8"))
    return {name: (how, why) for name, (how, why) in found.items()}


def test_nothing_fails(outcomes: Outcomes) -> None:
    """pyserial's tests accept the simulated port as one with a loopback adapter."""
    assert {name: why for name, (how, why) in outcomes.items() if how == "failed"} == {}
    passed = [name for name, (how, _) in outcomes.items() if how == "passed"]
    assert len(passed) == 56
    others = {each: sum(name.startswith(f"{each}.") for name in passed) for each in OTHERS}
    assert others == OTHERS  # the 43 that are left have used the port


def test_skips_are_known(outcomes: Outcomes) -> None:
    """What the suite skips is about device files, and no more than is listed here."""
    assert {name: why for name, (how, why) in outcomes.items() if how == "skipped"} == SKIPPED
