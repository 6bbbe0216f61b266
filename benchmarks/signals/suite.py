"""The scenarios with their sizes, and who cannot run which."""

from __future__ import annotations

from benchmarks.signals import kairo
from benchmarks.signals.cellx import cellx
from benchmarks.signals.create_update import create_computations, create_signals, update_signals
from benchmarks.signals.dynamic import PUBLISHED
from benchmarks.signals.mol import mol
from benchmarks.signals.scenario import Scenario

GRID_ITERATIONS = (2000, 300, 60, 30, 10, 40)


def scenarios(*, quick: bool = False) -> list[Scenario]:
    """Return all scenarios; the quick ones are about a tenth as long, on the same graphs."""
    part = 10 if quick else 1
    iterations = [max(n // part, 2) for n in GRID_ITERATIONS]
    return [
        kairo.avoidable(1000 // part),
        kairo.broad(50 // part),
        kairo.deep(100 // part),
        kairo.diamond(500 // part),
        kairo.mux(10 // part + 2),
        kairo.repeated(500 // part),
        kairo.triangle(300 // part),
        kairo.unstable(300 // part),
        mol(300 // part),
        cellx(10, 20 // part),
        cellx(100, 4 if not quick else 1),
        cellx(500, 1),
        create_signals(20_000 // part),
        create_computations(2_000 // part),
        update_signals(400 // part, batched=True),
        update_signals(400 // part, batched=False),
        *(grid.shortened(n) for grid, n in zip(PUBLISHED, iterations, strict=True)),
    ]


_EVERY_PATH = "its notifications walk every path, and each layer multiplies the paths"
UNABLE = {
    "reaktiv": dict.fromkeys(
        ["cellx100", "cellx500", *(grid.name for grid in PUBLISHED[1:])], _EVERY_PATH
    ),
}
"""What is not tried, and why."""
