"""Outputs: a device's writable signals. What was asked (setpoint) and what is (readback)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from edgekernel.core.clock import LockLike
from edgekernel.core.control import Holder, in_control
from edgekernel.core.effect import Effect
from edgekernel.core.errors import (
    ConfigError,
    HeldSafeError,
    LifecycleError,
    RefusedError,
    UnavailableError,
    describe,
    of_user_code,
    unless_unwound,
)
from edgekernel.core.readback import Readback
from edgekernel.core.retry import Retry
from edgekernel.core.sample import Quality
from edgekernel.core.signals import Signal, batch

if TYPE_CHECKING:
    from edgekernel.core.context import Host
    from edgekernel.core.device import Device
    from edgekernel.core.interlocks import Interlocks
    from edgekernel.core.output_declaration import OutputDeclaration
    from edgekernel.core.output_guard import Guard
    from edgekernel.core.output_limits import Limits

T = TypeVar("T", bound=bool | int | float | str)

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
        self._declaration = declaration
        self._safe: T | None = declaration.safe
        self._limits = declaration.limits
        self.role = declaration.role  # to be granted to whoever sets it from outside
        self._drive = declaration.driver(device)
        self._read = declaration.reader(device)
        self._device = device
        self._setpoint: Signal[T | None] = Signal(None, name=f"{self.label}.setpoint")
        self.readback: Readback[T] = Readback(
            f"{self.label}.readback", self.values, device.now_ns, device.monotonic_ns
        )
        self._lock = device.clock.Lock()  # keeps driver writes and what is noted of them in order
        self._held = _NOT_ATTACHED
        self._safe_now = True  # nothing has been driven that is not the safe value
        self._guard: Guard[T] | None = None  # of what has no limits there is none
        self._interlocks: Interlocks | None = None
        self._initial: T | None = None
        self._failed = False  # the driver, when it was last told something
        self._told = False  # the driver, something since its device was attached
        self._away = False  # its device, so that nobody knows what the hardware does
        self._retry: Retry | None = None  # while it is to be safe, and its driver failed

    @property
    def safe(self) -> T | None:
        """The value for start, stop and failure; None only where the class declares that.

        A driver sets it in its constructor, from its parameters. Raises ConfigError for a value
        that the output does not take, and for None where the class has a safe value.
        """
        return self._safe

    @safe.setter
    def safe(self, value: T | None) -> None:
        self._declaration.check_safe(value, self.label)
        self._safe = value

    @property
    def limits(self) -> Limits | None:
        """What it may do, None without limits. Set them before the device is attached.

        Raises ConfigError for limits that this output cannot have, LifecycleError when attached.
        """
        return self._limits

    @limits.setter
    def limits(self, limits: Limits | None) -> None:
        if self._device.attached:
            raise LifecycleError(f"{self.label}: limits are set before the device is attached")
        if limits is not None and (found := self.mistakes(limits)):
            raise ConfigError(*(f"{self.label}: limits.{key}: {text}" for key, text in found))
        self._limits = limits

    def mistakes(self, limits: Limits) -> list[tuple[str, str]]:
        """Return key and sentence of what it cannot have of these limits.

        Whether there are outputs of the names in its interlock is told by `check`.
        """
        from edgekernel.core.output_limits import mistakes, without_safe  # few have limits

        found = mistakes(limits, self.values, self.label, can_read=self._read is not None)
        return [*found, *without_safe(limits, self.values, self.safe)]

    def check(self, devices: Mapping[str, Device]) -> list[ConfigError]:
        """Return what is wrong with its limits among these devices."""
        if self._limits is None:
            return []
        found = self.mistakes(self._limits)
        if not found and self._limits.interlock:
            from edgekernel.core.interlocks import wrong_names  # few outputs have some

            found = [("interlock", each) for each in wrong_names(self._limits.interlock, devices)]
        return [ConfigError(f"{self.label}: limits.{key}: {text}") for key, text in found]

    @property
    def setpoint(self) -> T | None:
        """What was asked for last and driven; None before anything was."""
        return self._setpoint.get()

    @property
    def last(self) -> T | None:
        """The setpoint, without depending on it."""
        return self._setpoint.peek()

    @property
    def pending(self) -> T | None:
        """What was asked for and is driven later, as its limits want it; None if nothing is."""
        guard = self._guard
        return None if guard is None else guard.pending

    @property
    def is_safe(self) -> bool:
        """Whether it is known to be at its safe value; of one without, False says nothing."""
        return self._safe_now

    @property
    def has_failed(self) -> bool:
        """Whether the driver failed when it was last told something."""
        return self._failed

    @property
    def initial(self) -> T | None:
        """What it begins with; None: with what the hardware has.

        For `connect`, which sets a line to this level before it makes it an output. Whatever
        `connect` does, this value is driven after it.
        """
        return self._initial

    @property
    def value(self) -> T:
        """The readback; raises BadReadingError while that is BAD."""
        return self.readback.value

    def get(self) -> T:
        """Return the readback; raise BadReadingError while that is BAD."""
        return self.readback.get()

    def status(self) -> dict[str, Any]:
        """Return what an operator wants to know, ready for JSON; times in seconds.

        With limits: what is `pending` and when it is driven or goes on, what is left of the lease,
        of `max_on` and of the changes, and how long it has been on.
        """
        guard = self._guard
        return {
            "setpoint": self.last,
            "safe": self.safe,
            "held": self._held,
            **(guard.figures() if guard is not None else {}),
        }

    def set(self, value: T) -> None:
        """Drive the output. Setting what is already set drives it again: harmless, and heals.

        With limits it may be driven later: see `pending`; another set replaces what is pending.

        Raises InvalidValueError for a value that is not allowed, HeldSafeError while it is held
        (the node is stopping, the device is not attached), InterlockedError while an output that
        excludes it is on, RateLimitedError for more changes than are allowed, and UnavailableError
        if the driver fails. It falls back when the effect, handler, command or run of a service
        fails that has set it, and when the part is taken out to which that belongs.
        """
        try:
            here = in_control(self._device.ctx.runtime.turns)
        except LifecycleError:  # not attached: it is refused
            here = None
        if isinstance(here, Effect):  # it falls back also if this is refused
            here.when_failed(self._fall_back)
            here = None
        wanted = self.values.parse(value)
        self._write(partial(self._admit, wanted, here), wanted)

    # The life of its device

    def prepare(self, host: Host) -> None:
        """Decide what it begins with, before `connect`. Raises ConfigError for wrong limits."""
        limits, self._initial = self._limits, self.safe
        if limits is not None:
            if problems := self.check(host.devices):
                raise ConfigError(*map(str, problems))
            if limits.interlock:
                from edgekernel.core.interlocks import exclude  # few outputs have some

                exclude(self.label, limits.interlock, host)
        known = host.outputs.interlocks
        self._interlocks = known if known is not None and known.concern(self.label) else None
        if limits is not None:
            from edgekernel.core.output_guard import Guard  # few outputs have limits

            self._guard = Guard(self, limits, host)
            self._initial = self._guard.begin()
        self._safe_now = self.safe is None or self._initial == self.safe
        self._told = False

    def release(self) -> None:
        """Let `set` drive the output, beginning with its initial value."""
        self._lock = self._device.clock.Lock()
        self._held = ""
        self._device.ctx.runtime.outputs.left_unsafe.discard(self.label)
        self.readback.begin()
        guard = self._guard
        if guard is not None and guard.takes_over:
            self._take_over(guard)
        elif self._initial is not None:
            self._write(lambda: self._initial, self._initial, kept=False)
        if guard is not None:
            with self._writing():
                guard.begun()

    def hold(self, reason: str) -> bool:
        """Refuse every later `set`, with the reason; say whether the safe value is to be driven.

        It is at first, and later if that did not work before.
        """
        first = not self._held
        self._held = self._held or reason
        return first or not self._safe_now

    def hold_safe(self, reason: str) -> None:
        """Drive the safe value and refuse every later `set`; what was pending is forgotten."""
        if self.hold(reason):
            self.make_safe()

    def let_go(self) -> None:
        """Refuse every later `set` without driving anything: the device is not there."""
        if self.safe is not None and self._told and not self._safe_now:
            self._device.ctx.runtime.outputs.left_unsafe.add(self.label)
        self._held, self._safe_now, self._away = _NOT_ATTACHED, True, False
        self.readback.leave()
        self._end_retry()
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.end()
        if self._interlocks is not None:
            self._interlocks.withdraw(self.label)

    # What its guard does

    def claim(self, value: T) -> None:
        """Leave the safe value, unless an interlock or a lease is against it: then raise why."""
        if self._interlocks is None or value == self.safe:
            return
        try:
            self._interlocks.claim(self.label, value)
        except UnavailableError:
            if self._guard is not None:
                self._guard.drop()
            raise

    def advance(self) -> None:
        """Drive what is pending as far as it may be driven now."""
        guard, pending = self._guard, self.pending
        if guard is not None and pending is not None and not self._held:
            self._write(guard.advance, pending)

    def give_up(self, value: T) -> None:
        """Its driver failed with a value that was pending: fall back; to safe if that was it."""
        if value == self.safe:
            self.make_safe()
        else:
            self._fall_back()

    def expire(self, why: Callable[[], str]) -> str:
        """Make it safe if `why`, asked when no other write goes on, has a reason; return that."""
        guard, reason = self._guard, ""

        def decide() -> T | None:
            nonlocal reason
            reason = why()
            if not reason or guard is None:
                return None
            guard.drop()
            return self.safe

        if guard is not None and self.safe is not None:
            self._write(decide, self.safe, urgent=True)
        return reason

    def read_again(self) -> None:
        """Read what the hardware does, if the driver can, and judge it; no more is driven."""
        with batch(), self._writing() as lock:
            if self._held == _NOT_ATTACHED:
                return
            if self._read is None:
                self.readback.judge_again()
                return
            try:
                value = self._read()
            except BaseException as error:
                text = describe(of_user_code(error))[0]
                self.readback.fail(f"the driver failed: {text}")
                raise UnavailableError(f"{self.label}: not read: {text}") from error
            if not self._outlived(lock):
                self.readback.update(value)

    def lose(self, reason: str) -> None:
        """Hear that its device does not answer; a readback that is BAD already has its own reason.

        Whatever is set meanwhile is tried all the same.
        """
        if self._away or self._failed or self.readback.peek_sample().quality is not Quality.BAD:
            self._away = True
            self.readback.fail(reason)

    def look_again(self) -> None:
        """Hear that its device answers again: it is driven as it was.

        If the driver failed when it was last told something, nobody knows what it should do: then
        it is made safe, or read if there is no safe value.
        """
        away, self._away = self._away, False
        if not away or self._held == _NOT_ATTACHED:
            return
        try:
            if not self._failed:
                self._drive_again()
            elif self.safe is not None:
                self.make_safe()
            elif self._read is not None:
                self.read_again()
        except RefusedError:
            return  # the readback goes on to say why it is BAD

    # Writes

    def _admit(self, value: T, holder: Holder | None) -> T | None:
        """Return what of a set is driven now; note who has set it."""
        if self._interlocks is not None and value != self.safe:
            self._interlocks.check(self.label, value)
        admitted = value if self._guard is None else self._guard.admit(value)
        if holder is not None:
            holder.note(self.label, self._fall_back)
        return admitted

    def _fall_back(self) -> None:
        """What drives it has failed: to its fallback, from which it may be set again."""
        guard = self._guard

        def decide() -> T | None:
            if self._held:
                return None
            if guard is not None:
                return guard.fall_back()
            return None if self._safe_now else self.safe

        if self._limits is not None and self._limits.fallback == "hold":
            with suppress(RefusedError):  # of a driver that hangs: then it stays as well
                self._write(decide, self.safe, urgent=True)
        elif not self._held and (guard is not None or self.safe is not None):
            self._insist(decide, kept=guard is not None)

    def make_safe(self) -> None:
        """Drive the safe value, and forget what is pending; it may be set again."""
        guard = self._guard

        def decide() -> T | None:
            if guard is not None:
                guard.drop()
            return self.safe

        if guard is not None or self.safe is not None:
            self._insist(decide, kept=False)

    def _insist(self, decide: Callable[[], T | None], *, kept: bool = True) -> None:
        """Drive what `decide` returns; if the driver fails, make it safe as soon as that works."""
        try:
            self._write(decide, self.safe, urgent=True, kept=kept)
        except RefusedError:
            if self.safe is not None and self._device.attached:
                host = self._device.ctx.runtime
                self._retry = self._retry or Retry(self.label, host, self._try_again)
                self._retry.later()
            raise

    def _try_again(self) -> None:
        try:
            self._insist(lambda: None if self._retry is None else self.safe, kept=False)
        except RefusedError:
            return  # the readback says why it is BAD

    def _end_retry(self) -> None:
        retry, self._retry = self._retry, None
        if retry is not None:
            retry.end()

    def _write(
        self,
        decide: Callable[[], T | None],
        wanted: T | None,
        *,
        urgent: bool = False,
        kept: bool = True,
    ) -> None:
        """Drive what `decide`, asked when no other write goes on, returns; None is nothing.

        What is `urgent` is driven also while the output is held, and tried again if it fails.
        What is `kept` counts as what was asked for last.
        """
        guard = self._guard
        with batch():  # what depends on it runs after the lock is released
            with self._writing() as lock:
                if self._held and not urgent:
                    raise self._held_safe(wanted, self._held)
                value, retry = decide(), self._retry
                if value is not None:
                    self.claim(value)
                    self._try_to_drive(lock, value, _ATTEMPTS if urgent else 1)
                    if self._retry is retry:  # else it was to be safe while the driver was at work
                        self._end_retry()
                    if guard is not None and kept:
                        guard.remember(value)
                if self._held and self.safe is not None and value not in (None, self.safe):
                    # held while the driver was at work
                    self._try_to_drive(lock, self.safe, _ATTEMPTS)
            if self._outlived(lock):
                self._drive_again()
                raise self._held_safe(wanted, "the device was attached anew meanwhile")

    def _held_safe(self, value: T | None, why: str) -> HeldSafeError:
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
                self._failed = True
                self.readback.fail(f"the driver failed: {text}")
                if self._guard is not None:
                    self._guard.drop()
                raise UnavailableError(f"{self.label}: not set to {value!r}: {text}") from error

    def _drive_now(self, lock: LockLike, value: T) -> None:
        self._safe_now, self._told = False, True  # until the driver has said otherwise
        if self._guard is not None:
            self._guard.driving(value)
        reported = self._drive(value)
        if not self._outlived(lock):
            self._note(value, reported)

    def _note(self, value: T, reported: T) -> None:
        """Note what is driven now, and what the hardware says."""
        self.readback.update(reported)
        self._failed = False
        self._setpoint.set(value)
        self._safe_now = self.safe is None or value == self.safe
        if self._safe_now and self._interlocks is not None:
            self._interlocks.free(self.label)
        if self._guard is not None:
            self._guard.driven(value)

    def _take_over(self, guard: Guard[T]) -> None:
        """Begin with what the hardware has; with the safe value if an interlock is against it."""
        if self._read is None:
            raise UnavailableError(f"{self.label}: its driver cannot read what the hardware does")
        with batch(), self._writing() as lock:
            value = self._read()
            if guard.may_take_over(value):
                guard.driving(value)
                self._note(value, value)
            elif self.safe is not None:
                self._try_to_drive(lock, self.safe, _ATTEMPTS)

    def join(self, interlocks: Interlocks) -> None:
        """Let it be excluded by an output that names it; also while its device is attached."""
        with self._writing():
            self._interlocks = interlocks
            if not self._safe_now and self.last is not None:
                interlocks.claim(self.label, self.last)

    def __repr__(self) -> str:
        return f"<Output {self.label} setpoint={self._setpoint.peek()!r}>"
