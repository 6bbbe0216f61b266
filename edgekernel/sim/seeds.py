"""Many seeds: the same program in many orders, to find one in which it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from edgekernel.sim.clock import SimClock


def try_seeds(program: Callable[[SimClock], object], seeds: Iterable[int]) -> int:
    """Run a program on a fresh clock for each seed; return how many there were.

    What it raises is raised with a note that names the seed: SimClock(seed=...) with it does the
    same again.
    """
    tried = 0
    for seed in seeds:
        with SimClock(seed=seed) as clock:
            try:
                program(clock)
            except BaseException as error:
                error.add_note(f"with seed {seed}: run it again on SimClock(seed={seed})")
                raise
        tried += 1
    return tried
