"""What the tests of the broker share: the same tests on mosquitto, which is the judge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stages import KINDS, Stage, staged


@pytest.fixture(params=KINDS)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Give a broker, started: mosquitto, and ours."""
    with staged(request.param, tmp_path) as made:
        yield made
