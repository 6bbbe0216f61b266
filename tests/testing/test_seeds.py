"""Seeds: which a test runs with, and the command that repeats one."""

from __future__ import annotations

import pytest

from edgekernel.testing.seeds import Wanted, again


@pytest.mark.parametrize(
    ("seed", "count", "marked", "seeds"),
    [
        (None, None, None, None),
        (None, None, 3, range(3)),
        (None, 2, None, range(2)),
        (None, 2, 3, range(2)),
        (7, None, None, None),
        (7, None, 3, None),
        (7, 2, 3, range(7, 9)),
    ],
)
def test_which_seeds(
    seed: int | None, count: int | None, marked: int | None, seeds: range | None
) -> None:
    """The command line comes before the mark, and a single seed before both."""
    assert Wanted(seed, count).seeds(marked) == seeds


@pytest.mark.parametrize(
    ("test", "seed", "command"),
    [
        ("t.py::test_a", None, "pytest t.py::test_a"),
        ("t.py::test_a", 7, "pytest t.py::test_a --edgekernel-seed 7"),
        ("t.py::test_a[seed7]", 7, "pytest t.py::test_a --edgekernel-seed 7"),
        ("t.py::test_a[x-seed7]", 7, "pytest 't.py::test_a[x]' --edgekernel-seed 7"),
        ("t.py::test_a[seed7-x]", 7, "pytest 't.py::test_a[x]' --edgekernel-seed 7"),
        ("t.py::test_a[x-seed7-y]", 7, "pytest 't.py::test_a[x-y]' --edgekernel-seed 7"),
        ("t.py::test_a[seed77]", 7, "pytest 't.py::test_a[seed77]' --edgekernel-seed 7"),
    ],
)
def test_how_it_is_run_again(test: str, seed: int | None, command: str) -> None:
    """The command has the test's other parameters and the seed as an option."""
    assert again(test, seed) == command
