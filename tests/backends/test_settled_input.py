"""Inputs with a settle time on simulated lines and simulated time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.backends.sim import SimBackend
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import BusyError, ClosedError, InvalidValueError
from edgekernel.hal import Edge, Pull
from edgekernel.hal.address import LineAddress
from edgekernel.sim.clock import SimClock
from tests.backends.test_settling import SETTLE_NS, gaps_ns, lasting, train

LINE = LineAddress("GPIO27", "sim", 27)
SETTLE_S = SETTLE_NS / 1e9


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock, closed at the end."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def backend(clock: SimClock) -> Iterator[SimBackend]:
    """A simulated board on it."""
    backend = SimBackend(clock)
    yield backend
    backend.close()


Seen = list[tuple[Edge, int]]


def watch(backend: SimBackend, clock: SimClock, seen: Seen) -> Callable[[Edge], None]:
    """Note edges and when they are told."""
    return lambda edge: seen.append((edge, clock.monotonic_ns()))


def test_settles_exactly() -> None:
    """For every train of edges: each change that lasts is told once, when it has lasted, with
    the time at which it came."""
    with SimClock() as clock:

        @given(gaps_ns)
        def check(gaps: list[int]) -> None:
            backend, seen, begun_ns = SimBackend(clock), Seen(), clock.monotonic_ns()
            line = backend.digital_input(LINE)
            line.open(Pull.DOWN, watch(backend, clock, seen), settle_s=SETTLE_S)
            edges = train(gaps)
            for edge, gap in zip(edges, gaps, strict=True):
                clock.advance(gap / 1e9)
                backend.line("GPIO27").drive(edge.level)
            clock.advance(1)
            told = [Edge(edge.level, edge.monotonic_ns - begun_ns) for edge, _ in seen]
            assert told == lasting(edges, SETTLE_NS, sum(gaps) + 1_000_000_000)
            assert all(at_ns == edge.monotonic_ns + SETTLE_NS for edge, at_ns in seen)
            assert line.read() == (len(gaps) % 2 == 1)
            backend.close()

        check()


@given(st.lists(st.tuples(st.integers(1, 60_000), st.booleans()), max_size=20))
def test_ends_in_the_true_level(drives: list[tuple[int, bool]]) -> None:
    """However many edges get lost: levels alternate, and the last one told is the line's after
    it was read once."""
    with SimClock() as clock:
        backend, told, level = SimBackend(clock), list[bool](), False
        line = backend.digital_input(LINE)
        line.open(Pull.DOWN, lambda edge: told.append(edge.level), settle_s=SETTLE_S)
        for gap_us, lose in drives:
            clock.advance(gap_us / 1e6)
            level = not level
            backend.line("GPIO27").drive(level, lose_edge=lose)
        clock.advance(1)
        line.read()
        clock.advance(1)
        assert line.read() == level
        assert told == [number % 2 == 0 for number in range(len(told))]
        assert (told[-1] if told else False) == level
        backend.close()


def test_lost_within_a_bounce(backend: SimBackend, clock: SimClock) -> None:
    """The last edge of a bounce gets lost: the look after the bounce finds the true level."""
    seen, outside = Seen(), backend.line("GPIO27")
    backend.digital_input(LINE).open(Pull.DOWN, watch(backend, clock, seen), settle_s=SETTLE_S)
    outside.drive(True)
    outside.drive(False)
    outside.drive(True, lose_edge=True)
    clock.advance(1)
    assert [edge.level for edge, _ in seen] == [True]


def test_lost_while_opening(backend: SimBackend, clock: SimClock) -> None:
    """An edge that gets lost while the line is opened is found without a read."""
    seen = Seen()
    backend.digital_input(LINE).open(Pull.DOWN, watch(backend, clock, seen), settle_s=SETTLE_S)
    backend.line("GPIO27").drive(True, lose_edge=True)
    clock.advance(3 * SETTLE_S)
    assert [edge.level for edge, _ in seen] == [True]


def test_read_is_settled(backend: SimBackend, clock: SimClock) -> None:
    """A read gives the settled level until a new one has lasted; nobody need watch."""
    line = backend.digital_input(LINE)
    line.open(Pull.UP, settle_s=SETTLE_S)
    backend.line("GPIO27").drive(False)
    assert line.read() is True
    clock.advance(SETTLE_S)
    assert line.read() is False


def test_told_one_at_a_time(backend: SimBackend, clock: SimClock) -> None:
    """While one change is told, the next ones wait, though their edges have come meanwhile."""
    seen: list[str] = []

    def slow(edge: Edge) -> None:
        seen.append(f"in {edge.level:d}")
        clock.sleep(1)
        seen.append(f"out {edge.level:d}")

    backend.digital_input(LINE).open(Pull.DOWN, slow, settle_s=SETTLE_S)
    for level in (True, False, True):
        backend.line("GPIO27").drive(level)
        clock.advance(0.1)
    assert seen == ["in 1"]
    clock.advance(5)
    assert seen == ["in 1", "out 1", "in 0", "out 0", "in 1", "out 1"]


def test_handler_raises(
    backend: SimBackend, clock: SimClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A handler that raises is logged with the line, and is told the next change."""
    told: list[bool] = []

    def fail(edge: Edge) -> None:
        told.append(edge.level)
        raise ZeroDivisionError

    backend.digital_input(LINE).open(Pull.DOWN, fail, settle_s=SETTLE_S)
    for level in (True, False):
        backend.line("GPIO27").drive(level)
        clock.advance(1)
    assert told == [True, False]
    assert "GPIO27: what was called for its edge raised" in caplog.text


