"""Rectangular graphs: rows of computeds, each adding up some of the row below.

A dynamic computed leaves out one of its sources while the first is odd, so what it depends on
changes. Sizes, sums and counts are those published with js-reactivity-benchmark.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import floor

from benchmarks.signals.engine import Engine, Readable, Writable
from benchmarks.signals.pseudorandom import pseudorandom
from benchmarks.signals.scenario import Run, Scenario


@dataclass(frozen=True)
class Grid:
    """One published graph. `iterations`, `total` and `runs` belong together."""

    name: str
    width: int
    layers: int
    sources: int
    static: float
    read: float
    iterations: int
    total: float
    runs: int
    number: Callable[[int], float] = int
    """What is written: a float where the numbers outgrow 64 bits, as they do in JavaScript."""

    def shortened(self, iterations: int) -> Scenario:
        """Return it as a scenario of fewer iterations, for which nothing is published."""
        return dynamic(replace(self, iterations=iterations))


PUBLISHED = (
    Grid("grid 10x5", 10, 5, 2, 1, 0.2, 600_000, 19199968, 3480000),
    Grid("grid 10x10 dynamic", 10, 10, 6, 0.75, 0.2, 15_000, 302310782860, 1155000),
    Grid("grid 1000x12 dynamic", 1000, 12, 4, 0.95, 1, 7_000, 29355933696000, 1463000),
    Grid("grid 1000x5 dense", 1000, 5, 25, 1, 1, 3_000, 1171484375000, 732000),
    Grid("grid 5x500", 5, 500, 3, 1, 1, 500, 3.0239642676898464e241, 1246500, float),
    Grid("grid 100x15 dynamic", 100, 15, 6, 0.5, 1, 2_000, 15664996402790400, 1078000),
)


def dynamic(grid: Grid) -> Scenario:
    """Return a grid; an iteration writes one signal of the first row and reads the last row."""

    def build(engine: Engine) -> Run:
        signals = [engine.signal(grid.number(number)) for number in range(grid.width)]
        leaves = _without_some(_last_row(engine, grid, signals), 1 - grid.read)

        def read_all() -> None:
            for leaf in leaves:
                leaf.get()

        engine.effect(read_all)

        def run(shift: int) -> float:
            for iteration in range(grid.iterations):
                place = iteration % grid.width
                with engine.batch():
                    signals[place].set(grid.number(iteration + place + shift))
                for leaf in leaves:
                    leaf.get()
            total = 0.0
            for leaf in leaves:
                total += leaf.get()
            return total

        return run

    return Scenario(grid.name, build)


def _last_row(engine: Engine, grid: Grid, signals: list[Writable]) -> list[Readable]:
    draw = pseudorandom()
    row: list[Readable] = list(signals)
    for _ in range(grid.layers - 1):
        below = row
        row = []
        for place in range(grid.width):
            sources = [below[(place + n) % grid.width] for n in range(grid.sources)]
            kind = _all_of if draw() < grid.static else _all_but_one_of
            row.append(engine.computed(kind(sources)))
    return row


def _all_of(sources: list[Readable]) -> Callable[[], float]:
    def add_up() -> float:
        total = 0
        for source in sources:
            total += source.get()
        return total

    return add_up


def _all_but_one_of(sources: list[Readable]) -> Callable[[], int]:
    first, others = sources[0], sources[1:]

    def add_up() -> int:
        total: int = first.get()
        left_out = total % len(others) if total & 1 else -1
        for place, source in enumerate(others):
            if place != left_out:
                total += source.get()
        return total

    return add_up


def _without_some(leaves: list[Readable], fraction: float) -> list[Readable]:
    draw = pseudorandom()
    kept = list(leaves)
    for _ in range(round(len(leaves) * fraction)):
        del kept[floor(draw() * len(kept))]
    return kept
