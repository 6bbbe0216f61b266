"""The range and the step of a number that is set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_FINEST = 0.001
"""Home Assistant takes no smaller step."""

_FAR = 1_000_000_000
"""Home Assistant wants limits; 1 and 100 are its own, which are not ours."""


def limits(
    range: Sequence[float | None] | None, *, whole: bool, precision: int | None = None
) -> dict[str, Any]:
    """Return lowest, highest and step; a range, or one end of it, may be open.

    The step is one for integers, else one of the last decimal worth showing, or a hundredth. A
    number without a range is typed in.
    """
    low, high = range or (None, None)
    step = 1 if whole else max(_FINEST, round(10.0 ** -(2 if precision is None else precision), 9))
    made: dict[str, Any] = {
        "min": -_FAR if low is None else low,
        "max": _FAR if high is None else high,
        "step": step,
    }
    return made | ({"mode": "box"} if low is None or high is None else {})
