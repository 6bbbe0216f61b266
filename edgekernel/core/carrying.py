"""Devices that carry others: while a bus or an expander is offline, so is what hangs on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekernel.core.device import Device


class Carried:
    """The devices that cannot work without another one: those that depend on it."""

    def __init__(self, carrier: Device) -> None:
        self._carrier = carrier
        self._taken_along: list[Device] = []
        """Devices that nobody polls, and that are offline because of the carrier."""

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
                self._taken_along.append(device)
            device.set_offline(named)

    def set_online(self) -> None:
        """Say that their carrier is back; they are asked at once whether they answer."""
        taken_along, self._taken_along = self._taken_along, []
        for device in self._devices():
            if device.polled:
                device.poll_at(device.clock.monotonic_ns())
            elif device in taken_along:
                device.set_online()

    def _devices(self) -> list[Device]:
        devices = self._carrier.ctx.devices.values()
        return [each for each in devices if self._carrier.id in each.depends and each.attached]
