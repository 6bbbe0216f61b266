"""The poller: one service that measures all devices of one bus, each at its own interval."""

from __future__ import annotations

import math
import threading
from functools import partial

from edgekernel.core import message
from edgekernel.core.clock import NANOSECONDS, EventLike
from edgekernel.core.context import Context
from edgekernel.core.device import Device
from edgekernel.core.errors import ConfigError, describe, of_user_code
from edgekernel.core.service import Service
from edgekernel.core.signals import batch

_LONG_NS = 3600 * NANOSECONDS


class Poller(Service):
    """Calls `poll` of each of its devices when it is due.

    All readings of one poll change together. A poll that raises puts the device offline; the
    next one that succeeds brings it back.
    """

    def __init__(self, group: str, devices: list[Device]) -> None:
        self.name = f"poll:{group}"
        self.group = group
        self._devices = tuple(devices)
        self._due_ns: dict[Device, int] = {}
        self._asked_ns: dict[Device, int] = {}
        self._busy_with: Device | None = None
        self._polled: EventLike | None = None  # set when that poll has ended
        self._lock = threading.Lock()  # around what devices ask for, from any thread

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices that are polled here."""
        return self._devices

    def add(self, device: Device) -> None:
        """Poll one more device, from now on."""
        with self._lock:
            self._devices = (*self._devices, device)
        device.asks(partial(self._ask, device))
        device.poll_at(0)

    def remove(self, device: Device, limit_s: float = 1.5) -> None:
        """Poll a device no more; wait for a poll of it that goes on, but not for ever."""
        with self._lock:
            self._devices = tuple(each for each in self._devices if each is not device)
            self._asked_ns.pop(device, None)
            self._due_ns.pop(device, None)
            polled = self._polled if self._busy_with is device else None
        if polled is not None:
            polled.wait(limit_s)

    def start(self, ctx: Context) -> None:
        """Begin with a poll of every device."""
        self._due_ns = dict.fromkeys(self._devices, ctx.clock.monotonic_ns())
        for device in self._devices:
            device.asks(partial(self._ask, device))

    def tick(self, ctx: Context) -> None:
        """Poll the devices that are due."""
        try:
            self._poll_due(ctx)
        except BaseException as error:  # nobody is polled until the next run, if there is one
            text = f"{self.name} has failed: {describe(of_user_code(error))[0]}"
            for device in self._devices:
                Device.set_offline(device, text)
            raise

    def _poll_due(self, ctx: Context) -> None:
        now = ctx.clock.monotonic_ns()
        for device in self._devices:
            if not self._take_up(ctx, device, now):
                continue
            try:
                self._poll(ctx, device)
            finally:
                self._put_down(device, now, ctx.clock.monotonic_ns())

    def next_deadline_ns(self, deadline_ns: int, now_ns: int) -> int:
        """Return when the next device is due."""
        return max(self.woken(deadline_ns), now_ns)

    def woken(self, deadline_ns: int) -> int:
        """Return when the next device is due, or has asked to be polled."""
        with self._lock:
            due = [self._due_ns[each] for each in self._devices if each in self._due_ns]
            return min((*due, *self._asked_ns.values()), default=deadline_ns + _LONG_NS)

    def _ask(self, device: Device, monotonic_ns: int) -> None:
        with self._lock:
            if device in self._devices:  # it may ask after it was taken out
                self._asked_ns[device] = monotonic_ns
        self.wake()

    def _take_up(self, ctx: Context, device: Device, now_ns: int) -> bool:
        """Say whether a device is to be polled now; then that is noted."""
        with self._lock:
            if device not in self._devices:
                return False
            due_ns = self._due_ns.setdefault(device, now_ns)
            asked = self._asked_ns.get(device, now_ns + 1) <= now_ns
            if not asked and due_ns > now_ns:
                return False
            if asked:
                del self._asked_ns[device]
            self._busy_with, self._polled = device, ctx.clock.Event()
        return True

    def _put_down(self, device: Device, begun_ns: int, now_ns: int) -> None:
        with self._lock:
            if device in self._due_ns and self._due_ns[device] <= begun_ns:
                self._due_ns[device] = _after(self._due_ns[device], device.every, now_ns)
            self._busy_with, polled = None, self._polled
        if polled is not None:
            polled.set()

    @staticmethod
    def _poll(ctx: Context, device: Device) -> None:
        if not device.attached:
            return
        try:
            if not _is_interval(device.every):
                raise ConfigError(f"every is {device.every!r}; it must be above 0, in seconds")
            with batch():
                device.poll()
            device.set_online()
        except BaseException as error:
            of_user_code(error)
            if not device.attached:
                return  # taken away meanwhile
            text, trace = describe(error)
            if device.online and not isinstance(error, OSError):  # a mistake in the driver
                ctx.emit(message.DeviceFailed(device.id, text, trace))
            with batch():
                device.set_offline(text)


def _is_interval(every_s: float) -> bool:
    return isinstance(every_s, int | float) and 1 / NANOSECONDS <= every_s < math.inf


def _after(due_ns: int, every_s: float, now_ns: int) -> int:
    """Return the first time on the grid of `due_ns` that is not in the past."""
    step = int(every_s * NANOSECONDS) if _is_interval(every_s) else NANOSECONDS
    return due_ns + step * max(1, -((due_ns - now_ns) // step))
