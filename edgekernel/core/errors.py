"""Every exception of edgekernel, in one tree.

    EdgekernelError
    ├── ConfigError (ValueError)        a node file, board or driver parameter is wrong
    ├── BootError (ExceptionGroup)      everything that kept a runtime from booting
    ├── LifecycleError (RuntimeError)   called at the wrong moment
    ├── EscalationError (RuntimeError)  children failed more often than their supervisor restarts
    ├── ReactiveError (RuntimeError)    misuse of the signal graph
    │   └── CycleError                  a computed that needs itself
    ├── StateError (ValueError)         a path or a value that the state store cannot keep
    │   └── StateConflictError (TypeError)     a path that leads through a value
    ├── BoundaryError (OSError)         what a driver meets at a boundary
    │   ├── ClosedError                 your code has closed it, or not yet opened it
    │   ├── BrokenError                 the world broke it: unplugged, no answer, I/O error
    │   │   ├── NackError               nobody acknowledged on the bus
    │   │   └── StuckError              the bus gave no answer in time, or a line of it is held
    │   └── BusyError                   somebody else holds it
    ├── BadReadingError (ValueError)    `.value` of a reading whose quality is BAD
    └── RefusedError                    a request that was understood and not carried out
        ├── UnknownTargetError (LookupError)   no such device, output, component or command
        ├── InvalidValueError (ValueError)     wrong type, out of range, malformed
        ├── ForbiddenError (PermissionError)   a role is needed and was not shown
        ├── UnavailableError                   right now not possible: offline, driver failed
        │   ├── HeldSafeError                  the output is held at its safe value
        │   │   ├── LeaseNotHeldError          it needs a lease, and nobody holds it
        │   │   └── HeldByOperatorError        an operator holds the outputs safe
        │   ├── InterlockedError               an output that excludes it is on
        │   └── RateLimitedError               more often than a rate limit allows
        └── TurnTimeoutError (TimeoutError)    not done within its time limit

A refusal carries `code`, a stable word for machines, beside its text for people.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence


def unless_unwound(error: BaseException) -> BaseException:
    """Return the error; raise it again if it is how a simulated clock ends its fibers."""
    if type(error).__name__ == "GreenletExit":
        raise error
    return error


def of_user_code(error: BaseException) -> BaseException:
    """Return the error if it is a failure of the code that was called, whatever its class.

    Raises it again if it is meant for the thread itself: Ctrl-C, which only the main thread
    hears, and how a simulated clock ends its fibers.
    """
    if isinstance(error, KeyboardInterrupt):
        if threading.current_thread() is threading.main_thread():
            raise error
        return error
    return unless_unwound(error)


def describe(error: BaseException) -> tuple[str, str]:
    """Return an error as one line and as its traceback, even one whose text cannot be made."""
    import traceback  # costs 2 ms: only where something has gone wrong

    kind = type(error).__name__
    try:
        return f"{kind}: {error}", "".join(traceback.format_exception(error))
    except Exception:
        trace = "".join(traceback.format_tb(error.__traceback__))
        return f"{kind}: (its text cannot be made)", trace


class EdgekernelError(Exception):
    """Base of everything edgekernel raises on purpose."""


class ConfigError(EdgekernelError, ValueError):
    """A node file, a board file or a driver parameter is wrong.

    `problems` holds one sentence per mistake; the text of the exception is all of them.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class BootError(EdgekernelError, ExceptionGroup[Exception]):
    """Everything that kept a runtime from booting; what had been started is stopped again."""

    def derive(self, excs: Sequence[Exception], /) -> BootError:  # type: ignore[override]
        """Build the group that `split` and `subgroup` return."""
        return BootError(self.message, excs)


class LifecycleError(EdgekernelError, RuntimeError):
    """Something was asked for at a moment at which it cannot be done."""


class EscalationError(EdgekernelError, RuntimeError):
    """A supervisor has given up its children; `child` failed last, `__cause__` says of what."""

    def __init__(self, text: str, child: str) -> None:
        super().__init__(text)
        self.child = child


class ReactiveError(EdgekernelError, RuntimeError):
    """The signal graph was used in a way that has no meaning."""


class CycleError(ReactiveError):
    """A computed needs its own value; the text names the members of the cycle."""


