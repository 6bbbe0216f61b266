"""docs/seeds.md: every row of the inventory is there once, and every test it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/seeds.md"
ROWS = {"A1": 21, "A2": 24, "A3": 12, "A4": 11, "A5": 2, "A6": 13, "A10": 19, "A11": 8}
"""How many rows each part of the inventory has."""
DEFECTS = 15

_CELLS = re.compile(r"^\| (#?[\w.]+) \| (.+) \| (.+) \|$", re.MULTILINE)
_TEST = re.compile(r"\[`([\w:]+)`\]\(([^)]+)\)")


def rows() -> list[tuple[str, str]]:
    """Return the number of each row, and what it is shown by."""
    cells = _CELLS.findall(PAGE.read_text("utf-8"))
    return [(number, shown) for number, _, shown in cells if re.search(r"\d", number)]


@cache
def defined_in(path: Path) -> set[str]:
    """Return the tests of a file, as `Class::test`, and its classes of tests."""
    found: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        members = node.body if isinstance(node, ast.ClassDef) else []
        names = [each.name for each in members if isinstance(each, ast.FunctionDef)]
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef) and names:
            found |= {node.name, *(f"{node.name}::{name}" for name in names)}
    return {name for name in found if name.rpartition("::")[2].lower().startswith("test")}


def test_every_row_is_there_once() -> None:
    """The rows of the inventory and the fifteen defects are there, in order, none twice."""
    defects = [f"#{number}" for number in range(1, DEFECTS + 1)]
    parts = [f"{part}.{number + 1}" for part, count in ROWS.items() for number in range(count)]
    assert [number for number, _ in rows()] == defects + parts


def test_every_named_test_exists() -> None:
    """A test that a row names is in the file that it links to."""
    missing = [
        f"{number}: {name} in {link}"
        for number, shown in rows()
        for name, link in _TEST.findall(shown)
        if name not in defined_in((PAGE.parent / link).resolve())
    ]
    assert missing == []


def test_every_row_is_shown_or_says_why_not() -> None:
    """A row names a test, or says what is not there yet, or why there is nothing to test."""
    said = ("not yet: ", "nothing to test: ")
    assert [
        n for n, shown in rows() if not _TEST.search(shown) and not shown.startswith(said)
    ] == []
