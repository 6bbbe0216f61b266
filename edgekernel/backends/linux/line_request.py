"""A GPIO line of the kernel taken as it is, which lgpio cannot: it claims before it reads.

Version 2 of the kernel's interface (Linux 5.10, include/uapi/linux/gpio.h).
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

_REQUEST = struct.Struct("=I252x32s272xII20xi")
"""struct gpio_v2_line_request: the first of 64 offsets, consumer, a config of zeros, number of
lines, size of the event buffer, and the file descriptor that the kernel answers with."""

_CONFIG = struct.Struct("=QI20xI4xQQ216x")
"""struct gpio_v2_line_config: flags, number of attributes, and the first of 10 attributes: its id,
its value, and a bit for each line that it is for."""

_VALUES = struct.Struct("=QQ")
"""struct gpio_v2_line_values: a bit for each line's level, a bit for each line that is meant."""

_OUTPUT = 1 << 3  # GPIO_V2_LINE_FLAG_OUTPUT
_OUTPUT_VALUES = 2  # GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES


def _iowr(number: int, argument: struct.Struct) -> int:
    """Return _IOWR(0xB4, number, argument) as Arm, RISC-V and x86 count (asm-generic/ioctl.h)."""
    return 3 << 30 | argument.size << 16 | 0xB4 << 8 | number


GET_LINE = _iowr(0x07, _REQUEST)
SET_CONFIG = _iowr(0x0D, _CONFIG)
GET_VALUES = _iowr(0x0E, _VALUES)
SET_VALUES = _iowr(0x0F, _VALUES)


class LineRequest:
    """A line that this process holds; until told otherwise it stays as it is. Raises OSError."""

    def __init__(self, chip: Path, offset: int) -> None:
        """Take a line of the chip with this device file, without a direction.

        The kernel then changes nothing about it (Documentation/userspace-api/gpio/
        gpio-v2-get-line-ioctl.rst, "Configuration Rules").
        """
        fd = os.open(chip, os.O_RDWR | os.O_CLOEXEC)
        try:
            answer = fcntl.ioctl(fd, GET_LINE, _REQUEST.pack(offset, b"edgekernel", 1, 0, 0))
        finally:
            os.close(fd)  # "Closing the chip_fd has no effect on existing line requests."
        self._fd: int = _REQUEST.unpack(answer)[-1]

    def drive_as_is(self) -> None:
        """Become an output at the level that the line has.

        Without giving the line back in between: a line that nobody holds may change.
        """
        level = self.read()
        fcntl.ioctl(self._fd, SET_CONFIG, _CONFIG.pack(_OUTPUT, 1, _OUTPUT_VALUES, level, 1))

    def read(self) -> bool:
        """Return the level that the line has."""
        bits, _ = _VALUES.unpack(fcntl.ioctl(self._fd, GET_VALUES, _VALUES.pack(0, 1)))
        return bool(bits & 1)

    def write(self, level: bool) -> None:
        """Drive a level."""
        fcntl.ioctl(self._fd, SET_VALUES, _VALUES.pack(level, 1))

    def close(self) -> None:
        """Give the line back to the kernel."""
        os.close(self._fd)
