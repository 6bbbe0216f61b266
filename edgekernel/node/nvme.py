"""What an NVMe disk says of its health: the log page that the kernel fetches for root."""

from __future__ import annotations

import os
from pathlib import Path

LOG_BYTES = 512
_ADMIN_COMMAND = 0xC0484E41
"""NVME_IOCTL_ADMIN_CMD: _IOWR('N', 0x41, struct nvme_passthru_cmd) of linux/nvme_ioctl.h."""
_GET_LOG_PAGE, _HEALTH = 0x02, 0x02
"""NVM Express Base Specification 2.0, 5.16 "Get Log Page" and 5.16.1.3 "SMART / Health"."""
_ALL_NAMESPACES = 0xFFFFFFFF
_LIMIT_MS = 5000


def health_log(device: Path) -> bytes:
    """Return the SMART / Health log page of a controller such as /dev/nvme0; it changes nothing.

    Raises OSError: PermissionError for all but root.
    """
    import ctypes
    import struct
    from fcntl import ioctl

    page = ctypes.create_string_buffer(LOG_BYTES)
    command = struct.pack(
        "=BBHIIIQQIIIIIIIIII",
        _GET_LOG_PAGE, 0, 0, _ALL_NAMESPACES, 0, 0,
        0, ctypes.addressof(page), 0, LOG_BYTES,
        (LOG_BYTES // 4 - 1) << 16 | _HEALTH, 0, 0, 0, 0, 0,
        _LIMIT_MS, 0,
    )  # fmt: skip
    file = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        status = ioctl(file, _ADMIN_COMMAND, bytearray(command))
    finally:
        os.close(file)
    if status:
        raise OSError(f"{device}: NVMe status 0x{status:x}")
    return page.raw
