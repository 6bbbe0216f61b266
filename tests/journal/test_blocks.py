"""Blocks: records in, the same records out; damage stays where it is."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.journal.blocks import (
    CRC,
    HEAD,
    MAGIC,
    MAX_RECORD,
    Block,
    BlockBuilder,
    Damage,
    read_blocks,
)
from edgekernel.journal.records import OpaqueRecord, Record
from edgekernel.journal.values import put_signed, put_text, put_value, put_varint
from tests.journal.records import event, records


def built(*entries: Record, number: int = 0, compress: bool = False) -> bytes:
    """Return one block with these records."""
    builder = BlockBuilder()
    for entry in entries:
        builder.add(entry)
    return builder.build(number, compress=compress)


def read(data: bytes) -> list[Record]:
    """Return the records of all whole blocks."""
    blocks = [each for each in read_blocks(data) if isinstance(each, Block)]
    return [record for block in blocks for record in block.records()]


@given(st.lists(records, min_size=1, max_size=6), st.booleans())
def test_round_trip(entries: list[Record], compress: bool) -> None:
    """Records of every type come back from a block, compressed or not."""
    data = built(*entries, number=7, compress=compress)
    (block,) = read_blocks(data)
    assert isinstance(block, Block)
    assert (block.number, block.count, block.end) == (7, len(entries), len(data))
    assert list(block.records()) == entries


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_blocks_in_rubbish(before: bytes, after: bytes) -> None:
    """Whatever stands before and after a block, its records are found."""
    data = built(event(1), event(2))
    assert read(before + data + after) == [event(1), event(2)]


@given(st.binary(max_size=2000))
def test_any_bytes(content: bytes) -> None:
    """Any bytes are blocks and damage that follow one another without a gap."""
    at = 0
    for found in read_blocks(content):
        assert found.offset == at
        at = found.end
        if isinstance(found, Block):
            list(found.records())
    assert at == len(content)


def test_every_byte_flipped() -> None:
    """A flipped byte costs the block that it is in, and no other."""
    blocks = [built(event(n), number=n) for n in range(3)]
    data = b"".join(blocks)
    for at in range(len(data)):
        hurt = bytearray(data)
        hurt[at] ^= 0xFF
        lost = next(n for n in range(3) if at < sum(map(len, blocks[: n + 1])))
        assert read(bytes(hurt)) == [event(n) for n in range(3) if n != lost]


def test_cut_at_every_byte() -> None:
    """Of data that is cut anywhere the whole blocks are read, and the rest is one damage."""
    blocks = [built(event(n), number=n) for n in range(3)]
    data = b"".join(blocks)
    ends = [sum(map(len, blocks[:n])) for n in range(4)]
    for at in range(len(data)):
        whole = sum(end <= at for end in ends) - 1
        assert read(data[:at]) == [event(n) for n in range(whole)]
        torn = [each for each in read_blocks(data[:at]) if isinstance(each, Damage)]
        assert sum(each.size for each in torn) == at - ends[whole]


def forged(content: bytes, count: int, *, version: int = 1, flags: int = 0) -> bytes:
    """Return a block with a right checksum around any content."""
    head = HEAD.pack(MAGIC, version, flags, count, len(content), 0, 5, 6)
    return head + content + CRC.pack(zlib.crc32(head + content))


@given(st.binary(max_size=200), st.integers(0, 5), st.integers(0, 3))
def test_any_content(content: bytes, count: int, flags: int) -> None:
    """Whatever stands in a block with a right checksum, there are as many records as it says."""
    assert len(read(forged(content, count, flags=flags))) == count


def test_other_version() -> None:
    """The records of a block of another version are opaque, as many as there are."""
    found = read(forged(b"?", 3, version=2))
    assert [type(each) for each in found] == [OpaqueRecord] * 3
    assert "version 2" in str(found[0])


def foreign(type_name: str, version: int, *values: object) -> bytes:
    """Return a block with a record of a type that somebody else has made, and an event."""
    builder = BlockBuilder()
    builder.add(event(1))
    texts = builder._texts
    body = bytearray()
    put_varint(body, texts.number(type_name))
    put_varint(body, version)
    put_signed(body, 0)
    put_signed(body, 0)
    for value in values:
        put_value(body, value, texts)
    builder._records += bytes([len(body)]) + body
    builder.count += 1
    builder.add(event(2))
    return builder.build(0)


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (foreign("os.system", 1, "true"), "unknown type"),
        (foreign("event", 2, 1), "unknown version"),
        (foreign("event", 1, 1, 2), "fields instead of"),
        (foreign("lost", 1, "many", "reason"), "field 'count' is of type str"),
    ],
)
def test_unknown_records_are_opaque(block: bytes, why: str) -> None:
    """A record of another type, version or shape is opaque, with its bytes; the others are read."""
    first, opaque, last = read(block)
    assert (first, last) == (event(1), event(2))
    assert isinstance(opaque, OpaqueRecord)
    assert why in opaque.reason
    assert opaque.data
    assert opaque.time_ns == event(1).time_ns


def test_texts_that_are_not_there() -> None:
    """A reference to a text that the table does not have makes opaque what has it."""
    content = bytearray()
    put_varint(content, 1)
    put_text(content, "x")
    content += b"\x05\x05\x01\x00\x00\xff"
    (record,) = read(forged(bytes(content), 1))
    assert isinstance(record, OpaqueRecord)


def test_record_that_is_too_large() -> None:
    """A record that is too large is replaced by an opaque one that says so; the others stay."""
    large = event(2, text="x" * MAX_RECORD)
    first, opaque, last = read(built(event(1), large, event(3)))
    assert (first, last) == (event(1), event(3))
    assert isinstance(opaque, OpaqueRecord)
    assert (opaque.of_type, opaque.time_ns) == ("event", large.time_ns)
    assert "bytes" in opaque.reason


def test_compression_bomb() -> None:
    """Content that would become huge is not made; its records are opaque."""
    content = zlib.compress(bytes(1 << 24))
    assert [type(each) for each in read(forged(content, 2, flags=1))] == [OpaqueRecord] * 2
