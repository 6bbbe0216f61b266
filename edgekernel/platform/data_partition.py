"""The last partition of a card grows to its end: an image of 2 GB is flashed to one of 32 GB.

In this order, each of which may be the last one before the power goes:

1. the partition table: one sector, in which four bytes of size and three of CHS change. Flushed.
2. the kernel is told (BLKPG). It reads the table anew at every start.
3. the file system grows while it is in use, in the journal of ext4; systemd does that at every
   mount (x-systemd.growfs).

So the file system is never larger than its partition, and what is missing is done at the next
start. The layout of a table is that of the MBR: four entries of 16 bytes from byte 446 on.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

SECTOR = 512
_ENTRIES, _ENTRY = 446, 16
_SIGNATURE = b"\x55\xaa"
_BEGIN_AND_SIZE = struct.Struct("<II")
_END_OF_CHS = bytes((0xFE, 0xFF, 0xFF))  # beyond what cylinder, head and sector can say
_LARGEST = 2**32 - 1
_ALIGNED = 4 * 2**20 // SECTOR  # as genimage.cfg aligns: erase blocks of a card are not shared
_GPT = 0xEE


class TableError(ValueError):
    """A partition table that is not to be changed; the text says why."""


def grown_table(table: bytes, number: int, sectors: int) -> bytes | None:
    """Return a partition table in which a partition ends where a disk of so many sectors ends.

    None if there is nothing to gain. Raises TableError if the table is no MBR, or the partition
    `number` (1 to 4) is not there or not the last one.
    """
    if len(table) != SECTOR or table[-2:] != _SIGNATURE:
        raise TableError("there is no partition table in the first sector")
    entries = [table[at : at + _ENTRY] for at in range(_ENTRIES, _ENTRIES + 4 * _ENTRY, _ENTRY)]
    if any(entry[4] == _GPT for entry in entries):
        raise TableError("its partition table is a GPT, which has a copy at its end")
    entry = entries.pop(number - 1)
    begin, size = _BEGIN_AND_SIZE.unpack(entry[8:])
    if not entry[4] or not begin or not size:
        raise TableError(f"there is no partition {number}")
    for other in entries:
        if other[4] and sum(_BEGIN_AND_SIZE.unpack(other[8:])) > begin:
            raise TableError(f"partition {number} is not the last one")
    new = min(sectors, _LARGEST) // _ALIGNED * _ALIGNED - begin
    if new - size < _ALIGNED:
        return None
    entry = entry[:5] + _END_OF_CHS + _BEGIN_AND_SIZE.pack(begin, new)
    at = _ENTRIES + (number - 1) * _ENTRY
    return table[:at] + entry + table[at + _ENTRY :]


def grow_partition(disk: Path, number: int) -> bool:
    """Let a partition of a disk or of a file end where that ends; say whether it has changed.

    Raises TableError as `grown_table` does, and OSError if the disk fails.
    """
    descriptor = os.open(disk, os.O_RDWR)
    try:
        sectors = os.lseek(descriptor, 0, os.SEEK_END) // SECTOR
        new = grown_table(os.pread(descriptor, SECTOR, 0), number, sectors)
        if new is None:
            return False
        os.pwrite(descriptor, new, 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True


def place_of(partition: Path, sysfs: Path = Path("/sys/class/block")) -> tuple[Path, int]:
    """Return the disk of a partition and its number, as the kernel names them. Raises OSError."""
    node = partition.resolve(strict=True)
    entry = (sysfs / node.name).resolve(strict=True)
    return node.with_name(entry.parent.name), int((entry / "partition").read_text())
