"""Where the time of a set goes in a node: `python -m benchmarks.round_trip.timeline`.

A node with a stopwatch in its functions (each look at the clock is in the figures) is asked over
mosquitto, with TCP_NODELAY; printed are medians of what lies between two looks, and of their sum.
"""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.mosquitto import running
from benchmarks.report import table
from benchmarks.round_trip.edgekernel_agent import make
from benchmarks.round_trip.peers import Asker, of_ours

SETS, PAUSE_S = 1000, 0.003

PARTS = {
    "arrived": "read and decode the packet",
    "serve": "parse, look for a repeat, queue the turn",
    "set": "check whether it may be done",
    "driven": "set the output: pin, readback, setpoint",
    "publish": "make the reply, through the window",
    "write": "make the packet",
    "written": "write it to the socket, with the request's acknowledgement",
    "retained": "the state: effect, JSON, publish",
    "told": "the event of the audit: JSON, publish",
    "idle": "write both to the socket",
}
"""The looks at the clock, in their order, and what lies before each."""


class Stopwatch:
    """Looks at the clock when functions of the node begin and end."""

    def __init__(self) -> None:
        self.sets: list[dict[str, float]] = []
        self._seen: dict[str, float] = {}

    def look(self, name: str) -> None:
        """Keep the first moment of a name since the thread was woken."""
        if name == "woken":
            self._seen = {}
        self._seen.setdefault(name, time.perf_counter())
        if name == "idle" and "driven" in self._seen:
            self.sets.append(self._seen)

    def around(self, owner: Any, method: str, before: str = "", after: str = "") -> None:
        """Look before and after each call of a method."""
        call = getattr(owner, method)

        def timed(*args: Any, **named: Any) -> Any:
            if before:
                self.look(before)
            result = call(*args, **named)
            if after:
                self.look(after)
            return result

        setattr(owner, method, timed)


def instrument(watch: Stopwatch) -> None:
    """Let the parts of a node look at the clock."""
    from edgekernel.mqtt.outgoing import Outgoing
    from edgekernel.mqtt.paho_loop import PahoLoop
    from edgekernel.mqtt.paho_transport import PahoTransport
    from edgekernel.mqtt.requests import Requests

    watch.around(PahoLoop, "_wait", before="idle", after="woken")
    watch.around(Requests, "arrived", before="arrived")
    watch.around(Requests, "_serve", before="serve")
    watch.around(Requests, "_set", before="set", after="driven")
    watch.around(PahoTransport, "publish", before="publish")
    watch.around(PahoLoop, "write", before="write", after="written")
    watch.around(Outgoing, "retain", after="retained")
    watch.around(Outgoing, "event", after="told")


def agent(port: int) -> None:
    """Serve as a node with a stopwatch, and print what it says at the end."""
    watch = Stopwatch()
    instrument(watch)
    runtime = make(port)
    signal.signal(signal.SIGTERM, lambda *_: runtime.shutdown())
    runtime.run()
    names = ["woken", *PARTS]
    whole = [each for each in watch.sets if all(name in each for name in names)]
    parts = [
        [text, *micros(whole, names[index], name), *micros(whole, "woken", name)]
        for index, (name, text) in enumerate(PARTS.items())
    ]
    print(table([f"a set in the node, {len(whole)} of {len(watch.sets)}", "µs", "sum"], parts))


def micros(sets: list[dict[str, float]], begin: str, end: str) -> list[str]:
    """Return the median between two looks."""
    return [f"{statistics.median(each[end] - each[begin] for each in sets) * 1e6:.0f}"]


def main() -> None:
    """Ask such a node and show what it has printed."""
    peer = of_ours("edgekernel", "edgekernel", "timeline", "agent")
    with tempfile.TemporaryDirectory() as folder, running(folder, nodelay=True) as port:
        asker = Asker(peer, port, stdout=subprocess.PIPE)
        for _ in range(SETS):
            asker.set()
            time.sleep(PAUSE_S)
        print(asker.close())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        agent(int(sys.argv[1]))
    else:
        main()
