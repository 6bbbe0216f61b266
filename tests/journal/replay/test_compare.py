"""Differences: what agrees within a tolerance of time, and what is missing, new or other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgekernel.journal.replay.acts import Act
from edgekernel.journal.replay.compare import differences
from tests.journal.replay.recorded import SECOND, at

TOLERANCE_NS = SECOND // 2


def act(at_s: float, what: object = "on", stream: str = "fan", *times: float) -> Act:
    """Return an act."""
    return Act(*at(at_s), stream, ("set", what), times, f"set to {what}")


def found(then: list[Act], now: list[Act], *blind: tuple[float, float]) -> list[tuple[object, ...]]:
    """Return the differences of two lists."""
    spans = [(round(a * SECOND), round(b * SECOND)) for a, b in blind]
    made, _ = differences(then, now, TOLERANCE_NS, spans)
    return [(d.monotonic_ns / SECOND, d.stream, d.then, d.now) for d in made]


def test_agreement() -> None:
    """What is the same within the tolerance agrees, in whatever order of two streams."""
    then = [act(1), act(2, "off"), act(2.1, "on", "lamp")]
    now = [act(1.4), act(1.8, "on", "lamp"), act(2.3, "off")]
    assert differences(then, now, TOLERANCE_NS) == ([], 3)


def test_what_differs() -> None:
    """Missing, new and other acts are told by time, the first first."""
    then = [act(1), act(5, "off"), act(9)]
    now = [act(5.2, 7), act(20)]
    assert found(then, now) == [
        (1, "fan", "set to on", ""),
        (5, "fan", "set to off", "set to 7"),
        (9, "fan", "set to on", ""),
        (20, "fan", "", "set to on"),
    ]


def test_late() -> None:
    """What comes later than the tolerance is missing then and new now."""
    assert found([act(1)], [act(1.6)]) == [
        (1, "fan", "set to on", ""),
        (1.6, "fan", "", "set to on"),
    ]


def test_times_in_messages() -> None:
    """Numbers that are times may differ as times may."""
    assert found([act(1, "on", "fan", 100.0)], [act(1, "on", "fan", 100.4)]) == []
    assert len(found([act(1, "on", "fan", 100.0)], [act(1, "on", "fan", 101.0)])) == 1
    assert len(found([act(1, "on", "fan")], [act(1, "on", "fan", 101.0)])) == 1


def test_blind() -> None:
    """Where the record is not complete, what is done now is no difference; what is missing is."""
    assert found([act(5)], [act(2), act(3.4), act(9)], (2, 3)) == [
        (5, "fan", "set to on", ""),
        (9, "fan", "", "set to on"),
    ]


Acts = st.lists(
    st.builds(act, st.integers(0, 30), st.sampled_from(["on", "off"]), st.sampled_from("ab"))
).map(lambda acts: sorted(acts, key=lambda act: act.monotonic_ns))


@given(Acts, Acts)
def test_all_is_told(then: list[Act], now: list[Act]) -> None:
    """Every act either agrees or is told once, and the same lists always agree."""
    made, agree = differences(then, now, TOLERANCE_NS)
    assert sum(bool(d.then) for d in made) + agree == len(then)
    assert sum(bool(d.now) for d in made) + agree == len(now)
    assert made == sorted(made, key=lambda d: d.monotonic_ns)
    assert differences(then, then, TOLERANCE_NS) == ([], len(then))
