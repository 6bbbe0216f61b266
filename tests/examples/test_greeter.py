"""The sixty-second example does what it shows."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "greeter.py"

SEED_LINES = 44
"""Lines of code that the example this one answers has (S0, from the first import on)."""


def test_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """The effect runs at the start and after the change; the command follows the setting."""
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert capsys.readouterr().out.splitlines() == [
        "ready to greet",
        "the prefix is now: Hello",
        "{'message': 'Hello, Alice!'}",
        "the prefix is now: Howdy",
        "{'message': 'Howdy, Bob!'}",
    ]


def test_is_as_short_as_what_it_answers() -> None:
    """It takes no more lines than the example of the seed."""
    source = EXAMPLE.read_text()
    begin = next(node.lineno for node in ast.parse(source).body if isinstance(node, ast.ImportFrom))
    lines = [line for line in source.splitlines()[begin - 1 :] if line.strip()]
    assert len(lines) <= SEED_LINES
