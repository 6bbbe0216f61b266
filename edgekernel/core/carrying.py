"""Devices that carry others: while a bus or an expander is offline, so is what hangs on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekernel.core.device import Device


class Carried:
    """The devices that cannot work without another one: those that depend on it."""

    def __init__(self, carrier: Device) -> None:
        self._carrier = carrier
        self.taken_along = False
        """Whether the carrier, which nobody polls, is offline because of what carries it."""

    def set_offline(self, error: str) -> None:
        """Say that they are offline with their carrier."""
        id = self._carrier.id
        named = error if id in error else f"{id}: {error}"
        for device in self._devices():
            if device.polled:
                # The very words that its own poll meets, or its reason would go to and fro.
                device.set_offline(error)
                continue
            if device.online:
                device.carried.taken_along = True
            device.set_offline(named)

    def set_online(self) -> None:
        """Say that their carrier is back; they are asked at once whether they answer.

        One that nobody polls is back with the last of its carriers.
        """
        for device in self._devices():
            if device.polled:
                device.poll_at(device.clock.monotonic_ns())
            elif device.carried.taken_along and not device.carried.waits():
                device.carried.taken_along = False
                device.set_online()

    def waits(self) -> bool:
        """Say whether one of those that carry the carrier itself is offline."""
        devices = self._carrier.ctx.devices
        carriers = (devices[id] for id in self._carrier.depends if id in devices)
        return any(each.carries and not each.online for each in carriers)

    def _devices(self) -> list[Device]:
        devices = self._carrier.ctx.devices.values()
        return [each for each in devices if self._carrier.id in each.depends and each.attached]
