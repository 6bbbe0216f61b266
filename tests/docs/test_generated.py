"""The pages of docs/ that are made from the code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edgekernel.node import board_names, load_board

ROOT = Path(__file__).parents[2]


def test_pages_are_up_to_date() -> None:
    """What is committed is what `tools/generate-docs` writes."""
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "generate-docs", "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_boards_page() -> None:
    """Every board stands on the page with its name, chips, header pins and sources."""
    text = (ROOT / "docs" / "boards.md").read_text(encoding="utf-8")
    for name in board_names():
        board = load_board(name)
        section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        assert f"](#{name.replace('/', '')})" in text
        assert all(f"`{chip}`" in section for chip in board.chips)
        assert all(line in section for line in board.lines)
        assert " ".join(board.source.split()) in " ".join(section.split())