class StateError(EdgekernelError, ValueError):
    """The state store cannot keep it: a malformed path, or a value that cannot be copied."""


class StateConflictError(StateError, TypeError):
    """A path leads through a value; the text names both paths."""


class BoundaryError(EdgekernelError, OSError):
    """A boundary could not do what a driver asked; the text names boundary and cause."""


class ClosedError(BoundaryError):
    """The boundary is not open: your code has closed it, or not opened it yet."""


class BrokenError(BoundaryError):
    """The world broke the boundary: unplugged, no answer, an I/O error."""


class NackError(BrokenError):
    """No chip acknowledged its address or a byte on the bus."""


class StuckError(BrokenError):
    """A transaction did not end in time, or a line is held: the bus itself may be stuck."""


class BusyError(BoundaryError):
    """Another owner holds the line, bus or port."""


class BadReadingError(EdgekernelError, ValueError):
    """The value of a reading whose quality is BAD was asked for.

    `reading` is its label, `spell` the number of times that it has been BAD, this one included.
    """

    def __init__(self, reading: str, reason: str, spell: int = 0) -> None:
        super().__init__(f"{reading}: {reason}")
        self.reading = reading
        self.reason = reason
        self.spell = spell

    def __reduce__(self) -> tuple[type[BadReadingError], tuple[str, str, int]]:
        return type(self), (self.reading, self.reason, self.spell)


class RefusedError(EdgekernelError):
    """A request was understood and not carried out; nothing has changed."""

    code = "refused"


class UnknownTargetError(RefusedError, LookupError):
    """There is no device, output, component or command of that name."""

    code = "unknown"


class InvalidValueError(RefusedError, ValueError):
    """A value has the wrong type, is out of range or malformed."""

    code = "invalid"


class ForbiddenError(RefusedError, PermissionError):
    """The request needs a role that the caller has not shown."""

    code = "forbidden"


class UnavailableError(RefusedError):
    """Not possible right now: the device is offline, its driver failed, a write hangs."""

    code = "unavailable"


class HeldSafeError(UnavailableError):
    """An output of `device` is held at its safe value: the node stops, or nothing is attached."""

    expected = False
    """Whether an effect that meets it is not at fault: it runs again when that is over."""

    def __init__(self, text: str, device: str) -> None:
        super().__init__(text)
        self.device = device


class LeaseNotHeldError(HeldSafeError):
    """An output, or a command, needs a controller that is alive, and there is none.

    The `device` of a command is "".
    """

    code = "no_lease"
    expected = True


class HeldByOperatorError(HeldSafeError):
    """An output of `device` stays at its safe value until an operator lets it go on."""

    code = "held"
    expected = True


class InterlockedError(UnavailableError):
    """The output `other` is away from its safe value, and the two are never so together."""

    code = "interlocked"

    def __init__(self, text: str, other: str) -> None:
        super().__init__(text)
        self.other = other


class RateLimitedError(UnavailableError):
    """A command is called, or an output changed, more often than its rate limit allows; try again
    in `retry_after_s` seconds."""

    code = "rate_limited"

    def __init__(self, name: str, limit: str, retry_after_s: float) -> None:
        super().__init__(f"{name}: at most {limit}; try again in {retry_after_s:.3g} s")
        self.retry_after_s = retry_after_s


class TurnTimeoutError(RefusedError, TimeoutError):
    """The request was not done within its time limit."""

    code = "timeout"


_LISTED, _LISTED_WHOLE = 8, 16
"""How many names of a long list are told, and how many are no long list."""


def nearest(name: str, known: Mapping[str, object] | list[str]) -> str:
    """Return a suggestion for a name that does not exist, for the end of an error text."""
    from difflib import get_close_matches  # only where something has gone wrong

    names = {each.lower(): each for each in known}  # a line is "GPIO17", however it was meant
    begun = [each for each in names if name and each.startswith(name.lower())]
    close = get_close_matches(name.lower(), list(names), n=1) or (begun if len(begun) == 1 else [])
    if close:
        return f"; did you mean {names[close[0]]!r}?"
    shown = sorted(known)
    if len(shown) > _LISTED_WHOLE:
        shown[_LISTED:] = [f"and {len(shown) - _LISTED} more"]
    return f"; there are: {', '.join(shown)}" if known else "; there are none"
