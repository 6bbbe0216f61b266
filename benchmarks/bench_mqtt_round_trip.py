"""How long a command takes until its reply is there, and an edge of an input until its state is.

Agents, client and mosquitto are processes of their own on one computer. Beside edgekernel the same
is done with nothing but paho, and by mqtt-io; all are interleaved in one run. Everything is
measured with TCP_NODELAY on both sides, and with the defaults of mosquitto and mqtt-io, which have
it off. A time near 44,000 is that of the other side's delayed acknowledgement.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable

from benchmarks.mosquitto import running
from benchmarks.report import Goal, options, publish, table
from benchmarks.round_trip.peers import Asker, asked

ROUNDS, QUICK_ROUNDS = 15, 2
AT_ONCE, HELD_BACK = 100, 20
"""Requests a round: with TCP_NODELAY, and without, where most wait for 44 ms."""
PAUSE_S = 0.005
"""Between two paced requests: nobody is still at work for the one before."""
Round = dict[str, list[float]]
"""By what was done: the times of one round, in microseconds."""
Found = dict[str, list[Round]]
"""By agent."""


def timed(ask: Callable[[], float], count: int, pause_s: float = 0.0) -> list[float]:
    """Ask so often and return the times."""
    times = []
    for _ in range(count):
        times.append(ask())
        if pause_s:
            time.sleep(pause_s)
    return times


def one_round(asker: Asker, count: int) -> Round:
    """Measure one agent."""
    time.sleep(0.05)  # what the one before has left to do
    begin_us = asker.cpu_us()
    found = {"set": timed(asker.set, count)}
    time.sleep(0.02)
    found["CPU"] = [(asker.cpu_us() - begin_us) / count]
    found["set, paced"] = timed(asker.set, count // 2, PAUSE_S)
    if asker.peer.has_button:
        found["edge"] = timed(asker.press, count // 2, PAUSE_S)
    return found


def measure(nodelay: bool, rounds: int) -> Found:
    """Measure all, interleaved."""
    count = AT_ONCE if nodelay else HELD_BACK
    with (
        tempfile.TemporaryDirectory() as folder,
        running(folder, nodelay) as port,
        asked(port, nodelay) as askers,
    ):
        for asker in askers:
            one_round(asker, 10)
        found: Found = {asker.peer.name: [] for asker in askers}
        for _ in range(rounds):
            for asker in askers:
                found[asker.peer.name].append(one_round(asker, count))
        return found


def p50_us(rounds: list[Round], what: str) -> float:
    """Return the median of the rounds' medians."""
    return statistics.median(statistics.median(each[what]) for each in rounds)


def p99_us(rounds: list[Round], what: str) -> float:
    """Return how long all but one in a hundred took."""
    return statistics.quantiles([us for each in rounds for us in each[what]], n=100)[98]


def ratio(found: Found, what: str, name: str, to: str) -> float:
    """Return how much longer one took than another, as the median of the rounds: what happens on
    the computer meanwhile concerns both."""
    pairs = zip(found[name], found[to], strict=True)
    return statistics.median(
        statistics.median(one[what]) / statistics.median(other[what]) for one, other in pairs
    )


def times_table(title: str, found: Found) -> str:
    """Return the times of all agents."""
    columns = ("set", "set, paced", "edge")

    def cell(rounds: list[Round], what: str) -> str:
        if what not in rounds[0]:
            return "-"
        return f"{p50_us(rounds, what):,.0f} / {p99_us(rounds, what):,.0f}"

    rows = [
        [name, *(cell(rounds, what) for what in columns), f"{p50_us(rounds, 'CPU'):,.0f}"]
        for name, rounds in found.items()
    ]
    return table([f"{title}: µs, p50 / p99", *columns, "CPU µs a set"], rows)


def report(with_no_delay: Found, default: Found) -> str:
    """Return tables and goals as Markdown."""
    ours, paho, answers, mqtt_io = with_no_delay

    def compared(what: str, name: str, to: str, limit: float, at_least: bool) -> Goal:
        value = ratio(with_no_delay, what, name, to)
        return Goal(f"{what}: {name} / {to}", value, limit, at_least=at_least)

    goals = [
        compared("set", ours, paho, 1.5, at_least=False),
        compared("set, paced", ours, paho, 1.5, at_least=False),
        compared("set", mqtt_io, ours, 2, at_least=True),
        compared("edge", mqtt_io, ours, 1.2, at_least=True),
        Goal("edge, defaults: edgekernel", p50_us(default[ours], "edge") / 1e3, 10, "ms"),
    ]
    more = [
        f"- {what}: {ours} / {answers}: {ratio(with_no_delay, what, ours, answers):.3g} x"
        for what in ("set", "set, paced")
    ]
    more += [
        f"- CPU of a set: {ours} / {to}: {ratio(with_no_delay, 'CPU', ours, to):.3g} x"
        for to in (paho, answers, mqtt_io)
    ]
    tables = [
        times_table("TCP_NODELAY on both sides", with_no_delay),
        "",
        times_table("defaults", default),
    ]
    return "\n".join([*tables, "", *map(str, goals), *more])


def main() -> None:
    """Measure and print."""
    arguments = options(__doc__ or "").parse_args()
    rounds = QUICK_ROUNDS if arguments.quick else ROUNDS
    with_no_delay = measure(True, rounds)
    default = measure(False, max(rounds // 3, 1))
    figures = {"with no delay": with_no_delay, "defaults": default}
    publish("bench_mqtt_round_trip", report(with_no_delay, default), figures, arguments)


if __name__ == "__main__":
    main()
