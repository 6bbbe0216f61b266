"""The 1-Wire buses of Linux, through the files that its driver w1_therm shows (sysfs).

Linux, Documentation/w1/slaves/w1_therm.rst: reading `w1_slave` lets the chip convert and gives
two lines, each of which begins with the nine bytes of the scratchpad.
"""

from __future__ import annotations

import errno
import re
from pathlib import Path

from edgekernel.backends.shared_onewire import is_rom
from edgekernel.core.errors import BrokenError, NackError
from edgekernel.hal.address import OneWireAddress

_BYTES = re.compile(r"((?:[0-9a-fA-F]{2} ){8}[0-9a-fA-F]{2})(?: |$)")


class SysfsWire:
    """A Wire on a folder of sysfs."""

    def __init__(self, address: OneWireAddress) -> None:
        self._folder = Path(address.folder)
        self._place = f"{address.name} ({address.folder})"

    def open(self) -> None:
        """Look for a bus master. Raises BrokenError that says what to do."""
        if not any(self._folder.glob("w1_bus_master*")):
            raise BrokenError(
                f"{self._place}: 1-Wire is not enabled. On a Raspberry Pi put dtoverlay=w1-gpio "
                "into config.txt (on GPIO4, or ,gpiopin=N) and reboot; elsewhere load the modules "
                "w1-gpio and w1-therm"
            )

    def search(self) -> tuple[str, ...]:
        """Return the ROM codes of the chips that the kernel has found, sorted.

        It leaves those out that it invents on a data line without pull-up: their family is 00.
        """
        try:
            return tuple(sorted(each.name for each in self._folder.iterdir() if is_rom(each.name)))
        except OSError as error:
            raise BrokenError(f"{self._place}: cannot be read: {error.strerror}") from error

    def measure(self, rom: str) -> bytes:
        """Let a chip convert; return its scratchpad, whether the kernel finds its CRC right or not.

        Raises NackError if the chip does not answer, BrokenError for any other failure.
        """
        place = f"{self._place}, {rom}"
        try:
            text = (self._folder / rom / "w1_slave").read_text()
        except OSError as error:
            raise self._refusal(place, rom, error) from error
        if not text.strip():  # what the kernel shows when nobody answers the reset
            raise NackError(f"{place}: the chip does not answer. Check its wiring and supply")
        found = _BYTES.match(text)
        if found is None:
            raise BrokenError(f"{place}: w1_slave begins with no nine bytes: {text[:40]!r}")
        return bytes.fromhex(found[1])

    def _refusal(self, place: str, rom: str, error: OSError) -> BrokenError:
        match error.errno:
            case errno.ENOENT | errno.ENODEV | errno.EIO:
                if (self._folder / rom).is_dir() and error.errno == errno.ENOENT:
                    return BrokenError(
                        f"{place}: the kernel has no driver for this chip; load the module w1-therm"
                    )
                found = ", ".join(self.search()) or "none"
                return NackError(
                    f"{place}: the chip does not answer; found on the bus: {found}. Check wiring, "
                    "supply and the pull-up of 4.7 kΩ"
                )
            case _:
                return BrokenError(f"{place}: cannot be read: {error.strerror or error}")
