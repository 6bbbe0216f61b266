"""What a CircuitPython driver expects of a computer: busio's I2C, and time. No driver itself.

The drivers are pure Python. They import `busio` and `digitalio` for annotations and enumerations;
those of Blinka look for a known board when they are imported, and some open its GPIO chips. So
stand-ins are there for as long as a driver is imported. What it asks of the bus goes to an I2CBus,
and when it sleeps it sleeps on the clock of its device.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from enum import Enum
from importlib import import_module
from types import ModuleType
from typing import Any

from edgekernel import Clock, ConfigError
from edgekernel.hal import I2CBus

_clock: ContextVar[Clock] = ContextVar("clock")
"""The clock of the device whose driver runs at the moment."""


class BusioI2C:
    """An I2CBus with the methods of busio.I2C (CircuitPython's documentation, module busio).

    One flow at a time may use it, as a device does with its driver.
    """

    def __init__(self, bus: I2CBus) -> None:
        self._bus = bus
        self._locks: list[AbstractContextManager[None]] = []

    def try_lock(self) -> bool:
        """Take the bus, waiting for it; returns True."""
        lock = self._bus.held()
        lock.__enter__()
        self._locks.append(lock)
        return True

    def unlock(self) -> None:
        """Give the bus back."""
        self._locks.pop().__exit__(None, None, None)

    @contextmanager
    def unlocked_at_the_end(self) -> Iterator[None]:
        """Give back what a driver that has failed has left locked."""
        try:
            yield
        finally:
            while self._locks:
                self.unlock()

    def scan(self) -> list[int]:
        """Return the addresses at which somebody answers."""
        return list(self._bus.scan())

    def writeto(self, address: int, buffer: Any, *, start: int = 0, end: int | None = None) -> None:
        """Write a part of a buffer.

        An empty write, by which drivers ask whether their chip is there, is no transaction here:
        the first one with content shows it.
        """
        data = bytes(buffer)[start:end]
        if data:
            self._bus.write(address, data)

    def readfrom_into(
        self, address: int, buffer: Any, *, start: int = 0, end: int | None = None
    ) -> None:
        """Fill a part of a buffer."""
        _fill(buffer, start, end, lambda length: self._bus.read(address, length))

    def writeto_then_readfrom(
        self,
        address: int,
        out_buffer: Any,
        in_buffer: Any,
        *,
        out_start: int = 0,
        out_end: int | None = None,
        in_start: int = 0,
        in_end: int | None = None,
    ) -> None:
        """Write a part of one buffer, then fill a part of another, without a stop in between."""
        data = bytes(out_buffer)[out_start:out_end]
        _fill(in_buffer, in_start, in_end, lambda n: self._bus.write_read(address, data, n))


def _fill(buffer: Any, start: int, end: int | None, read: Any) -> None:
    part = range(*slice(start, end).indices(len(buffer)))
    if part:
        buffer[part.start : part.stop] = read(len(part))


class ClockTime:
    """The module `time`, on the clock of the device whose driver runs."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        """Sleep on the clock."""
        clock = _clock.get(None)
        if clock is None:
            time.sleep(seconds)
        else:
            clock.sleep(seconds)

    def monotonic(self) -> float:
        """Return the clock's monotonic time."""
        clock = _clock.get(None)
        return time.monotonic() if clock is None else clock.monotonic()

    def monotonic_ns(self) -> int:
        """Return the clock's monotonic time in nanoseconds."""
        clock = _clock.get(None)
        return time.monotonic_ns() if clock is None else clock.monotonic_ns()

    def time(self) -> float:
        """Return the clock's wall time."""
        clock = _clock.get(None)
        return time.time() if clock is None else clock.time_ns() / 1e9


_TIME = ClockTime()
_FUNCTIONS = ("sleep", "monotonic", "monotonic_ns", "time")


@contextmanager
def on_clock(clock: Clock) -> Iterator[None]:
    """Let drivers that are called inside sleep on this clock."""
    token = _clock.set(clock)
    try:
        yield
    finally:
        _clock.reset(token)


def load_class(use: str) -> type[Any]:
    """Import the class that "module:Class" names; what it knows as `time` is the clock's.

    Only what modules of its own top-level package have imported is exchanged: a driver that
    imports `time` inside a function, or `sleep` under another name, sleeps in real time. Raises
    ConfigError.
    """
    name, _, attribute = use.partition(":")
    if not (attribute.isidentifier() and all(part.isidentifier() for part in name.split("."))):
        raise ConfigError(f'use: "{use}" is no class; write it as "module:Class"')
    try:
        with _stand_ins():
            module = import_module(name)
            with suppress(ModuleNotFoundError):  # some import it when they are made
                import_module("adafruit_bus_device.i2c_device")
    except Exception as error:
        hint = "install it with pip" if isinstance(error, ModuleNotFoundError) else "see its cause"
        raise ConfigError(
            f'use: "{use}" cannot be imported ({type(error).__name__}: {error}); {hint}'
        ) from error
    top = name.partition(".")[0]
    for each in list(sys.modules):
        if each == top or each.startswith(f"{top}."):
            _exchange_time(sys.modules[each], top)
    found = getattr(module, attribute, None)
    if not isinstance(found, type):
        known = [each for each, value in vars(module).items() if isinstance(value, type)]
        raise ConfigError(f'use: {name} has no class "{attribute}"; it has {", ".join(known)}')
    return found


def _exchange_time(module: ModuleType, top: str) -> None:
    """Let a module know the clock's time: as the module, and functions of it by their names."""
    for name, value in list(vars(module).items()):
        if value is time:
            setattr(module, name, _TIME)
        elif name in _FUNCTIONS and callable(value) and not _is_of(value, top):
            # No matter whose: a simulated clock may have put another `sleep` into `time`.
            setattr(module, name, getattr(_TIME, name))


def _is_of(value: object, top: str) -> bool:
    """Say whether something was defined in a package."""
    return str(getattr(value, "__module__", "")).partition(".")[0] == top


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Let `busio` and `digitalio` be ours, unless the application has imported others."""
    made = {"busio": _busio(), "digitalio": _digitalio()}
    absent = {name: module for name, module in made.items() if name not in sys.modules}
    sys.modules.update(absent)
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


class _Absent:
    """Stands for a boundary that these drivers get nothing of."""


def _busio() -> ModuleType:
    module = ModuleType("busio")
    vars(module).update(I2C=BusioI2C, SPI=_Absent, UART=_Absent)
    return module


def _digitalio() -> ModuleType:
    module = ModuleType("digitalio")
    vars(module).update(
        DigitalInOut=_Absent,
        Direction=Enum("Direction", ["INPUT", "OUTPUT"]),
        DriveMode=Enum("DriveMode", ["PUSH_PULL", "OPEN_DRAIN"]),
        Pull=Enum("Pull", ["UP", "DOWN"]),
    )
    return module
