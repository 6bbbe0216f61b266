"""One engine, once: `python -m benchmarks.signals.measure ENGINE` prints its times as JSON.

Every engine and repetition is a process of its own, so that nobody inherits another's heap.
"""

from __future__ import annotations

import gc
import json
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.signals.engine import MAKE, Engine
from benchmarks.signals.floor import floor
from benchmarks.signals.oracle import Oracle
from benchmarks.signals.scenario import Scenario
from benchmarks.signals.suite import scenarios

PASSES = 4
"""Passes of a scenario, the first of which only warms up. The fastest of the others counts."""
ENOUGH_S = 0.3
"""No further pass is begun when the timed ones took this long."""
LIMIT_S = 20
"""What has not ended by then is given up."""
RECURSION = 20_000
"""Frames; some peers recurse along the graph."""


class TooLongError(BaseException):
    """A scenario has not ended in time; no `except Exception` of an engine holds it up."""


@dataclass
class Result:
    """The totals of all passes, the fastest timed one in ms, and what went wrong."""

    totals: list[Any] = field(default_factory=list)
    fastest_ms: float | None = None
    fault: str = ""


def passes(scenario: Scenario, engine: Engine) -> Iterator[tuple[Any, float]]:
    """Yield the total and the time in ms of each pass."""
    run = scenario.build(engine)
    for shift in range(PASSES):
        if scenario.fresh and shift:
            run = scenario.build(engine)
        gc.collect()
        gc.disable()
        begin = time.perf_counter_ns()
        total = run(shift)
        took_ms = (time.perf_counter_ns() - begin) / 1e6
        gc.enable()
        if scenario.expected is not None and total != scenario.expected(shift):
            raise ArithmeticError(f"pass {shift} gave {total}, not {scenario.expected(shift)}")
        yield total, took_ms


def oracle(scenario: Scenario) -> Oracle:
    """Return what has to run in all passes."""
    noting = Oracle()
    for _ in passes(scenario, noting.engine()):
        pass
    return noting


def measure(scenario: Scenario, name: str) -> Result:
    """Return how an engine does in a scenario."""
    result = Result()
    times: list[float] = []
    try:
        engine = floor(oracle(scenario)) if name == "floor" else MAKE[name]()
        for total, took_ms in passes(scenario, engine):
            result.totals.append(total)
            times.append(took_ms)
            if sum(times[1:]) > 1000 * ENOUGH_S:
                break
        result.fastest_ms = min(times[1:])
    except TooLongError:
        result.fault = f"not finished in {LIMIT_S} s"
    except ArithmeticError as error:
        result.fault = f"wrong sum: {error}"
    finally:
        gc.enable()
    return result


def _give_up(number: int, frame: object) -> None:
    raise TooLongError


def main() -> None:
    """Measure the scenarios named on the command line: ENGINE full|quick [NAME...]."""
    name, size, *wanted = sys.argv[1:]
    sys.setrecursionlimit(RECURSION)
    signal.signal(signal.SIGALRM, _give_up)
    results = {}
    for scenario in scenarios(quick=size == "quick"):
        if scenario.name in wanted:
            signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
            results[scenario.name] = asdict(measure(scenario, name))
            signal.setitimer(signal.ITIMER_REAL, 0)
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
