"""The devices of a runtime, by id."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from edgekernel.core.device import Device
from edgekernel.core.errors import nearest
from edgekernel.core.parts import Parts


class Devices(Mapping[str, Device]):
    """The devices by id, in the order of attaching; may be iterated while they change."""

    def __init__(
        self,
        parts: Parts,
        attach: Callable[[Device], object],
        detach: Callable[[str], object],
    ) -> None:
        self._parts = parts
        self._attach = attach
        self._detach = detach

    def __getitem__(self, id: str) -> Device:
        devices = self._parts.of(Device)
        if id not in devices:
            raise KeyError(f"no device {id!r}{nearest(id, devices)}")
        return devices[id]

    def __contains__(self, id: object) -> bool:
        return id in self._parts.of(Device)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts.of(Device))

    def __len__(self) -> int:
        return len(self._parts.of(Device))

    def attach(self, device: Device) -> None:
        """Add a device; see `Runtime.attach_device`."""
        self._attach(device)

    def detach(self, id: str) -> None:
        """Make a device safe, disconnect it and take it out; see `Runtime.hot_remove`."""
        self._detach(id)

    def list(self, kind: str | None = None) -> list[Device]:
        """Return the devices, or those whose class has this `kind`."""
        found = self._parts.of(Device).values()
        return [device for device in found if kind is None or device.kind == kind]
