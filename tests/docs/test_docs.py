"""The documentation: its links lead somewhere and its decisions are all there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "benchmarks/README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_ELSEWHERE = ("http://", "https://", "mailto:", "#")


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in PAGES])
def test_relative_links_lead_to_files(page: str) -> None:
    """Every relative link of a page names a file or folder that exists."""
    path = ROOT / page
    links = _LINK.findall(path.read_text("utf-8"))
    paths = [link.partition("#")[0] for link in links if not link.startswith(_ELSEWHERE)]
    assert [each for each in paths if not (path.parent / each).exists()] == []


def test_decisions_are_numbered_in_order() -> None:
    """Decision records count from 0001 without a gap, and each begins with its number."""
    records = sorted((ROOT / "docs/decisions").glob("*.md"))
    numbers = [record.name[:4] for record in records]
    assert numbers == [f"{number:04}" for number in range(1, len(records) + 1)]
    for record in records:
        assert record.read_text("utf-8").startswith(f"# {record.name[:4]}: "), record.name
