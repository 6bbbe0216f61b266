"""The poller: one service that measures all devices of one bus, each at its own interval."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from edgekernel.core import message
from edgekernel.core.clock import NANOSECONDS, Clock, EventLike, SystemClock
from edgekernel.core.context import Context
from edgekernel.core.device import Device
from edgekernel.core.errors import ConfigError, describe, of_user_code
from edgekernel.core.polls import Polls, is_interval
from edgekernel.core.service import Service
from edgekernel.core.signals import batch

_Note = Callable[[float, int], object]
"""Notes how a poll went, given the device's interval in seconds and the monotonic time."""
_LONG_NS = 3600 * NANOSECONDS


class Poller(Service):
    """Calls `poll` of each of its devices when it is due.

    All readings of one poll change together. A poll that raises puts the device offline, and is
    tried again with backoff (see `Polls`); the next one that succeeds brings it back.
    """

    def __init__(self, group: str, devices: list[Device]) -> None:
        self.name = f"poll:{group}"
        self.group = group
        self._polls: dict[Device, Polls] = {}  # replaced, not changed: others iterate it
        self._busy_with: Device | None = None
        self._polled: EventLike | None = None  # set when that poll has ended, if somebody waits
        self._clock: Clock = SystemClock()  # the runtime's, from the start on
        self._lock = threading.Lock()  # around what devices ask for, from any thread
        for device in devices:
            self._take_in(device)

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices that are polled here."""
        return tuple(self._polls)

    def add(self, device: Device) -> None:
        """Poll one more device, from now on."""
        self._take_in(device)
        device.asks(partial(self._ask, device))
        device.poll_at(0)

    def _take_in(self, device: Device) -> None:
        device.poll_record = polls = Polls()
        with self._lock:
            self._polls = {**self._polls, device: polls}

    def remove(self, device: Device, limit_s: float = 1.5) -> None:
        """Poll a device no more; wait for a poll of it that goes on, but not for ever."""
        polled: EventLike | None = None
        with self._lock:
            self._polls = {each: p for each, p in self._polls.items() if each is not device}
            if self._busy_with is device:
                polled = self._polled = self._polled or self._clock.Event()
        if polled is not None:
            polled.wait(limit_s)

    def start(self, ctx: Context) -> None:
        """Begin with a poll of every device."""
        self._clock = ctx.clock
        now = ctx.clock.monotonic_ns()
        for device, polls in self._polls.items():
            polls.begin(now)
            device.asks(partial(self._ask, device))

    def tick(self, ctx: Context) -> None:
        """Poll the devices that are due."""
        try:
            self._poll_due(ctx)
        except BaseException as error:  # nobody is polled until the next run, if there is one
            text = f"{self.name} has failed: {describe(of_user_code(error))[0]}"
            for device in self._polls:
                Device.set_offline(device, text)
            raise

    def _poll_due(self, ctx: Context) -> None:
        now = ctx.clock.monotonic_ns()
        for device, polls in self._polls.items():
            if not self._take_up(device, polls, now):
                continue
            note: _Note = polls.failed
            try:
                note = self._poll(ctx, device, polls)
            finally:
                self._put_down(device, polls, note, ctx.clock.monotonic_ns())

    def next_deadline_ns(self, deadline_ns: int, now_ns: int) -> int:
        """Return when the next device is due."""
        return max(self.woken(deadline_ns), now_ns)

    def woken(self, deadline_ns: int) -> int:
        """Return when the next device is due, or has asked to be polled."""
        with self._lock:
            due = [each.next_ns for each in self._polls.values()]
        return min((ns for ns in due if ns is not None), default=deadline_ns + _LONG_NS)

    def _ask(self, device: Device, monotonic_ns: int) -> None:
        with self._lock:
            if device in self._polls:  # it may ask after it was taken out
                self._polls[device].asked_ns = monotonic_ns
        self.wake()

    def _take_up(self, device: Device, polls: Polls, now_ns: int) -> bool:
        """Say whether a device is to be polled now; then that is noted."""
        with self._lock:
            if self._polls.get(device) is not polls or not polls.take_up(now_ns):
                return False
            self._busy_with = device
        return True

    def _put_down(self, device: Device, polls: Polls, note: _Note, now_ns: int) -> None:
        with self._lock:
            note(device.every, now_ns)
            changed = polls.follow(device.every)
            polled = self._polled
            self._busy_with = self._polled = None
        if changed:
            device.watch_freshness()
        if polled is not None:
            polled.set()

    @staticmethod
    def _poll(ctx: Context, device: Device, polls: Polls) -> _Note:
        """Poll a device; return what is to be noted of how it went."""
        if not device.attached:
            return polls.passed
        try:
            if not is_interval(device.every):
                raise ConfigError(f"every is {device.every!r}; it must be above 0, in seconds")
            with batch():
                device.poll()
            device.set_online()
        except BaseException as error:
            of_user_code(error)
            if not device.attached:
                return polls.passed  # taken away meanwhile
            text, trace = describe(error)
            if device.online and not isinstance(error, OSError):  # a mistake in the driver
                ctx.emit(message.DeviceFailed(device.id, text, trace))
            with batch():
                device.set_offline(text)
            polls.name = f"{ctx.runtime.name}:{device.id}"
            return polls.failed
        return polls.succeeded
