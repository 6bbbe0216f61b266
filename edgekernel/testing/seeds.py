"""Seeds: with which ones a test runs, and how a failing one is run again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for: one seed for all tests, or so many for each."""

    seed: int | None
    count: int | None

    def seeds(self, marked: int | None) -> Sequence[int] | None:
        """Return the seeds that a test is run with, one after the other; None: it is run once.

        `marked` is the number that the test itself asks for. A single seed is that of the run.
        """
        count = self.count
        if count is None and self.seed is None:
            count = marked
        return None if count is None else range(first := self.seed or 0, first + count)


def identify(seed: int) -> str:
    """Return how a seed is named in the id of a test."""
    return f"seed{seed}"


def again(test: str, seed: int | None) -> str:
    """Return the command that runs a test with the same seed again."""
    if seed is None:
        return f"pytest {shlex.quote(test)}"
    name, bracket, id = test.partition("[")
    kept = re.sub(rf"(^|-){identify(seed)}(-|$)", lambda found: found[1] and found[2], id[:-1])
    test = f"{name}[{kept}]" if bracket and kept else name
    return f"pytest {shlex.quote(test)} --edgekernel-seed {seed}"
