"""Guard: keeps one output within its limits while its device is attached."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from edgekernel.core import message
from edgekernel.core.approach import Approach
from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.errors import (
    HeldSafeError,
    InterlockedError,
    InvalidValueError,
    RefusedError,
    UnavailableError,
)
from edgekernel.core.expiry import Expiry
from edgekernel.core.limits import RateLimit, Rates
from edgekernel.core.memory import Plain
from edgekernel.core.mismatch import Mismatch
from edgekernel.core.output_limits import Limits, is_on

if TYPE_CHECKING:
    from edgekernel.core.context import Host
    from edgekernel.core.output import Output

T = TypeVar("T", bound=bool | int | float | str)

KEPT_AS = "output/"
"""What the name of an output has before it in the memory of the runtime."""


class Guard(Generic[T]):
    """Decides what of an output may be driven when. All of it under the output's lock.

    `begin` says what the output begins with, `admit` what of a set is to be driven at once, and
    `advance` what is when a timer rings; `driving` and `driven` hear of the driver's calls.
    """

    def __init__(self, output: Output[T], limits: Limits, host: Host) -> None:
        """Guard an output of a device that is being attached."""
        self._output = output
        self._limits = limits
        self._host = host
        self._clock = host.clock
        timer = host.outputs.timer
        self._approach: Approach[T] = Approach(limits, output.safe, output.values.type)
        self._timer = timer(self._ring)
        self._expiry = Expiry(limits, host.clock, timer, self._over)
        self._rate = RateLimit.parse(limits.max_changes) if limits.max_changes else None
        self._rates = Rates(host.clock)
        self._mismatch: Mismatch[T] | None = None
        if limits.mismatch_s is not None:
            self._mismatch = Mismatch(output, limits.mismatch_s, host.clock, timer, host.post)
            output.readback.doubt = self._mismatch.doubt
        self._later: T | None = None

    # The beginning

    def begin(self) -> T | None:
        """Return what the output begins with; None: with what the hardware has.

        With `min_off_s` the hardware may have been off for a moment only: then it begins safe, and
        what it should begin with is pending.
        """
        self._approach.begin(self._clock.monotonic_ns())
        safe, self._later = self._output.safe, None
        value = self._wanted_first()
        if value is None or value == safe:
            return value
        if self._limits.min_off_s is not None and is_on(value, safe):
            self._later, value = value, safe
        elif not self._may_claim(value):
            return safe
        return value

    @property
    def takes_over(self) -> bool:
        """Whether the output begins with what the hardware has."""
        return self._limits.initial == "as-is"

    def _wanted_first(self) -> T | None:
        initial, safe = self._limits.initial, self._output.safe
        if initial == "as-is":
            return None
        if initial == "safe":
            return safe
        if initial != "restore":
            return self._output.values.parse(initial)
        known = self._host.outputs.memory.get(self._key)
        if known is None:
            return safe
        try:
            return self._output.values.parse(known)
        except InvalidValueError as error:
            self._tell_not_driven(known, f"it was driven before the restart: {error}")
            return safe

    def _may_claim(self, value: T) -> bool:
        try:
            self._output.claim(value)
        except UnavailableError as error:  # an interlock, or a lease
            self._tell_not_driven(value, str(error))
            return False
        return True

    def begun(self) -> None:
        """Hear that the output has begun; let follow what it should have begun with."""
        if not self._output.is_safe:
            self._expiry.renew()
        if self._later is not None:
            self._approach.target = self._later
            self._expiry.renew()
            self.advance()

    def may_take_over(self, value: T) -> bool:
        """Say whether the output may keep what the hardware had; else it is to be safe."""
        return value == self._output.safe or self._may_claim(value)

    # What is asked for

    def admit(self, value: T) -> T | None:
        """Take a set; return what is to be driven now, None if nothing yet.

        Raises RateLimitedError.
        """
        output, approach = self._output, self._approach
        before = output.last if approach.target is None else approach.target
        if self._rate is not None and value != before:
            # To the safe value always; it counts all the same.
            must_have = value != output.safe or self.changes_left
            if must_have:
                self._rates.take(output.label, self._rate)
        approach.target = value
        self._expiry.renew()
        return self.advance()

    def advance(self) -> T | None:
        """Return what is to be driven now on the way to what was asked for."""
        value, due_ns = self._approach.step(self._clock.monotonic_ns())
        if due_ns is None:
            self._timer.cancel()
        else:
            self._timer.set(due_ns)
        return value

    def fall_back(self) -> T | None:
        """Return what is to be driven as what drives the output has failed; None: nothing."""
        self.drop()
        output, fallback = self._output, self._limits.fallback
        if fallback == "hold":
            return None
        if fallback != "safe":
            value = output.values.parse(fallback)
            if value != output.safe and self._may_claim(value):
                self._expiry.renew()
                return value
        return None if output.is_safe else output.safe

    # What is driven

    def driving(self, value: T) -> None:
        """Hear what the driver is about to be told."""
        if self._mismatch is not None:
            self._mismatch.expect(value)
        if is_on(value, self._output.safe):
            self._expiry.on()

    def driven(self, value: T) -> None:
        """Hear that the driver has done it."""
        self._approach.driven(value, self._clock.monotonic_ns())
        if value != self._output.safe:
            return
        if self._approach.target is None:
            self._expiry.end()
        else:
            self._expiry.off()

    def drop(self) -> None:
        """Forget what is pending: it is not wanted any more, or could not be driven."""
        self._approach.target = None
        self._timer.cancel()
        if self._mismatch is not None:
            self._mismatch.expect(self._output.last)

    def remember(self, value: T) -> None:
        """Keep for the next start what was asked for and driven, if that is restored."""
        if self._limits.initial == "restore":
            self._host.outputs.memory.put(self._key, value)

    def end(self) -> None:
        """Let no timer ring any more: the device is not there."""
        self.drop()
        self._expiry.end()
        if self._mismatch is not None:
            self._mismatch.end()
        self._output.readback.doubt = None

    # What timers do

    def _ring(self) -> None:
        value = self._approach.target
        try:
            self._output.advance()
        except RefusedError as error:
            if value is None:
                return
            refused = isinstance(error, HeldSafeError | InterlockedError)
            if not refused and self.pending is not None and not self._output.has_failed:
                self._timer.set(self._clock.monotonic_ns() + NANOSECONDS)  # a slow write goes on
                return
            self._tell_not_driven(value, str(error))
            if not refused:  # nobody asks for it again
                with suppress(RefusedError):  # it is tried until that works
                    self._output.give_up(value)

    def _over(self) -> None:
        try:
            reason = self._output.expire(self._expiry.reason)
        except RefusedError as error:
            self._tell_not_driven(self._output.safe, str(error))
            self._expiry.again()
            return
        if reason:
            limits = self._limits
            limit_s = limits.lease_s if reason == "lease" else limits.max_on_s
            told = message.OutputExpired(self._output.label, reason, limit_s or 0.0)
            self._host.post(told)

    # What an operator wants to know

    @property
    def pending(self) -> T | None:
        """What was asked for and is not driven yet."""
        return self._approach.target

    @property
    def changes_left(self) -> int | None:
        """How many changes are allowed at the moment; None without a limit."""
        if self._rate is None:
            return None
        return self._rates.left(self._output.label, self._rate)

    def figures(self) -> dict[str, Any]:
        """Return what the limits have to say, ready for JSON."""
        due_ns = self._timer.due_ns
        left_ns = None if due_ns is None else max(0, due_ns - self._clock.monotonic_ns())
        since_ns = self._approach.on_since_ns
        return {
            "pending": self.pending,
            "pending_in_s": None if left_ns is None else left_ns / NANOSECONDS,
            "lease_left_s": self._expiry.left_s("lease"),
            "max_on_left_s": self._expiry.left_s("max_on"),
            "changes_left": self.changes_left,
            "on_for_s": None
            if since_ns is None
            else (self._clock.monotonic_ns() - since_ns) / NANOSECONDS,
        }

    @property
    def _key(self) -> str:
        return f"{KEPT_AS}{self._output.label}"

    def _tell_not_driven(self, value: Plain | None, why: str) -> None:
        self._host.post(message.OutputNotDriven(self._output.label, value, why))