def test_closed(backend: SimBackend, clock: SimClock) -> None:
    """After close nothing is told, not even what was about to settle; the line opens again."""
    seen = Seen()
    line = backend.digital_input(LINE)
    line.open(Pull.DOWN, watch(backend, clock, seen), settle_s=SETTLE_S)
    backend.line("GPIO27").drive(True)
    line.close()
    line.close()
    clock.advance(1)
    assert seen == []
    with pytest.raises(ClosedError, match="GPIO27"):
        line.read()
    line.open(Pull.DOWN, watch(backend, clock, seen), settle_s=SETTLE_S)
    backend.line("GPIO27").drive(False)
    clock.advance(1)
    assert [edge.level for edge, _ in seen] == [False]


def test_closed_while_telling(backend: SimBackend, clock: SimClock) -> None:
    """What was not told when the line was closed is not told when it is open again."""
    seen: list[str] = []

    def slow(edge: Edge) -> None:
        seen.append(f"before: {edge.level:d}")
        clock.sleep(10)

    line = backend.digital_input(LINE)
    line.open(Pull.DOWN, slow, settle_s=SETTLE_S)
    for level in (True, False, True):
        backend.line("GPIO27").drive(level)
        clock.advance(0.1)
    line.close()
    line.open(Pull.DOWN, lambda edge: seen.append(f"after: {edge.level:d}"), settle_s=SETTLE_S)
    clock.advance(20)
    backend.line("GPIO27").drive(False)
    clock.advance(1)
    assert seen == ["before: 1", "after: 0"]


@pytest.mark.parametrize("settle_s", [-0.001, 10.001, float("nan")])
def test_impossible_settle_time(backend: SimBackend, settle_s: float) -> None:
    """A settle time below 0 or above 10 s is refused, and the line stays closed."""
    line = backend.digital_input(LINE)
    with pytest.raises(InvalidValueError, match="GPIO27: a settle time of"):
        line.open(Pull.UP, settle_s=settle_s)
    line.open(Pull.UP, settle_s=10)


def test_busy(backend: SimBackend) -> None:
    """A line that is open elsewhere is busy with a settle time too, and its user keeps it."""
    output = backend.digital_output(LINE)
    output.open(True)
    with pytest.raises(BusyError):
        backend.digital_input(LINE).open(Pull.UP, settle_s=SETTLE_S)
    assert output.read() is True


def test_real_time() -> None:
    """On real threads a change is told once it has lasted; the backend's close ends the thread."""
    clock = SystemClock()
    backend, told, settled = SimBackend(clock), list[Edge](), clock.Event()

    def note(edge: Edge) -> None:
        told.append(edge)
        settled.set()

    backend.digital_input(LINE).open(Pull.DOWN, note, settle_s=0.005)
    driven_ns = clock.monotonic_ns()
    backend.line("GPIO27").drive(True)
    assert settled.wait(10)
    assert clock.monotonic_ns() - driven_ns >= 5_000_000
    backend.close()
    assert [edge.level for edge in told] == [True]


def test_edges_and_looks_from_two_threads() -> None:
    """On real threads, with random and lost edges while the line is read: levels alternate, and
    the last one told is the line's."""
    clock, random, told, level = SystemClock(), Random(4), list[bool](), False
    backend = SimBackend(clock)
    line = backend.digital_input(LINE)
    line.open(Pull.DOWN, lambda edge: told.append(edge.level), settle_s=0.0005)
    for _ in range(300):
        level = not level
        backend.line("GPIO27").drive(level, lose_edge=random.random() < 0.2)
        clock.sleep(random.random() * 0.001)
        line.read()
    end_s = clock.monotonic() + 30
    while (told[-1] if told else False) != level and clock.monotonic() < end_s:
        line.read()
        clock.sleep(0.001)
    backend.close()
    assert told == [number % 2 == 0 for number in range(len(told))]
    assert (told[-1] if told else False) == level
