"""cellx: a tall stack of layers, four computeds and four effects each, that cross at every layer.

Shape and expected values follow the cellx benchmark as js-reactivity-benchmark has it.
"""

from __future__ import annotations

from benchmarks.signals.engine import Engine, Readable, copied
from benchmarks.signals.scenario import Run, Scenario

Ends = tuple[int, int, int, int]
BEFORE, AFTER = (1, 2, 3, 4), (4, 3, 2, 1)


def ends(layers: int, start: Ends) -> Ends:
    """Return what the four ends of a stack are, by direct calculation."""
    a, b, c, d = start
    for _ in range(layers):
        a, b, c, d = b, a - c, b + d, c
    return a, b, c, d


def cellx(layers: int, rounds: int) -> Scenario:
    """Return a stack; a pass writes the other four values and back again, `rounds` times."""

    def build(engine: Engine) -> Run:
        start = [engine.signal(value) for value in BEFORE]
        top: list[Readable] = list(start)
        for _ in range(layers):
            top = _layer(engine, top)

        def run(shift: int) -> list[Ends]:
            seen = []
            for _ in range(rounds):
                for values in (AFTER, BEFORE):
                    with engine.batch():
                        for signal, value in zip(start, values, strict=True):
                            signal.set(value)
                    seen.append((top[0].get(), top[1].get(), top[2].get(), top[3].get()))
            return seen

        return run

    def expected(shift: int) -> list[Ends]:
        return [ends(layers, AFTER), ends(layers, BEFORE)] * rounds

    return Scenario(f"cellx{layers}", build, expected)


def _layer(engine: Engine, below: list[Readable]) -> list[Readable]:
    a, b, c, d = below
    layer = [
        copied(engine, b),
        engine.computed(lambda: a.get() - c.get()),
        engine.computed(lambda: b.get() + d.get()),
        copied(engine, c),
    ]
    for member in layer:
        _read(engine, member)
    return layer


def _read(engine: Engine, member: Readable) -> None:
    def react() -> None:
        member.get()

    engine.effect(react)
