"""The libraries behind the device files, loaded ahead of their first use."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from contextlib import suppress

from edgekernel.backends.linux.gpio import import_lgpio
from edgekernel.core.errors import BrokenError
from edgekernel.hal.address import BusAddress, LineAddress, PortAddress, PwmAddress, SpiAddress


def load_libraries(addresses: Iterable[object]) -> None:
    """Load what boundaries at these addresses need; one that is missing is told when it is used."""
    for module in {name for address in addresses for name in _needed(address)}:
        with suppress(ImportError, BrokenError):
            if module.endswith(".lgpio_pins"):
                import_lgpio("GPIO")
            importlib.import_module(module)


def _needed(address: object) -> tuple[str, ...]:
    match address:
        case LineAddress() | PwmAddress():
            return ("edgekernel.backends.linux.lgpio_pins",)
        case PortAddress():
            return ("edgekernel.backends.linux.tty",)
        case BusAddress():
            return ("smbus2",)
        case SpiAddress():
            return ("spidev",)
        case _:
            return ()
