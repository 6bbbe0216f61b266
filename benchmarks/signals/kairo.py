"""The eight graphs of the kairo benchmarks: how a change spreads through typical shapes.

Shapes and sizes follow js-reactivity-benchmark (github.com/milomg/js-reactivity-benchmark).
`rounds` is how many writes a pass makes. Effects note what they saw in `seen`, and a pass adds that
up as well, so an effect that did not run shows in the sum.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.signals.engine import Engine, Readable, Writable, copied
from benchmarks.signals.scenario import Run, Scenario

Wire = Callable[[Engine, Writable, list[int]], Readable]


def _from_one_head(
    name: str, rounds: int, wire: Wire, end: Callable[[int], int], others: int = 0
) -> Scenario:
    """Make a scenario that writes one signal and reads one end; `others` more effects look on.

    `end(number)` is what the end has to be when the head is `number`; the n-th of the other
    effects sees n less than the n-th from the end, as `broad` wires them.
    """

    def build(engine: Engine) -> Run:
        head = engine.signal(0)
        seen = [0] * (others + 1)
        last = wire(engine, head, seen)

        def run(shift: int) -> int:
            total = 0
            for number in range(shift, shift + rounds):
                with engine.batch():
                    head.set(number)
                total += last.get() + seen[-1]
            return total + sum(seen)

        return run

    def expected(shift: int) -> int:
        final = end(shift + rounds - 1)
        both = sum(2 * end(number) for number in range(shift, shift + rounds))
        return both + sum(final - behind for behind in range(others + 1))

    return Scenario(name, build, expected)


def _look(engine: Engine, source: Readable, seen: list[int], place: int = 0) -> None:
    """Make the effect that notes a value."""

    def react() -> None:
        seen[place] = source.get()

    engine.effect(react)


def _busy() -> None:
    """Do work that a needless run would pay for."""
    for _ in range(100):
        pass


def avoidable(rounds: int) -> Scenario:
    """Return a chain whose second member never changes: what is behind it need not run."""

    def wire(engine: Engine, head: Writable, seen: list[int]) -> Readable:
        copy = copied(engine, head)
        constant = engine.computed(lambda: 0 * copy.get())

        def heavy() -> int:
            _busy()
            return int(constant.get()) + 1

        third = engine.computed(heavy)
        fourth = engine.computed(lambda: third.get() + 2)
        last = engine.computed(lambda: fourth.get() + 3)

        def react() -> None:
            seen[0] = last.get()
            _busy()

        engine.effect(react)
        return last

    return _from_one_head("avoidable", rounds, wire, lambda number: 6)


def broad(rounds: int, width: int = 50) -> Scenario:
    """Return one signal with many branches of two computeds and an effect."""

    def branch(engine: Engine, head: Writable, seen: list[int], place: int) -> Readable:
        first = engine.computed(lambda: head.get() + place)
        second = engine.computed(lambda: first.get() + 1)
        _look(engine, second, seen, place)
        return second

    def wire(engine: Engine, head: Writable, seen: list[int]) -> Readable:
        return [branch(engine, head, seen, place) for place in range(width)][-1]

    return _from_one_head("broad", rounds, wire, lambda number: number + width, width - 1)


def _after(engine: Engine, source: Readable) -> Readable:
    """Make the computed that is one more than its source."""
    return engine.computed(lambda: source.get() + 1)


def deep(rounds: int, length: int = 50) -> Scenario:
    """Return a chain of computeds with an effect at its end."""

    def wire(engine: Engine, head: Writable, seen: list[int]) -> Readable:
        last: Readable = head
        for _ in range(length):
            last = _after(engine, last)
        _look(engine, last, seen)
        return last

    return _from_one_head("deep", rounds, wire, lambda number: number + length)


def diamond(rounds: int, width: int = 5) -> Scenario:
    """Return branches that meet again in a sum."""

    def wire(engine: Engine, head: Writable, seen: list[int]) -> Readable:
        branches = [_after(engine, head) for _ in range(width)]
        total = engine.computed(lambda: sum([branch.get() for branch in branches]))
        _look(engine, total, seen)
        return total

    return _from_one_head("diamond", rounds, wire, lambda number: (number + 1) * width)


def triangle(rounds: int, width: int = 10) -> Scenario:
    """Return a chain of which a sum reads every member but the last."""

    def wire(engine: Engine, head: Writable, seen: list[int]) -> Readable:
        members: list[Readable] = [head]
        for _ in range(width):
            members.append(_after(engine, members[-1]))
        read = members[:width]
        total = engine.computed(lambda: sum([member.get() for member in read]))
        _look(engine, total, seen)
        return total

    least = sum(range(width))
    return _from_one_head("triangle", rounds, wire, lambda number: least + number * width)


def repeated(rounds: int, times: int = 30) -> Scenario:
    """Return a computed that reads the same signal many times."""

    def wire(engine: Engine, head: Writable, seen: list[int]) -> Readable:
        def add_up() -> int:
            total = 0
            for _ in range(times):
                total += head.get()
            return total

        total = engine.computed(add_up)
        _look(engine, total, seen)
        return total

    return _from_one_head("repeated", rounds, wire, lambda number: number * times)


def unstable(rounds: int, times: int = 20) -> Scenario:
    """Return a computed whose other input is another one at every write."""

    def wire(engine: Engine, head: Writable, seen: list[int]) -> Readable:
        double = engine.computed(lambda: head.get() * 2)
        inverse = engine.computed(lambda: -head.get())

        def add_up() -> int:
            total = 0
            for _ in range(times):
                total += double.get() if head.get() % 2 else inverse.get()
            return total

        total = engine.computed(add_up)
        _look(engine, total, seen)
        return total

    def end(number: int) -> int:
        return times * (number * 2 if number % 2 else -number)

    return _from_one_head("unstable", rounds, wire, end)


def mux(rounds: int, width: int = 100, written: int = 10) -> Scenario:
    """Return many signals that are gathered in one computed and split up again."""

    def build(engine: Engine) -> Run:
        heads = [engine.signal(0) for _ in range(width)]
        gathered = engine.computed(lambda: {i: head.get() for i, head in enumerate(heads)})
        ends = [_after(engine, _member(engine, gathered, place)) for place in range(width)]
        seen = [0] * width
        for place, end in enumerate(ends):
            _look(engine, end, seen, place)

        def run(shift: int) -> int:
            total = 0
            for number in range(shift, shift + rounds):
                for place in range(written):
                    with engine.batch():
                        heads[place].set(number + place)
                    total += ends[place].get() + seen[place]
            return total + sum(seen)

        return run

    def expected(shift: int) -> int:
        writes = [n + place for n in range(shift, shift + rounds) for place in range(written)]
        final = sum(writes[-written:]) + width
        return sum(2 * (value + 1) for value in writes) + final

    return Scenario("mux", build, expected)


def _member(engine: Engine, gathered: Readable, place: int) -> Readable:
    return engine.computed(lambda: gathered.get()[place])
