"""A stand-in for the kernel's own calls about GPIO lines, with the structures of its header.

Linux, include/uapi/linux/gpio.h, laid out by ctypes as a C compiler does it. The numbers of the
calls are those that a C compiler made of that header (Linux 6.1, x86-64; the same on Arm).
"""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

GET_LINE, SET_CONFIG, GET_VALUES, SET_VALUES = 0xC250B407, 0xC110B40D, 0xC010B40E, 0xC010B40F
OUTPUT, OUTPUT_VALUES = 1 << 3, 2


class Attribute(ctypes.Structure):
    """struct gpio_v2_line_config_attribute."""

    _fields_ = (
        ("id", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
        ("values", ctypes.c_uint64),
        ("mask", ctypes.c_uint64),
    )


class Config(ctypes.Structure):
    """struct gpio_v2_line_config."""

    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("num_attrs", ctypes.c_uint32),
        ("padding", ctypes.c_uint32 * 5),
        ("attrs", Attribute * 10),
    )


class Request(ctypes.Structure):
    """struct gpio_v2_line_request."""

    _fields_ = (
        ("offsets", ctypes.c_uint32 * 64),
        ("consumer", ctypes.c_char * 32),
        ("config", Config),
        ("num_lines", ctypes.c_uint32),
        ("event_buffer_size", ctypes.c_uint32),
        ("padding", ctypes.c_uint32 * 5),
        ("fd", ctypes.c_int32),
    )


class Values(ctypes.Structure):
    """struct gpio_v2_line_values."""

    _fields_ = (("bits", ctypes.c_uint64), ("mask", ctypes.c_uint64))


class KernelLines:
    """Lines of one chip: their levels, and every call about them."""

    def __init__(self, chip: Path) -> None:
        self.chip = chip
        self.levels: dict[int, bool] = {}
        self.busy: set[int] = set()
        self.refusal = 0
        """The error number of every later call on a held line, if not 0."""
        self.calls: list[tuple[object, ...]] = []
        self._lines: dict[int, int] = {}

    def ioctl(self, fd: int, number: int, argument: bytes) -> bytes:
        """Carry out a call as the kernel does."""
        if number == GET_LINE:
            return self._get_line(fd, Request.from_buffer_copy(argument))
        line = self._lines[fd]
        if self.refusal:
            raise OSError(self.refusal, os.strerror(self.refusal))
        if number == SET_CONFIG:
            self._set_config(line, Config.from_buffer_copy(argument))
            return argument
        values = Values.from_buffer_copy(argument)
        assert values.mask == 1
        if number == SET_VALUES:
            self.calls.append(("set", line, values.bits))
            self.levels[line] = bool(values.bits)
        else:
            assert number == GET_VALUES
            values.bits = self.levels[line]
        return bytes(values)

    def _get_line(self, fd: int, request: Request) -> bytes:
        assert os.readlink(f"/proc/self/fd/{fd}") == str(self.chip)
        assert (request.num_lines, request.config.flags, request.config.num_attrs) == (1, 0, 0)
        line = request.offsets[0]
        if line in self.busy:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        self.calls.append(("get", line, request.consumer))
        request.fd = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._lines[request.fd] = line
        return bytes(request)

    def _set_config(self, line: int, config: Config) -> None:
        attribute = config.attrs[0]
        assert (config.num_attrs, attribute.id, attribute.mask) == (1, OUTPUT_VALUES, 1)
        self.calls.append(("config", line, config.flags, attribute.values))
        self.levels[line] = bool(attribute.values)
