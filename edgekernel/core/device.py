"""Devices: the drivers' base class, with lifecycle, online state, readings and outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from edgekernel.core import message
from edgekernel.core.carrying import Carried
from edgekernel.core.clock import Clock, SystemClock
from edgekernel.core.context import Context
from edgekernel.core.errors import (
    ConfigError,
    LifecycleError,
    UnavailableError,
    describe,
    unless_unwound,
)
from edgekernel.core.output import Output
from edgekernel.core.output_declaration import OutputDeclaration
from edgekernel.core.output_declaration import output as declare_output
from edgekernel.core.reading import Reading, ReadingDeclaration, ReadingSettings
from edgekernel.core.signals import batch
from edgekernel.core.telling import Failures
from edgekernel.core.values import ValueType

if TYPE_CHECKING:
    from edgekernel.core.polls import Polls
    from edgekernel.core.staleness import Freshness

T = TypeVar("T", bound=bool | int | float | str)

_NO_CONTEXT_CLOCK = SystemClock()


class Device:
    """One piece of hardware, or another boundary. Subclass it to write a driver.

    A driver takes its boundaries and settings as constructor parameters, touches no hardware
    before `connect`, and lets go of it in `disconnect`. It declares `reading`s and `output`s as
    class attributes. If it has a `poll` method, that is called every `every` seconds while the
    device is attached; what `poll` raises puts the device offline until a later one succeeds, and
    the next ones come later and later until then. Readings that are not measured for too long are
    BAD, even while a poll hangs: see `edgekernel.core.staleness`.
    """

    kind: ClassVar[str] = "device"
    carries: ClassVar[bool] = False
    """Whether those that depend on it cannot work while it is offline, such as those on a bus."""
    every: float = 1.0
    """Seconds between two polls."""
    depends: tuple[str, ...] = ()
    """Names of parts that start before it."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.poll_group = id
        """Devices of one group (one bus) are polled by one thread, one after the other."""
        self._context: Context | None = None
        self._online = False
        self._was_offline = False
        self._failures = Failures()
        self.offline_error = ""
        """Why it was offline the last time; "" if it never was."""
        self.poll_record: Polls | None = None
        """How its polls go, if it is polled."""
        self._freshness: Freshness | None = None
        self.carried = Carried(self)
        self._ask_poller: Callable[[int], object] | None = None
        self._names: dict[type, tuple[str, ...]] = {}  # by kind of declaration; asked for often
        self._added: dict[str, Reading[Any]] = {}
        self._added_outputs: dict[str, Output[Any]] = {}

    def connect(self) -> None:
        """Open the boundaries and make the hardware ready."""

    def disconnect(self) -> None:
        """Let go of the hardware; also called after a `connect` that failed."""

    def poll(self) -> None:
        """Measure: update the readings. Raise if the hardware does not answer."""

    @property
    def ctx(self) -> Context:
        """The runtime's context; raises LifecycleError while the device is not attached."""
        if self._context is None:
            raise LifecycleError(
                f"{self.id}: no context: the device is not attached to a runtime. "
                "Use self.ctx from connect() on, not in __init__()."
            )
        return self._context

    @property
    def clock(self) -> Clock:
        """The runtime's clock; the system's while the device is not attached."""
        return self._context.clock if self._context is not None else _NO_CONTEXT_CLOCK

    @property
    def attached(self) -> bool:
        """Whether a runtime has it."""
        return self._context is not None

    @property
    def online(self) -> bool:
        """Whether the hardware answered when it was last asked."""
        return self._online

    @property
    def polled(self) -> bool:
        """Whether this driver measures by polling."""
        return type(self).poll is not Device.poll

    @property
    def readings(self) -> dict[str, Reading[bool] | Reading[int] | Reading[float] | Reading[str]]:
        """The readings by name, in definition order; those of `add_reading` come last."""
        declared = self._declared(ReadingDeclaration)
        return {name: getattr(self, name) for name in declared} | self._added

    @property
    def outputs(self) -> dict[str, Output[bool] | Output[int] | Output[float] | Output[str]]:
        """The outputs by name, in definition order; those of `add_output` come last."""
        declared = self._declared(OutputDeclaration)
        return {name: getattr(self, name) for name in declared} | self._added_outputs

    def add_reading(self, name: str, type: type[T], settings: ReadingSettings) -> Reading[T]:
        """Give this one device a reading beside those of its class, as its node file says.

        For the constructor of a driver that cannot know its readings. Raises ConfigError for a
        name that is no lower-case identifier or taken, and for an empty range.
        """
        self._check_new("readings", name)
        try:
            values = ValueType(
                type,
                settings.unit,
                settings.range,
                settings.precision,
                settings.device_class,
                settings.counts_up,
            )
        except ConfigError as error:
            raise ConfigError(f"readings.{name}: {error}") from None
        added = self._added[name] = Reading(
            f"{self.id}.{name}", values, self.now_ns, self.monotonic_ns
        )
        return added

    def add_output(
        self,
        name: str,
        type: type[T],
        settings: ReadingSettings,
        *,
        safe: T | None,
        drive: Callable[[T], T],
        read: Callable[[], T] | None = None,
    ) -> Output[T]:
        """Give this one device an output beside those of its class, as its node file says.

        `drive` takes the value and returns the readback, `read` returns what the hardware does now
        and changes nothing; `safe` is that of `output`. Raises ConfigError for what `add_reading`
        refuses, and for a safe value that cannot be driven.
        """
        self._check_new("outputs", name)
        if settings.counts_up:
            raise ConfigError(f"outputs.{name}: counts_up is for a reading, and this is an output")
        try:
            declared = declare_output(
                type,
                safe=safe,
                unit=settings.unit,
                range=settings.range,
                precision=settings.precision,
                device_class=settings.device_class,
            )
        except ConfigError as error:
            raise ConfigError(f"outputs.{name}: {error}") from None
        declared.name = name
        declared.drive_with(drive, read)
        added = self._added_outputs[name] = Output(self, declared)
        return added

    def poll_at(self, monotonic_ns: int) -> None:
        """Ask for a poll at a monotonic time, beside the regular ones; from any thread.

        A later call replaces an earlier one that has not come yet. While nothing polls the
        device (before the end of the boot) it does nothing.
        """
        if self._ask_poller is not None:
            self._ask_poller(monotonic_ns)

    def asks(self, poller: Callable[[int], object]) -> None:
        """Let `poll_at` ask this poller; called by the poller."""
        self._ask_poller = poller

    def now_ns(self) -> int:
        """Return the wall time of the device's clock in nanoseconds since 1970 UTC."""
        return self.clock.time_ns()

    def monotonic_ns(self) -> int:
        """Return the monotonic time of the device's clock in nanoseconds."""
        return self.clock.monotonic_ns()

    def attach(self, ctx: Context) -> None:
        """Connect, with every output at what it begins with; raises what `connect` raises.

        Raises LifecycleError if a runtime has it already, ConfigError for limits of an output
        that are wrong here.
        """
        if self._context is not None:
            raise LifecycleError(
                f"{self.id}: attached to {self._context.runtime.name!r} already: a device belongs "
                "to one runtime at a time"
            )
        self._context = ctx
        self._was_offline = self.carried.taken_along = False
        for reading in self.readings.values():
            reading.follow_time(ctx.runtime.timers, self.watch_freshness)
        self.watch_freshness()
        begun: list[Output[Any]] = []
        try:
            for output in self.outputs.values():
                output.prepare(ctx.runtime)
            self.connect()
            for output in self.outputs.values():
                output.release()
                begun.append(output)
        except BaseException as error:
            self._tell_failure(unless_unwound(error))
            self._make_safe("the device was not attached", partial(self._is_as_safe, begun))
            self._let_go()
            self._context = None
            raise
        self._failures.over()
        ctx.emit(message.DeviceAttached(self.id))
        self.set_online()

    def check_outputs(self, devices: Mapping[str, Device]) -> list[Exception]:
        """Return what is wrong with the limits of its outputs among these devices."""
        try:
            return [e for output in self.outputs.values() for e in output.check(devices)]
        except TypeError as error:  # an output without a driver method
            return [error]

    def hold_safe(self, reason: str) -> None:
        """Drive every output to its safe value and refuse to change it, with the reason.

        What is pending is forgotten. Every output is tried; what fails is raised together at the
        end.
        """
        errors: list[Exception] = []
        with batch():  # every output first, then what depends on them
            # All are held before one is driven, which may hang.
            for output in [each for each in self.outputs.values() if each.hold(reason)]:
                try:
                    output.make_safe()
                except Exception as error:
                    errors.append(error)
                except BaseException as error:  # the other outputs are tried all the same
                    text = describe(unless_unwound(error))[0]
                    errors.append(UnavailableError(f"{output.label}: {text}"))
        if errors:
            raise ExceptionGroup(f"{self.id}: outputs that could not be made safe", errors)

    def detach(self) -> None:
        """Make safe, disconnect and leave the runtime. Never raises: failures are reported."""
        ctx = self._context
        if ctx is None:
            return
        self._make_safe("the device is detached")
        self._let_go()
        self._online = False  # told by DeviceDetached: nothing has gone wrong
        for reading in self.readings.values():
            reading.fail("detached")
        ctx.emit(message.DeviceDetached(self.id))
        self._context = None

    def set_online(self) -> None:
        """Say that the hardware answers; a change is told as DeviceOnline.

        After it was offline its outputs find out what the hardware does, and the devices that it
        `carries` are asked at once whether they answer.
        """
        if self._online:
            return
        self._online = True
        self.ctx.emit(message.DeviceOnline(self.id))
        if self._was_offline:
            self._was_offline = False
            for output in self.outputs.values():
                output.look_again()
        if self.carries:
            self.carried.set_online()

    def set_offline(self, error: str) -> None:
        """Say that the hardware does not answer, told as DeviceOffline.

        What readings and readbacks say is BAD, and the devices that it `carries` are offline with
        it.
        """
        self.offline_error = error
        self._was_offline = True
        for reading in self.readings.values():
            reading.fail(f"offline: {error}")
        for output in self.outputs.values():
            output.lose(f"offline: {error}")
        if self._online:
            self._online = False
            self.ctx.emit(message.DeviceOffline(self.id, error))
        if self.carries:
            self.carried.set_offline(error)

    def watch_freshness(self) -> None:
        """See to it that readings go BAD in time; called when what decides that has changed."""
        if self._freshness is None and self._context is not None:
            if not self.polled and not any(each.stale_s for each in self.readings.values()):
                return  # nothing of it can become stale
            from edgekernel.core.staleness import Freshness

            self._freshness = Freshness(self, self._context)
        if self._freshness is not None:
            self._freshness.look()

    def _is_as_safe(self, begun: Sequence[Output[Any]]) -> bool:
        """Say whether nothing is gained by driving the safe values: all were to begin with them,
        and nobody has set those that have begun."""
        as_safe = all(each.initial == each.safe for each in self.outputs.values())
        return as_safe and all(each.is_safe for each in begun)

    def _make_safe(self, reason: str, is_safe: Callable[[], bool] = lambda: False) -> None:
        try:
            if not is_safe():
                self.hold_safe(reason)
        except BaseException as error:
            self._tell_failure(unless_unwound(error))

    def _check_new(self, key: str, name: str) -> None:
        """Raise ConfigError unless something of this name can be added."""
        if not name.isidentifier() or name != name.lower():
            what = "a reading's" if key == "readings" else "an output's"
            raise ConfigError(f"{key}.{name}: {what} name is made of a-z, 0-9 and _")
        if name in self._added or name in self._added_outputs or hasattr(type(self), name):
            raise ConfigError(f"{key}.{name}: this name is taken by something else of the device")

    def _let_go(self) -> None:
        freshness, self._freshness = self._freshness, None
        if freshness is not None:
            freshness.end()
        for reading in self.readings.values():
            reading.follow_time(None, lambda: None)
        for output in self.outputs.values():
            output.let_go()
        try:
            self.disconnect()
        except BaseException as error:
            self._tell_failure(unless_unwound(error))

    def _declared(self, kind: type) -> tuple[str, ...]:
        names = self._names.get(kind)
        if names is None:
            found: dict[str, bool] = {}
            for base in reversed(type(self).__mro__):
                found.update((name, isinstance(v, kind)) for name, v in vars(base).items())
            names = self._names[kind] = tuple(name for name, wanted in found.items() if wanted)
        return names

    def _tell_failure(self, error: BaseException) -> None:
        """Tell of a failure, but not of the same at every try of weeks: at the end all count."""
        text, trace = describe(error)
        if self._failures.news(text, self.monotonic_ns()) or self.ctx.runtime.phase.ending:
            self.ctx.emit(message.DeviceFailed(self.id, text, trace))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"
