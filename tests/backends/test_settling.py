"""When a level counts: random edges, on time, late or lost, against what must come of them."""

from __future__ import annotations

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from edgekernel.backends.settling import Settling
from edgekernel.hal import Edge

SETTLE_NS = 20_000_000

_gap_ns = st.integers(1, 3 * SETTLE_NS) | st.sampled_from([SETTLE_NS - 1, SETTLE_NS])
gaps_ns = st.lists(_gap_ns, max_size=30)
deliveries = st.lists(
    st.tuples(_gap_ns, st.none() | st.integers(0, SETTLE_NS // 2)), min_size=1, max_size=30
)
"""Per edge: how long after the last one it came, and how late it is told; None: never."""


def lasting(edges: list[Edge], settle_ns: int, end_ns: int) -> list[Edge]:
    """What must be told of a low line's edges by `end_ns`: the changes that lasted."""
    ends = [*(edge.monotonic_ns for edge in edges), end_ns][1:]
    long = [
        edge for edge, end in zip(edges, ends, strict=True) if end - edge.monotonic_ns >= settle_ns
    ]
    return [new for old, new in pairwise([Edge(False, 0), *long]) if new.level != old.level]


def train(gaps: list[int]) -> list[Edge]:
    """Edges of a low line with these times in between."""
    return [Edge(number % 2 == 0, at_ns) for number, at_ns in enumerate(accumulate(gaps))]


class Line:
    """A line whose edges reach the machine as they are told, looked at whenever it is due."""

    def __init__(self, edges: list[Edge]) -> None:
        self.edges = edges
        self.machine = Settling(False, 0, SETTLE_NS)
        self.told: list[tuple[Edge, int]] = []
        """What has settled, and when it was found out."""

    def level(self, at_ns: int) -> bool:
        """Return the level that the line really has."""
        return next((e.level for e in reversed(self.edges) if e.monotonic_ns <= at_ns), False)

    def until(self, end_ns: int) -> None:
        """Look whenever it is due until then."""
        while (due_ns := self.machine.due_ns) is not None and due_ns < end_ns:
            self.look(due_ns)

    def look(self, at_ns: int) -> None:
        """Look at the line."""
        self._note(self.machine.look(self.level(at_ns), at_ns), at_ns)

    def deliver(self, edge: Edge, at_ns: int) -> None:
        """Tell an edge, late or not."""
        self._note(self.machine.edge(edge.level, edge.monotonic_ns), at_ns)

    def _note(self, settled: Edge | None, at_ns: int) -> None:
        if settled is not None:
            self.told.append((settled, at_ns))


@given(gaps_ns)
def test_tells_what_lasted(gaps: list[int]) -> None:
    """On time: each change that lasts the settle time is told once, with the time it came."""
    edges = train(gaps)
    line = Line(edges)
    for edge in edges:
        line.until(edge.monotonic_ns)
        line.deliver(edge, edge.monotonic_ns)
    end_ns = sum(gaps) + 2 * SETTLE_NS
    line.until(end_ns)
    assert [edge for edge, _ in line.told] == lasting(edges, SETTLE_NS, end_ns)


@given(gaps_ns)
def test_never_looked_at(gaps: list[int]) -> None:
    """Edges alone are enough: who comes to look too late has missed no change that lasted."""
    edges = train(gaps)
    line = Line(edges)
    for edge in edges:
        line.deliver(edge, edge.monotonic_ns)
    end_ns = sum(gaps) + 100 * SETTLE_NS
    line.look(end_ns)
    assert [edge for edge, _ in line.told] == lasting(edges, SETTLE_NS, end_ns)


@given(deliveries)
def test_late_and_lost_edges(given_edges: list[tuple[int, int | None]]) -> None:
    """Late and lost edges: no change is told twice, none that had not come or was over when it
    was found, and in the end the level told is the one that the line has."""
    edges = train([gap for gap, _ in given_edges])
    line = Line(edges)
    for edge, at_ns in _in_order(edges, [late for _, late in given_edges]):
        line.until(at_ns)
        line.deliver(edge, at_ns)
    end_ns = edges[-1].monotonic_ns + 10 * SETTLE_NS
    line.until(end_ns)
    line.look(end_ns)
    line.until(end_ns + 2 * SETTLE_NS)
    assert [edge.level for edge, _ in line.told] == [
        number % 2 == 0 for number in range(len(line.told))
    ]
    assert line.machine.level == edges[-1].level
    assert line.machine.due_ns is None
    for edge, found_ns in line.told:
        assert line.level(edge.monotonic_ns) == edge.level
        assert found_ns - edge.monotonic_ns >= SETTLE_NS


def _in_order(edges: list[Edge], late_ns: list[int | None]) -> list[tuple[Edge, int]]:
    """Return the edges that are told and when: the kernel tells them in order."""
    told: list[tuple[Edge, int]] = []
    for edge, late in zip(edges, late_ns, strict=True):
        if late is not None:
            at_ns = max(edge.monotonic_ns + late, told[-1][1] if told else 0)
            told.append((edge, at_ns))
    return told


@given(
    st.lists(
        st.tuples(
            st.integers(SETTLE_NS, 3 * SETTLE_NS),
            st.integers(0, SETTLE_NS // 2),
            st.integers(0, SETTLE_NS // 2),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_every_long_pulse_is_told(given_edges: list[tuple[int, int, int]]) -> None:
    """Late edges and late looks, whichever comes first: each change that lasts is told once, with
    the time at which it came."""
    edges = train([gap for gap, _, _ in given_edges])
    line = Line(edges)
    told = _in_order(edges, [late for _, late, _ in given_edges])
    for (edge, at_ns), (_, _, look_late_ns) in zip(told, given_edges, strict=True):
        while (due_ns := line.machine.due_ns) is not None and due_ns + look_late_ns < at_ns:
            line.look(due_ns + look_late_ns)
        line.deliver(edge, at_ns)
    line.until(edges[-1].monotonic_ns + 10 * SETTLE_NS)
    assert [edge for edge, _ in line.told] == edges


@given(
    st.lists(
        st.tuples(st.integers(SETTLE_NS, 3 * SETTLE_NS), st.integers(0, 10 * SETTLE_NS)),
        min_size=1,
        max_size=15,
    ),
    st.lists(st.integers(0, 60 * SETTLE_NS), max_size=15),
)
def test_very_late_edges(given_edges: list[tuple[int, int]], polled_ns: list[int]) -> None:
    """On a computer that is busy, edges are told when they have settled long ago, and somebody has
    looked at the line before: each change counts once all the same."""
    edges = train([gap for gap, _ in given_edges])
    line = Line(edges)
    told = _in_order(edges, [late for _, late in given_edges])
    polls = sorted(polled_ns)
    for edge, at_ns in told:
        while polls and polls[0] < at_ns:
            poll_ns = polls.pop(0)
            line.until(poll_ns)
            line.look(poll_ns)
        line.until(at_ns)
        line.deliver(edge, at_ns)
    line.until(told[-1][1] + 10 * SETTLE_NS)
    assert [edge.level for edge, _ in line.told] == [edge.level for edge in edges]
    for edge, _ in line.told:
        assert line.level(edge.monotonic_ns) == edge.level


def test_edge_after_two_looks() -> None:
    """A change that one look has found and another has settled is not told again by its edge."""
    machine = Settling(False, 0, SETTLE_NS)
    assert machine.look(True, SETTLE_NS) is None
    assert machine.look(True, 2 * SETTLE_NS) == Edge(True, SETTLE_NS)
    assert machine.edge(True, SETTLE_NS - 5) is None
    assert machine.look(True, 3 * SETTLE_NS) is None
    assert machine.edge(False, 4 * SETTLE_NS) is None
    assert machine.look(False, 5 * SETTLE_NS) == Edge(False, 4 * SETTLE_NS)


def test_edge_after_its_look() -> None:
    """A change that a look found first settles from the time of its edge, and once."""
    machine = Settling(False, 0, SETTLE_NS)
    assert machine.look(True, SETTLE_NS) is None
    assert machine.edge(True, SETTLE_NS - 5) is None
    assert machine.due_ns == 2 * SETTLE_NS - 5
    assert machine.look(True, 2 * SETTLE_NS - 5) == Edge(True, SETTLE_NS - 5)
    assert machine.look(True, 3 * SETTLE_NS) is None


def test_looks_after_a_bounce() -> None:
    """Also back at the old level it is looked at once more: the last edge may have got lost."""
    machine = Settling(False, 0, SETTLE_NS)
    machine.look(False, SETTLE_NS)
    machine.edge(True, 2 * SETTLE_NS)
    machine.edge(False, 2 * SETTLE_NS + 10)
    assert machine.due_ns == 3 * SETTLE_NS + 10


def test_rest_needs_no_look() -> None:
    """A line that rests is not looked at: once after it was opened, then after its next edge."""
    machine = Settling(True, 7, SETTLE_NS)
    assert machine.due_ns == 7 + SETTLE_NS
    machine.look(True, 7 + SETTLE_NS)
    assert machine.due_ns is None


def test_look_between_edge_and_its_telling() -> None:
    """A pulse that has lasted is told, also if a look comes after its end and before the edge of
    it: who looks is late as well."""
    machine = Settling(False, 0, SETTLE_NS)
    machine.edge(True, 2 * SETTLE_NS)
    assert machine.look(False, 3 * SETTLE_NS + 2) is None
    assert machine.edge(False, 3 * SETTLE_NS + 1) == Edge(True, 2 * SETTLE_NS)
    assert machine.look(False, 4 * SETTLE_NS + 1) == Edge(False, 3 * SETTLE_NS + 1)


def test_edge_from_before_the_opening() -> None:
    """An edge that came before the line was opened, and is told late, begins nothing."""
    machine = Settling(False, 10 * SETTLE_NS, SETTLE_NS)
    assert machine.edge(True, 8 * SETTLE_NS) is None
    assert machine.edge(False, 10 * SETTLE_NS + 1) is None
    assert machine.level is False
