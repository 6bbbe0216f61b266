"""Random signal graphs against direct evaluation (promise P4)."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from edgekernel import Computed, Effect, Signal, batch

LONG_S = 30.0

Outcome = tuple[str, object]
"""What came of reading a node: its value, or the class and text of its error."""


def outcome(read: Callable[[], object]) -> Outcome:
    """Read something; an error is an outcome too."""
    try:
        return "value", read()
    except ArithmeticError as error:
        return type(error).__name__, str(error)


@dataclass(eq=False)
class Node:
    """A signal or computed, with a formula by which it can also be evaluated directly."""

    formula: str
    inputs: list[Node]
    live: Any = None

    def result(self, read: Callable[[Node], int]) -> int:
        """Apply the formula to the inputs as `read` gives them."""
        first, *others = self.inputs
        match self.formula:
            case "sum":
                return sum(read(node) for node in self.inputs) % 9
            case "coarse":
                return read(first) // 3
            case "switch":
                return read(others[0]) if read(first) % 2 else read(others[-1])
            case "raise":
                if read(first) % 4 == 0:
                    raise ArithmeticError(f"{read(others[-1])} by four")
                return read(first)
            case "catch":
                try:
                    return read(first)
                except ArithmeticError:
                    return -1
        raise AssertionError(self.formula)


FORMULAS = ("sum", "sum", "coarse", "switch", "switch", "raise", "catch")


def evaluate(node: Node) -> int:
    """Compute a node from the signals' values alone, with nothing cached."""
    if isinstance(node.live, Signal):
        value: int = node.live.peek()
        return value
    return node.result(evaluate)


def read_live(node: Node) -> int:
    """Read a node through the graph."""
    value: int = node.live.get()
    return value


@dataclass(eq=False)
class Watcher:
    """An effect that notes what it reads: nodes one after the other, up to the first odd one."""

    graph: Graph
    nodes: list[Node]
    nested: list[Node] = field(default_factory=list)
    number: int = 0
    seen: list[tuple[Node, Outcome]] = field(default_factory=list)
    effect: Effect | None = None
    child: Watcher | None = None

    def start(self) -> Watcher:
        """Make the effect."""
        self.number = self.graph.take_number()
        self.effect = Effect(self.run, name=f"watcher {self.number}")
        return self

    def run(self) -> None:
        """The body of the effect."""
        self.graph.ran.append(self)
        self.seen = []
        for node in self.nodes:
            got = outcome(partial(read_live, node))
            self.seen.append((node, got))
            if got[0] == "value" and got[1] == 1:
                break
        if self.nested:
            self.child = Watcher(self.graph, self.nested).start()

    def outdated(self) -> bool:
        """Say whether anything it has read has another outcome now."""
        return any(outcome(partial(evaluate, node)) != got for node, got in self.seen)


