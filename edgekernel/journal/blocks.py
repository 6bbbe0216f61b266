"""Blocks: how records stand in a segment. A block is written whole and understood on its own.

    e7 4a            marks a block
    01               version of this format
    flags            1: the content is compressed (zlib, RFC 1950); 2: it repeats, for who has this
                     segment only, what stood in an earlier one
    u16 count        how many records
    u32 length       how many bytes of content
    u64 number       of the first record, in the journal
    i64 monotonic    the time of the first record, in nanoseconds
    i64 wall         its wall time, in nanoseconds since 1970-01-01 UTC
    content
    u32 crc          CRC-32 (as in zlib) of all that stands before it

Integers are little-endian. The content is the table of texts (a varint with how many, then each
with its length in UTF-8), then the records. A record is the length of what follows as a varint,
the number of the text that is its type, its version, how much later it is than the record before,
how much its wall time has moved against the monotonic time since then (both signed), and its
fields as one value each (see `values`). Texts and times refer to the same block only: a block that
is damaged takes nothing with it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from edgekernel.journal.records import OpaqueRecord, Record, make, values_of
from edgekernel.journal.values import (
    COMMON,
    Reader,
    Texts,
    put_signed,
    put_text,
    put_value,
    put_varint,
)

MAGIC = b"\xe7J"
VERSION = 1
COMPRESSED, REPEATED = 1, 2
HEAD = struct.Struct("<2sBBHIQqq")
CRC = struct.Struct("<I")
MAX_RECORDS = 0xFFFF
MAX_CONTENT = 1 << 20
"""Bytes of content in a block, also after decompression: a bound for the reader's memory."""
MAX_RECORD = 1 << 16
"""Bytes of one record; a larger one is replaced by an opaque one that says so."""
_TEXT_BYTES, _LENGTH_BYTES = 4, 3
"""What a character and the length of a text take at most."""


class BlockBuilder:
    """Collects records into the content of one block."""

    def __init__(self) -> None:
        self._texts = Texts()
        self._records = bytearray()
        self._text_bytes = 0
        self._first = self._last = (0, 0)
        self.count = 0
        """How many records are in it."""

    @property
    def size(self) -> int:
        """About how many bytes the records have, and at most their texts."""
        return len(self._records) + self._text_bytes

    def add(self, record: Record) -> None:
        """Append a record; one that is too large becomes opaque."""
        now = record.monotonic_ns, record.time_ns - record.monotonic_ns
        if not self.count:
            self._first = self._last = now
        body = self._body(record, now)
        put_varint(self._records, len(body))
        self._records += body
        self._last = now
        self.count += 1

    def _body(self, record: Record, now: tuple[int, int]) -> bytearray:
        known = len(self._texts.numbers)
        body = self._encoded(record, now)
        texts = list(islice(reversed(self._texts.numbers), len(self._texts.numbers) - known))
        text_bytes = sum(_TEXT_BYTES * len(text) + _LENGTH_BYTES for text in texts)
        size = len(body) + text_bytes
        if size <= MAX_RECORD:
            self._text_bytes += text_bytes
            return body
        for text in texts:
            del self._texts.numbers[text]
        reason = f"it had about {size} bytes; {MAX_RECORD} are the most"
        times = record.monotonic_ns, record.time_ns
        return self._encoded(OpaqueRecord(*times, record.type, record.version, reason, b""), now)

    def _encoded(self, record: Record, now: tuple[int, int]) -> bytearray:
        body = bytearray()
        put_varint(body, self._texts.number(record.type))
        put_varint(body, record.version)
        put_signed(body, now[0] - self._last[0])
        put_signed(body, now[1] - self._last[1])
        for value in values_of(record):
            put_value(body, value, self._texts)
        return body

    def build(self, number: int, *, compress: bool = False, repeated: bool = False) -> bytes:
        """Return the block; `number` is that of its first record."""
        content = bytearray()
        texts = self._texts.own
        put_varint(content, len(texts))
        for text in texts:
            put_text(content, text)
        content += self._records
        flags = REPEATED if repeated else 0
        if compress:
            packed = zlib.compress(content)
            if len(packed) < len(content):
                content, flags = bytearray(packed), flags | COMPRESSED
        monotonic_ns, wall_ns = self._first[0], sum(self._first)
        head = HEAD.pack(
            MAGIC, VERSION, flags, self.count, len(content), number, monotonic_ns, wall_ns
        )
        return head + content + CRC.pack(zlib.crc32(content, zlib.crc32(head)))


