"""docs/faults.md: each kind of fault with its settings, where it is possible, and a test."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from edgekernel.sim.drill import WAYS
from edgekernel.sim.faults import KINDS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "faults.md").read_text(encoding="utf-8")


def rows() -> list[list[str]]:
    """Return the cells of the table, row by row."""
    lines = [each for each in PAGE.splitlines() if each.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_kind_has_its_row() -> None:
    """The rows are those of the vocabulary, each with the settings that the kind has, and with a
    drill if there is a way to do it."""
    assert len(rows()) == len(KINDS)
    for kind, (word, targets, _, settings, simulated, drill) in zip(KINDS, rows(), strict=True):
        made: Any = kind
        assert word == f"`{kind.word}`"
        assert targets == (", ".join(kind.on) or "-")
        assert (drill != "-") is (kind in WAYS)
        assert simulated.startswith("[`test_")
        assert re.findall(r"`(\w+)`", settings) == [each.name for each in fields(made)]


def test_every_test_is_there() -> None:
    """What is linked is a test, in the file that is linked."""
    links = re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", PAGE)
    assert len(links) > len(KINDS)
    for name, path in links:
        assert f"def {name}(" in (DOCS / path).read_text(encoding="utf-8"), path
