"""The signal scenarios: sums and counts, never time. Peers are not needed here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from operator import attrgetter

import pytest

from benchmarks.signals.cellx import AFTER, BEFORE, ends
from benchmarks.signals.counting import Counting
from benchmarks.signals.dynamic import PUBLISHED, Grid, dynamic
from benchmarks.signals.engine import Engine, edgekernel
from benchmarks.signals.floor import floor
from benchmarks.signals.measure import RECURSION, passes
from benchmarks.signals.oracle import Oracle
from benchmarks.signals.scenario import Scenario
from benchmarks.signals.suite import scenarios


@pytest.fixture(autouse=True)
def deep_recursion() -> Iterator[None]:
    """Let the oracle recurse along the graph, as the benchmark does."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(RECURSION)
    yield
    sys.setrecursionlimit(before)


def play(scenario: Scenario, engine: Engine) -> tuple[list[object], list[tuple[int, int]]]:
    """Return the total of each pass, and how many computeds and effects ran in it.

    Those of the first pass are left out, because building the graph is among them.
    """
    counting = Counting(engine)
    totals: list[object] = []
    counts: list[tuple[int, int]] = []
    for total, _ in passes(scenario, counting.engine):
        totals.append(total)
        counts.append((counting.computeds, counting.effects))
        counting.computeds = counting.effects = 0
    return totals, counts[1:]


@pytest.mark.parametrize("scenario", scenarios(quick=True), ids=attrgetter("name"))
def test_edgekernel_gets_the_sums_in_as_few_runs_as_possible(scenario: Scenario) -> None:
    """Every pass has the right sum, and no function runs more often than it has to."""
    oracle = Oracle()
    totals, counts = play(scenario, oracle.engine())
    if scenario.expected is not None:
        assert totals == [scenario.expected(shift) for shift in range(len(totals))]
    assert play(scenario, edgekernel()) == (totals, counts)
    assert play(scenario, floor(oracle))[0] == totals


@pytest.mark.parametrize(
    "grid", [grid for grid in PUBLISHED if grid.static == 1], ids=attrgetter("name")
)
def test_static_grids_run_as_many_computeds_as_is_published(grid: Grid) -> None:
    """An iteration on a graph that does not change runs the published share of computeds."""
    counting = Counting(edgekernel())
    run = dynamic(replace(grid, iterations=10)).build(counting.engine)
    run(0)
    counting.computeds = 0
    run(1)
    assert counting.computeds * grid.iterations == grid.runs * 10


@pytest.mark.parametrize("grid", PUBLISHED, ids=lambda grid: grid.name)
def test_grids_end_with_the_published_sum(grid: Grid) -> None:
    """The last writes alone, one to each signal, lead to the sum that all of them lead to."""
    run = dynamic(replace(grid, iterations=grid.width)).build(Oracle().engine())
    assert run(grid.iterations - grid.width) == grid.total


def test_cellx_ends_are_the_published_ones() -> None:
    """The direct calculation gives what is published for 1000 and 2500 layers."""
    for layers in (1000, 2500):
        assert ends(layers, BEFORE) == (-3, -6, -2, 2)
        assert ends(layers, AFTER) == (-2, -4, 2, 3)
