"""What the tests of filters share: samples, and a filter run over them in time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import strategies as st

from edgekernel import Quality, Sample, filters
from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.filter import Chain

GOOD, UNCERTAIN, BAD = Quality.GOOD, Quality.UNCERTAIN, Quality.BAD
RANK = [GOOD, UNCERTAIN, BAD]

REASONS = {GOOD: "", UNCERTAIN: "drifts", BAD: "offline"}

Timed = tuple[float, Sample[Any]]
"""A sample with the second at which it comes in, or out."""


def sample(value: Any, quality: Quality = GOOD, at_s: float = 0.0) -> Sample[Any]:
    """A sample with a reason that fits its quality."""
    return Sample(value, quality, int(at_s * NANOSECONDS), REASONS[quality])


def run(chain: Sequence[filters.Filter], coming: Iterable[Timed], until_s: float) -> list[Timed]:
    """Let samples come in at their times, and wake the filters at theirs; return what comes out."""
    made = Chain(chain)
    out: list[Timed] = []

    def wake_until(end_ns: int) -> None:
        while (due := made.due_ns) is not None and due < end_ns:
            out.extend((due / NANOSECONDS, each) for each in made.wake(due))

    for at_s, each in coming:
        now_ns = round(at_s * NANOSECONDS)
        wake_until(now_ns)
        out.extend((at_s, passed) for passed in made.take(each, now_ns))
    wake_until(int(until_s * NANOSECONDS))
    return out


def values(chain: Sequence[filters.Filter], *given: Any, every_s: float = 1.0) -> list[Any]:
    """What comes out of values that come a second apart."""
    coming = [(n * every_s, sample(value)) for n, value in enumerate(given)]
    return [each.value for _, each in run(chain, coming, 1e6)]


numbers = st.floats(-1e100, 1e100) | st.integers(-(2**63), 2**63).map(float)
qualities = st.sampled_from([GOOD, GOOD, GOOD, UNCERTAIN, BAD])


@st.composite
def sequences(draw: st.DrawFn, of: st.SearchStrategy[Any]) -> list[Timed]:
    """Samples of any quality, some at the same time, some a long time apart."""
    at_s, found = 0.0, []
    for value, quality, pause_ms in draw(
        st.lists(st.tuples(of, qualities, st.integers(0, 5000)), max_size=25)
    ):
        at_s += pause_ms / 1000
        found.append((at_s, sample(value, quality, at_s)))
    return found
