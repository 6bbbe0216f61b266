"""Random signal graphs with writer threads, for as long as one likes: `make stress`.

The same graphs and writers as in `test_signals_random`, with other seeds each time, in several
processes. Some races of the engine show in one graph of tens of thousands only. Ends with
status 1, and the seeds, if any effect or computed was left with something that is not so.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import time
from functools import partial

from tests.core.test_signals_random import Graph, evaluate, let_write, outcome

SWITCH_S = 1e-6
TELL_S = 10.0


def _say(text: str) -> None:
    sys.stdout.write(f"stress: {text}\n")
    sys.stdout.flush()


def faults(seed: int) -> list[str]:
    """Let several threads write to one random graph; say what is not so in the end."""
    graph = Graph(seed)
    texts = [f"a writer failed: {error!r}" for error in let_write(graph, seed)]
    texts += [
        f"effect {each.number} saw {each.seen}" for each in graph.everyone() if each.outdated()
    ]
    for node in graph.nodes:
        got, right = outcome(node.live.peek), outcome(partial(evaluate, node))
        if got != right:
            texts.append(f"a computed ({node.formula}) is {got}, not {right}")
    if not texts:
        try:
            for _ in range(10):
                graph.step()
        except AssertionError as error:
            texts.append(f"afterwards: {error}")
    return texts


def stress(seconds: float, seed: int) -> int:
    """Try graph after graph; return how many were wrong."""
    sys.setswitchinterval(SWITCH_S)
    logging.getLogger("edgekernel").setLevel(logging.ERROR)  # that turns are slow is no news here
    begin = told = time.monotonic()
    graphs = wrong = 0
    while time.monotonic() - begin < seconds:
        for text in faults(seed + graphs):
            _say(f"seed {seed + graphs}: {text}")
            wrong += 1
        graphs += 1
        if time.monotonic() - told > TELL_S:
            told = time.monotonic()
            _say(f"{graphs} graphs, {wrong} faults, {told - begin:.0f} s")
    _say(f"{graphs} graphs, {wrong} faults")
    return wrong


def main() -> int:
    """Run in several processes; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long (120)")
    parser.add_argument("--processes", type=int, default=2, help="how many side by side (2)")
    parser.add_argument("--seed", type=int, default=time.time_ns() // 10**9, help="where to begin")
    options = parser.parse_args()
    if options.processes == 1:
        return 1 if stress(options.seconds, options.seed) else 0
    command = [sys.executable, "-m", "tests.core.stress_signals", "--processes", "1"]
    command += ["--seconds", str(options.seconds), "--seed"]
    running = [
        subprocess.Popen([*command, str(options.seed + n * 10**9)])
        for n in range(options.processes)
    ]
    return max([each.wait() for each in running])


if __name__ == "__main__":
    sys.exit(main())
