"""How a driver declares an output: type, safe value, limits, and the methods that do it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from edgekernel.core.errors import ConfigError
from edgekernel.core.output import Output
from edgekernel.core.values import ValueType

if TYPE_CHECKING:
    from edgekernel.core.device import Device
    from edgekernel.core.output_limits import Limits

T = TypeVar("T", bound=bool | int | float | str)
D = TypeVar("D", bound=Callable[..., Any])


class OutputDeclaration(Generic[T]):
    """A class attribute of a Device: each instance has its own Output of that name."""

    def __init__(
        self,
        values: ValueType[T],
        safe: T | None,
        limits: Limits | None = None,
        role: str | None = None,
    ) -> None:
        self.values = values
        self.safe = safe
        self.limits = limits
        self.role = role
        self.name = ""
        self._drives = ""
        self._reads = ""
        self._function: Callable[[T], T] | None = None
        self._reader: Callable[[], T] | None = None
        self.check_safe(safe, "")

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def check_safe(self, value: T | None, label: str) -> None:
        """Raise ConfigError if an output of that label cannot have this safe value."""
        where = f"{label}: " if label else ""
        if value is None and self.safe is not None:
            raise ConfigError(
                f"{where}it has a safe value, {self.safe!r}, and cannot be without; an output "
                "without one is declared with safe=None"
            )
        if value is not None and not self.values.contains(value):
            raise ConfigError(
                f"{where}safe={value!r} cannot be driven: the output takes {self.values.allowed}"
            )

    def drive(self, method: D) -> D:
        """Mark the method that drives this output: takes the value, returns the readback."""
        self._drives = method.__name__
        return method

    def drive_with(self, function: Callable[[T], T], reader: Callable[[], T] | None = None) -> None:
        """Let functions drive and read this output; for one that `Device.add_output` adds."""
        self._function, self._reader = function, reader

    def read(self, method: D) -> D:
        """Mark the method that reads what the hardware does now, and changes nothing.

        Without one the output cannot begin "as-is".
        """
        self._reads = method.__name__
        return method

    def driver(self, device: Device) -> Callable[[T], T]:
        """Return the method of this device that drives the output."""
        if self._function is not None:
            return self._function
        if not self._drives:
            raise TypeError(f"{type(device).__name__}.{self.name}: no @{self.name}.drive method")
        method: Callable[[T], T] = getattr(device, self._drives)
        return method

    def reader(self, device: Device) -> Callable[[], T] | None:
        """Return the method of this device that reads what the hardware does, if it has one."""
        if self._reader is not None:
            return self._reader
        return getattr(device, self._reads) if self._reads else None

    @property
    def can_read(self) -> bool:
        """Whether there is a method that reads what the hardware does."""
        return bool(self._reads)

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
    limits: Limits | None = None,
    role: str | None = None,
) -> OutputDeclaration[T]:
    """Declare an output of a Device class; its driver method is marked with `@<name>.drive`.

    `safe` is the value for start, stop and failure; None says explicitly that there is none.
    `limits` are what every device of the class has, unless other ones are set for it, and so is
    the `role` that whoever sets it from outside must have been granted, as with a command. The
    other parameters are those of `reading`. Raises ConfigError if `safe` is not among the values
    that the output takes.
    """
    values = ValueType(type, unit, range, precision, device_class)
    return OutputDeclaration(values, safe, limits, role)
