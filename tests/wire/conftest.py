"""tshark, which reads what was sent: `make test` installs it.

It is a large program. Where it cannot be had the tests of this folder are skipped, and say so; in
continuous integration (`CI=true`) they fail instead.
"""

from __future__ import annotations

import os
import shutil

import pytest

_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/bin", "/opt/homebrew/bin"))
TSHARK = shutil.which("tshark", path=_PATH)


@pytest.fixture(scope="session", autouse=True)
def tshark() -> None:
    """Skip, or fail, without it."""
    if TSHARK is None:
        missing = "tshark is missing; tools/ensure-tshark installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
