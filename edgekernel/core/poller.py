"""The poller: one service that measures all devices of one bus, each at its own interval."""

from __future__ import annotations

import threading
from functools import partial

from edgekernel.core import message
from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.context import Context
from edgekernel.core.device import Device
from edgekernel.core.errors import describe
from edgekernel.core.service import Service
from edgekernel.core.signals import batch


class Poller(Service):
    """Calls `poll` of each of its devices when it is due.

    All readings of one poll change together. A poll that raises puts the device offline; the
    next one that succeeds brings it back.
    """

    def __init__(self, group: str, devices: list[Device]) -> None:
        self.name = f"poll:{group}"
        self._devices = devices
        self._due_ns: dict[Device, int] = {}
        self._asked_ns: dict[Device, int] = {}
        self._lock = threading.Lock()  # around what devices ask for, from any thread

    def start(self, ctx: Context) -> None:
        """Begin with a poll of every device."""
        now = ctx.clock.monotonic_ns()
        self._due_ns = dict.fromkeys(self._devices, now)
        for device in self._devices:
            device.asks(partial(self._ask, device))

    def tick(self, ctx: Context) -> None:
        """Poll the devices that are due."""
        now = ctx.clock.monotonic_ns()
        for device, due in self._due_ns.items():
            if not self._take_asked(device, now) and due > now:
                continue
            self._poll(ctx, device)
            if due <= now:
                self._due_ns[device] = _after(due, device.every, ctx.clock.monotonic_ns())

    def next_deadline_ns(self, deadline_ns: int, now_ns: int) -> int:
        """Return when the next device is due."""
        return max(self.woken(deadline_ns), now_ns)

    def woken(self, deadline_ns: int) -> int:
        """Return when the next device is due, or has asked to be polled."""
        with self._lock:
            return min((*self._due_ns.values(), *self._asked_ns.values()))

    def _ask(self, device: Device, monotonic_ns: int) -> None:
        with self._lock:
            self._asked_ns[device] = monotonic_ns
        self.wake()

    def _take_asked(self, device: Device, now_ns: int) -> bool:
        with self._lock:
            asked = device in self._asked_ns and self._asked_ns[device] <= now_ns
            if asked:
                del self._asked_ns[device]
        return asked

    @staticmethod
    def _poll(ctx: Context, device: Device) -> None:
        if not device.attached:
            return
        try:
            with batch():
                device.poll()
        except Exception as error:
            text, trace = describe(error)
            if device.online and not isinstance(error, OSError):  # a mistake in the driver
                ctx.emit(message.DeviceFailed(device.id, text, trace))
            with batch():
                device.set_offline(text)
        else:
            device.set_online()


def _after(due_ns: int, every_s: float, now_ns: int) -> int:
    """Return the first time on the grid of `due_ns` that is not in the past."""
    step = int(every_s * NANOSECONDS)
    return due_ns + step * max(1, -((due_ns - now_ns) // step))
