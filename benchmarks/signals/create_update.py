"""Making signals and effects, and writing to them, at different ratios of one to the other.

The ratios follow js-reactivity-benchmark, which has them from Solid's benchmark. Every effect adds
what it reads to a sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.signals.engine import Engine, Writable
from benchmarks.signals.scenario import Run, Scenario


class _Adding:
    """Makes effects that add up what they read."""

    __slots__ = ("_effect", "total")

    def __init__(self, engine: Engine) -> None:
        self._effect = engine.effect
        self.total = 0

    def none(self, value: int) -> None:
        def react() -> None:
            self.total += value

        self._effect(react)

    def one(self, a: Writable) -> None:
        def react() -> None:
            self.total += a.get()

        self._effect(react)

    def two(self, a: Writable, b: Writable) -> None:
        def react() -> None:
            self.total += a.get() + b.get()

        self._effect(react)

    def four(self, a: Writable, b: Writable, c: Writable, d: Writable) -> None:
        def react() -> None:
            self.total += a.get() + b.get() + c.get() + d.get()

        self._effect(react)

    def many(self, sources: Sequence[Writable]) -> None:
        def react() -> None:
            total = 0
            for source in sources:
                total += source.get()
            self.total += total

        self._effect(react)


def create_signals(count: int) -> Scenario:
    """Return the making of `count` signals."""

    def build(engine: Engine) -> Run:
        def run(shift: int) -> int:
            made = [engine.signal(number) for number in range(count)]
            return int(made[0].get() + made[-1].get())

        return run

    return Scenario("create signals", build, lambda shift: count - 1)


RATIOS = (1, 2, 4, 8, 1000)


def create_computations(count: int) -> Scenario:
    """Return the making of effects: on nothing, one, two, four, 1000 signals, and shared ones."""

    def build(engine: Engine) -> Run:
        sources = [engine.signal(number) for number in range(max(count, 1000))]
        for source in sources:
            source.get()

        def run(shift: int) -> int:
            adding = _Adding(engine)
            for number in range(count):
                adding.none(number)
            for shared in RATIOS:
                for place in range(count // shared):
                    for _ in range(shared):
                        adding.one(sources[place])
            for place in range(0, count, 2):
                adding.two(*sources[place : place + 2])
            for place in range(0, count, 4):
                adding.four(*sources[place : place + 4])
            for place in range(0, count, 1000):
                adding.many(sources[place : place + 1000])
            return adding.total

        return run

    def expected(shift: int) -> int:
        all_of_them = sum(range(count))
        shared = sum(ratio * sum(range(count // ratio)) for ratio in RATIOS)
        return all_of_them * 3 + shared + sum(range(max(count, 1000)))

    return Scenario("create effects", build, expected, fresh=True)


def update_signals(count: int, *, batched: bool) -> Scenario:
    """Return writes to signals with 1, 2, 4, 1000 effects, or effects on 2, 4, 1000 signals."""

    def build(engine: Engine) -> Run:
        adding = _Adding(engine)
        runs: list[tuple[Writable, int]] = []

        def writes(signals: int, number: int, effects: Callable[[list[Writable]], None]) -> None:
            sources = [engine.signal(-1) for _ in range(signals)]
            effects(sources)
            runs.append((sources[0], number))

        writes(1, count * 4, lambda sources: adding.one(*sources))
        writes(2, count * 2, lambda sources: adding.two(*sources))
        writes(4, count, lambda sources: adding.four(*sources))
        writes(1000, max(count // 250, 2), adding.many)
        for effects, number in ((2, count), (4, count), (1000, max(count // 10, 2))):
            writes(1, number, partial(_repeat, effects, adding.one))

        def run(shift: int) -> int:
            adding.total = 0
            for source, number in runs:
                values = range(shift * number, (shift + 1) * number)
                if batched:
                    for value in values:
                        with engine.batch():
                            source.set(value)
                else:
                    for value in values:
                        source.set(value)
            return adding.total

        return run

    def expected(shift: int) -> int:
        def total(number: int, effects: int, untouched: int) -> int:
            values = range(shift * number, (shift + 1) * number)
            return effects * sum(value - untouched for value in values)

        few, some = max(count // 250, 2), max(count // 10, 2)
        return (
            total(count * 4, 1, 0) + total(count * 2, 1, 1) + total(count, 1, 3)
            + total(few, 1, 999) + total(count, 2, 0) + total(count, 4, 0) + total(some, 1000, 0)
        )  # fmt: skip

    name = "update signals" if batched else "update, no batch"
    return Scenario(name, build, expected, batched=batched)


def _repeat(times: int, make: Callable[[Writable], None], sources: list[Writable]) -> None:
    for _ in range(times):
        make(sources[0])
