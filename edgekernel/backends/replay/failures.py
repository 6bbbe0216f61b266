"""What a boundary raised then, to be raised again. Classes are chosen from a list, never loaded."""

from __future__ import annotations

from edgekernel.core.errors import (
    BoundaryError,
    BrokenError,
    BusyError,
    ClosedError,
    ConfigError,
    InvalidValueError,
    LifecycleError,
    NackError,
    StuckError,
    UnavailableError,
)

_CLASSES: dict[str, type[Exception]] = {
    cls.__name__: cls
    for cls in (
        BoundaryError, BrokenError, BusyError, ClosedError, ConfigError, InvalidValueError,
        LifecycleError, NackError, StuckError, UnavailableError,
        OSError, PermissionError, FileNotFoundError, TimeoutError, RuntimeError, TypeError,
        ValueError,
    )
}  # fmt: skip
_ENDS = frozenset(("GreenletExit", "KeyboardInterrupt", "SystemExit"))


def ended_the_caller(error: str | None) -> bool:
    """Say whether a recorded call ended because its thread did, which is no answer."""
    return error in _ENDS


def failure(error: str, text: str) -> Exception:
    """Return what was raised then: the class of that name, or BrokenError with the name."""
    cls = _CLASSES.get(error)
    return BrokenError(f"{error}: {text}") if cls is None else cls(text)
