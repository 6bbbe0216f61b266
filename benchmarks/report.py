"""What the benchmarks have in common: options, tables, goals, and the page that keeps results."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = Path(__file__).with_name("README.md")


@dataclass(frozen=True)
class Goal:
    """A figure and what it has to be."""

    name: str
    value: float | None
    limit: float
    unit: str = "x"
    at_least: bool = False

    def __str__(self) -> str:
        """Say whether it is met."""
        wanted = f"at {'least' if self.at_least else 'most'} {self.limit:g} {self.unit}"
        if self.value is None:
            return f"- {self.name}: not measured (goal: {wanted})"
        met = self.value >= self.limit if self.at_least else self.value <= self.limit
        verdict = "met" if met else "**not met**"
        return f"- {self.name}: {self.value:.3g} {self.unit} (goal: {wanted}): {verdict}"


def options(description: str) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a short run that shows it works")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures there as well")
    parser.add_argument(
        "--readme", action="store_true", help="keep the printed report in benchmarks/README.md"
    )
    return parser


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, aligned so that it can be read as it is."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]

    def joined(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return " | ".join([first[0].ljust(first[1]), *(cell.rjust(w) for cell, w in others)])

    rule = "|".join(["-" * (widths[0] + 2), *("-" * (w + 1) + ":" for w in widths[1:])])
    title, *body = (f"| {joined(line)} |" for line in lines)
    return "\n".join([title, f"|{rule}|", *body])


def least_and_median(values: Sequence[float], digits: int = 2) -> str:
    """Return both as `1.23 / 1.30`, or a dash if there is no value."""
    if not values:
        return "-"
    return f"{min(values):.{digits}f} / {statistics.median(values):.{digits}f}"


def publish(name: str, text: str, figures: Any, arguments: argparse.Namespace) -> None:
    """Print a report, and keep its figures and its text where the options say."""
    print(text)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    if arguments.readme:
        begin, end = f"<!-- {name}: written by --readme -->\n", f"<!-- end of {name} -->\n"
        page = PAGE.read_text()
        before, found, rest = page.partition(begin)
        if not found:
            raise SystemExit(f"{PAGE.name} has no line {begin.strip()}")
        PAGE.write_text(f"{before}{begin}\n{text}\n\n{end}{rest.partition(end)[2]}")
