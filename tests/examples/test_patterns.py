"""The small examples, one idea each: every one runs and prints what it is about."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

PRINTED = {
    "secret_rotation": [
        "connected as shed-1, with a token of 5 characters",
        "disconnected shed-1",
        "connected as shed-2, with a token of 6 characters",
        "disconnected shed-2",
    ],
    "ab_split": ["[10, 10, 10]", "[50, 50, 10]", "[10, 10, 10]"],
    "tenants": ["bed 1: tomatoes", "bed 2: nothing"],
    "extension": ["12.0 l: 3.00", "['watering']"],
    "circuit_breaker": [
        "pump: ready",
        "pump: tripped",
        "pump: tripped after 3 failures; reset it",
        "pump: ready",
    ],
    "audit_trail": [
        "valves: valve.opened {'bed': '3'}",
        "valves: valve.closed {'bed': '3'}",
        "valves.open may not be called by 'guest': denied by 'valves.open' (policy 'guest')",
        "anna valves.open {'bed': '3'} ok",
        "guest valves.close {'bed': '3'} ok",
        "guest valves.open {'bed': '3'} forbidden",
    ],
    "hot_update": [
        "version 1: 0.0 l",
        "version 1: 250.0 l",
        "version 2: 0.25 m3",
        "version 3: does not start on this board",
        "version 2: 0.75 m3",
    ],
}


@pytest.mark.parametrize("name", PRINTED)
def test_prints(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run as a program, an example prints what its text says happens."""
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert capsys.readouterr().out.splitlines() == PRINTED[name]


def test_every_example_is_run_by_a_test() -> None:
    """No file among the examples is without a test in this folder."""
    tests = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    examples = {path.stem for path in EXAMPLES.iterdir() if not path.name.startswith(("_", "."))}
    assert examples - tests <= set(PRINTED)


@pytest.mark.parametrize("name", PRINTED)
def test_is_small(name: str) -> None:
    """An example has one idea, and fits on a screen or two."""
    assert len((EXAMPLES / f"{name}.py").read_text("utf-8").splitlines()) <= 70
