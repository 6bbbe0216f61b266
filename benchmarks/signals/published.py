"""The six grids as published: `python -m benchmarks.signals.published` checks sums and counts.

It runs the original numbers of iterations, which takes minutes; the sum is that of the last row at
the end, the count how many computeds ran in a second pass over the same graph.
"""

from __future__ import annotations

import sys

from benchmarks.signals.counting import Counting
from benchmarks.signals.dynamic import PUBLISHED, dynamic
from benchmarks.signals.engine import edgekernel


def main() -> None:
    """Print what edgekernel gets beside what is published; fail if they differ."""
    differ = False
    for grid in PUBLISHED:
        counting = Counting(edgekernel())
        run = dynamic(grid).build(counting.engine)
        run(0)
        counting.computeds = 0
        total = run(0)
        same = (total, counting.computeds) == (grid.total, grid.runs)
        differ = differ or not same
        print(f"{grid.name}: sum {total:.16g} ({grid.total:.16g}), ", end="")
        print(f"runs {counting.computeds} ({grid.runs}): {'same' if same else 'DIFFERENT'}")
    sys.exit(differ)


if __name__ == "__main__":
    main()
