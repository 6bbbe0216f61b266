"""Records as a text that can stand in a program: compressed blocks of a journal, in base 85."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator

from edgekernel.journal.blocks import MAX_RECORDS, Block, BlockBuilder, read_blocks
from edgekernel.journal.records import Record
from edgekernel.journal.replay.recording import RecordingError

_BLOCK_BYTES = 1 << 18
_WIDTH = 96
_LONGEST = 1 << 30


def embed(records: Iterable[Record]) -> str:
    """Return records as lines of letters, digits and signs, none of them a quote or backslash."""
    packed = zlib.compress(b"".join(_blocks(records)), 9)
    text = base64.b85encode(packed).decode()
    lines = (text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH))
    return "\n".join(lines) + "\n"


def unembed(text: str) -> list[Record]:
    """Return the records of such a text. Raises RecordingError if it is not whole."""
    try:
        unpacking = zlib.decompressobj()
        data = unpacking.decompress(base64.b85decode("".join(text.split())), _LONGEST)
        found = list(read_blocks(data))
        if not unpacking.eof or not all(isinstance(each, Block) for each in found):
            raise ValueError("a part of it is missing or was changed")
    except (ValueError, zlib.error) as error:
        raise RecordingError(f"the records in this text cannot be read: {error}") from error
    return [record for each in found if isinstance(each, Block) for record in each.records()]


def _blocks(records: Iterable[Record]) -> Iterator[bytes]:
    builder, first = BlockBuilder(), 0
    for record in records:
        builder.add(record)
        if builder.size >= _BLOCK_BYTES or builder.count == MAX_RECORDS:
            yield builder.build(first)
            first += builder.count
            builder = BlockBuilder()
    if builder.count:
        yield builder.build(first)