@dataclass(frozen=True, slots=True)
class Block:
    """A block that was found whole, at an offset of its segment."""

    offset: int
    end: int
    version: int
    flags: int
    count: int
    number: int
    monotonic_ns: int
    wall_ns: int
    content: bytes

    @property
    def repeated(self) -> bool:
        """Whether its records stood in an earlier segment."""
        return bool(self.flags & REPEATED)

    def records(self) -> Iterator[Record]:
        """Return its records, as many as it counts; those not understood are opaque."""
        times = self.monotonic_ns, self.wall_ns
        try:
            reader = self._reader()
        except (ValueError, zlib.error) as error:
            yield from [OpaqueRecord(*times, "", 0, str(error), b"")] * self.count
            return
        last = self.monotonic_ns, self.wall_ns - self.monotonic_ns
        for left in range(self.count, 0, -1):
            try:
                body = Reader(reader.take(reader.varint()), reader.texts)
                type_number, version = body.varint(), body.varint()
                last = last[0] + body.signed(), last[1] + body.signed()
                type_name = reader.texts[type_number]
            except (ValueError, IndexError) as error:
                yield from [OpaqueRecord(*times, "", 0, str(error), b"")] * left
                return
            times = last[0], sum(last)
            yield _record(type_name, version, times, body)

    def _reader(self) -> Reader:
        if self.version != VERSION:
            raise ValueError(f"version {self.version} of the format")
        content = self.content
        if self.flags & COMPRESSED:
            unpacking = zlib.decompressobj()
            content = unpacking.decompress(content, MAX_CONTENT)
            if not unpacking.eof:
                raise ValueError("the compressed content is cut off, or too large")
        reader = Reader(content)
        count = reader.varint()
        if count > reader.left:
            raise ValueError("the table of texts is too long")
        reader.texts = [*COMMON, *(reader.text() for _ in range(count))]
        return reader


def _record(type_name: str, version: int, times: tuple[int, int], body: Reader) -> Record:
    data = body.take(body.left)
    reader = Reader(data, body.texts)
    values = []
    try:
        while reader.left:
            values.append(reader.value())
        return make(type_name, version, *times, values)
    except ValueError as error:
        return OpaqueRecord(*times, type_name, version, str(error), data)


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a segment that are no block."""

    offset: int
    end: int

    @property
    def size(self) -> int:
        """How many bytes."""
        return self.end - self.offset


def read_blocks(data: bytes, offset: int = 0) -> Iterator[Block | Damage]:
    """Return every whole block from `offset` on, and what lies between them."""
    while offset < len(data):
        found: Block | Damage | None = parse(data, offset)
        if found is None:
            found = Damage(offset, _next_block(data, offset + 1))
        yield found
        offset = found.end


def _next_block(data: bytes, offset: int) -> int:
    """Return where the next whole block begins; the end of the data if there is none."""
    while (offset := data.find(MAGIC, offset)) >= 0:
        if parse(data, offset) is not None:
            return offset
        offset += 1
    return len(data)


def parse(data: bytes, offset: int) -> Block | None:
    """Return the block that begins at an offset, if there is a whole one."""
    begin = offset + HEAD.size
    if begin + CRC.size > len(data):
        return None
    magic, version, flags, count, length, number, monotonic_ns, wall_ns = HEAD.unpack_from(
        data, offset
    )
    end = begin + length + CRC.size
    if magic != MAGIC or length > MAX_CONTENT or end > len(data):
        return None
    (crc,) = CRC.unpack_from(data, begin + length)
    if zlib.crc32(data[offset : begin + length]) != crc:
        return None
    content = data[begin : begin + length]
    return Block(offset, end, version, flags, count, number, monotonic_ns, wall_ns, content)
