"""Inputs as drivers are given them: what a driver raises for an edge is told, not only logged."""

from __future__ import annotations

from collections.abc import Callable

from edgekernel.core import message
from edgekernel.core.device import Device
from edgekernel.core.errors import describe, of_user_code
from edgekernel.hal.gpio import DigitalInput, Edge, Pull


class ToldInput:
    """A DigitalInput around another one, for one device.

    What the device raises when it is told an edge becomes a `DeviceFailed` with its traceback; the
    next edge is told as ever. While no runtime has the device, the boundary below logs it.
    """

    def __init__(self, inner: DigitalInput) -> None:
        self._inner = inner
        self.device: Device | None = None
        """Whose it is; known when that is made."""

    @property
    def name(self) -> str:
        """The line as people know it, such as "GPIO27"."""
        return self._inner.name

    def open(
        self,
        pull: Pull,
        on_edge: Callable[[Edge], None] | None = None,
        *,
        settle_s: float = 0.0,
    ) -> None:
        """Claim the line as an input with a pull resistor."""
        self._inner.open(pull, self._telling(on_edge), settle_s=settle_s)

    def read(self) -> bool:
        """Return the level."""
        return self._inner.read()

    def close(self) -> None:
        """Stop watching and give the line back."""
        self._inner.close()

    def _telling(self, on_edge: Callable[[Edge], None] | None) -> Callable[[Edge], None] | None:
        if on_edge is None:
            return None
        take = on_edge

        def take_edge(edge: Edge) -> None:
            try:
                take(edge)
            except BaseException as error:
                device = self.device
                if device is None or not device.attached:
                    raise
                failed = message.DeviceFailed(device.id, *describe(of_user_code(error)))
                device.ctx.emit(failed)

        return take_edge
