"""Packing: a full segment, made of many small blocks, is written anew as few compressed ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgekernel.backends.disk import SystemDisk
from edgekernel.hal.disk import Disk
from edgekernel.journal.blocks import MAX_RECORDS, Block, BlockBuilder, read_blocks
from edgekernel.journal.folder import SIGNATURE, UNFINISHED

_BLOCK_BYTES = 1 << 15
"""How large a block becomes before compression: damage to it costs so much."""


def pack(path: Path, *, durable: bool, disk: Disk | None = None) -> int:
    """Pack a segment, all or nothing; return its size. Raises OSError, and then it is as before.

    Without a `disk` it is that of this machine. One with damage in it stays as it is.
    """
    disk = SystemDisk() if disk is None else disk
    data = disk.place(path).read_bytes()
    found = list(read_blocks(data, len(SIGNATURE)))
    blocks = [each for each in found if isinstance(each, Block)]
    if len(blocks) < len(found):
        return len(data)
    packed = b"".join([SIGNATURE, *_packed(data, blocks)])
    if len(packed) >= len(data):
        return len(data)
    made = path.with_suffix(UNFINISHED)
    try:
        file = disk.create(made)
        try:
            view = memoryview(packed)
            while view:
                view = view[file.write(view) :]
            if durable:
                file.sync()
        finally:
            file.close()
        disk.replace(made, path)
    except OSError:
        disk.remove(made)
        raise
    return len(packed)


def _packed(data: bytes, blocks: list[Block]) -> Iterator[bytes]:
    builder, first = BlockBuilder(), 0
    for block in blocks:
        if block.repeated:
            yield data[block.offset : block.end]
            continue
        for number, record in enumerate(block.records(), block.number):
            if builder.count and number != first + builder.count:
                yield builder.build(first, compress=True)
                builder = BlockBuilder()
            if not builder.count:
                first = number
            builder.add(record)
            if builder.size >= _BLOCK_BYTES or builder.count == MAX_RECORDS:
                yield builder.build(first, compress=True)
                builder = BlockBuilder()
    if builder.count:
        yield builder.build(first, compress=True)