class Graph:
    """A random graph, and random changes of it, after each of which all is checked."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.ran: list[Watcher] = []
        self.numbers = 0
        pick = self.random
        self.signals = [Node("", [], Signal(pick.randrange(6))) for _ in range(pick.randint(2, 5))]
        self.nodes = list(self.signals)
        for _ in range(pick.randint(1, 9)):
            self.add_computed()
        self.watchers: list[Watcher] = []
        for _ in range(pick.randint(1, 5)):
            self.add_watcher()

    def take_number(self) -> int:
        """Number the effects in the order of their making."""
        self.numbers += 1
        return self.numbers

    def some(self, most: int) -> list[Node]:
        """Pick nodes, the same one perhaps twice."""
        return self.random.choices(self.nodes, k=self.random.randint(1, most))

    def add_computed(self) -> None:
        """Add a computed that depends on what there is."""
        node = Node(self.random.choice(FORMULAS), [*self.some(3), self.random.choice(self.nodes)])
        node.live = Computed(lambda: node.result(read_live))
        self.nodes.append(node)

    def add_watcher(self) -> None:
        """Add an effect, perhaps one with an effect inside."""
        nested = self.some(2) if self.random.random() < 0.3 else []
        self.watchers.append(Watcher(self, self.some(3), nested).start())

    def set_one(self) -> None:
        """Set a signal, often to what it is."""
        self.random.choice(self.signals).live.set(self.random.randrange(6))

    def read_one(self) -> None:
        """Read a node: it must be what direct evaluation says."""
        node = self.random.choice(self.nodes)
        assert outcome(node.live.peek) == outcome(partial(evaluate, node))

    def batched(self) -> None:
        """Set and read in a batch, perhaps in one inside another."""
        with batch():
            for _ in range(self.random.randint(1, 4)):
                self.random.choice((self.set_one, self.set_one, self.read_one))()
            if self.random.random() < 0.3:
                with batch():
                    self.set_one()
                    self.set_one()

    def step(self) -> None:
        """Do one random thing; check that exactly the effects it concerns have run."""
        kind = self.random.random()
        if kind < 0.08 and self.watchers:
            gone = self.watchers.pop(self.random.randrange(len(self.watchers)))
            assert gone.effect is not None
            gone.effect.dispose()
        elif kind < 0.14:
            self.add_watcher()
        elif kind < 0.18:
            self.add_computed()
        elif kind < 0.25:
            self.read_one()
        self.ran.clear()
        before = [(watcher, watcher.child) for watcher in self.watchers]
        if kind < 0.7:
            self.set_one()
        else:
            self.batched()
        self.check(before, list(self.ran))

    def check(self, before: list[tuple[Watcher, Watcher | None]], ran: list[Watcher]) -> None:
        """Compare what has run with what should have run."""
        expected: list[Watcher] = []
        for watcher, child in before:
            if watcher in ran:
                expected.append(watcher)
                if watcher.child is not None:
                    expected.append(watcher.child)
            elif child is not None and child in ran:
                expected.append(child)
        assert sorted(map(id, ran)) == sorted(map(id, expected)), "each runs at most once"
        roots = [watcher.number for watcher in ran if watcher.number <= self.newest(before)]
        assert roots == sorted(roots), "in the order of making"
        for watcher in self.everyone():
            assert not watcher.outdated(), f"{watcher.number} has seen {watcher.seen}"

    @staticmethod
    def newest(before: list[tuple[Watcher, Watcher | None]]) -> int:
        """The highest number that an effect had before the change."""
        numbers = [w.number for pair in before for w in pair if w is not None]
        return max(numbers, default=0)

    def everyone(self) -> list[Watcher]:
        """Every effect that is alive, with those inside others."""
        found = list(self.watchers)
        return found + [watcher.child for watcher in found if watcher.child is not None]


class Minimal(Graph):
    """Also checks, from what each effect had read, that none ran without a reason."""

    def check(self, before: list[tuple[Watcher, Watcher | None]], ran: list[Watcher]) -> None:
        for watcher, seen in self.remembered.items():
            changed = any(outcome(partial(evaluate, node)) != got for node, got in seen)
            owner = self.owners.get(watcher)
            if owner is not None and owner in ran:
                assert watcher not in ran, "an owned effect goes with its owner's run"
            else:
                assert (watcher in ran) == changed, f"{watcher.number} had seen {seen}"
        super().check(before, ran)

    def set_one(self) -> None:
        self.remember()
        super().set_one()

    def batched(self) -> None:
        self.remember()
        self.inside = True
        super().batched()
        self.inside = False

    def remember(self) -> None:
        """Note what every effect has read, before a change."""
        if self.inside:
            return
        self.remembered = {watcher: list(watcher.seen) for watcher in self.everyone()}
        self.owners = {w.child: w for w in self.watchers if w.child is not None}

    inside = False
    remembered: dict[Watcher, list[tuple[Node, Outcome]]]
    owners: dict[Watcher, Watcher]


@pytest.mark.parametrize("block", range(15))
def test_random_graphs_agree_with_direct_evaluation(block: int) -> None:
    """P4: in 1,500 random graphs every effect runs exactly when what it read changed, once."""
    for seed in range(block * 100, block * 100 + 100):
        graph = Minimal(seed)
        try:
            for _ in range(25):
                graph.step()
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise


@pytest.mark.parametrize("deep", [0, 1, 2, 3])
def test_random_graphs_too_deep_for_the_stack(deep: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """P4: the same holds for what is computed with the deepest first, as very deep graphs are."""
    monkeypatch.setattr("edgekernel.core.computed.CHAIN", deep)
    monkeypatch.setattr("edgekernel.core.effect.CHAIN", deep)
    monkeypatch.setattr("edgekernel.core.computed._STACK", deep * 4)
    for seed in range(deep * 100, deep * 100 + 100):
        graph = Minimal(seed)
        for _ in range(25):
            graph.step()


def write_at_random(graph: Graph, seed: int, failures: list[BaseException]) -> None:
    """Set, batch and read at random, as one of several threads."""
    pick = random.Random(seed)
    signals, nodes = graph.signals, graph.nodes

    def set_one() -> None:
        pick.choice(signals).live.set(pick.randrange(6))

    try:
        for _ in range(60):
            kind = pick.random()
            if kind < 0.6:
                set_one()
            elif kind < 0.8:
                outcome(pick.choice(nodes).live.peek)
            else:
                with batch():
                    set_one()
                    outcome(pick.choice(nodes).live.peek)
                    set_one()
    except BaseException as error:
        failures.append(error)


def let_write(graph: Graph, seed: int) -> list[BaseException]:
    """Let several threads write at random until they are done; return what they raised."""
    failures: list[BaseException] = []
    threads = [
        threading.Thread(target=write_at_random, args=(graph, seed * 10 + n, failures))
        for n in range(graph.random.randint(2, 4))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
        assert not thread.is_alive()
    return failures


@pytest.mark.parametrize("block", range(10))
def test_random_graphs_with_several_writers(block: int, eager_switching: None) -> None:
    """P4: when several threads have set at random, every effect has seen the final state."""
    for seed in range(block * 20, block * 20 + 20):
        graph = Graph(seed)
        assert let_write(graph, seed) == []
        for watcher in graph.everyone():
            assert not watcher.outdated(), f"seed {seed}: {watcher.number} saw {watcher.seen}"
        for node in graph.nodes:
            assert outcome(node.live.peek) == outcome(partial(evaluate, node)), f"seed {seed}"
        graph.ran.clear()
        for _ in range(10):
            graph.step()
