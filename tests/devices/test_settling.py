from edgekernel_devices._settling import Settling
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.hal import Edge

MS = 1_000_000


def test_settles_when_it_was_seen_long_enough() -> None:
    """A change counts once it was seen for the settle time, and says when it came."""
    settling = Settling(True, 0, 20 * MS)
    assert settling.see(False, 100 * MS, 100 * MS) is None
    assert settling.due_ns == 120 * MS
    assert settling.see(False, 119 * MS, 119 * MS) is None
    assert settling.see(False, 120 * MS, 120 * MS) == Edge(False, 100 * MS)
    assert settling.level is False
    assert Settling(False, 0, 20 * MS).due_ns is None


def test_change_that_came_before_it_was_seen() -> None:
    """A change that is known to have come earlier than it was seen settles from then on."""
    settling = Settling(True, 0, 20 * MS)
    assert settling.see(False, 90 * MS, 100 * MS) is None
    assert settling.see(False, 110 * MS, 110 * MS) == Edge(False, 90 * MS)


def test_late_report_of_a_time() -> None:
    """A time before the last change, as of an interrupt that was seen late, is never told: times
    do not go back, and the change still counts."""
    settling = Settling(True, 0, 0)
    assert settling.see(False, 100 * MS, 100 * MS) == Edge(False, 100 * MS)
    assert settling.see(True, 90 * MS, 90 * MS) == Edge(True, 100 * MS)
    assert settling.see(False, 101 * MS, 101 * MS) == Edge(False, 101 * MS)


looks = st.lists(st.tuples(st.booleans(), st.integers(0, 50)), max_size=40)


@given(looks, st.integers(0, 100))
def test_tells_exactly_what_lasted(looks: list[tuple[bool, int]], settle_ms: int) -> None:
    """For every series of looks: what is told alternates, was seen for the settle time without
    another level in between, and nothing that was is left out."""
    settling = Settling(False, 0, settle_ms * MS)
    told, expected = list[Edge](), list[Edge]()
    now_ms, since_ms, seen, level = 0, 0, False, False
    for new, gap in looks:
        now_ms += gap
        if new is not seen:
            seen, since_ms = new, now_ms
        if seen is not level and now_ms - since_ms >= settle_ms:
            level = seen
            expected.append(Edge(level, since_ms * MS))
        edge = settling.see(new, now_ms * MS, now_ms * MS)
        told += [edge] if edge is not None else []
    assert told == expected
    assert settling.level is level
