"""Outputs: a device's writable signals. What was asked (setpoint) and what is (readback)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from edgekernel.core.clock import LockLike
from edgekernel.core.effect import running_effect
from edgekernel.core.errors import (
    ConfigError,
    HeldSafeError,
    UnavailableError,
    describe,
    unless_unwound,
)
from edgekernel.core.reading import Reading
from edgekernel.core.signals import Signal, batch
from edgekernel.core.values import ValueType

if TYPE_CHECKING:
    from edgekernel.core.device import Device

T = TypeVar("T", bound=bool | int | float | str)
D = TypeVar("D", bound=Callable[..., Any])

_WRITE_LIMIT_S = 1.5
"""How long a write waits for one before it; less than a shutdown gives the safe state."""
_NOT_ATTACHED = "the device is not attached"
_ATTEMPTS = 3
"""How often the safe value is tried when the driver fails."""


class Output(Generic[T]):
    """Something a device does. `set` drives it at once and raises if that did not work.

    `safe` is the value for start, stop and failure; None says that there is no safe value.
    """

    def __init__(self, device: Device, declaration: OutputDeclaration[T]) -> None:
        """Make the output of a device; nothing is driven before the device is attached."""
        self.label = f"{device.id}.{declaration.name}"
        self.values = declaration.values
        self.safe: T | None = declaration.safe
        self._drive = declaration.driver(device)
        self._device = device
        self._setpoint: Signal[T | None] = Signal(None, name=f"{self.label}.setpoint")
        self.readback = Reading(f"{self.label}.readback", self.values, device.now_ns)
        self._lock = device.clock.Lock()  # keeps driver writes and what is noted of them in order
        self._held = _NOT_ATTACHED
        self._safe_now = True  # nothing has been driven that is not the safe value

    @property
    def setpoint(self) -> T | None:
        """What was asked for last and driven; None before anything was."""
        return self._setpoint.get()

    @property
    def value(self) -> T:
        """The readback; raises BadReadingError while that is BAD."""
        return self.readback.value

    def get(self) -> T:
        """Return the readback; raise BadReadingError while that is BAD."""
        return self.readback.get()

    def set(self, value: T) -> None:
        """Drive the output. Setting what is already set drives it again: harmless, and heals.

        Raises InvalidValueError for a value that is not allowed, HeldSafeError while it is held
        (the node is stopping, the device is not attached), and UnavailableError if the driver
        fails. Set by an effect, it falls to its safe value when that effect fails.
        """
        effect = running_effect()
        if effect is not None:
            effect.when_failed(self._fall_back)
        self._write(self.values.parse(value))

    def release(self) -> None:
        """Let `set` drive the output, beginning with its safe value."""
        self._lock = self._device.clock.Lock()
        self._held = ""
        if self.safe is not None:
            self._write(self.safe)

    def hold_safe(self, reason: str) -> None:
        """Drive the safe value and refuse every later `set`, with the reason.

        Called again it tries again if the safe value could not be driven before.
        """
        first = not self._held
        self._held = self._held or reason
        if first or not self._safe_now:
            self._make_safe()

    def let_go(self) -> None:
        """Refuse every later `set` without driving anything: the device is not there."""
        self._held = _NOT_ATTACHED
        self._safe_now = True

    def _fall_back(self) -> None:
        """What drives it has failed: to the safe value, from which it may be set again."""
        if not self._safe_now and not self._held:
            self._make_safe()

    def _make_safe(self) -> None:
        if self.safe is not None:
            self._write(self.safe, hold=True)

    def _write(self, value: T, *, hold: bool = False) -> None:
        with batch():  # what depends on it runs after the lock is released
            with self._writing() as lock:
                if self._held and not hold:
                    raise self._held_safe(value, self._held)
                self._try_to_drive(lock, value, _ATTEMPTS if hold else 1)
                if self._held and self.safe is not None and value != self.safe:
                    # held while the driver was at work
                    self._try_to_drive(lock, self.safe, _ATTEMPTS)
            if self._outlived(lock):
                self._drive_again()
                raise self._held_safe(value, "the device was attached anew meanwhile")

    def _held_safe(self, value: T, why: str) -> HeldSafeError:
        return HeldSafeError(f"{self.label}: not set to {value!r}: {why}", self._device.id)

    @contextmanager
    def _writing(self) -> Iterator[LockLike]:
        lock = self._lock
        if not lock.acquire(timeout=_WRITE_LIMIT_S):
            raise UnavailableError(f"{self.label}: a write before this one hangs")
        try:
            yield lock
        finally:
            lock.release()

    def _outlived(self, lock: LockLike) -> bool:
        """Say whether the write with this lock belongs to an earlier attachment."""
        return lock is not self._lock

    def _drive_again(self) -> None:
        """A late write of an earlier attachment may have come through: drive what counts now."""
        with self._writing() as lock:
            self._safe_now = False
            value = self.safe if self._held else self._setpoint.peek()
            if value is not None:
                self._try_to_drive(lock, value, _ATTEMPTS)

    def _try_to_drive(self, lock: LockLike, value: T, attempts: int) -> None:
        for left in reversed(range(attempts)):
            if self._outlived(lock):
                return
            try:
                self._drive_now(lock, value)
                return
            except BaseException as error:
                unless_unwound(error)
                if left or self._outlived(lock):
                    continue
                text = describe(error)[0]
                self.readback.fail(f"the driver failed: {text}")
                raise UnavailableError(f"{self.label}: not set to {value!r}: {text}") from error

    def _drive_now(self, lock: LockLike, value: T) -> None:
        self._safe_now = False  # until the driver has said otherwise
        reported = self._drive(value)
        if self._outlived(lock):
            return
        self.readback.update(reported)
        self._setpoint.set(value)
        self._safe_now = self.safe is None or value == self.safe

    def __repr__(self) -> str:
        return f"<Output {self.label} setpoint={self._setpoint.peek()!r}>"


class OutputDeclaration(Generic[T]):
    """A class attribute of a Device: each instance has its own Output of that name."""

    def __init__(self, values: ValueType[T], safe: T | None, device_class: str) -> None:
        if safe is not None and not values.contains(safe):
            raise ConfigError(f"safe={safe!r} cannot be driven: the output takes {values.allowed}")
        self.values = values
        self.safe = safe
        self.device_class = device_class
        self.name = ""
        self._method = ""
        self._function: Callable[[T], T] | None = None

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def drive(self, method: D) -> D:
        """Mark the method that drives this output: takes the value, returns the readback."""
        self._method = method.__name__
        return method

    def drive_with(self, function: Callable[[T], T]) -> None:
        """Let a function drive this output; for one that `Device.add_output` adds."""
        self._function = function

    def driver(self, device: Device) -> Callable[[T], T]:
        """Return the method of this device that drives the output."""
        if self._function is not None:
            return self._function
        if not self._method:
            raise TypeError(f"{type(device).__name__}.{self.name}: no @{self.name}.drive method")
        method: Callable[[T], T] = getattr(device, self._method)
        return method

    @overload
    def __get__(self, device: None, owner: type) -> OutputDeclaration[T]: ...
    @overload
    def __get__(self, device: Device, owner: type) -> Output[T]: ...
    def __get__(self, device: Any, owner: type) -> Any:
        if device is None:
            return self
        if self.name not in device.__dict__:
            device.__dict__[self.name] = Output(device, self)
        return device.__dict__[self.name]


def output(
    type: type[T],
    *,
    safe: T | None,
    unit: str = "",
    range: tuple[float, float] | None = None,
    precision: int | None = None,
    device_class: str = "",
) -> OutputDeclaration[T]:
    """Declare an output of a Device class; its driver method is marked with `@<name>.drive`.

    `safe` is the value for start, stop and failure; None says explicitly that there is none.
    The other parameters are those of `reading`. Raises ConfigError if `safe` is not among the
    values that the output takes.
    """
    return OutputDeclaration(ValueType(type, unit, range, precision), safe, device_class)
