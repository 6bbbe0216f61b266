"""The dictionaries: services come and go, and who reads them follows."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "dictionaries.py"


def test_the_index_is_rebuilt_once_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    """Once at the start, once for the one that comes, once for the one that goes."""
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert capsys.readouterr().out.splitlines() == [
        "index rebuilt: ['EN', 'FR']",
        "taxi: ['EN', 'FR']",
        "index rebuilt: ['EN', 'FR', 'DE']",
        "taxi: ['DE', 'EN', 'FR']",
        "index rebuilt: ['EN', 'DE']",
        "languages: ['DE', 'EN']",
    ]
