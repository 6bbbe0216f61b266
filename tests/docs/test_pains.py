"""docs/pains.md: every pain is there once, and every test that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.test_seeds import defined_in

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/pains.md"
PAINS = 25
ALSO_FREQUENT = 2

_ROW = re.compile(r"^\| (\d+) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
_TEST = re.compile(r"\[`(\w+)`\]\(([^)]+)\)")


def rows() -> dict[int, str]:
    """Return what each pain is shown by."""
    found = _ROW.findall(PAGE.read_text("utf-8"))
    numbers = [int(number) for number, *_ in found]
    assert numbers == list(range(1, PAINS + ALSO_FREQUENT + 1))
    return {int(number): shown for number, _, _, shown in found}


def test_every_named_test_exists() -> None:
    """A test that a row names is in the file that it links to."""
    missing = [
        f"{number}: {name} in {link}"
        for number, shown in rows().items()
        for name, link in _TEST.findall(shown)
        if name not in defined_in((PAGE.parent / link).resolve())
    ]
    assert missing == []


def test_every_row_is_shown_or_says_what_is_missing() -> None:
    """A row names a test, or says what is not there yet."""
    rest = [n for n, shown in rows().items() if not _TEST.search(shown)]
    assert [n for n in rest if not rows()[n].startswith("not yet: ")] == []


def test_every_test_of_a_pain_is_named() -> None:
    """Each test in tests/pains stands in the row of its number."""
    for path in sorted((ROOT / "tests/pains").glob("test_*.py")):
        shown = rows()[int(path.name.split("_")[1])]
        named = {name for name, link in _TEST.findall(shown) if link.endswith(f"/{path.name}")}
        assert named == defined_in(path), path.name
