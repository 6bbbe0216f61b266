"""The one fixture that gpiozero's test suite takes from a file its source archive leaves out."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from gpiozero import Device


@pytest.fixture
def no_default_factory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take gpiozero's default pins away for a test, and undo what it sets in the environment."""
    monkeypatch.setattr(Device, "pin_factory", None)
    before = os.environ.get("GPIOZERO_PIN_FACTORY")
    yield
    if before is None:
        os.environ.pop("GPIOZERO_PIN_FACTORY", None)
    else:
        os.environ["GPIOZERO_PIN_FACTORY"] = before
