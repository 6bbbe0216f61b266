"""Mismatch: notices that the hardware does not do what it is told to."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from edgekernel.core import message
from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.core.errors import RefusedError
from edgekernel.core.values import ValueType

if TYPE_CHECKING:
    from edgekernel.core.messages import Message
    from edgekernel.core.output import Output
    from edgekernel.core.timers import Timer

T = TypeVar("T", bound=bool | int | float | str)


class Mismatch(Generic[T]):
    """Compares what an output reports with what was driven last.

    When they differ for the limit the readback is BAD, told once as OutputMismatch; when they
    agree again it is GOOD, told as OutputMatches. Another setpoint does not begin anew: who is
    stuck is found out also while the setpoint moves. Reports come from the driver's writes, from
    polls, and from reading the hardware again after each limit while they differ.
    """

    def __init__(
        self,
        output: Output[T],
        limit_s: float,
        clock: Clock,
        timer: Callable[[Callable[[], object]], Timer],
        tell: Callable[[Message], object],
    ) -> None:
        """Watch `output`, looking again with a timer that `timer` makes."""
        self._output = output
        self._limit_s = limit_s
        self._limit_ns = int(limit_s * NANOSECONDS)
        self._now_ns = clock.monotonic_ns
        self._timer = timer(self._look)
        self._tell = tell
        self._expected: T | None = None
        self._since_ns: int | None = None
        self._told = False

    def expect(self, value: T | None) -> None:
        """Hear what is driven; None expects nothing."""
        self._expected = value

    def end(self) -> None:
        """Watch no more."""
        self._expected = self._since_ns = None
        self._timer.cancel()

    def doubt(self, value: T) -> str:
        """Return why a reported value is BAD, "" if it is not; asked by the readback."""
        if self._expected is None or same(value, self._expected, self._output.values):
            self._since_ns = None
            if self._told:
                self._timer.set(self._now_ns())  # told by who holds no lock
            else:
                self._timer.cancel()
            return ""
        now_ns = self._now_ns()
        if self._since_ns is None:
            self._since_ns = now_ns
            self._timer.set(now_ns + self._limit_ns)
        if now_ns - self._since_ns < self._limit_ns:
            return ""
        return f"is {value!r} and not {self._expected!r}, as it was told, for {self._limit_s:g} s"

    def _look(self) -> None:
        """Read the hardware again; tell what has begun or ended."""
        try:
            self._output.read_again()
        except RefusedError:  # a write hangs, or the driver fails: the readback says so
            self._again()
            return
        since_ns, expected = self._since_ns, self._expected
        if since_ns is None:
            if self._told:
                self._told = False
                self._tell(message.OutputMatches(self._output.label))
            return
        if not self._told and self._now_ns() - since_ns >= self._limit_ns:
            self._told = True
            value = self._output.readback.peek_sample().value
            self._tell(message.OutputMismatch(self._output.label, expected, value, self._limit_s))
        self._again()

    def _again(self) -> None:
        if self._expected is not None and self._since_ns is not None:
            self._timer.set(self._now_ns() + self._limit_ns)


def same(one: Any, other: Any, values: ValueType[Any]) -> bool:
    """Compare two values; numbers with a precision by less than one unit of its last decimal."""
    if values.type is not float:
        return bool(one == other)
    if values.precision is None:
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    unit: float = 10.0**-values.precision
    return bool(abs(one - other) < unit * (1 - 1e-9))
