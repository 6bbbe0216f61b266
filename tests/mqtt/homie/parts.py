"""Devices without hardware that have what Homie has names for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgekernel import Device, Message, command, reading


class DoorRang(Message):
    """Somebody is at the door."""

    device: str


class Door(Device):
    """A door that can be asked to do things."""

    angle = reading(int, unit="°", range=(0, 90))

    @command
    def ring(self) -> None:
        """Ring."""
        self.ctx.emit(DoorRang(self.id))

    @command
    def open_to(self, degrees: Annotated[int, Field(ge=0, le=90)]) -> None:
        """Open it so far."""
        self.angle.update(degrees)

    @command
    def move(self, degrees: int, seconds: float) -> None:
        """Open it so far, in a time."""
        raise AssertionError("never called")


class Fridge(Device):
    """What has a reading that can fail."""

    temperature = reading(float, unit="°C", range=(-40, 85), precision=1)
    label = reading(str)
