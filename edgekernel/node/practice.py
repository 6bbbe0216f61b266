"""Practice: what a runtime does with devices, done once with none, which loads its code."""

from __future__ import annotations

from edgekernel.core.clock import Clock
from edgekernel.core.device import Device
from edgekernel.core.output_declaration import output
from edgekernel.core.reading import reading
from edgekernel.core.runtime import Runtime


class _Practice(Device):
    """Something to read and to make safe that is nowhere."""

    every = 60.0
    level = reading(float, unit="%")
    power = output(bool, safe=False)

    def poll(self) -> None:
        self.level.update(0.0)

    @power.drive
    def switch(self, on: bool) -> bool:
        return on


def practise(clock: Clock) -> None:
    """Do once what `SafeState.drive` does, with nothing: all code that it needs is loaded then."""
    runtime = Runtime(clock=clock)
    runtime.attach_device(_Practice("practice"))
    with runtime:
        runtime.status()
