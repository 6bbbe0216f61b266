"""Runs the greenhouse on simulated time and records it: FOLDER SECONDS SEED."""

from __future__ import annotations

import sys
from pathlib import Path

from edgekernel import Message, Runtime
from edgekernel.journal import open_journal
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import SimClock

NODE = Path(__file__).parents[2] / "examples" / "greenhouse" / "node.toml"


class Odd(Message):
    """A message whose content differs from process to process, if one is not careful."""

    words: frozenset[str]
    thing: object


def main(folder: str, seconds: str, seed: str) -> None:
    """Record a run in which somebody presses a button, asks for something, and a handler fails."""

    def fail(event: object) -> None:
        raise ValueError(f"no {object()}")

    with SimClock(seed=int(seed)) as clock:
        plan = make_plan(NODE)
        journal = open_journal(plan, clock, Path(folder))
        assert journal is not None
        with journal:
            runtime, bench = assemble_simulated(plan, clock, Runtime, around=journal.around)
            journal.record(runtime, plan)
            runtime.subscribe(Odd, fail)
            with runtime:
                for part in range(3):
                    clock.advance(float(seconds) / 3)
                    bench.press("airing")
                    runtime.invoke("climate.set_target", {"celsius": 20 + part})
                    runtime.emit(Odd(frozenset({"a", "bc", "def", "ghij"}), object()))
                    clock.step_wall(part - 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
