"""Assertions on readings, outputs and lines, at once or within a simulated time."""

from __future__ import annotations

from collections.abc import Callable
from math import isclose
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.sample import Quality, Sample
from edgekernel.testing.current import simulation
from edgekernel.testing.times import moment, span

if TYPE_CHECKING:
    from edgekernel.core.output import Output
    from edgekernel.core.reading import Reading

T = TypeVar("T", bound=bool | int | float | str)


class Line(Protocol):
    """A line from outside, as `sim.board.line(...)` and `node.bench.line(...)` return it."""

    @property
    def level(self) -> bool:
        """The electrical level; True is high."""
        ...


def assert_reading(
    reading: Reading[T],
    value: T | None = None,
    *,
    abs: float = 0.0,
    rel: float = 0.0,
    quality: Quality = Quality.GOOD,
    within: float = 0.0,
) -> None:
    """Assert that a reading has a value and a quality, or comes to have them.

    `value` None is any; of a BAD reading the last one known counts. A number may differ by `abs`,
    or by `rel` times itself. `within` is seconds of simulated time, of which as many pass as it
    takes.
    """
    __tracebackhide__ = True
    _check(reading, "peek_sample", "assert_reading is given a reading", "assert_output")

    def agrees() -> bool:
        sample = reading.peek_sample()
        return sample.quality is quality and _equal(sample.value, value, abs, rel)

    if not _comes(agrees, within):
        tolerance = f" ± {abs:g}" if abs else f" ± {rel:.3g} of it" if rel else ""
        wanted = "" if value is None else f"{value!r}{tolerance}, "
        raise AssertionError(
            f"{reading.label}: expected {wanted}{quality}{_waited(within)}\n"
            f"  {_now()}it is {_told(reading.peek_sample())}"
        )


def assert_output(output: Output[T], value: T, *, within: float = 0.0) -> None:
    """Assert that an output was set to a value and reports it, or comes to do so.

    `within` is seconds of simulated time, of which as many pass as it takes.
    """
    __tracebackhide__ = True
    _check(output, "readback", "assert_output is given an output", "assert_reading")

    def agrees() -> bool:
        reported = output.readback.peek_sample()
        return reported.quality is Quality.GOOD and reported.value == output.setpoint == value

    if not _comes(agrees, within):
        raise AssertionError(
            f"{output.label}: expected {value!r}{_waited(within)}\n"
            f"  {_now()}it is set to {output.setpoint!r} and reports "
            f"{_told(output.readback.peek_sample())}"
        )


def assert_level(line: Line, level: bool, *, within: float = 0.0) -> None:
    """Assert that a line is high (True) or low, seen from outside, or comes to be.

    `within` is seconds of simulated time, of which as many pass as it takes.
    """
    __tracebackhide__ = True
    if not _comes(lambda: line.level is level, within):
        name = getattr(line, "name", "the line")
        raise AssertionError(
            f"{name}: expected {_level(level)}{_waited(within)}\n"
            f"  {_now()}it is {_level(line.level)}"
        )


def _check(given: object, needed: str, rule: str, instead: str) -> None:
    if not hasattr(given, needed):
        raise TypeError(f"{rule}, not {given!r}; for others there is {instead}, or plain assert")


def _comes(agrees: Callable[[], bool], within: float) -> bool:
    if agrees() or within <= 0:
        return agrees()
    return simulation("within=...").clock.run_until(agrees, within)


def _equal(actual: Any, expected: Any, abs: float, rel: float) -> bool:
    if expected is None:
        return True
    if isinstance(expected, float | int) and isinstance(actual, float | int):
        return isclose(actual, expected, abs_tol=abs + rel * max(expected, -expected), rel_tol=0)
    return bool(actual == expected)


def _told(sample: Sample[Any]) -> str:
    reason = f" ({sample.reason})" if sample.reason else ""
    return f"{sample.value!r}, {sample.quality}{reason}{_age(sample)}"


def _age(sample: Sample[Any]) -> str:
    """Say how long it has been so, if time is simulated."""
    running = simulation()
    if running is None:
        return ""
    return f", for {span((running.clock.time_ns() - sample.time_ns) / NANOSECONDS)}"


def _level(level: bool) -> str:
    return "high" if level else "low"


def _waited(within: float) -> str:
    return f" within {span(within)}" if within else ""


def _now() -> str:
    """Say when it is, if time is simulated."""
    running = simulation()
    return "" if running is None else f"at {moment(running.clock.monotonic_ns())} "
