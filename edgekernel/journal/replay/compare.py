"""Differences between what was done then and what is done now."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Any

from edgekernel.core.clock import NANOSECONDS
from edgekernel.journal.replay.acts import Act

Span = tuple[int, int]
"""Begin and end in monotonic nanoseconds."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that was otherwise: `then` is what was recorded, `now` what happened instead.

    One of the two is empty if nothing was recorded, or nothing happened.
    """

    monotonic_ns: int
    time_ns: int
    stream: str
    then: str
    now: str


def differences(
    then: Sequence[Act], now: Sequence[Act], tolerance_ns: int, blind: Iterable[Span] = ()
) -> tuple[list[Difference], int]:
    """Compare; return the differences by time, and how many acts agree.

    An act agrees with an equal one that is at most `tolerance_ns` away in time. In the `blind`
    spans the record is not complete: what happens now and is not in it is no difference there.
    """
    missing, extra, agree = _unmatched(then, now, tolerance_ns)
    spans = [(begin - tolerance_ns, end + tolerance_ns) for begin, end in blind]
    extra = [each for each in extra if not _inside(each, spans)]
    found = _paired(missing, extra, tolerance_ns)
    return sorted(found, key=lambda each: (each.monotonic_ns, each.stream, each.then)), agree


def _unmatched(
    then: Sequence[Act], now: Sequence[Act], tolerance_ns: int
) -> tuple[list[Act], list[Act], int]:
    """Return what has no counterpart, of each side, and how many pairs there are."""
    groups: dict[Any, tuple[list[Act], list[Act]]] = defaultdict(lambda: ([], []))
    for side, acts in enumerate((then, now)):
        for act in acts:
            groups[act.stream, act.what][side].append(act)
    missing: list[Act] = []
    extra: list[Act] = []
    agree = 0
    for left, right in groups.values():
        agree += _match(left, right, tolerance_ns, missing, extra)
    return missing, extra, agree


def _match(
    left: list[Act], right: list[Act], tolerance_ns: int, missing: list[Act], extra: list[Act]
) -> int:
    """Match two lists that are in the order of time; return how many pairs there are."""
    i = j = pairs = 0
    while i < len(left) and j < len(right):
        apart_ns = right[j].monotonic_ns - left[i].monotonic_ns
        if abs(apart_ns) <= tolerance_ns and _same_times(left[i], right[j], tolerance_ns):
            i, j, pairs = i + 1, j + 1, pairs + 1
        elif apart_ns >= 0:
            missing.append(left[i])
            i += 1
        else:
            extra.append(right[j])
            j += 1
    missing += left[i:]
    extra += right[j:]
    return pairs


def _same_times(one: Act, other: Act, tolerance_ns: int) -> bool:
    """Say whether the times that are told differ by no more than times may."""
    limit = tolerance_ns / NANOSECONDS
    pairs = zip(one.times, other.times, strict=False)
    return len(one.times) == len(other.times) and all(
        isclose(a, b, rel_tol=1e-9, abs_tol=limit) for a, b in pairs
    )


def _paired(missing: list[Act], extra: list[Act], tolerance_ns: int) -> list[Difference]:
    """Put together what was done instead of something else, at the same time and place."""
    left: dict[str, deque[Act]] = defaultdict(deque)
    for act in sorted(extra, key=lambda act: act.monotonic_ns):
        left[act.stream].append(act)
    found: list[Difference] = []
    for act in sorted(missing, key=lambda act: act.monotonic_ns):
        others = left[act.stream]
        while others and others[0].monotonic_ns < act.monotonic_ns - tolerance_ns:
            found.append(_difference(None, others.popleft()))
        instead = _instead(act, others, tolerance_ns)
        if instead is not None:
            others.remove(instead)
        found.append(_difference(act, instead))
    rest = (act for acts in left.values() for act in acts)
    return found + [_difference(None, act) for act in rest]


def _instead(act: Act, others: Iterable[Act], tolerance_ns: int) -> Act | None:
    """Return what of the same kind was done next to the time of an act."""
    for other in others:
        if other.monotonic_ns > act.monotonic_ns + tolerance_ns:
            break
        if other.what[0] == act.what[0]:
            return other
    return None


def _difference(then: Act | None, now: Act | None) -> Difference:
    at = then or now
    assert at is not None
    said = [act.words if act is not None else "" for act in (then, now)]
    return Difference(at.monotonic_ns, at.time_ns, at.stream, *said)


def _inside(act: Act, spans: list[Span]) -> bool:
    return any(begin <= act.monotonic_ns <= end for begin, end in spans)
