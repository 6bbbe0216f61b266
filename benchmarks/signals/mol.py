"""mol: a small graph of computeds of different cost, in which some changes cancel out.

The graph follows js-reactivity-benchmark; the heavy function is a small one here, so that the
engine shows.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.signals.engine import Engine
from benchmarks.signals.scenario import Run, Scenario


def _fibonacci(n: int) -> int:
    return 1 if n < 2 else _fibonacci(n - 1) + _fibonacci(n - 2)


def _hard(n: int) -> int:
    return n + _fibonacci(4)


def mol(rounds: int) -> Scenario:
    """Return the graph; a round makes two batches of two writes."""

    def build(engine: Engine) -> Run:
        a, b = engine.signal(0), engine.signal(0)
        parity = engine.computed(lambda: a.get() % 2 + b.get() % 2)
        row = engine.computed(lambda: [i + a.get() % 2 - b.get() % 2 for i in range(5)])
        heavy = engine.computed(lambda: _hard(parity.get() + a.get() + row.get()[0]))
        other = engine.computed(lambda: _hard(row.get()[2] or b.get()))
        joined = engine.computed(
            lambda: parity.get() + (parity.get() or heavy.get() % 2) + row.get()[4] + other.get()
        )
        seen = [0, 0, 0]

        def look(place: int, read: Callable[[], int]) -> None:
            def react() -> None:
                seen[place] = read()

            engine.effect(react)

        look(0, lambda: _hard(joined.get()))
        look(1, lambda: int(joined.get()))
        look(2, lambda: _hard(other.get()))

        def run(shift: int) -> int:
            total = 0
            for number in range(shift * rounds, (shift + 1) * rounds):
                with engine.batch():
                    b.set(1)
                    a.set(3 + number * 2)
                total += sum(seen)
                with engine.batch():
                    a.set(4 + number * 2)
                    b.set(2)
                total += sum(seen)
            return total

        return run

    def expected(shift: int) -> int:
        numbers = range(shift * rounds, (shift + 1) * rounds)
        return sum(_direct(3 + n * 2, 1) + _direct(4 + n * 2, 2) for n in numbers)

    return Scenario("mol", build, expected)


def _direct(a: int, b: int) -> int:
    """Return what the three effects see, added up."""
    parity = a % 2 + b % 2
    row = [i + a % 2 - b % 2 for i in range(5)]
    other = _hard(row[2] or b)
    joined = parity + (parity or _hard(parity + a + row[0]) % 2) + row[4] + other
    return _hard(joined) + joined + _hard(other)
