"""Runs pyserial's own test runner on a port: FOLDER URL RESULTS.

RESULTS becomes a JSON object: the outcome and the reason by the name of each test.
"""

from __future__ import annotations

import json
import runpy
import sys
import unittest
from pathlib import Path
from typing import Any

import serial

outcomes: dict[str, tuple[str, str]] = {}


class Recorder(unittest.TextTestResult):
    """A result that keeps what came of each test."""

    def addSuccess(self, test: unittest.TestCase) -> None:
        outcomes[test.id()] = ("passed", "")
        super().addSuccess(test)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        outcomes[test.id()] = ("skipped", reason)
        super().addSkip(test, reason)

    def printErrors(self) -> None:
        for test, trace in (*self.errors, *self.failures):
            outcomes[test.id()] = ("failed", trace)
        super().printErrors()


def main(folder: str, url: str, results: str) -> None:
    """Run the suite in `folder` on the port `url`."""
    serial.protocol_handler_packages.append("tests.foreign")
    # The runner takes no class for its results, and Python 3.13 has dropped what it collects with.
    runner: Any = unittest.TextTestRunner
    runner.resultclass = Recorder
    collector: Any = unittest
    collector.findTestCases = unittest.defaultTestLoader.loadTestsFromModule
    sys.argv = ["run_all_tests.py", url]
    sys.path.insert(0, folder)
    try:
        runpy.run_path(str(Path(folder) / "run_all_tests.py"), run_name="__main__")
    finally:
        Path(results).write_text(json.dumps(outcomes), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
